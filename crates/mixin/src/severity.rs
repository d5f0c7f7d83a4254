//! [`Severity`]: how urgent an alert or a threshold is.

/// How urgent an alert is, or a value above a panel's threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Severity {
    /// No action needed. Green in a panel.
    Info,
    /// To be looked at in working hours. Yellow in a panel.
    Warning,
    /// To be looked at immediately. Red in a panel.
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
