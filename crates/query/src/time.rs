//! [`Millis`]: times and durations in Prometheus' HTTP API.

use std::fmt;

use chrono::DateTime;
use promql_parser::util::parse_duration;

/// The maximum number of seconds. Newer versions of VictoriaMetrics read larger numbers as milliseconds.
const MAX_SECONDS: f64 = u32::MAX as f64;

/// A number of milliseconds. `Display` writes seconds, which all upstreams read the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Millis(pub(crate) u64);

impl Millis {
    /// Parses a point in time from 1970 to 2106: Unix seconds or RFC 3339.
    pub(crate) fn parse_time(text: &str) -> Option<Self> {
        let millis = if let Ok(seconds) = text.parse::<f64>() {
            (seconds * 1000.0).round()
        } else {
            DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis() as f64
        };
        let range = 0.0..=MAX_SECONDS * 1000.0;
        range.contains(&millis).then_some(Self(millis as u64))
    }

    /// Parses a duration of at least 1 ms: seconds, or whole numbers with units such as `1h30m`. Each unit is used at
    /// most once, from the longest to the shortest. Fractions of a millisecond are truncated, as the upstreams do.
    pub(crate) fn parse_duration(text: &str) -> Option<Self> {
        if let Ok(seconds) = text.parse::<f64>() {
            let millis = seconds * 1000.0;
            let range = 1.0..=MAX_SECONDS * 1000.0;
            return range.contains(&millis).then_some(Self(millis as u64));
        }
        // The parser reads a number above `u32::MAX` as 0 without an error: `1h5000000000s` would be one hour.
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        if !numbers.all(|number| number.is_empty() || number.parse::<u32>().is_ok()) {
            return None;
        }
        let millis = parse_duration(text).ok()?.as_millis();
        u64::try_from(millis).ok().map(Self)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        match millis {
            0 => write!(f, "{seconds}"),
            _ => write!(f, "{seconds}.{millis:03}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Millis;

    #[test]
    fn times_are_unix_seconds_or_rfc_3339() {
        let time = |text| Millis::parse_time(text).map(|millis| millis.0);
        assert_eq!(time("1700000000"), Some(1_700_000_000_000));
        assert_eq!(time("1700000000.1239"), Some(1_700_000_000_124));
        assert_eq!(time("1.7e9"), Some(1_700_000_000_000));
        assert_eq!(time("2023-11-14T22:13:20Z"), Some(1_700_000_000_000));
        assert_eq!(time("2023-11-14T23:13:20.5+01:00"), Some(1_700_000_000_500));
        for wrong in [
            "",
            "now",
            "-1h",
            "-1",
            "NaN",
            "inf",
            "1e300",
            "1700000000000",
            "2023-11-14",
        ] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_are_seconds_or_numbers_with_units() {
        let duration = |text| Millis::parse_duration(text).map(|millis| millis.0);
        assert_eq!(duration("15s"), Some(15_000));
        assert_eq!(duration("15"), Some(15_000));
        assert_eq!(duration("0.0019"), Some(1));
        assert_eq!(duration("1h30m"), Some(5_400_000));
        assert_eq!(duration("1y2w3d4h5m6s7ms"), Some(33_019_506_007));
        assert_eq!(duration("1ms"), Some(1));
        assert_eq!(duration("0h05m"), Some(300_000));
        assert_eq!(duration("1e1"), Some(10_000));
        assert_eq!(duration("4294967295"), Some(4_294_967_295_000));
        assert_eq!(duration("4294967295ms"), Some(4_294_967_295));
        let wrong = [
            "",
            "0",
            "0s",
            "-1",
            "-5s",
            "NaN",
            "inf",
            "1e300",
            "0.0001",
            "s",
            "1m1h",
            "5s5s",
            "1.5h",
            "1h ",
            " 1h",
            "15x",
            "1M",
            "99999999999999999999s",
            "9999999999y",
            "0h0m",
            "1h\n",
            "\u{ff11}h",
            "5m-1s",
            "4294967296",
            // A number above `u32::MAX`, also next to smaller ones; more milliseconds than `u64::MAX`.
            "4294967296ms",
            "1h4294967296s",
            "4294967295y",
        ];
        for wrong in wrong {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn display_writes_seconds() {
        for (millis, text) in [
            (0, "0"),
            (15_000, "15"),
            (1_005, "1.005"),
            (1_700_000_000_120, "1700000000.120"),
        ] {
            assert_eq!(Millis(millis).to_string(), text);
        }
    }
}
