//! Meters that keep what is written to them in memory, and the number of requests in it: one for each
//! version of OpenTelemetry's SDK that a layer is built on.

/// The function `$sdk`: a provider of meters, and what counts its samples of request durations.
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
                meters.force_flush().expect("memory takes it");
                let metrics = exporter.get_finished_metrics().expect("it is in memory");
                metrics.last().map(durations)
            };
            (provider, counted)
        }
    };
}

/// Nothing is exported while it is measured.
const FOREVER: std::time::Duration = std::time::Duration::from_secs(86_400);

provider!(sdk30);
provider!(sdk32);
provider!(sdk33);
