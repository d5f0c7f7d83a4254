//! Collectors behind a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tower_prometheus::Registry;
use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};

use test_support::server::{BOTH, Protocol, Server};
use test_support::{assert_settled, eventually};

/// Waits, like one that asks over a network.
struct Waits(Duration);

impl Collector for Waits {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        tokio::time::sleep(self.0).await;
        samples.gauge("waited", "").value(self.0);
        Ok(())
    }
}

/// A collector that waits does not make a scrape visible, nor does one that fails it.
#[tokio::test]
async fn a_scrape_with_collectors_leaves_no_trace() {
    for protocol in BOTH {
        let registry = Registry::new();
        let waits = Waits(Duration::from_millis(5));
        let handler = registry.handler().collector("waits", waits);
        let failing = registry.handler().fail_on_collect_error();
        let failing = failing.collector("errs", |_: &mut Samples| Err("always".into()));
        let app = axum::Router::new()
            .route_service("/metrics", handler)
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
        assert_settled(&registry, 0);
    }
}

#[tokio::test]
async fn a_collector_is_dropped_with_its_last_scraper() {
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
    let handler = Registry::new().handler();
    let handler = handler.collector("guarded", Guarded(Arc::clone(&dropped)));
    let server = Server::start(axum::Router::new().route_service("/metrics", handler)).await;
    let mut client = server.connect(Protocol::Http1).await;
    let response = client.send("GET", "/metrics").await.unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    drop((response, client));
    eventually("it is dropped", || dropped.load(Ordering::SeqCst) == 1).await;
}
