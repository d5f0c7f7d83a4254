//! OpenTelemetry meters that export to memory: one for each version of the SDK that a layer needs.

use std::time::Duration;

/// Defines the function `$sdk`. It returns a meter provider, and a function that reads its samples. Histograms are read
/// as their numbers of observations, with the suffix `_count`.
macro_rules! provider {
    ($sdk:ident) => {
        pub fn $sdk() -> (
            $sdk::metrics::SdkMeterProvider,
            impl Fn() -> $crate::samples::Samples + Sync + 'static,
        ) {
            use $crate::samples::Samples;
            use $sdk::metrics::data::{
                AggregatedMetrics, Histogram, Metric, MetricData, ResourceMetrics,
            };
            use $sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

            fn insert_counts<T>(samples: &mut Samples, metric: &Metric, histogram: &Histogram<T>) {
                let name = format!("{}_count", metric.name());
                for point in histogram.data_points() {
                    let labels = point.attributes();
                    let labels =
                        labels.map(|label| (label.key.to_string(), label.value.to_string()));
                    samples.insert(&name, labels, point.count() as f64);
                }
            }

            fn insert(samples: &mut Samples, metric: &Metric) {
                match metric.data() {
                    AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                        insert_counts(samples, metric, histogram);
                    }
                    AggregatedMetrics::U64(MetricData::Histogram(histogram)) => {
                        insert_counts(samples, metric, histogram);
                    }
                    AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                        for point in sum.data_points() {
                            let labels = point
                                .attributes()
                                .map(|label| (label.key.to_string(), label.value.to_string()));
                            samples.insert(metric.name(), labels, point.value() as f64);
                        }
                    }
                    _ => panic!("{}: another kind of metric", metric.name()),
                }
            }

            fn samples_of(metrics: &ResourceMetrics) -> Samples {
                let mut samples = Samples::default();
                let metrics = metrics.scope_metrics().flat_map(|scope| scope.metrics());
                metrics.for_each(|metric| insert(&mut samples, metric));
                samples
            }

            let exporter = InMemoryMetricExporter::default();
            let reader = PeriodicReader::builder(exporter.clone()).with_interval(FOREVER);
            let provider = SdkMeterProvider::builder()
                .with_reader(reader.build())
                .build();
            let meters = provider.clone();
            let read = move || {
                exporter.reset();
                meters.force_flush().expect("exporting to memory succeeds");
                let metrics = exporter.get_finished_metrics();
                let metrics = metrics.expect("the metrics are in memory");
                metrics.last().map(samples_of).unwrap_or_default()
            };
            (provider, read)
        }
    };
}

/// The export interval: nothing is exported during a measurement.
const FOREVER: Duration = Duration::from_secs(86_400);

provider!(sdk30);
provider!(sdk32);
provider!(sdk33);
