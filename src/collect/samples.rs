//! [`Samples`]: the metrics that a collector returns.

use std::collections::HashMap;

use crate::collect::family_samples::{FamilySamples, StateSetSamples};
use crate::collect::histogram_sample::HistogramSample;
use crate::collect::sampled::SampledFamily;
use crate::collect::summary_sample::SummarySample;
use crate::model::kind::MetricKind;
use crate::model::numbers::Number;

/// The metrics of one collector for one scrape.
///
/// ```
/// # use metrics::Unit;
/// # use tower_prometheus::collect::{CollectError, HistogramSample, Samples};
/// fn collect(samples: &mut Samples) -> Result<(), CollectError> {
///     samples.gauge("db_pool_size", "Connections in the pool.").value(12_u64);
///     samples
///         .gauge("process_memory_bytes", "Memory of the process.")
///         .unit(Unit::Bytes)
///         .sample(&[("type", "rss")], 52_000_000_u64)
///         .sample(&[("type", "vms")], 310_000_000_u64);
///     samples.counter("db_queries_total", "Queries.").value(1017_u64);
///     // Of 9 observations, 3 were up to 0.1 s and 8 up to 1 s. They took 4.5 s together.
///     let waits = HistogramSample::cumulative([(0.1, 3), (1.0, 8)], 9, 4.5);
///     samples.histogram("db_wait_seconds", "Time until a connection was free.").value(waits);
///     let states = ["connecting", "up", "down"];
///     samples.state_set("db_state", "State of the database.").value(&states, "up");
///     samples.info("build_info", "What runs here.", &[("version", "1.2.0")]);
///     Ok(())
/// }
/// ```
///
/// A metric without samples is not exported. Samples are validated when the collector returns. The collector
/// fails, and the reason is logged, if:
///
/// - a metric name or a label name is invalid
/// - a label is set twice in a series, or is a constant label of the registry with another value
/// - a series is added twice
/// - a counter is negative or NaN
/// - a name is used for two metric types
/// - a histogram or a summary is invalid, see [`HistogramSample`](crate::collect::HistogramSample) and [`SummarySample`](crate::collect::SummarySample)
/// - the current state of a state set is not among its states, or a state is listed twice
/// - another metric on the metrics page has the same name, or a sample with that name: a histogram `x` has the
///   samples `x_bucket`, `x_sum` and `x_count`, and the name `x_created` is reserved for it. Collectors can
///   [share](super#shared-metrics) a metric
#[derive(Debug, Default)]
pub struct Samples {
    pub(crate) families: Vec<SampledFamily>,
    /// The indices of the families.
    by_name: HashMap<(String, MetricKind), usize>,
    /// The results of the collectors of a registry that is itself a collector.
    pub(crate) nested: Vec<CollectorResult>,
}

/// The result of a collector: of one of the registry, or of a registry that is itself a collector.
#[derive(Debug, Default)]
pub(crate) struct CollectorResult {
    pub(crate) name: String,
    pub(crate) success: bool,
    pub(crate) seconds: f64,
    pub(crate) dropped: u64,
}

impl CollectorResult {
    /// Returns its name in the metrics of another registry, in which its registry is a collector: `library/pool`.
    pub(crate) fn name_in(&self, registry: &str) -> String {
        format!("{registry}/{}", self.name)
    }
}

impl Samples {
    /// Adds a gauge: a number that increases and decreases.
    ///
    /// Further calls with the same name add samples to the same gauge. The `help` of the first call applies.
    pub fn gauge(&mut self, name: impl Into<String>, help: impl Into<String>) -> FamilySamples<'_> {
        FamilySamples::new(self.family(MetricKind::Gauge, name.into(), help.into()))
    }

    /// Adds a counter: a total that only increases, such as one that a library keeps.
    ///
    /// The value is the total, not the increase since the last scrape. The name should end in `_total`:
    /// without it, the counter has the type `unknown` in OpenMetrics. Further calls with the same name add
    /// samples to the same counter. The `help` of the first call applies.
    pub fn counter(
        &mut self,
        name: impl Into<String>,
        help: impl Into<String>,
    ) -> FamilySamples<'_> {
        FamilySamples::new(self.family(MetricKind::Counter, name.into(), help.into()))
    }

    /// Adds a histogram: observations counted in buckets, with their count and sum.
    ///
    /// The counts are totals since the start of the process, not those since the last scrape. Further calls with
    /// the same name add samples to the same histogram. The `help` of the first call applies.
    ///
    /// ```
    /// # use tower_prometheus::collect::{HistogramSample, Samples};
    /// # fn collect(samples: &mut Samples) {
    /// samples
    ///     .histogram("db_wait_seconds", "Time until a connection was free.")
    ///     .sample(&[("pool", "a")], HistogramSample::cumulative([(0.1, 3), (1.0, 8)], 9, 4.5))
    ///     .sample(&[("pool", "b")], HistogramSample::cumulative([(0.1, 0), (1.0, 2)], 2, 1.1));
    /// # }
    /// ```
    pub fn histogram(
        &mut self,
        name: impl Into<String>,
        help: impl Into<String>,
    ) -> FamilySamples<'_, HistogramSample> {
        FamilySamples::new(self.family(MetricKind::Histogram, name.into(), help.into()))
    }

    /// Adds a summary: quantiles that another library computed, with count and sum of its observations.
    ///
    /// Further calls with the same name add samples to the same summary. The `help` of the first call applies.
    ///
    /// ```
    /// # use tower_prometheus::collect::{Samples, SummarySample};
    /// # fn collect(samples: &mut Samples) {
    /// samples
    ///     .summary("db_query_seconds", "Duration of queries in seconds.")
    ///     .value(SummarySample::new([(0.5, 0.004), (0.99, 0.12)], 1017, 9.3));
    /// # }
    /// ```
    pub fn summary(
        &mut self,
        name: impl Into<String>,
        help: impl Into<String>,
    ) -> FamilySamples<'_, SummarySample> {
        FamilySamples::new(self.family(MetricKind::Summary, name.into(), help.into()))
    }

    /// Adds a state set: the current one of several states.
    ///
    /// Each state is a series with the value 1 if it is the current state, 0 otherwise. The state is the value of
    /// a label with the name of the metric, so this name must also be a valid label name: without `:`. Further
    /// calls with the same name add samples to the same state set. The `help` of the first call applies.
    ///
    /// ```
    /// # use tower_prometheus::collect::Samples;
    /// # fn collect(samples: &mut Samples) {
    /// samples
    ///     .state_set("db_state", "State of a database.")
    ///     .sample(&[("database", "orders")], &["connecting", "up", "down"], "up");
    /// // db_state{database="orders",db_state="connecting"} 0
    /// // db_state{database="orders",db_state="down"} 0
    /// // db_state{database="orders",db_state="up"} 1
    /// # }
    /// ```
    ///
    /// In the text format, every state set is a gauge.
    pub fn state_set(
        &mut self,
        name: impl Into<String>,
        help: impl Into<String>,
    ) -> StateSetSamples<'_> {
        StateSetSamples(self.family(MetricKind::StateSet, name.into(), help.into()))
    }

    /// Adds an info: a metric with the value 1 whose labels hold the information.
    ///
    /// The name should end in `_info`: without it, the info has the type `gauge` in OpenMetrics. In the text
    /// format, every info is a gauge.
    pub fn info(
        &mut self,
        name: impl Into<String>,
        help: impl Into<String>,
        labels: &[(&str, &str)],
    ) {
        let info = self.family(MetricKind::Info, name.into(), help.into());
        info.push_number(labels, Number::Integer(1));
    }

    /// Returns the family with this name and kind, adding it if it does not exist.
    fn family(&mut self, kind: MetricKind, name: String, help: String) -> &mut SampledFamily {
        let families = &mut self.families;
        let i = match families.last() {
            // Fast path: most collectors add all samples of a family before those of the next.
            Some(last) if last.family.name == name && last.family.kind == kind => {
                families.len() - 1
            }
            _ => {
                let known = self.by_name.entry((name.clone(), kind));
                *known.or_insert_with(|| {
                    families.push(SampledFamily::new(name, kind, help));
                    families.len() - 1
                })
            }
        };
        &mut self.families[i]
    }
}

impl Samples {
    /// The number of series.
    pub(crate) fn len(&self) -> usize {
        let families = self.families.iter();
        families.map(|sampled| sampled.family.len()).sum()
    }
}
