//! [`Outcome`]: how an operation ended.

use crate::custom::label_spec::LabelValue;

/// How an operation ended. It can be used as a closed label.
///
/// For other label values, define an enum and convert:
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
    /// The operation succeeded: `success`.
    Success,
    /// The operation failed with an error: `error`.
    Error,
    /// The operation was dropped before it ended: `cancelled`.
    Cancelled,
    /// The operation panicked: `panicked`.
    Panicked,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: &'static [Self] = &[Self::Success, Self::Error, Self::Cancelled, Self::Panicked];

    /// Returns the label value.
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

/// The end of an operation, as passed to the closures that record it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OperationEnd<'a, Labels> {
    /// The labels of the operation, with the changes made while it was in progress.
    pub labels: &'a Labels,
    /// How the operation ended.
    pub outcome: Outcome,
    /// The duration in seconds, up to the end or to
    /// [`stop_clock`](crate::custom::OperationGuard::stop_clock).
    pub seconds: f64,
    /// The error type if the outcome is [`Outcome::Error`]: the name of the type without its path, or what
    /// [`set_error`](crate::custom::OperationGuard::set_error) was given.
    pub error_type: Option<&'static str>,
}
