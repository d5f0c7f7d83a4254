//! [`RegistryBuilder`]: the settings of a registry.

use std::time::Duration;

use metrics::Unit;

use crate::error::Error;
use crate::model::bounds::Buckets;
use crate::model::names::check_constant_label;
use crate::model::native::NativeHistogram;
#[cfg(feature = "summary")]
use crate::model::quantiles::Quantiles;
use crate::registry::collectors::Collectors;
use crate::registry::expiry::timeouts::IdleTimeouts;
use crate::registry::histogram_rules::HistogramRules;
#[cfg(feature = "summary")]
use crate::registry::histogram_rules::SummaryRules;
use crate::registry::name_rules::{NameRules, Pattern};
use crate::registry::{PageSettings, Registry, global};

/// A builder that configures a [`Registry`].
///
/// Settings are validated by [`build`](Self::build) and [`install`](Self::install).
///
/// ```
/// use tower_prometheus::{Registry, Unit, buckets};
///
/// let registry = Registry::builder()
///     .constant_label("service", "shop")
///     .buckets_for("db.dump.seconds", [60.0, 600.0]) // the metric is exported as db_dump_seconds
///     .buckets_for_prefix("db_", [0.001, 0.01])
///     .buckets_for_suffix("_seconds", [0.01, 0.1, 1.0])
///     .buckets_for_unit(Unit::Count, buckets::COUNT)
///     .build()?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// # How histograms are exported
///
/// Of the settings that match a histogram, the first in this list applies:
///
/// 1. the definition: the buckets of a layer or of a [catalogue](crate::catalogue!)
/// 2. [`buckets_for`](Self::buckets_for), `quantiles_for`: the whole name
/// 3. [`buckets_for_prefix`](Self::buckets_for_prefix), `quantiles_for_prefix`: the longest prefix
/// 4. [`buckets_for_suffix`](Self::buckets_for_suffix), `quantiles_for_suffix`: the longest suffix
/// 5. [`buckets_for_unit`](Self::buckets_for_unit): the unit
/// 6. `quantiles`
/// 7. [`buckets`](Self::buckets)
/// 8. for bytes [`buckets::BYTES`](crate::buckets::BYTES), otherwise [`buckets::DEFAULT`](crate::buckets::DEFAULT):
///    11 bounds from 0.005 to 10, meant for seconds. If the unit is not seconds, or not known, a warning names the
///    histogram.
///
/// If quantiles apply (feature `summary`), the histogram is exported as a summary. The unit is that of
/// `describe_histogram!`, which must come before the first observation; without it, the unit in which the name ends:
/// `_seconds`, `_bytes` or `_percent`.
///
/// | histogram | buckets | quantiles |
/// |---|---|---|
/// | of a macro | yes | yes |
/// | durations of an HTTP or gRPC layer | unless the layer sets buckets, as [`HttpMetrics::open_telemetry`](crate::HttpMetrics::open_telemetry) does | no: always a histogram |
/// | sizes of an HTTP or gRPC layer; lifetimes of connections; `Histogram` of a catalogue | no: their definitions always have buckets | no: always a histogram |
/// | `Summary` of a catalogue | | yes |
///
/// Names are sanitized as those of macros are: `db.query` also matches `db_query`.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is built or installed"]
pub struct RegistryBuilder {
    constant_labels: Vec<(String, String)>,
    buckets: NameRules<Vec<f64>>,
    buckets_by_unit: Vec<(Unit, Vec<f64>)>,
    native: NameRules<NativeHistogram>,
    #[cfg(feature = "summary")]
    quantiles: NameRules<Vec<f64>>,
    #[cfg(feature = "summary")]
    summary_window: Option<Duration>,
    max_series_per_collector: Option<usize>,
    page: PageSettings,
    idle_timeouts: NameRules<Option<Duration>>,
    label_idle_timeouts: Vec<(String, Option<Duration>)>,
}

impl RegistryBuilder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a label to every series of the registry, including those of its collectors.
    ///
    /// If another label has the same name:
    ///
    /// | label of | effect |
    /// |---|---|
    /// | a layer or a catalogue | error at start-up |
    /// | a collector | the collector fails |
    /// | a macro of the `metrics` crate | the label of the call site is exported under an escaped name, with a warning |
    pub fn constant_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.constant_labels.push((name.into(), value.into()));
        self
    }

    /// Sets the default buckets as upper bounds, in the unit of each histogram.
    ///
    /// See [how histograms are exported](Self#how-histograms-are-exported) for the order of precedence.
    pub fn buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.buckets.default = Some(bounds.into());
        self
    }

    /// Sets the upper bounds of the histogram with exactly this name.
    ///
    /// See [how histograms are exported](Self#how-histograms-are-exported) for the order of precedence.
    pub fn buckets_for(self, name: impl Into<String>, bounds: impl Into<Vec<f64>>) -> Self {
        self.buckets_rule(Pattern::Name(name.into()), bounds)
    }

    /// Sets the upper bounds of histograms whose names start with `prefix`.
    ///
    /// If several prefixes match, the longest applies. See
    /// [how histograms are exported](Self#how-histograms-are-exported) for the order of precedence.
    pub fn buckets_for_prefix(
        self,
        prefix: impl Into<String>,
        bounds: impl Into<Vec<f64>>,
    ) -> Self {
        self.buckets_rule(Pattern::Prefix(prefix.into()), bounds)
    }

    /// Sets the upper bounds of histograms whose names end with `suffix`, such as `_seconds`.
    ///
    /// If several suffixes match, the longest applies. See
    /// [how histograms are exported](Self#how-histograms-are-exported) for the order of precedence.
    pub fn buckets_for_suffix(
        self,
        suffix: impl Into<String>,
        bounds: impl Into<Vec<f64>>,
    ) -> Self {
        self.buckets_rule(Pattern::Suffix(suffix.into()), bounds)
    }

    /// Sets the upper bounds of histograms with this unit, such as `Unit::Count`.
    ///
    /// See [how histograms are exported](Self#how-histograms-are-exported) for the order of precedence, and for
    /// how the unit of a histogram is known.
    pub fn buckets_for_unit(mut self, unit: Unit, bounds: impl Into<Vec<f64>>) -> Self {
        self.buckets_by_unit.push((unit, bounds.into()));
        self
    }

    fn buckets_rule(mut self, pattern: Pattern, bounds: impl Into<Vec<f64>>) -> Self {
        self.buckets.by_pattern.push((pattern, bounds.into()));
        self
    }

    /// Gives all histograms native buckets, in addition to their classic ones: those of layers, catalogues, operations
    /// and macros.
    ///
    /// The argument is the growth factor, such as 1.1, or a [`NativeHistogram`] with more settings. Without this
    /// setting, histograms have only classic buckets.
    ///
    /// ```
    /// use tower_prometheus::{NativeHistogram, Registry};
    ///
    /// let registry = Registry::builder()
    ///     .native_histograms(1.1)
    ///     .native_histograms_for_suffix("_bytes", NativeHistogram::new(2.0).without_classic_buckets())
    ///     .build()?;
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    ///
    /// Of the four settings, the whole name takes precedence, then the longest prefix, then the longest suffix. They
    /// also apply to histograms whose definition has buckets. A histogram that is exported as a summary has no native
    /// buckets.
    pub fn native_histograms(mut self, settings: impl Into<NativeHistogram>) -> Self {
        self.native.default = Some(settings.into());
        self
    }

    /// Gives the histogram with exactly this name native buckets.
    ///
    /// See [`native_histograms`](Self::native_histograms).
    pub fn native_histograms_for(
        self,
        name: impl Into<String>,
        settings: impl Into<NativeHistogram>,
    ) -> Self {
        self.native_rule(Pattern::Name(name.into()), settings)
    }

    /// Gives histograms whose names start with `prefix` native buckets.
    ///
    /// See [`native_histograms`](Self::native_histograms).
    pub fn native_histograms_for_prefix(
        self,
        prefix: impl Into<String>,
        settings: impl Into<NativeHistogram>,
    ) -> Self {
        self.native_rule(Pattern::Prefix(prefix.into()), settings)
    }

    /// Gives histograms whose names end with `suffix` native buckets.
    ///
    /// See [`native_histograms`](Self::native_histograms).
    pub fn native_histograms_for_suffix(
        self,
        suffix: impl Into<String>,
        settings: impl Into<NativeHistogram>,
    ) -> Self {
        self.native_rule(Pattern::Suffix(suffix.into()), settings)
    }

    fn native_rule(mut self, pattern: Pattern, settings: impl Into<NativeHistogram>) -> Self {
        self.native.by_pattern.push((pattern, settings.into()));
        self
    }

    /// Keeps names of macros that have other characters than letters, digits, `_` and `:`, such as `http.requests` or
    /// `größe`, and names of their labels, for scrapers that accept UTF-8.
    ///
    /// Without this setting, every scraper gets valid names, in which each other character is replaced by `_`. With it, a
    /// scraper gets the names in the escaping scheme that it asks for in the header `Accept`:
    ///
    /// | scheme | sent by | `http.requests` |
    /// |---|---|---|
    /// | `allow-utf-8` | Prometheus 3 | `http.requests`, in text formats `{"http.requests"}` |
    /// | `values` | Prometheus 3, if configured | `U__http_2e_requests` |
    /// | `dots` | Prometheus 3, if configured | `http_dot_requests`; names with other characters as in the last row |
    /// | `underscores`, or none | all others | `http_requests` |
    ///
    /// Names that are valid without UTF-8 are the same for all scrapers: those of layers, catalogues and collectors
    /// always are. Two metrics whose names differ only in such characters stay two metrics: see
    /// [the recorder](crate::Registry#impl-Recorder-for-Registry).
    ///
    /// Everything that reads the registry inside the program uses the names without UTF-8: [`Registry::sum`],
    /// [`Registry::render`], [`Registry::gather`].
    ///
    /// A scraper that accepts UTF-8 stores these names, so its queries must use them: `{"http.requests"}`, with a label
    /// `{"http.requests_bucket", "http.method"="GET"}`. Queries of `http_requests` are then empty, and so are the panels and
    /// rules that `tower-prometheus-mixin` generates, because it only generates names without UTF-8. A metric of a generated
    /// dashboard should have a valid name. To get the names without UTF-8 from Prometheus 3.4 or later, set
    /// `metric_name_escaping_scheme: underscores` in its configuration, for all jobs or for one.
    ///
    /// Source: Prometheus' "UTF-8 in metric and label names", section "Escaping Schemes".
    pub fn utf8_names(mut self) -> Self {
        self.page.utf8_names = true;
        self
    }

    /// Adds the lines `_created` to pages in OpenMetrics: the times at which counters, histograms and summaries were
    /// registered, in seconds since 1970.
    ///
    /// With them, a scraper knows that a new series started at 0, so that the first increments count in a rate. They
    /// make the page of counters twice as long. Prometheus uses them from 2.55 on, if it is started with
    /// `--enable-feature=created-timestamp-zero-ingestion`. But with this flag it asks for protobuf, which always has these
    /// times, unless its configuration sets `scrape_protocols`. So Prometheus needs these lines only if it must scrape
    /// OpenMetrics. Off by default, because it otherwise stores each of them as a series `…_created`; 2.55 does so even with
    /// the flag.
    ///
    /// Collectors do not report these times. A metric has no such lines if another metric is called like them, nor has a
    /// counter whose name does not end with `_total`: in OpenMetrics, its type is unknown. In protobuf, it has its time.
    pub fn created_lines(mut self) -> Self {
        self.page.created_lines = true;
        self
    }

    /// Sets the maximum number of series of each [collector](crate::collect); 10,000 by default.
    ///
    /// A histogram or a summary with all its lines is one series, and so is each state of a state set. See
    /// [limits](crate::collect#limits) for what is exported beyond the maximum.
    pub fn max_series_per_collector(mut self, max: usize) -> Self {
        self.max_series_per_collector = Some(max);
        self
    }

    /// Sets the time after which a series without a recording leaves the page. By default, series never expire.
    ///
    /// It should be at least two scrape intervals of the slowest scraper: then each scraper has seen the last value.
    ///
    /// A series that is recorded again returns to the page. Counters and histograms return from 0; a gauge keeps its
    /// value while a handle of it exists. Prometheus adds up the values of a counter before and after if it has scraped a
    /// page without the series, or if the value is lower than before. No increment is lost, also not of a handle that was
    /// created before. The guide says [when to use it](crate::_guide::cardinality#series-that-expire).
    ///
    /// | series | expire |
    /// |---|---|
    /// | of macros of the `metrics` crate | yes |
    /// | with an open label of a catalogue, or with a custom label of a layer whose values are not listed | yes |
    /// | of gRPC methods that are not preregistered | yes |
    /// | other series of layers and catalogues | no |
    /// | gauges that count: changed by `increment` or `decrement` since they were last `set`, and not 0 | no |
    /// | gauges of operations in progress, while one is in progress | no |
    /// | infos | no |
    ///
    /// Adding 0 to a counter does not count as a recording.
    ///
    /// When all series with the same values of open labels have left the page, the values no longer count towards the
    /// limits of their labels, and other values can take their places. Metrics that do not have the label stay. A gRPC
    /// method that is not preregistered is such a value, too: see
    /// [`GrpcMetrics::max_methods`](crate::GrpcMetrics::max_methods). HTTP endpoints stay.
    ///
    /// The memory of a series is reused once no handle of it exists. Each thread keeps the series with open labels that it
    /// has recorded, so a thread that stops recording keeps the memory of its last ones until it ends: at most as many
    /// as the limits of their labels allow.
    ///
    /// Series expire while a page or a snapshot is read, in slices of about 0.1 ms. They need no thread. While another
    /// page or snapshot is being read or a [`Snapshot`](crate::snapshot::Snapshot) exists, none expires.
    /// [`Registry::remove`] removes series earlier.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_prometheus::Registry;
    ///
    /// let registry = Registry::builder()
    ///     .idle_timeout(Duration::from_secs(600))
    ///     .idle_timeout_for_label("session", Duration::from_secs(120))
    ///     .idle_timeout_for("orders_total", None)
    ///     .build()?;
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    ///
    /// Of the settings that match, this order applies: the whole name, the longest prefix, the shortest time of a label,
    /// the default.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeouts.default = Some(Some(timeout));
        self
    }

    /// Sets the idle timeout of the metric with exactly this name; `None` if its series never expire.
    ///
    /// See [`idle_timeout`](Self::idle_timeout).
    pub fn idle_timeout_for(
        self,
        name: impl Into<String>,
        timeout: impl Into<Option<Duration>>,
    ) -> Self {
        self.idle_timeout_rule(Pattern::Name(name.into()), timeout)
    }

    /// Sets the idle timeout of metrics whose names start with `prefix`; `None` if their series never expire.
    ///
    /// See [`idle_timeout`](Self::idle_timeout).
    pub fn idle_timeout_for_prefix(
        self,
        prefix: impl Into<String>,
        timeout: impl Into<Option<Duration>>,
    ) -> Self {
        self.idle_timeout_rule(Pattern::Prefix(prefix.into()), timeout)
    }

    /// Sets the idle timeout of series that have this label; `None` if they never expire.
    ///
    /// See [`idle_timeout`](Self::idle_timeout).
    pub fn idle_timeout_for_label(
        mut self,
        label: impl Into<String>,
        timeout: impl Into<Option<Duration>>,
    ) -> Self {
        self.label_idle_timeouts
            .push((label.into(), timeout.into()));
        self
    }

    fn idle_timeout_rule(mut self, pattern: Pattern, timeout: impl Into<Option<Duration>>) -> Self {
        self.idle_timeouts
            .by_pattern
            .push((pattern, timeout.into()));
        self
    }

    /// Builds the registry, without installing it as the global recorder.
    ///
    /// # Errors
    ///
    /// Returns an error if
    ///
    /// - the name of a constant label is invalid, or set twice,
    /// - bucket bounds are empty, not finite or not increasing,
    /// - the growth factor of native histograms is not above 1, or their maximum number of buckets is 0,
    /// - quantiles are empty, not from 0 to 1 or not increasing,
    /// - a name, prefix, suffix or unit is empty or set twice, also if it is set for buckets and for quantiles,
    /// - the window of summaries is not from 1 s to 24 h,
    /// - an idle timeout is 0, or set twice for the same name, prefix or label, or
    /// - `max_series_per_collector` is 0.
    pub fn build(self) -> Result<Registry, Error> {
        for (i, (name, _)) in self.constant_labels.iter().enumerate() {
            let before = self.constant_labels[..i].iter();
            check_constant_label(name, before.map(|(name, _)| name.as_str()))?;
        }
        #[cfg(feature = "summary")]
        let summaries = summary_rules(self.quantiles, self.summary_window)?;
        let rules = HistogramRules {
            buckets: self.buckets.checked("buckets", Buckets::new)?,
            by_unit: buckets_by_unit(self.buckets_by_unit)?,
            native: self
                .native
                .checked("native_histograms", NativeHistogram::check)?,
            #[cfg(feature = "summary")]
            summaries,
            ..HistogramRules::default()
        };
        #[cfg(feature = "summary")]
        rules.check_conflicts()?;
        Ok(Registry::with_rules(
            rules,
            self.constant_labels,
            max_series_per_collector(self.max_series_per_collector)?,
            self.page,
            IdleTimeouts::checked(self.idle_timeouts, self.label_idle_timeouts)?,
        ))
    }

    /// Builds the registry and installs it as the global recorder of the `metrics` crate.
    ///
    /// Install it early: observations that macros make before are lost, and handles that macros returned before
    /// stay without effect. An async runtime is not needed.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`build`](Self::build), and an error if a global recorder is already
    /// installed. If that recorder is a registry of this crate, the message has the source location where
    /// it was installed.
    #[track_caller]
    pub fn install(self) -> Result<Registry, Error> {
        let caller = std::panic::Location::caller();
        global::install(self.build()?, caller)
    }
}

/// Summaries: histograms whose quantiles the process computes.
#[cfg(feature = "summary")]
#[cfg_attr(docsrs, doc(cfg(feature = "summary")))]
impl RegistryBuilder {
    /// Exports histograms of macros as summaries with these quantiles, unless buckets are set for their name or unit.
    ///
    /// A quantile is a number from 0 to 1: 0 is the lowest observation, 0.5 the median, 0.999 the 99.9th percentile
    /// and 1 the highest observation. They must be in increasing order.
    ///
    /// - The quantiles are those of the last 8 to 10 minutes; [`summary_window`](Self::summary_window) sets another
    ///   window. Without observations in the window, they are NaN. The sum and the count include all observations.
    /// - 0 and 1 are exact, the others have a relative error of at most 1 %.
    /// - Quantiles of several processes cannot be aggregated. For that, use buckets and PromQL's `histogram_quantile`.
    /// - Recording takes a lock briefly, and allocates while the sketch of the series grows (some kilobytes per
    ///   series).
    ///
    /// Layers export their durations as histograms, whatever the quantiles. A `Summary` of a catalogue has these
    /// quantiles instead of 0.5, 0.9, 0.95 and 0.99. See
    /// [how histograms are exported](Self#how-histograms-are-exported) for the order of precedence.
    ///
    /// ```
    /// use tower_prometheus::Registry;
    ///
    /// let registry = Registry::builder()
    ///     .quantiles([0.5, 0.99, 1.0])
    ///     .quantiles_for_prefix("db_", [0.0, 0.5, 0.999, 1.0])
    ///     .buckets_for("queue_wait_seconds", [0.1, 1.0, 10.0]) // stays a histogram
    ///     .build()?;
    /// metrics::with_local_recorder(&registry, || {
    ///     metrics::histogram!("db_query_seconds").record(0.25);
    /// });
    /// assert_eq!(registry.sum("db_query_seconds", &[("quantile", "0.999")]), Some(0.25));
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    pub fn quantiles(mut self, quantiles: impl Into<Vec<f64>>) -> Self {
        self.quantiles.default = Some(quantiles.into());
        self
    }

    /// Exports the histogram of a macro with exactly this name as a summary with these quantiles.
    ///
    /// See [`quantiles`](Self::quantiles).
    pub fn quantiles_for(self, name: impl Into<String>, quantiles: impl Into<Vec<f64>>) -> Self {
        self.quantiles_rule(Pattern::Name(name.into()), quantiles)
    }

    /// Exports histograms of macros whose names start with `prefix` as summaries with these quantiles.
    ///
    /// If several prefixes match, the longest applies. See [`quantiles`](Self::quantiles).
    pub fn quantiles_for_prefix(
        self,
        prefix: impl Into<String>,
        quantiles: impl Into<Vec<f64>>,
    ) -> Self {
        self.quantiles_rule(Pattern::Prefix(prefix.into()), quantiles)
    }

    /// Exports histograms of macros whose names end with `suffix` as summaries with these quantiles.
    ///
    /// If several suffixes match, the longest applies. See [`quantiles`](Self::quantiles).
    pub fn quantiles_for_suffix(
        self,
        suffix: impl Into<String>,
        quantiles: impl Into<Vec<f64>>,
    ) -> Self {
        self.quantiles_rule(Pattern::Suffix(suffix.into()), quantiles)
    }

    /// Sets the window over which quantiles are computed. The default is 10 minutes, as in the official Prometheus
    /// clients.
    ///
    /// A window has 5 slices, and the oldest is dropped when a new one starts: with 10 minutes, quantiles are those
    /// of the last 8 to 10 minutes. It applies to all summaries of the registry, also to those of catalogues. From
    /// 1 s to 24 h. A window shorter than five quarters of the scrape interval hides observations from Prometheus.
    pub fn summary_window(mut self, window: Duration) -> Self {
        self.summary_window = Some(window);
        self
    }

    fn quantiles_rule(mut self, pattern: Pattern, quantiles: impl Into<Vec<f64>>) -> Self {
        self.quantiles.by_pattern.push((pattern, quantiles.into()));
        self
    }
}

fn max_series_per_collector(set: Option<usize>) -> Result<usize, Error> {
    match set {
        None => Ok(Collectors::DEFAULT_MAX_SERIES),
        Some(0) => Err(Error::new(
            "max_series_per_collector must be 1 or more, got 0; to export nothing, register no collector",
        )),
        Some(series) => Ok(series),
    }
}

fn buckets_by_unit(rules: Vec<(Unit, Vec<f64>)>) -> Result<Vec<(Unit, Buckets)>, Error> {
    let mut checked: Vec<(Unit, Buckets)> = Vec::new();
    for (unit, bounds) in rules {
        let setting = format!("buckets_for_unit(Unit::{unit:?})");
        if checked.iter().any(|(known, _)| *known == unit) {
            return Err(Error::new(format!(
                "{setting} is set twice; remove one of them"
            )));
        }
        let buckets = Buckets::new(bounds).map_err(|error| error.within(&setting))?;
        checked.push((unit, buckets));
    }
    Ok(checked)
}

#[cfg(feature = "summary")]
fn summary_rules(
    quantiles: NameRules<Vec<f64>>,
    window: Option<Duration>,
) -> Result<SummaryRules, Error> {
    const WINDOWS: std::ops::RangeInclusive<Duration> =
        Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
    let mut rules = SummaryRules {
        quantiles: quantiles.checked("quantiles", Quantiles::new)?,
        ..SummaryRules::default()
    };
    if let Some(window) = window {
        if !WINDOWS.contains(&window) {
            return Err(Error::new(format!(
                "summary_window must be from 1 s to 24 h, got {window:?}"
            )));
        }
        rules.window = window.as_secs_f64();
    }
    Ok(rules)
}
