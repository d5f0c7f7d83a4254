//! Metric definitions: kinds, names, labels and buckets, without values.
//!
//! [`FamilyDescription`] is the public form. [`HttpMetrics::families`](crate::HttpMetrics::families),
//! [`GrpcMetrics::families`](crate::GrpcMetrics::families) and the `families` function of every
//! [catalogue](crate::catalogue!) return what they export, so that tables, dashboards and alert rules can be
//! generated from the same definitions.

pub(crate) mod bounds;
pub(crate) mod const_str;
pub(crate) mod description;
pub(crate) mod families_table;
pub(crate) mod family_unit;
pub(crate) mod kind;
pub(crate) mod label_text;
pub(crate) mod layer;
pub mod names;
pub(crate) mod native;
pub(crate) mod numbers;
#[cfg(feature = "summary")]
pub(crate) mod quantiles;
pub(crate) mod spec;
pub(crate) mod trace;
pub(crate) mod unit;

pub use self::{
    description::{FamilyDescription, LabelDescription, LabelRole, LabelValues},
    families_table::families_table,
    kind::MetricKind,
    layer::{LayerDescription, LayerKind},
    numbers::Number,
};
