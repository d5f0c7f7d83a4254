//! [`SampleValue`]: the value of a counter or a gauge.

use std::time::Duration;

use crate::model::numbers::Number;

/// The value of a counter or a gauge, converted from a number, a `Duration`, a `bool` or an `Option` of these.
///
/// | from | value |
/// |---|---|
/// | integer of up to 64 bits, `f32`, `f64` | the number; below -2⁵³, an integer is rounded to an `f64` |
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

impl From<i64> for SampleValue {
    fn from(n: i64) -> Self {
        u64::try_from(n).map_or_else(|_| Self::from(n as f64), Self::from)
    }
}

/// Converts by a cast to another type, which is exact.
macro_rules! convert {
    ($($number:ty => $wider:ty),*) => {$(
        impl From<$number> for SampleValue {
            fn from(n: $number) -> Self {
                Self::from(n as $wider)
            }
        }
    )*};
}

convert! {
    bool => u64, u8 => u64, u16 => u64, u32 => u64, usize => u64,
    i8 => i64, i16 => i64, i32 => i64, isize => i64,
    f32 => f64
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
