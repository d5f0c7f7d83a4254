//! [`Deadline`]: how long a scraper waits, and what of it a collector may use.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

/// Until when a collector may answer.
///
/// It comes 50 ms before the collector is dropped, so that one that watches it can still say what it
/// knows.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    told: Instant,
    dropped: Instant,
}

impl Deadline {
    /// Sent by Prometheus and by who imitates it: seconds, with a fraction.
    const HEADER: &str = "x-prometheus-scrape-timeout-seconds";

    /// No scraper waits longer, whatever it says.
    const LONGEST: Duration = Duration::from_secs(3600);

    /// The default of Prometheus, for scrapers that send no timeout.
    pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// What is left to write the page and to send it.
    const MARGIN: Duration = Duration::from_millis(100);

    /// Of a scrape that begins now.
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

    /// The moment, for `tokio::time::timeout_at`.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.told
    }

    /// What is left; zero when it is over.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.told.saturating_duration_since(Instant::now())
    }

    /// When nobody waits for an answer any more.
    pub(crate) fn dropped(&self) -> Instant {
        self.dropped
    }
}

/// How long the scraper says that it waits, if it says something that makes sense.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(Deadline::HEADER)?.to_str().ok()?.parse().ok()?;
    // More than a `Duration` holds is still an answer.
    let longest = Deadline::LONGEST.as_secs_f64();
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(longest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(Deadline::HEADER, value.parse().unwrap());
        timeout(&headers)
    }

    #[test]
    fn scrapers_say_seconds() {
        for (value, millis) in [("1", 1000), ("0.75", 750), ("1.000", 1000), ("10", 10_000)] {
            assert_eq!(said(value), Some(Duration::from_millis(millis)), "{value}");
        }
        for value in ["", "0", "-1", "NaN", "soon", "1s", "1, 2"] {
            assert_eq!(said(value), None, "{value}");
        }
        for value in ["1e300", "inf", "86400"] {
            assert_eq!(said(value), Some(Deadline::LONGEST), "{value}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_collector_is_told_earlier_than_it_is_dropped() {
        for (timeout, told, dropped) in [(1000, 850, 900), (200, 50, 100), (100, 25, 50)] {
            let deadline = Deadline::after(Duration::from_millis(timeout));
            assert_eq!(deadline.remaining(), Duration::from_millis(told));
            let left = deadline.dropped() - Instant::now();
            assert_eq!(left, Duration::from_millis(dropped));
        }
    }
}
