//! [`RangeQuery`]: the validated parameters of a range query.

use std::borrow::Cow;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error_response::ErrorResponse;
use crate::time::Millis;

/// Everything except RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The maximum length in bytes of the path and query of a request to the upstream. The `http` crate and many servers
/// reject a longer one.
const MAX_TARGET: usize = 60_000;

/// Limits of a range query.
#[derive(Clone, Debug)]
pub(crate) struct QueryLimits {
    pub(crate) max_time_range: Duration,
    pub(crate) max_points: u32,
    pub(crate) max_query_bytes: usize,
}

/// The parameters of a range query. The upstream gets times and the step as numbers, so it uses exactly the values that
/// were validated.
#[derive(Debug)]
pub(crate) struct RangeQuery {
    pub(crate) query: String,
    start: Millis,
    end: Millis,
    step: Millis,
}

/// The parameters of a request that the proxy knows, percent-decoded.
#[derive(Default)]
struct RawParameters<'a> {
    query: Option<Cow<'a, str>>,
    start: Option<Cow<'a, str>>,
    end: Option<Cow<'a, str>>,
    step: Option<Cow<'a, str>>,
}

impl<'a> RawParameters<'a> {
    /// Ignores unknown parameters, as Prometheus and VictoriaMetrics do.
    fn parse(raw: &'a str) -> Result<Self, ErrorResponse> {
        let mut parameters = Self::default();
        for pair in raw.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let parameter = match decoded(name)?.as_ref() {
                "query" => &mut parameters.query,
                "start" => &mut parameters.start,
                "end" => &mut parameters.end,
                "step" => &mut parameters.step,
                _ => continue,
            };
            if parameter.replace(decoded(value)?).is_some() {
                let detail = "query, start, end and step must each be given at most once";
                return Err(ErrorResponse::bad_data("duplicate parameter", detail));
            }
        }
        Ok(parameters)
    }
}

fn decoded(text: &str) -> Result<Cow<'_, str>, ErrorResponse> {
    let invalid =
        |_| ErrorResponse::bad_data("invalid parameter", "it must be percent-encoded UTF-8");
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8().map_err(invalid)?;
        return Ok(Cow::Owned(decoded.into_owned()));
    }
    percent_decode_str(text).decode_utf8().map_err(invalid)
}

impl RangeQuery {
    /// Parses and validates a request's query string.
    pub(crate) fn parse(raw: &str, limits: &QueryLimits) -> Result<Self, ErrorResponse> {
        let parameters = RawParameters::parse(raw)?;
        let query = parameters.query.unwrap_or_default();
        let query = checked_query(query, limits)?;
        let start = time("start", parameters.start.as_deref())?;
        let end = time("end", parameters.end.as_deref())?;
        let step = step(parameters.step.as_deref().unwrap_or("15s"))?;
        let range_query = Self {
            query,
            start,
            end,
            step,
        };
        range_query.check_range(limits)?;
        Ok(range_query)
    }

    fn check_range(&self, limits: &QueryLimits) -> Result<(), ErrorResponse> {
        let Some(time_range) = self.end.0.checked_sub(self.start.0) else {
            let detail = format!("start is {}, end is {}", self.start, self.end);
            return Err(ErrorResponse::bad_data("end is before start", detail));
        };
        if u128::from(time_range) > limits.max_time_range.as_millis() {
            let max = limits.max_time_range.as_secs_f64();
            let detail = format!("{} seconds; at most {max}", Millis(time_range));
            return Err(ErrorResponse::bad_data("time range too long", detail));
        }
        let points = time_range / self.step.0;
        if points > u64::from(limits.max_points) {
            let detail = format!("{points} per series; at most {}", limits.max_points);
            return Err(ErrorResponse::bad_data("too many points", detail));
        }
        Ok(())
    }

    /// Returns the path and query of the upstream request, relative to the base URL.
    pub(crate) fn target(&self) -> Result<String, ErrorResponse> {
        let Self {
            query,
            start,
            end,
            step,
        } = self;
        let query = utf8_percent_encode(query, ENCODED);
        let target =
            format!("/api/v1/query_range?query={query}&start={start}&end={end}&step={step}");
        if target.len() > MAX_TARGET {
            let detail = format!("{} bytes as a URL; at most {MAX_TARGET}", target.len());
            return Err(ErrorResponse::bad_data("query too long", detail));
        }
        Ok(target)
    }
}

/// Returns the path and query of an instant query, relative to the base URL.
pub(crate) fn instant_target(query: &str) -> String {
    let query = utf8_percent_encode(query, ENCODED);
    format!("/api/v1/query?query={query}")
}

fn checked_query(query: Cow<'_, str>, limits: &QueryLimits) -> Result<String, ErrorResponse> {
    if query.trim().is_empty() {
        let detail = "query, start and end are required; step is 15s by default";
        return Err(ErrorResponse::bad_data("missing query", detail));
    }
    if query.len() > limits.max_query_bytes {
        let detail = format!("{} bytes; at most {}", query.len(), limits.max_query_bytes);
        return Err(ErrorResponse::bad_data("query too long", detail));
    }
    Ok(query.into_owned())
}

fn time(name: &str, text: Option<&str>) -> Result<Millis, ErrorResponse> {
    let Some(text) = text else {
        let detail = format!("{name} is required: Unix seconds or RFC 3339");
        return Err(ErrorResponse::bad_data("missing time", detail));
    };
    Millis::parse_time(text).ok_or_else(|| {
        let detail = format!("{name} must be Unix seconds or RFC 3339, from 1970 to 2106");
        ErrorResponse::bad_data("invalid time", detail)
    })
}

fn step(text: &str) -> Result<Millis, ErrorResponse> {
    Millis::parse_duration(text).ok_or_else(|| {
        let detail = "step must be seconds or a duration such as 15s or 1h30m, at least 1ms";
        ErrorResponse::bad_data("invalid step", detail)
    })
}
