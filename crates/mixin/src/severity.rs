//! [`Severity`]: the urgency of an alert or a threshold.

/// The urgency of an alert, or of a value above a panel's threshold.
///
/// | severity | label `severity` of an alert | color in a panel |
/// |---|---|---|
/// | `Info` | `info` | green |
/// | `Warning` | `warning` | yellow |
/// | `Critical` | `critical` | red |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Severity {
    /// No action is needed.
    Info,
    /// Needs action during working hours.
    Warning,
    /// Needs action immediately.
    Critical,
}

impl Severity {
    pub(crate) fn color(self) -> &'static str {
        match self {
            Self::Info => "green",
            Self::Warning => "yellow",
            Self::Critical => "red",
        }
    }

    /// The value of an alert's label `severity`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}
