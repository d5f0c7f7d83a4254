//! [`from_prometheus`]: the registry of `prometheus` as a collector.

use std::borrow::Borrow;

use prometheus::Registry;
use prometheus::proto::{Counter, Gauge, Metric, MetricFamily, MetricType};
use tower_prometheus::collect::{CollectError, HistogramSample, Samples, SummarySample};

/// Returns a collector for the metrics of a registry of the crate `prometheus`.
///
/// The registry can be passed by value, as a `&'static Registry` or as an `Arc<Registry>`. Its clones are handles to
/// the same registry, so metrics that are registered later are exported, too.
///
/// ```
/// use prometheus::IntCounter;
/// use tower_prometheus::Registry;
/// use tower_prometheus_bridge::from_prometheus;
///
/// let legacy = prometheus::Registry::new();
/// let orders = IntCounter::new("orders_total", "Total number of orders.")?;
/// legacy.register(Box::new(orders.clone()))?;
///
/// let metrics = Registry::new();
/// metrics.collector("legacy", from_prometheus(legacy))?;
/// // For the default registry, where the macros register:
/// metrics.collector("default", from_prometheus(prometheus::default_registry()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// At each scrape it calls `gather`, which runs the collectors of the registry. If a custom collector panics, the
/// bridge fails.
///
/// [What is exported](crate#what-is-exported) and [when it fails](crate#conflicts-and-errors) is described for both
/// bridges.
pub fn from_prometheus(
    registry: impl Borrow<Registry> + Send + Sync + 'static,
) -> impl Fn(&mut Samples) -> Result<(), CollectError> + Send + Sync + 'static {
    move |samples: &mut Samples| {
        let families = registry.borrow().gather();
        families.iter().try_for_each(|family| add(family, samples))
    }
}

fn add(family: &MetricFamily, samples: &mut Samples) -> Result<(), CollectError> {
    let (name, help) = (family.name(), family.help());
    let series = family.get_metric().iter();
    let series = series.map(|metric| (labels(metric), metric));
    match family.get_field_type() {
        MetricType::COUNTER => {
            let mut counter = samples.counter(name, help);
            for (labels, metric) in series {
                let value: &Counter = metric.get_counter();
                counter.sample(&labels, value.value());
            }
        }
        MetricType::GAUGE => {
            let mut gauge = samples.gauge(name, help);
            for (labels, metric) in series {
                let value: &Gauge = metric.get_gauge();
                gauge.sample(&labels, value.value());
            }
        }
        MetricType::HISTOGRAM => {
            let mut histogram = samples.histogram(name, help);
            for (labels, metric) in series {
                histogram.sample(&labels, histogram_sample(metric));
            }
        }
        MetricType::SUMMARY => {
            let mut summary = samples.summary(name, help);
            for (labels, metric) in series {
                summary.sample(&labels, summary_sample(metric));
            }
        }
        MetricType::UNTYPED => {
            return Err(format!(
                "metric {name:?} is untyped; make it a counter, a gauge, a histogram or a summary"
            )
            .into());
        }
    }
    Ok(())
}

fn labels(metric: &Metric) -> Vec<(&str, &str)> {
    let labels = metric.get_label().iter();
    labels.map(|label| (label.name(), label.value())).collect()
}

fn histogram_sample(metric: &Metric) -> HistogramSample {
    let histogram = metric.get_histogram();
    let buckets = histogram.get_bucket().iter();
    let buckets = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    let (count, sum) = (histogram.get_sample_count(), histogram.get_sample_sum());
    HistogramSample::cumulative(buckets, count, sum)
}

fn summary_sample(metric: &Metric) -> SummarySample {
    let summary = metric.get_summary();
    let quantiles = summary.get_quantile().iter();
    let quantiles = quantiles.map(|quantile| (quantile.quantile(), quantile.value()));
    SummarySample::new(quantiles, summary.sample_count(), summary.sample_sum())
}

/// The value of a counter or a gauge, by the same name whether `prometheus` has its feature `protobuf` or not. Any
/// crate of the program can enable that feature.
///
/// | feature `protobuf` | inherent method | added by this trait |
/// |---|---|---|
/// | off | `get_value` | `value` |
/// | on | `value` | `get_value` |
///
/// Inherent methods take precedence over those of the trait, so neither calls itself.
#[expect(
    dead_code,
    reason = "`get_value` of the trait is called only with the feature `protobuf`"
)]
trait NumberValue {
    fn value(&self) -> f64;
    fn get_value(&self) -> f64;
}

impl NumberValue for Counter {
    fn value(&self) -> f64 {
        self.get_value()
    }

    fn get_value(&self) -> f64 {
        self.value()
    }
}

impl NumberValue for Gauge {
    fn value(&self) -> f64 {
        self.get_value()
    }

    fn get_value(&self) -> f64 {
        self.value()
    }
}
