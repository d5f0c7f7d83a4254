//! [`Outcome`]: how an operation ended.

use crate::custom::label_spec::LabelValue;

/// How an operation ended; as a label, in the usual words.
///
/// Other words are an enum of the application's own, made from this one:
///
/// ```
/// use tower_prometheus::custom::Outcome;
///
/// tower_prometheus::labels! {
///     pub enum Status { Ok = "200", Failed = "500", Gone = "cancelled" }
/// }
///
/// impl From<Outcome> for Status {
///     fn from(outcome: Outcome) -> Self {
///         match outcome {
///             Outcome::Success => Self::Ok,
///             Outcome::Error | Outcome::Panicked => Self::Failed,
///             Outcome::Cancelled => Self::Gone,
///         }
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did what it should: `success`.
    Success,
    /// It said that it failed: `error`.
    Error,
    /// It was dropped before it ended: `cancelled`.
    Cancelled,
    /// It panicked: `panicked`.
    Panicked,
}

impl Outcome {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Success, Self::Error, Self::Cancelled, Self::Panicked];

    /// The word on the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
        }
    }
}

impl LabelValue for Outcome {
    const VALUES: &'static [&'static str] = &["success", "error", "cancelled", "panicked"];

    #[inline]
    fn index(self) -> usize {
        self as usize
    }
}

/// An operation that ended, as it is recorded.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OperationEnd<'a, Labels> {
    /// What the operation was begun with, and what was set since.
    pub labels: &'a Labels,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub seconds: f64,
    /// What failed, if it ended in an error: the error's type without its path, or as it was told.
    pub error_type: Option<&'static str>,
}
