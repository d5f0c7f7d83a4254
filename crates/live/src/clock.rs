//! [`Clock`]: the times of samples, which only rise.

use std::time::{Duration, Instant};

/// Follows the system clock, but not if that is set back: then time goes on from the last sample. Otherwise the page
/// would take new samples for old ones.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last: Option<(Duration, Instant)>,
}

impl Clock {
    /// Returns the time of a sample in Unix milliseconds. `system` is the system clock, since the Unix epoch.
    pub(crate) fn time(&mut self, system: Duration, now: Instant) -> u64 {
        let steady = |(time, at): (Duration, Instant)| time + now.duration_since(at);
        let time = self.last.map_or(system, |last| system.max(steady(last)));
        self.last = Some((time, now));
        time.as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Clock;

    #[test]
    fn time_goes_on_if_the_system_clock_is_set_back() {
        let start = Instant::now();
        let mut clock = Clock::default();
        let mut time = |system, elapsed| {
            let now = start + Duration::from_secs(elapsed);
            clock.time(Duration::from_secs(system), now)
        };
        assert_eq!(time(1_000, 0), 1_000_000);
        assert_eq!(time(1_001, 1), 1_001_000);
        assert_eq!(time(500, 2), 1_002_000);
        assert_eq!(time(501, 3), 1_003_000);
        // Set forward, or awake after a suspend.
        assert_eq!(time(5_000, 4), 5_000_000);
    }
}
