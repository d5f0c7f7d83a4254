//! Which series count a request, once its response and its end are known.

use crate::http::labels::endpoint::Endpoint;
use crate::http::labels::head::ResponseHead;
use crate::http::labels::outcome::RequestOutcome;
use crate::http::series::custom_values::CustomValues;
use crate::http::series::endpoint::EndpointSeries;
use crate::http::series::label_values::LabelIds;
use crate::http::series::request::RequestSeries;
use crate::http::series::series_ref::SeriesRef;

impl SeriesRef<RequestSeries> {
    /// The series with the labels of the response, and the endpoint that it has `named`. `None` if this endpoint is
    /// skipped.
    pub(crate) fn with_response(
        &self,
        response: ResponseHead<'_>,
        named: Option<&Endpoint>,
    ) -> Option<Self> {
        let layer = self.layer();
        let named = named.map(|named| layer.endpoint_named(named.as_str()));
        if named.is_some_and(EndpointSeries::is_skipped) {
            return None;
        }
        let endpoint = named.unwrap_or(self.endpoint);
        if !layer.has_rows() {
            let mut labels = self.labels.ids;
            layer.custom.read_response(response, &mut labels);
            return Some(self.with_ids(endpoint, labels));
        }
        if !layer.custom.reads_response() && std::ptr::eq(endpoint, self.endpoint) {
            return Some(self.clone());
        }
        let mut values = self.values();
        layer.custom.read_response_values(response, &mut values);
        Some(layer.series_of(endpoint, self.method(), &values))
    }

    /// The series with the labels that are read when a request ends.
    pub(crate) fn with_outcome(&self, outcome: RequestOutcome<'_>) -> Self {
        let layer = self.layer();
        if !layer.has_rows() {
            let mut labels = self.labels.ids;
            layer.custom.read_outcome(outcome, &mut labels);
            return self.with_ids(self.endpoint, labels);
        }
        let mut values = self.values();
        layer.custom.read_outcome_values(outcome, &mut values);
        layer.series_of(self.endpoint, self.method(), &values)
    }

    fn with_ids(&self, endpoint: &'static EndpointSeries, labels: LabelIds) -> Self {
        match labels == self.labels.ids && std::ptr::eq(endpoint, self.endpoint) {
            true => self.clone(),
            false => Self::Static(endpoint.make(self.layer(), self.method(), labels)),
        }
    }

    fn values(&self) -> CustomValues<'_> {
        let labels = &self.labels;
        let custom = &self.layer().custom;
        custom.values_of_series(labels.ids, labels.open())
    }
}
