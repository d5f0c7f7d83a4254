//! Prometheus and VictoriaMetrics scrape pages with native histograms.

use axum::{Router, routing::get};
use test_support::server::Server;
use test_support::skip_without;
use test_support::store::Store;
use tower_prometheus::{NativeHistogram, Registry};

const OBSERVATIONS: u64 = 20_000;

/// Durations from 1 ms to 10 s, as many in each octave.
fn duration(i: u64) -> f64 {
    0.001 * 10_f64.powf(i as f64 / OBSERVATIONS as f64 * 4.0)
}

pub fn config(target: &str) -> String {
    format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: shop\n    static_configs: [{{ targets: ['{target}'] }}]\n"
    )
}

/// A registry, and a server of its page. Returns them and the address.
async fn serve(settings: NativeHistogram) -> (Registry, Server, String) {
    let registry = Registry::builder()
        .native_histograms(settings)
        .build()
        .unwrap();
    let app = Router::new().route("/metrics", get(registry.handler()));
    let server = Server::start(app).await;
    let target = server.url("").trim_start_matches("http://").to_owned();
    (registry, server, target)
}

fn record(registry: &Registry) {
    metrics::with_local_recorder(registry, || {
        let histogram = metrics::histogram!("latency_seconds");
        (0..OBSERVATIONS).for_each(|i| histogram.record(duration(i)));
    });
}

/// Waits until a query has this value.
pub async fn wait_for(store: &Store, query: &str, expected: f64) {
    loop {
        if store.wait_for_values(query) == [expected] {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_without_native_histograms_read_classic_buckets() {
    skip_without!(Curl, Prometheus, VictoriaMetrics);
    let (registry, _server, target) = serve(NativeHistogram::new(1.1)).await;
    record(&registry);
    let prometheus = Store::prometheus(&config(&target), &[]);
    let victoria_metrics = Store::victoria_metrics(&config(&target));
    for store in [&prometheus, &victoria_metrics] {
        wait_for(store, "latency_seconds_count", OBSERVATIONS as f64).await;
        let buckets = store.wait_for_values("count(latency_seconds_bucket)");
        assert_eq!(buckets, [12.0], "{:?}", store.kind);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_of_many_native_histograms_is_scraped_in_time() {
    skip_without!(Curl, Prometheus);
    const SERIES: usize = 10_000;
    let settings = NativeHistogram::new(1.1).without_classic_buckets();
    let (registry, _server, target) = serve(settings).await;
    metrics::with_local_recorder(&registry, || {
        for series in 0..SERIES {
            let histogram = metrics::histogram!("latency_seconds", "series" => series.to_string());
            (0..50).for_each(|i| histogram.record(duration(i * 400)));
        }
    });
    let prometheus = Store::prometheus_with_native_histograms(&config(&target));
    wait_for(
        &prometheus,
        "count(histogram_count(latency_seconds) == 50)",
        SERIES as f64,
    )
    .await;
    assert_eq!(prometheus.wait_for_values("min_over_time(up[1m])"), [1.0]);
}
