//! [`SampleValue`]: the value of a counter or a gauge.

use std::time::Duration;

use crate::model::numbers::Number;

/// The value of a counter or a gauge, converted from a number, a `Duration`, a `bool` or an `Option` of these.
///
/// | from | value |
/// |---|---|
/// | integer, `f64` | the number |
/// | `Duration` | seconds |
/// | `bool` | 1 or 0 |
/// | `None` | the sample is left out |
#[derive(Clone, Copy, Debug)]
pub struct SampleValue(pub(crate) Option<Number>);

impl From<u64> for SampleValue {
    fn from(n: u64) -> Self {
        Self(Some(Number::Integer(n)))
    }
}

impl From<f64> for SampleValue {
    fn from(x: f64) -> Self {
        Self(Some(Number::Float(x)))
    }
}

impl From<usize> for SampleValue {
    fn from(n: usize) -> Self {
        Self::from(n as u64)
    }
}

impl From<u32> for SampleValue {
    fn from(n: u32) -> Self {
        Self::from(u64::from(n))
    }
}

impl From<i64> for SampleValue {
    fn from(n: i64) -> Self {
        u64::try_from(n).map_or_else(|_| Self::from(n as f64), Self::from)
    }
}

impl From<i32> for SampleValue {
    fn from(n: i32) -> Self {
        Self::from(i64::from(n))
    }
}

impl From<bool> for SampleValue {
    fn from(is: bool) -> Self {
        Self::from(u64::from(is))
    }
}

impl From<Duration> for SampleValue {
    fn from(time: Duration) -> Self {
        Self::from(time.as_secs_f64())
    }
}

impl<V: Into<SampleValue>> From<Option<V>> for SampleValue {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self(None), Into::into)
    }
}
