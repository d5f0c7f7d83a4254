//! A registry as a collector of another registry.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

use super::{FamilySnapshot, HistogramValue, Snapshot, SummaryValue, Value};
use crate::budget::Budget;
use crate::collect::deadline::Deadline;
use crate::collect::family_samples::FamilySamples;
use crate::collect::histogram_sample::HistogramSample;
use crate::collect::sample_value::SampleValue;
use crate::collect::samples::{CollectorResult, Samples};
use crate::collect::summary_sample::SummarySample;
use crate::collect::{CollectError, Collector};
use crate::model::kind::MetricKind;
use crate::model::numbers::Number;
use crate::registry::Registry;
use crate::registry::collectors::merge::{DROPPED, DURATION, SUCCESS};

/// A registry is a collector of another registry: all its metrics are on the page of the other one, too.
///
/// Use it for two registries on one page:
///
/// ```
/// use tower_prometheus::Registry;
///
/// # fn library_registry() -> Registry { Registry::new() }
/// let metrics = Registry::builder().constant_label("service", "shop").build()?;
/// let library: Registry = library_registry();
/// metrics.collector("library", library)?;
/// // `metrics.handler()` serves the metrics of both.
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// - Values, types, HELP texts, units and constant labels are kept, and the constant labels of the other registry are
///   added. Exemplars, native buckets and the times of registration are not: a histogram without
///   classic buckets has only its count and its sum there.
/// - A metric of the other registry cannot be in both. If both have the same metrics, such as those of HTTP layers,
///   make both registries collectors of a third one, and tell their series apart by a constant label.
/// - The collectors of this registry run at each scrape of the other one. In the metrics about collectors they are
///   called `library/pool`: the name of this registry, a slash, and the name of the collector.
/// - All series of this registry count towards the [limit](crate::collect#limits) of one collector.
///
/// [`Registry::collector`] returns an error for a registry that would be its own collector. Two registries that are
/// collectors of each other are not recognized: their scrapes wait until they time out.
impl Collector for Registry {
    async fn collect(&self, deadline: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let snapshot = self.gather_within(deadline.remaining()).await;
        samples.nested = nested_collectors(&snapshot);
        let mut budget = Budget::until_yield();
        for family in snapshot.families() {
            if !is_about_collectors(&family) {
                add_family(family, samples, &mut budget).await;
            }
        }
        Ok(())
    }
}

fn is_about_collectors(family: &FamilySnapshot<'_>) -> bool {
    family.is_collected() && [SUCCESS, DURATION, DROPPED].contains(&family.name())
}

/// Returns the results of the collectors, from the metrics about them.
fn nested_collectors(snapshot: &Snapshot) -> Vec<CollectorResult> {
    let mut collectors = BTreeMap::<String, CollectorResult>::new();
    for family in snapshot.families().filter(is_about_collectors) {
        for series in family.series() {
            let Value::Gauge(value) = series.value() else {
                continue;
            };
            let mut labels = series.labels();
            let Some((_, name)) = labels.find(|(label, _)| *label == "collector") else {
                continue;
            };
            let collector = collectors.entry(name.into_owned()).or_default();
            match (family.name(), value) {
                (SUCCESS, value) => collector.success = value == Number::Integer(1),
                (DROPPED, Number::Integer(dropped)) => collector.dropped = dropped,
                (_, value) => collector.seconds = value.as_f64(),
            }
        }
    }
    let named = collectors.into_iter();
    named
        .map(|(name, collector)| CollectorResult { name, ..collector })
        .collect()
}

async fn add_family(family: FamilySnapshot<'_>, samples: &mut Samples, budget: &mut Budget) {
    let (name, help, unit) = (family.name(), family.help(), family.unit_name());
    let help = help.as_deref().unwrap_or_default();
    match family.kind() {
        MetricKind::Counter => add_numbers(samples.counter(name, help), &family, budget).await,
        MetricKind::Gauge => add_numbers(samples.gauge(name, help), &family, budget).await,
        MetricKind::Histogram => {
            let mut added = samples.histogram(name, help);
            if let Some(unit) = unit {
                added.unit_name(unit);
            }
            let add = |labels: &[(&str, &str)], value: Value<'_>| {
                if let Value::Histogram(value) = value {
                    added.sample(labels, histogram_sample(&value));
                }
            };
            for_each_series(&family, budget, add).await;
        }
        MetricKind::Summary => {
            let mut added = samples.summary(name, help);
            if let Some(unit) = unit {
                added.unit_name(unit);
            }
            let add = |labels: &[(&str, &str)], value: Value<'_>| {
                if let Value::Summary(value) = value {
                    let SummaryValue {
                        quantiles,
                        count,
                        sum,
                    } = value;
                    added.sample(labels, SummarySample::new(quantiles, count, sum));
                }
            };
            for_each_series(&family, budget, add).await;
        }
        MetricKind::Info => {
            let add = |labels: &[(&str, &str)], _: Value<'_>| samples.info(name, help, labels);
            for_each_series(&family, budget, add).await;
        }
        MetricKind::StateSet => {
            let mut sets = CopiedStateSets::default();
            let add = |labels: &[(&str, &str)], value: Value<'_>| sets.add(labels, &value);
            for_each_series(&family, budget, add).await;
            let mut added = samples.state_set(name, help);
            for CopiedStateSet {
                labels,
                states,
                current,
            } in &sets.0
            {
                let states: Vec<&str> = states.iter().map(String::as_str).collect();
                added.sample(&pairs(labels), &states, current);
            }
        }
    }
}

async fn add_numbers(
    mut samples: FamilySamples<'_>,
    family: &FamilySnapshot<'_>,
    budget: &mut Budget,
) {
    if let Some(unit) = family.unit_name() {
        samples.unit_name(unit);
    }
    let add = |labels: &[(&str, &str)], value: Value<'_>| {
        if let Value::Counter(number) | Value::Gauge(number) = value {
            samples.sample(labels, SampleValue(Some(number)));
        }
    };
    for_each_series(family, budget, add).await;
}

fn histogram_sample(value: &HistogramValue<'_>) -> HistogramSample {
    let buckets = value.buckets();
    let buckets = buckets.map(|bucket| (bucket.upper_bound, bucket.cumulative_count));
    HistogramSample::cumulative(buckets, value.count(), value.sum())
}

/// Calls `add` with the labels and the value of each series. Yields when the budget is spent.
async fn for_each_series(
    family: &FamilySnapshot<'_>,
    budget: &mut Budget,
    mut add: impl FnMut(&[(&str, &str)], Value<'_>) + Send,
) {
    /// The approximate cost of a series in nanoseconds.
    const SERIES: usize = 500;
    for series in family.series() {
        {
            let labels: Vec<(&str, Cow<'_, str>)> = series.labels().collect();
            add(&pairs(&labels), series.value());
        }
        budget.spend(SERIES + family.value_work());
        if budget.is_spent() {
            yield_now().await;
            *budget = Budget::until_yield();
        }
    }
}

fn pairs<N: AsRef<str>, V: AsRef<str>>(labels: &[(N, V)]) -> Vec<(&str, &str)> {
    let labels = labels.iter();
    labels
        .map(|(name, value)| (name.as_ref(), value.as_ref()))
        .collect()
}

/// The state sets of a family. The states of each are consecutive series.
#[derive(Default)]
struct CopiedStateSets(Vec<CopiedStateSet>);

struct CopiedStateSet {
    /// Without the label of the state.
    labels: Vec<(String, String)>,
    states: Vec<String>,
    current: String,
}

impl CopiedStateSets {
    /// Adds a series. Its last label has the state.
    fn add(&mut self, labels: &[(&str, &str)], value: &Value<'_>) {
        let Some(((_, state), labels)) = labels.split_last() else {
            return;
        };
        if self.0.last().is_none_or(|set| pairs(&set.labels) != labels) {
            let owned = labels
                .iter()
                .map(|(name, v)| ((*name).to_owned(), (*v).to_owned()));
            self.0.push(CopiedStateSet {
                labels: owned.collect(),
                states: Vec::new(),
                current: String::new(),
            });
        }
        if let Some(set) = self.0.last_mut() {
            set.states.push((*state).to_owned());
            if matches!(value, Value::State(true)) {
                (*state).clone_into(&mut set.current);
            }
        }
    }
}

/// Yields to other tasks once.
async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|cx| match std::mem::replace(&mut has_yielded, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}
