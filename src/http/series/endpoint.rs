//! [`EndpointSeries`]: the series of one endpoint.

use std::sync::OnceLock;

use crate::http::config::settings::HttpSettings;
use crate::http::labels::method::Method;
use crate::http::series::connection::{ConnectionKey, ConnectionSeries};
use crate::http::series::label_values::LabelIds;
use crate::http::series::layer::LayerSeries;
use crate::http::series::request::RequestSeries;
use crate::http::series::row::SeriesLabels;
use crate::maps::slots::{SlotKey, Slots};

/// The series of one endpoint. The fields are in the order in which a request reads them.
#[repr(C)]
pub(crate) struct EndpointSeries {
    skipped: bool,
    pub(super) kind: EndpointKind,
    /// The series of requests whose custom labels are all absent, as in a layer without custom labels, by method.
    plain: [OnceLock<Box<RequestSeries>>; Method::COUNT],
    pub(super) name: &'static str,
    /// The series of requests with custom labels, or with a method that the configuration adds.
    labelled: OnceLock<Box<Slots<Labelled, Box<RequestSeries>>>>,
    /// Allocated when the first connection opens: most endpoints have no long-lived connections.
    pub(super) connections: OnceLock<Box<Slots<ConnectionKey, ConnectionSeries>>>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum EndpointKind {
    Route,
    Unmatched,
    Overflow,
}

/// The key of a series within an endpoint.
#[derive(Clone, Copy, PartialEq)]
struct Labelled {
    method: Method,
    labels: LabelIds,
}

impl SlotKey for Labelled {
    fn bits(self) -> u64 {
        self.labels.bits() ^ self.method.index() as u64
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
    /// Whether the endpoint is excluded by `skip`.
    pub(crate) fn is_skipped(&self) -> bool {
        self.skipped
    }

    /// The series of requests without custom labels, if it is registered.
    #[inline]
    pub(super) fn get_plain(&'static self, method: Method) -> Option<&'static RequestSeries> {
        let series = self.plain.get(method.index())?.get()?;
        Some(&**series)
    }

    /// The series of requests with this method and these labels, if it is registered.
    pub(crate) fn get(
        &'static self,
        method: Method,
        labels: LabelIds,
    ) -> Option<&'static RequestSeries> {
        if labels.is_empty() && method.index() < Method::COUNT {
            return self.get_plain(method);
        }
        let known = self.labelled.get()?.get(Labelled { method, labels });
        known.map(|series| &**series)
    }

    /// The series of requests with this method and these labels, registered on first use; `None` if the
    /// endpoint is skipped.
    #[cold]
    pub(super) fn get_or_insert(
        &'static self,
        layer: &'static LayerSeries,
        method: Method,
        labels: LabelIds,
    ) -> Option<&'static RequestSeries> {
        (!self.skipped).then(|| self.make(layer, method, labels))
    }

    /// Like [`get_or_insert`](Self::get_or_insert), for an endpoint that is known not to be skipped.
    pub(super) fn make(
        &'static self,
        layer: &'static LayerSeries,
        method: Method,
        labels: LabelIds,
    ) -> &'static RequestSeries {
        let new = || {
            let labels = SeriesLabels::listed(labels);
            Box::new(RequestSeries::new(layer, self, method, labels))
        };
        match self.plain.get(method.index()) {
            Some(plain) if labels.is_empty() => plain.get_or_init(new),
            _ => {
                let labelled = self.labelled.get_or_init(Box::default);
                labelled.get_or_insert(Labelled { method, labels }, new)
            }
        }
    }
}
