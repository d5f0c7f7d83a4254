//! Collectors of a metrics page that is served over sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};
use tower_prometheus::{MetricsHandler, Registry, scrape::PageSource};

use test_support::scrape::handler_with_collector;
use test_support::server::{BOTH_PROTOCOLS, Protocol, Server};
use test_support::{assert_requests_ended, wait_until};

/// A collector that sleeps, like one that waits for the network.
struct Sleeps(Duration);

impl Collector for Sleeps {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        tokio::time::sleep(self.0).await;
        samples.gauge("waited", "").value(self.0);
        Ok(())
    }
}

#[tokio::test]
async fn scrapes_with_collectors_are_not_measured() {
    for protocol in BOTH_PROTOCOLS {
        let registry = Registry::new();
        let sleeps = Sleeps(Duration::from_millis(5));
        registry.collector("sleeps", sleeps).unwrap();
        // In a registry of its own, so that it does not fail the scrapes of the other handler.
        let failing_collector = Registry::new();
        failing_collector
            .collector("failing", |_: &mut Samples| Err("always".into()))
            .unwrap();
        let failing = PageSource::rendered(String::new).collectors(&failing_collector);
        let failing = MetricsHandler::new(failing).fail_on_collect_error();
        let app = axum::Router::new()
            .route_service("/metrics", registry.handler())
            .route_service("/failing", failing)
            .layer(registry.http_layer());
        let server = Server::start(app).await;
        let mut client = server.connect(protocol).await;
        for (path, expected) in [("/metrics", 200), ("/failing", 500), ("/metrics", 200)] {
            let (status, page) = client.fetch("GET", path).await;
            let page = String::from_utf8(page.to_vec()).unwrap();
            assert_eq!(status, expected);
            assert!(!page.contains("http_"), "{page}");
        }
        assert_requests_ended(&registry, 0);
    }
}

#[tokio::test]
async fn collector_call_is_cancelled_when_its_last_scraper_disconnects() {
    struct Guarded(Arc<AtomicU64>);
    impl Collector for Guarded {
        async fn collect(&self, _: Deadline, _: &mut Samples) -> Result<(), CollectError> {
            struct Guard(Arc<AtomicU64>);
            impl Drop for Guard {
                fn drop(&mut self) {
                    self.0.fetch_add(1, Ordering::SeqCst);
                }
            }
            let _guard = Guard(Arc::clone(&self.0));
            std::future::pending().await
        }
    }
    let dropped = Arc::new(AtomicU64::new(0));
    let handler = handler_with_collector("guarded", Guarded(Arc::clone(&dropped)));
    let server = Server::start(axum::Router::new().route_service("/metrics", handler)).await;
    let mut client = server.connect(Protocol::Http1).await;
    let response = client.send("GET", "/metrics").await.unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    drop((response, client));
    wait_until("the call is dropped", || {
        dropped.load(Ordering::SeqCst) == 1
    })
    .await;
}
