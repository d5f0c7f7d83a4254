//! [`Deadline`]: when a collector must return, computed from the scrape timeout.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

/// When a collector must return.
///
/// The collector is dropped 50 ms after its deadline, so it can still return what it knows. If the scrape
/// timeout is less than 200 ms, it is dropped after another quarter of the timeout.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    told: Instant,
    dropped: Instant,
}

impl Deadline {
    /// The scrape timeout in seconds, with a fraction. Sent by Prometheus and compatible scrapers.
    const HEADER: &str = "x-prometheus-scrape-timeout-seconds";

    /// The maximum scrape timeout. Longer ones are reduced to it.
    const LONGEST: Duration = Duration::from_secs(3600);

    /// The timeout of scrapers that send none; the default of Prometheus.
    pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// The time reserved to render and send the metrics page.
    const MARGIN: Duration = Duration::from_millis(100);

    /// The deadline of a scrape that starts now.
    pub(crate) fn of(headers: &HeaderMap, default: Duration) -> Self {
        Self::after(timeout(headers).unwrap_or(default))
    }

    pub(crate) fn after(timeout: Duration) -> Self {
        let timeout = timeout.min(Self::LONGEST);
        let margin = Self::MARGIN.min(timeout / 2);
        let dropped = Instant::now() + (timeout - margin);
        Self {
            told: dropped - margin / 2,
            dropped,
        }
    }

    /// Returns the deadline as an instant, for `tokio::time::timeout_at`.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.told
    }

    /// Returns the time until the deadline; zero if it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.told.saturating_duration_since(Instant::now())
    }

    /// When the collector is dropped.
    pub(crate) fn dropped(&self) -> Instant {
        self.dropped
    }
}

/// The timeout that the scraper sends, if it is a positive number of seconds.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(Deadline::HEADER)?.to_str().ok()?.parse().ok()?;
    // Reduced first, because a `Duration` cannot hold every number.
    let longest = Deadline::LONGEST.as_secs_f64();
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(longest)))
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
            assert_eq!(parsed(value), Some(Deadline::LONGEST), "{value}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn deadline_of_a_collector_is_before_the_time_at_which_it_is_dropped() {
        for (timeout, remaining, dropped) in [(1000, 850, 900), (200, 50, 100), (100, 25, 50)] {
            let deadline = Deadline::after(Duration::from_millis(timeout));
            assert_eq!(deadline.remaining(), Duration::from_millis(remaining));
            let left = deadline.dropped() - Instant::now();
            assert_eq!(left, Duration::from_millis(dropped));
        }
    }
}
