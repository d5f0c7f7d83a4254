//! [`ServicesQuery`]: the query of the endpoint `/services`, and its response.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Uri;
use serde_json::Value;

use crate::base_url::BaseUrl;
use crate::error::Error;
use crate::error_response::{ErrorResponse, ErrorType};
use crate::forced_matchers::ForcedMatchers;
use crate::names::{is_label_name, is_metric_name};
use crate::range_query::instant_target;

/// The maximum size of the upstream's response, which has one short entry per service.
pub(crate) const MAX_RESPONSE_BYTES: u64 = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct ServicesQuery {
    pub(crate) uri: Uri,
    label: String,
    fallback: Vec<String>,
    /// Whether the last query failed. Only changes are logged.
    is_failing: AtomicBool,
}

impl ServicesQuery {
    pub(crate) fn new(
        (metric, label): (String, String),
        fallback: Vec<String>,
        forced: &ForcedMatchers,
        upstream: &BaseUrl,
    ) -> Result<Self, Error> {
        if !is_metric_name(&metric) {
            let message = format!("services_of: invalid metric name {metric:?}");
            return Err(Error::setting(message));
        }
        if !is_label_name(&label) {
            let message = format!("services_of: invalid label name {label:?}");
            return Err(Error::setting(message));
        }
        let query = forced.rewrite(&format!("group by ({label}) ({metric})"));
        let query = query.map_err(|reason| {
            Error::setting(format!(
                "services_of: the forced labels cannot be added to the query: {reason}"
            ))
        })?;
        let uri = upstream.join(&instant_target(&query)).ok_or_else(|| {
            Error::setting("services_of: the query with its forced labels is too long for a URL")
        })?;
        Ok(Self {
            uri,
            label,
            fallback,
            is_failing: AtomicBool::new(false),
        })
    }

    /// Extracts the values of the label from the response to an instant query: a sorted JSON array without duplicates.
    /// Returns `None` if the response is not a successful query result.
    pub(crate) fn names(&self, response: &[u8]) -> Option<String> {
        let response: Value = serde_json::from_slice(response).ok()?;
        if response.get("status")?.as_str()? != "success" {
            return None;
        }
        let series = response.get("data")?.get("result")?.as_array()?;
        let names = series
            .iter()
            .filter_map(|series| series.get("metric")?.get(&self.label)?.as_str());
        let names: BTreeSet<&str> = names.filter(|name| !name.is_empty()).collect();
        Some(json_array(names))
    }

    /// Logs when the query fails, given its error, or succeeds again, not every failed query.
    pub(crate) fn log_change(&self, error: Option<&ErrorResponse>) {
        // Beyond the concurrency limit, the upstream was not queried.
        if error.is_some_and(|error| error.error_type() == ErrorType::TooManyQueries) {
            return;
        }
        let is_failing = error.is_some();
        if self.is_failing.swap(is_failing, Ordering::Relaxed) == is_failing {
            return;
        }
        match error {
            Some(error) => tracing::warn!(
                reason = error.summary(),
                "query proxy: the query of /services fails; it returns the fallback"
            ),
            None => tracing::info!("query proxy: the query of /services succeeds again"),
        }
    }

    /// Returns the configured list as a JSON array.
    pub(crate) fn fallback(&self) -> String {
        json_array(self.fallback.iter().map(String::as_str))
    }
}

fn json_array<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    Value::from_iter(names).to_string()
}
