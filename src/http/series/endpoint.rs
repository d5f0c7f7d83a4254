//! [`EndpointSeries`]: what is registered of one endpoint.

use std::sync::OnceLock;

use crate::http::config::settings::HttpSettings;
use crate::http::labels::method::Method;
use crate::http::series::http::HttpSeries;
use crate::http::series::label_values::LabelIds;
use crate::http::series::request::RequestSeries;
use crate::maps::slots::{SlotKey, Slots};
use crate::sink::handles::InProgressHandle;

/// The series of one endpoint, laid out as a request reads it.
#[repr(C)]
pub(crate) struct EndpointSeries {
    skipped: bool,
    pub(super) kind: EndpointKind,
    /// Of requests whose labels of one's own are all absent, as they are where a layer has none.
    plain: [OnceLock<Box<RequestSeries>>; Method::COUNT],
    pub(super) name: &'static str,
    labelled: OnceLock<Box<Slots<Labelled, Box<RequestSeries>>>>,
    /// Made when the first opens: most endpoints have none.
    pub(super) connections: OnceLock<Box<Slots<&'static str, Option<InProgressHandle>>>>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum EndpointKind {
    Route,
    Unmatched,
    Overflow,
}

/// What tells the requests of one endpoint apart.
#[derive(Clone, Copy, PartialEq)]
struct Labelled {
    method: Method,
    labels: LabelIds,
}

impl SlotKey for Labelled {
    fn bits(self) -> u64 {
        self.labels.bits() ^ self.method as u64
    }
}

impl HttpSettings {
    pub(super) fn endpoint(&self, name: &'static str, kind: EndpointKind) -> EndpointSeries {
        EndpointSeries {
            skipped: self.skip.iter().any(|skipped| skipped == name),
            kind,
            plain: [const { OnceLock::new() }; Method::COUNT],
            name,
            labelled: OnceLock::new(),
            connections: OnceLock::new(),
        }
    }
}

impl EndpointSeries {
    /// Whether its requests are not to be measured.
    pub(crate) fn is_skipped(&self) -> bool {
        self.skipped
    }

    /// The series of requests without labels of one's own, if there has been one.
    #[inline]
    pub(super) fn get_plain(&'static self, method: Method) -> Option<&'static RequestSeries> {
        self.plain[method as usize].get().map(|series| &**series)
    }

    /// The series of such requests, if there has been one.
    pub(crate) fn get(
        &'static self,
        method: Method,
        labels: LabelIds,
    ) -> Option<&'static RequestSeries> {
        match labels.is_empty() {
            true => self.get_plain(method),
            false => {
                let known = self.labelled.get()?.get(Labelled { method, labels });
                known.map(|series| &**series)
            }
        }
    }

    /// The series of such requests of a layer; `None` if they are not to be measured.
    #[cold]
    pub(super) fn get_or_insert(
        &'static self,
        layer: &'static HttpSeries,
        method: Method,
        labels: LabelIds,
    ) -> Option<&'static RequestSeries> {
        (!self.skipped).then(|| self.make(layer, method, labels))
    }

    /// As [`get_or_insert`](Self::get_or_insert), of an endpoint that is known to be measured.
    pub(super) fn make(
        &'static self,
        layer: &'static HttpSeries,
        method: Method,
        labels: LabelIds,
    ) -> &'static RequestSeries {
        let new = || Box::new(RequestSeries::new(layer, self, method, labels));
        match labels.is_empty() {
            true => self.plain[method as usize].get_or_init(new),
            false => {
                let labelled = self.labelled.get_or_init(Box::default);
                labelled.get_or_insert(Labelled { method, labels }, new)
            }
        }
    }
}
