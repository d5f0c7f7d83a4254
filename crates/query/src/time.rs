//! Times and durations as Prometheus' API writes them, in milliseconds.

use std::fmt;

use chrono::DateTime;

/// The units of a duration, longest first: the order in which Prometheus wants them.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Milliseconds, printed as the seconds that both stores read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Millis(pub(super) u64);

impl Millis {
    /// A point in time: unix seconds, or RFC 3339. From 1970 to 2106, because newer VictoriaMetrics reads a
    /// larger number as milliseconds, and what was checked must be what is asked.
    pub(super) fn time(text: &str) -> Option<Self> {
        let millis = if let Ok(seconds) = text.parse::<f64>() {
            (seconds * 1000.0).round()
        } else {
            DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis() as f64
        };
        let range = 0.0..=f64::from(u32::MAX) * 1000.0;
        range.contains(&millis).then_some(Self(millis as u64))
    }

    /// A duration longer than 0: seconds, or numbers with units. A part of a millisecond is cut off, as the
    /// stores do.
    pub(super) fn duration(text: &str) -> Option<Self> {
        let millis = match text.parse::<f64>() {
            Ok(seconds) => {
                let millis = seconds * 1000.0;
                let range = 1.0..=f64::from(u32::MAX) * 1000.0;
                range.contains(&millis).then_some(millis as u64)?
            }
            Err(_) => with_units(text)?,
        };
        (millis > 0).then_some(Self(millis))
    }
}

/// `1h30m`: each unit at most once, longest first, whole numbers.
fn with_units(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut millis = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit_and_rest) = rest.split_at(digits);
        let letters = unit_and_rest.find(|c: char| c.is_ascii_digit());
        let (unit, after) = unit_and_rest.split_at(letters.unwrap_or(unit_and_rest.len()));
        let (_, each) = units.find(|(name, _)| *name == unit)?;
        let number: u64 = number.parse().ok()?;
        millis = millis.checked_add(number.checked_mul(*each)?)?;
        rest = after;
    }
    Some(millis)
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
    fn times() {
        let time = |text| Millis::time(text).map(|millis| millis.0);
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
    fn durations() {
        let duration = |text| Millis::duration(text).map(|millis| millis.0);
        assert_eq!(duration("15s"), Some(15_000));
        assert_eq!(duration("15"), Some(15_000));
        assert_eq!(duration("0.0019"), Some(1));
        assert_eq!(duration("1h30m"), Some(5_400_000));
        assert_eq!(duration("1y2w3d4h5m6s7ms"), Some(33_019_506_007));
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
        ];
        for wrong in wrong {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn printed_as_seconds() {
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
