//! Scrapes over a socket end before the timeout of the scraper.

use tower_prometheus::Registry;
use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};

use test_support::page::assert_valid_text;
use test_support::process::curl;
use test_support::scrape::collector_succeeded;
use test_support::server::Server;
use test_support::skip_without;

struct Hangs;

impl Collector for Hangs {
    async fn collect(&self, _: Deadline, _: &mut Samples) -> Result<(), CollectError> {
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_receives_the_page_in_time_while_a_collector_hangs() {
    skip_without!(Curl);
    let registry = Registry::new();
    registry.collector("hangs", Hangs).unwrap();
    registry.gauge("good", "", || 1_u64).unwrap();
    let handler = registry.handler();
    let server = Server::start(axum::Router::new().route_service("/metrics", handler)).await;
    let url = server.url("/metrics");
    let request = tokio::task::spawn_blocking(move || {
        let header = "X-Prometheus-Scrape-Timeout-Seconds: 2";
        curl(&["--max-time", "1.95", "-H", header, &url])
    });
    let page = request.await.unwrap();
    assert_valid_text(&page);
    assert!(page.contains("\ngood 1\n") && !collector_succeeded(&page, "hangs"));
}
