//! [`RangeQuery`]: what a client asks, checked before the store hears of it.

use std::borrow::Cow;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::problem::Problem;
use super::time::Millis;

/// Everything but what never needs it.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The longest request line sent: longer ones are no URI to the `http` crate, and refused by many servers.
const MAX_TARGET: usize = 60_000;

/// What a query may ask of the store.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) window: Duration,
    pub(super) points: u32,
    pub(super) query_bytes: usize,
}

/// The parameters of one range query. Times and the step are numbers, so the store reads what was checked.
#[derive(Debug)]
pub(super) struct RangeQuery {
    pub(super) query: String,
    start: Millis,
    end: Millis,
    step: Millis,
}

/// The parameters that are known, as far as a request has them.
#[derive(Default)]
struct Parameters<'a> {
    query: Option<Cow<'a, str>>,
    start: Option<Cow<'a, str>>,
    end: Option<Cow<'a, str>>,
    step: Option<Cow<'a, str>>,
}

impl<'a> Parameters<'a> {
    /// Those that are not known are left out, as the stores do themselves.
    fn parse(raw: &'a str) -> Result<Self, Problem> {
        let mut parameters = Self::default();
        for pair in raw.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match decoded(name)?.as_ref() {
                "query" => &mut parameters.query,
                "start" => &mut parameters.start,
                "end" => &mut parameters.end,
                "step" => &mut parameters.step,
                _ => continue,
            };
            if place.replace(decoded(value)?).is_some() {
                let detail = "query, start, end and step may be given once each";
                return Err(Problem::bad_data("a parameter is given twice", detail));
            }
        }
        Ok(parameters)
    }
}

fn decoded(text: &str) -> Result<Cow<'_, str>, Problem> {
    let wrong = |_| {
        Problem::bad_data(
            "a parameter cannot be read",
            "it is not percent-encoded UTF-8",
        )
    };
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8().map_err(wrong)?;
        return Ok(Cow::Owned(decoded.into_owned()));
    }
    percent_decode_str(text).decode_utf8().map_err(wrong)
}

impl RangeQuery {
    /// The query of a request, if the store can be asked it.
    pub(super) fn parse(raw: &str, limits: &Limits) -> Result<Self, Problem> {
        let parameters = Parameters::parse(raw)?;
        let query = parameters.query.unwrap_or_default();
        let query = Self::query(query, limits)?;
        let start = time("start", parameters.start.as_deref())?;
        let end = time("end", parameters.end.as_deref())?;
        let step = step(parameters.step.as_deref().unwrap_or("15s"))?;
        let asked = Self {
            query,
            start,
            end,
            step,
        };
        asked.check_range(limits)?;
        Ok(asked)
    }

    fn query(query: Cow<'_, str>, limits: &Limits) -> Result<String, Problem> {
        if query.trim().is_empty() {
            let detail = "query, start and end are needed; step is 15s without";
            return Err(Problem::bad_data("the query is missing", detail));
        }
        if query.len() > limits.query_bytes {
            let detail = format!("{} bytes; at most {}", query.len(), limits.query_bytes);
            return Err(Problem::bad_data("the query is too long", detail));
        }
        Ok(query.into_owned())
    }

    fn check_range(&self, limits: &Limits) -> Result<(), Problem> {
        let Some(window) = self.end.0.checked_sub(self.start.0) else {
            let detail = format!("start is {}, end is {}", self.start, self.end);
            return Err(Problem::bad_data("the end is before the start", detail));
        };
        if u128::from(window) > limits.window.as_millis() {
            let most = limits.window.as_secs_f64();
            let detail = format!("{} seconds; at most {most}", Millis(window));
            return Err(Problem::bad_data("the window is too long", detail));
        }
        let points = window / self.step.0;
        if points > u64::from(limits.points) {
            let detail = format!("{points} for each series; at most {}", limits.points);
            return Err(Problem::bad_data("there are too many points", detail));
        }
        Ok(())
    }

    /// The request line's path and query, below the base path.
    pub(super) fn target(&self) -> Result<String, Problem> {
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
            return Err(Problem::bad_data("the query is too long", detail));
        }
        Ok(target)
    }
}

/// The request line's path and query of an instant query.
pub(super) fn instant_target(query: &str) -> String {
    let query = utf8_percent_encode(query, ENCODED);
    format!("/api/v1/query?query={query}")
}

fn time(name: &str, text: Option<&str>) -> Result<Millis, Problem> {
    let Some(text) = text else {
        let detail = format!("{name} is needed: unix seconds or RFC 3339");
        return Err(Problem::bad_data("a time is missing", detail));
    };
    Millis::time(text).ok_or_else(|| {
        let detail = format!("{name} must be unix seconds or RFC 3339, from 1970 to 2106");
        Problem::bad_data("a time cannot be read", detail)
    })
}

fn step(text: &str) -> Result<Millis, Problem> {
    Millis::duration(text).ok_or_else(|| {
        let detail = "step must be seconds, or like 15s or 1h30m, and at least 1ms";
        Problem::bad_data("the step cannot be read", detail)
    })
}
