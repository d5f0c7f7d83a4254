//! [`Deadline`]: the time by which a collector must return, computed from the scrape timeout.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

/// The time by which a [`Collector`](super::Collector) must return.
///
/// A collector should stop waiting at its deadline and return the samples that it has. It is dropped, and
/// counts as failed, 50 ms after the deadline. If the scrape timeout is less than 200 ms, it is dropped a
/// quarter of the timeout after the deadline. [Timeouts](super#timeouts) has the whole table.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    return_by: Instant,
    drop_at: Instant,
}

impl Deadline {
    /// The header with the scrape timeout in seconds, such as `0.75`. Prometheus and compatible scrapers send
    /// it.
    const HEADER: &str = "x-prometheus-scrape-timeout-seconds";

    /// The maximum scrape timeout. Longer ones are reduced to it.
    const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

    /// The timeout of scrapes without the header; the default of Prometheus.
    pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// The time reserved to render and send the metrics page.
    const MARGIN: Duration = Duration::from_millis(100);

    /// Returns the deadline of a scrape that starts now.
    pub(crate) fn of(headers: &HeaderMap, default: Duration) -> Self {
        Self::after(timeout(headers).unwrap_or(default))
    }

    pub(crate) fn after(timeout: Duration) -> Self {
        let timeout = timeout.min(Self::MAX_TIMEOUT);
        let margin = Self::MARGIN.min(timeout / 2);
        let drop_at = Instant::now() + (timeout - margin);
        Self {
            return_by: drop_at - margin / 2,
            drop_at,
        }
    }

    /// Returns the deadline as an instant, for `tokio::time::timeout_at`.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.return_by
    }

    /// Returns the time until the deadline; zero if it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.return_by.saturating_duration_since(Instant::now())
    }

    /// Returns the time at which the collector is dropped.
    pub(crate) fn drop_at(&self) -> Instant {
        self.drop_at
    }
}

/// Returns the timeout that the scraper sends; `None` if it is not a positive number of seconds.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(Deadline::HEADER)?.to_str().ok()?.parse().ok()?;
    // Limited before the conversion, because `from_secs_f64` panics if a number is too large.
    let max = Deadline::MAX_TIMEOUT.as_secs_f64();
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(max)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(Deadline::HEADER, value.parse().unwrap());
        timeout(&headers)
    }

    #[test]
    fn timeout_header_is_in_seconds() {
        for (value, millis) in [("1", 1000), ("0.75", 750), ("1.000", 1000), ("10", 10_000)] {
            assert_eq!(
                parsed(value),
                Some(Duration::from_millis(millis)),
                "{value}"
            );
        }
        for value in ["", "0", "-1", "NaN", "soon", "1s", "1, 2"] {
            assert_eq!(parsed(value), None, "{value}");
        }
        for value in ["1e300", "inf", "86400"] {
            assert_eq!(parsed(value), Some(Deadline::MAX_TIMEOUT), "{value}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn deadline_of_a_collector_is_before_the_time_at_which_it_is_dropped() {
        for (timeout, remaining, dropped) in [(1000, 850, 900), (200, 50, 100), (100, 25, 50)] {
            let deadline = Deadline::after(Duration::from_millis(timeout));
            assert_eq!(deadline.remaining(), Duration::from_millis(remaining));
            let left = deadline.drop_at() - Instant::now();
            assert_eq!(left, Duration::from_millis(dropped));
        }
    }
}
