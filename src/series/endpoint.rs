//! [`EndpointSeries`] and [`MethodSeries`]: what is registered of one endpoint and one method.

use std::sync::OnceLock;

use super::ended::{AbortKey, EndKey, Ended};
use super::{LabelIds, Slots};
use crate::labels::Method;
use crate::middleware::Settings;
use crate::target::{Counter, InProgress};

/// The series of one endpoint, laid out as a request reads it.
#[repr(C)]
pub(super) struct EndpointSeries {
    pub(super) skipped: bool,
    pub(super) kind: EndpointKind,
    pub(super) methods: [OnceLock<Box<MethodSeries>>; Method::COUNT],
    pub(super) name: &'static str,
    /// Made when the first opens: most endpoints have none.
    pub(super) connections: OnceLock<Box<Slots<&'static str, Option<InProgress>>>>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum EndpointKind {
    Route,
    Unmatched,
    Overflow,
}

/// The series of one method of one endpoint, laid out as a request reads it: its begin in the first
/// cache line, its end in the next ones.
#[repr(C, align(64))]
pub(crate) struct MethodSeries {
    pub(super) method: Method,
    pub(super) endpoint: &'static EndpointSeries,
    pub(super) in_progress: Slots<LabelIds, Option<InProgress>>,
    pub(super) ended: Slots<EndKey, Ended>,
    /// Made when the first is.
    pub(super) aborted: OnceLock<Box<Slots<AbortKey, Option<Counter>>>>,
}

/// What the table knows about a request.
pub(crate) enum Found {
    Measured(&'static MethodSeries),
    /// Nothing yet.
    Unknown,
    /// That it is not to be measured.
    Skipped,
}

impl Settings {
    pub(super) fn endpoint(&self, name: &'static str, kind: EndpointKind) -> EndpointSeries {
        EndpointSeries {
            name,
            kind,
            skipped: self.skip.iter().any(|skipped| skipped == name),
            methods: [const { OnceLock::new() }; Method::COUNT],
            connections: OnceLock::new(),
        }
    }
}

impl MethodSeries {
    #[inline]
    pub(crate) fn method(&self) -> Method {
        self.method
    }
}

impl EndpointSeries {
    #[inline]
    pub(super) fn find(&'static self, method: Method) -> Found {
        if self.skipped {
            return Found::Skipped;
        }
        match self.methods[method as usize].get() {
            Some(series) => Found::Measured(series),
            None => Found::Unknown,
        }
    }

    /// The series of a method, made on first use; `None` if it is not to be measured.
    #[cold]
    pub(super) fn method(&'static self, method: Method) -> Option<&'static MethodSeries> {
        if self.skipped {
            return None;
        }
        let series = self.methods[method as usize].get_or_init(|| {
            Box::new(MethodSeries {
                method,
                endpoint: self,
                in_progress: Slots::default(),
                ended: Slots::default(),
                aborted: OnceLock::new(),
            })
        });
        Some(series)
    }
}
