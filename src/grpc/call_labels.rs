//! [`CallLabels`]: the custom labels of a call.

use crate::grpc::method_ref::MethodRef;
use crate::http::series::custom_values::CustomValues;
use crate::http::series::label_values::LabelIds;

/// The custom labels of a call.
#[derive(Default)]
pub(crate) struct CallLabels {
    /// All labels, or if series can expire, those with listed values.
    pub(crate) ids: LabelIds,
    /// If series can expire, and an open label is present.
    pub(super) end_row: Option<EndRow>,
}

/// Where a call with open labels ends.
pub(super) enum EndRow {
    /// The row for the end of the call.
    Known(MethodRef),
    /// The row does not exist yet. It is not made before it has series, so that it is forgotten with them.
    New(Box<CustomValues<'static>>),
}
