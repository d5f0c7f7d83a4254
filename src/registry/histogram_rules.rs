//! [`HistogramRules`]: the buckets of histograms, and which histograms of macros are summaries.

use metrics::Unit;

#[cfg(feature = "summary")]
use crate::error::Error;
use crate::model::bounds::Buckets;
use crate::model::kind::Instrument;
use crate::model::native::NativeSpec;
#[cfg(feature = "summary")]
use crate::model::quantiles::Quantiles;
use crate::model::unit::unit_of;
#[cfg(feature = "summary")]
use crate::registry::name_rules::Pattern;
use crate::registry::name_rules::{Closeness, NameRules};
#[cfg(feature = "summary")]
use crate::registry::window::{DEFAULT_WINDOW, Windows};

/// How histograms are exported, by name and unit. Names are sanitized.
#[derive(Default)]
pub(crate) struct HistogramRules {
    pub(crate) buckets: NameRules<Buckets>,
    pub(crate) by_unit: Vec<(Unit, Buckets)>,
    pub(crate) native: NameRules<NativeSpec>,
    #[cfg(feature = "summary")]
    pub(crate) summaries: SummaryRules,
    pub(crate) built_in: BuiltIn,
}

/// The quantiles of summaries. A histogram of a macro is a summary if one of these rules applies to it.
#[cfg(feature = "summary")]
pub(crate) struct SummaryRules {
    pub(crate) quantiles: NameRules<Quantiles>,
    /// In seconds.
    pub(crate) window: f64,
}

/// The buckets of histograms to which no rule applies.
pub(crate) struct BuiltIn {
    seconds: Buckets,
    bytes: Buckets,
}

impl Default for BuiltIn {
    fn default() -> Self {
        Self {
            seconds: Buckets::default(),
            bytes: Buckets::bytes(),
        }
    }
}

/// The buckets of a histogram.
pub(crate) struct ChosenBuckets {
    pub(crate) buckets: Buckets,
    /// No rule applies, and the unit is not known to be seconds or bytes.
    pub(crate) is_guess: bool,
}

impl HistogramRules {
    /// Returns the buckets of a histogram whose definition sets none. If `unit` is `None`, the unit is that in
    /// which the name ends.
    pub(crate) fn buckets(&self, name: &str, unit: Option<Unit>) -> ChosenBuckets {
        let unit = unit.or_else(|| unit_of(name));
        let rule = self.buckets_rule(name, unit).map(|(_, buckets)| buckets);
        let (buckets, is_guess) = match (rule, unit) {
            (Some(buckets), _) => (buckets, false),
            (None, Some(Unit::Bytes)) => (&self.built_in.bytes, false),
            (None, unit) => (&self.built_in.seconds, unit != Some(Unit::Seconds)),
        };
        ChosenBuckets {
            buckets: buckets.clone(),
            is_guess,
        }
    }

    /// Returns the native buckets of a family; `None` if it has none.
    pub(crate) fn native(&self, instrument: Instrument, name: &str) -> Option<NativeSpec> {
        let rule = self.native.find(name).map(|(_, spec)| *spec);
        rule.filter(|_| instrument == Instrument::Histogram)
    }

    fn buckets_rule(&self, name: &str, unit: Option<Unit>) -> Option<(Closeness, &Buckets)> {
        let by_unit = self.by_unit.iter();
        let by_unit = by_unit.filter(|(known, _)| Some(*known) == unit);
        let by_unit = by_unit.map(|(_, buckets)| (Closeness::Unit, buckets));
        let rules = by_unit.chain(self.buckets.find(name));
        rules.max_by_key(|(closeness, _)| *closeness)
    }
}

#[cfg(feature = "summary")]
impl HistogramRules {
    /// Whether a histogram of a macro is exported as a summary: if a rule for quantiles matches more closely than
    /// each rule for buckets. Of the defaults, that of quantiles applies.
    pub(crate) fn is_summary(&self, name: &str, unit: Option<Unit>) -> bool {
        let unit = unit.or_else(|| unit_of(name));
        let buckets = self
            .buckets_rule(name, unit)
            .map(|(closeness, _)| closeness);
        let quantiles = self.summaries.quantiles.find(name);
        quantiles.is_some_and(|(closeness, _)| Some(closeness) >= buckets)
    }

    /// Returns an error if a pattern has buckets and quantiles.
    pub(crate) fn check_conflicts(&self) -> Result<(), Error> {
        let has_buckets = |pattern: &Pattern| {
            let buckets = &self.buckets.by_pattern;
            buckets.iter().any(|(other, _)| other == pattern)
        };
        let quantiles = &self.summaries.quantiles.by_pattern;
        match quantiles.iter().find(|(pattern, _)| has_buckets(pattern)) {
            None => Ok(()),
            Some((pattern, _)) => Err(Error::new(format!(
                "buckets{pattern} and quantiles{pattern} are both set; remove one of them: a metric is a histogram or a summary"
            ))),
        }
    }

    /// Returns the windows of a new summary.
    pub(crate) fn windows(&self, name: &str) -> Windows {
        let SummaryRules { quantiles, window } = &self.summaries;
        let rule = quantiles.find(name).map(|(_, quantiles)| quantiles.clone());
        Windows::new(rule.unwrap_or_default(), *window)
    }
}

#[cfg(feature = "summary")]
impl SummaryRules {
    /// Whether there is no rule, so that no histogram is a summary.
    pub(crate) fn is_empty(&self) -> bool {
        self.quantiles.by_pattern.is_empty() && self.quantiles.default.is_none()
    }
}

#[cfg(feature = "summary")]
impl Default for SummaryRules {
    fn default() -> Self {
        Self {
            quantiles: NameRules::default(),
            window: DEFAULT_WINDOW.as_secs_f64(),
        }
    }
}
