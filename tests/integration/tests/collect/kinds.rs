//! Every kind of metric of collectors, read by promtool and by a real Prometheus.

use tower_prometheus::Registry;
use tower_prometheus::collect::{HistogramSample, Samples, SummarySample};

use test_support::scrape::scrape_text;
use test_support::server::Server;
use test_support::skip_without;
use test_support::store::{Store, assert_promtool_accepts};

/// Returns the registry of a service with two pools of a database, one of which is dead.
fn registry() -> Registry {
    let registry = Registry::builder().constant_label("service", "shop");
    let registry = registry.build().unwrap();
    for (pool, state) in [("orders", "up"), ("users", "down")] {
        let report = move |samples: &mut Samples| {
            let labels = &[("pool", pool)];
            let waits = HistogramSample::cumulative([(0.1, 3), (1.0, 8)], 9, 4.5);
            samples
                .histogram("pool_wait_seconds", "Time until a connection is free.")
                .sample(labels, waits);
            let sizes = SummarySample::new([(0.5, 10.0), (0.99, 80.0)], 4, 100.0);
            samples
                .summary("pool_response_bytes", "Size of responses.")
                .sample(labels, sizes);
            samples
                .state_set("pool_state", "State of the pool.")
                .sample(labels, &["up", "down"], state);
            samples
                .counter("pool_queries_total", "Total number of queries.")
                .sample(labels, 7_u64);
            samples
                .gauge("pool_connections", "Number of connections.")
                .sample(labels, 3_u64);
            samples.info("pool_info", "Version.", &[("pool", pool), ("version", "1")]);
            if state == "down" {
                // What a pool reports about itself must not depend on the database.
                samples
                    .gauge("pool_down_since_seconds", "Time of the fault.")
                    .value(1.7e9);
            }
            Ok(())
        };
        registry.collector(pool, report).unwrap();
    }
    registry
}

#[tokio::test]
async fn promtool_accepts_every_kind_of_collectors() {
    skip_without!(Promtool);
    let page = scrape_text(&registry().handler()).await;
    assert_eq!(
        page.matches("pool_wait_seconds_count{").count(),
        2,
        "{page}"
    );
    assert_promtool_accepts(&page);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_reads_every_kind_of_two_pools() {
    skip_without!(Curl, Prometheus);
    let handler = registry().handler();
    let server = Server::start(axum::Router::new().route_service("/metrics", handler)).await;
    let url = server.url("");
    let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let config = format!(
        "scrape_configs:\n- job_name: shop\n  scrape_interval: 1s\n  static_configs:\n  - targets: ['{address}']\n"
    );
    let queries = tokio::task::spawn_blocking(move || {
        let prometheus = Store::prometheus(&config, &[]);
        for (query, expected) in [
            ("up", 1.0),
            (
                "sum(pool_wait_seconds_bucket{le=\"1.0\"} or pool_wait_seconds_bucket{le=\"1\"})",
                16.0,
            ),
            ("sum(pool_wait_seconds_sum)", 9.0),
            (
                "pool_response_bytes{pool=\"users\",quantile=\"0.99\"}",
                80.0,
            ),
            ("sum(pool_response_bytes_count)", 8.0),
            ("pool_state{pool=\"users\",pool_state=\"down\"}", 1.0),
            ("pool_state{pool=\"orders\",pool_state=\"down\"}", 0.0),
            ("count(pool_state == 1)", 2.0),
            ("sum(pool_queries_total)", 14.0),
            ("sum(pool_connections)", 6.0),
            ("count(pool_info)", 2.0),
            ("sum(scrape_collector_success)", 2.0),
        ] {
            assert_eq!(prometheus.wait_for_values(query), [expected], "{query}");
        }
        let metadata = prometheus.get("/api/v1/metadata", &[("metric", "pool_state")]);
        assert_eq!(
            metadata.unwrap()["data"]["pool_state"][0]["type"],
            "stateset"
        );
    });
    queries.await.unwrap();
}
