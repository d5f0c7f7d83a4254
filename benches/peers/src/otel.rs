//! OpenTelemetry meters that export to memory, and the number of requests in it: one for each version of the SDK that
//! a layer needs.

/// Defines the function `$sdk`. It returns a meter provider, and a function that counts the recorded request durations.
macro_rules! provider {
    ($sdk:ident) => {
        pub fn $sdk() -> (
            $sdk::metrics::SdkMeterProvider,
            impl Fn() -> Option<u64> + Sync + 'static,
        ) {
            use $sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
            use $sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

            let exporter = InMemoryMetricExporter::default();
            let reader = PeriodicReader::builder(exporter.clone()).with_interval(FOREVER);
            let provider = SdkMeterProvider::builder()
                .with_reader(reader.build())
                .build();
            let durations = |metrics: &ResourceMetrics| {
                let metrics = metrics.scope_metrics().flat_map(|scope| scope.metrics());
                let durations = metrics.filter(|m| m.name() == "http.server.request.duration");
                let counts = durations.map(|duration| match duration.data() {
                    AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                        histogram.data_points().map(|point| point.count()).sum()
                    }
                    _ => 0_u64,
                });
                counts.sum()
            };
            let meters = provider.clone();
            let counted = move || {
                meters.force_flush().expect("exporting to memory succeeds");
                let metrics = exporter
                    .get_finished_metrics()
                    .expect("the metrics are in memory");
                metrics.last().map(durations)
            };
            (provider, counted)
        }
    };
}

/// The export interval: nothing is exported during a measurement.
const FOREVER: std::time::Duration = std::time::Duration::from_secs(86_400);

provider!(sdk30);
provider!(sdk32);
provider!(sdk33);
