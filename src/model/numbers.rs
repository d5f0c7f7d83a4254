//! [`Number`], and numbers as text.

/// A sample value: an integer or a floating-point number, whichever its source has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer, which is exact also above 2^53.
    Integer(u64),
    /// A floating-point number.
    Float(f64),
}

impl Number {
    /// Returns the number as `f64`. Integers above 2^53 are rounded.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Integer(n) => n as f64,
            Self::Float(x) => x,
        }
    }
}

pub(crate) fn push_count(page: &mut Vec<u8>, count: u64) {
    page.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
}

/// Whether whole floating-point numbers have a decimal point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WholeNumbers {
    /// `1`, as Prometheus writes it.
    Plain,
    /// `1.0`, as OpenMetrics requires in bounds.
    WithPoint,
}

/// Appends a number as Go parses it: the shortest text that is exactly this number.
pub(crate) fn push_float(page: &mut Vec<u8>, x: f64, whole: WholeNumbers) {
    /// Below this limit, every whole number is exact, and written without an exponent.
    const EXACT: f64 = 1e15;
    if x.is_nan() {
        page.extend_from_slice(b"NaN");
    } else if x.is_infinite() {
        page.extend_from_slice(if x > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if x.fract() == 0.0 && x.abs() < EXACT && whole == WholeNumbers::Plain {
        // The sign of -0.0 is dropped.
        page.extend_from_slice(itoa::Buffer::new().format(x as i64).as_bytes());
    } else {
        page.extend_from_slice(zmij::Buffer::new().format_finite(x).as_bytes());
    }
}
