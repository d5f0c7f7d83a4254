//! [`MetricKind`]: the type of a metric. [`Instrument`]: how it is recorded.

/// The type of a metric, as the exposition formats name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// A value that only increases. It starts again at 0 with the process, and when a series that has expired or was removed
    /// returns.
    Counter,
    /// A value that increases and decreases.
    Gauge,
    /// Observations counted in buckets, with their sum.
    Histogram,
    /// A gauge with the value 1 whose labels carry information, such as a version.
    Info,
    /// The current one of several states. Each state is a series with the value 1 or 0. The state is the value of
    /// a label with the name of the metric.
    StateSet,
    /// Quantiles computed by the process, with count and sum.
    Summary,
}

impl MetricKind {
    /// Returns the lower-case name: `counter`, `gauge`, `histogram`, `info`, `stateset` or `summary`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Summary => "summary",
        }
    }

    /// The suffixes of the sample names that a family of this kind exports or reserves, if its series have
    /// several lines. OpenMetrics reserves `_created`.
    pub(crate) const fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Histogram => &SUFFIXES,
            Self::Summary => SUFFIXES.split_at(1).1,
            Self::Counter | Self::Gauge | Self::Info | Self::StateSet => &[],
        }
    }

    /// The names of the samples that a family of this kind exports or reserves.
    pub(crate) fn sample_names(self, family: &str) -> Vec<String> {
        let suffixes = [""].iter().chain(self.suffixes());
        suffixes.map(|suffix| format!("{family}{suffix}")).collect()
    }

    /// Whether each series has several lines.
    pub(crate) const fn has_suffixes(self) -> bool {
        !self.suffixes().is_empty()
    }
}

/// All suffixes of sample names.
pub(crate) const SUFFIXES: [&str; 4] = ["_bucket", "_sum", "_count", "_created"];

/// Whether a family has this name or a sample of this name. `kind_of` returns the kind of the family with a name.
pub(crate) fn has_sample_name(name: &str, kind_of: impl Fn(&str) -> Option<MetricKind>) -> bool {
    let is_sample = |suffix: &&str| {
        let kind = name.strip_suffix(suffix).and_then(&kind_of);
        kind.is_some_and(|kind| kind.suffixes().contains(suffix))
    };
    kind_of(name).is_some() || SUFFIXES.iter().any(is_sample)
}

/// How a metric is recorded. Several instruments can have the same [`MetricKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Instrument {
    Counter,
    /// A counter of fractions, stored as a floating-point sum.
    FloatCounter,
    Gauge,
    /// A gauge of started minus ended, stored as two counters.
    InProgress,
    Histogram,
    #[cfg(feature = "summary")]
    Summary,
    StateSet,
    Info,
}

impl Instrument {
    /// `Info` is the last variant in every build.
    pub(crate) const COUNT: usize = Self::Info as usize + 1;

    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Counter,
        Self::FloatCounter,
        Self::Gauge,
        Self::InProgress,
        Self::Histogram,
        #[cfg(feature = "summary")]
        Self::Summary,
        Self::StateSet,
        Self::Info,
    ];

    /// The instrument whose `describe` macro describes this one: a summary is a histogram of a macro.
    pub(crate) const fn described_as(self) -> Self {
        match self {
            #[cfg(feature = "summary")]
            Self::Summary => Self::Histogram,
            instrument => instrument,
        }
    }

    pub(crate) const fn kind(self) -> MetricKind {
        match self {
            Self::Counter | Self::FloatCounter => MetricKind::Counter,
            Self::Gauge | Self::InProgress => MetricKind::Gauge,
            Self::Histogram => MetricKind::Histogram,
            Self::Info => MetricKind::Info,
            Self::StateSet => MetricKind::StateSet,
            #[cfg(feature = "summary")]
            Self::Summary => MetricKind::Summary,
        }
    }
}
