//! Concurrent scrapes share one call of each collector, and no collector runs twice at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::join_all;
use http::Request;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};
use tower_prometheus::{MetricsHandler, Registry, scrape::MetricsBody, snapshot::Snapshot};

use test_support::scrape::handler_with_collector;
use test_support::wait_until;

/// A collector that waits for a permit and counts its calls.
#[derive(Clone)]
struct Gate {
    permits: Arc<Semaphore>,
    calls: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
}

impl Gate {
    fn closed() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(0)),
            calls: Arc::default(),
            running: Arc::default(),
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Collector for Gate {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        struct Running<'a>(&'a AtomicUsize);
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        assert_eq!(
            self.running.fetch_add(1, Ordering::SeqCst),
            0,
            "two calls at the same time"
        );
        let _guard = Running(&self.running);
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.permits.acquire().await?.forget();
        samples.gauge("call", "Number of the call.").value(call);
        Ok(())
    }
}

/// A timeout so long that the deadline cannot hide a lost wake-up.
const LONG: Duration = Duration::from_secs(3000);

fn handler_with_long_timeout(name: &str, collector: impl Collector) -> MetricsHandler {
    handler_with_collector(name, collector).scrape_timeout(LONG)
}

async fn start_scrape(handler: &MetricsHandler) -> MetricsBody {
    let response = handler.clone().oneshot(Request::new(())).await;
    response.unwrap().into_body()
}

async fn read(page: MetricsBody) -> String {
    let collected = tokio::select! {
        biased;
        // First, because polling the page again would hide a lost wake-up.
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("the scrape is never woken"),
        collected = page.collect() => collected.unwrap(),
    };
    String::from_utf8(collected.to_bytes().to_vec()).unwrap()
}

fn poll_once(page: &mut MetricsBody) -> Poll<()> {
    use http_body::Body;
    let cx = &mut Context::from_waker(Waker::noop());
    std::pin::Pin::new(page).poll_frame(cx).map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_scrapes_share_one_call() {
    let gate = Gate::closed();
    let handler = handler_with_long_timeout("gate", gate.clone());
    let scrapes: Vec<_> = (0..20)
        .map(|_| {
            let handler = handler.clone();
            tokio::spawn(async move { read(start_scrape(&handler).await).await })
        })
        .collect();
    wait_until("the collector is called", || gate.calls() == 1).await;
    gate.permits.add_permits(20);
    let pages = join_all(scrapes).await;
    for page in pages {
        assert!(page.unwrap().contains("\ncall "));
    }
}

#[tokio::test]
async fn scrapes_that_share_a_call_have_the_same_page() {
    let gate = Gate::closed();
    let handler = handler_with_long_timeout("gate", gate.clone());
    let (mut first, second) = (start_scrape(&handler).await, start_scrape(&handler).await);
    assert!(poll_once(&mut first).is_pending());
    gate.permits.add_permits(1);
    let first = read(first).await;
    assert!(first.contains("\ncall 1\n"), "{first}");
    // The second scrape calls no collector again: even the durations are the same.
    assert_eq!(read(second).await, first);
    assert_eq!(gate.calls(), 1);
}

#[tokio::test]
async fn scrape_that_starts_during_a_call_joins_it() {
    let gate = Gate::closed();
    let registry = Registry::new();
    registry.collector("gate", gate.clone()).unwrap();
    registry.gauge("quick", "", || 1_u64).unwrap();
    let handler = registry.handler().scrape_timeout(LONG);
    let mut first = start_scrape(&handler).await;
    assert!(poll_once(&mut first).is_pending());
    let mut second = start_scrape(&handler).await;
    assert!(poll_once(&mut second).is_pending());
    // The first scrape is dropped; the call goes on for the second.
    drop(first);
    gate.permits.add_permits(1);
    assert!(read(second).await.contains("\ncall 1\n"));
    gate.permits.add_permits(1);
    assert!(
        read(start_scrape(&handler).await)
            .await
            .contains("\ncall 2\n")
    );
}

#[tokio::test]
async fn waiting_scrape_is_woken_if_the_scrape_that_polled_the_call_stops_polling() {
    let gate = Gate::closed();
    let handler = handler_with_long_timeout("gate", gate.clone());
    let mut idle = start_scrape(&handler).await;
    assert!(poll_once(&mut idle).is_pending());
    let waiting = tokio::spawn(read(start_scrape(&handler).await));
    wait_until("the second scrape waits", || {
        // The call is running, and the second scrape waits in its own task.
        gate.calls() == 1 && !waiting.is_finished()
    })
    .await;
    tokio::task::yield_now().await;
    // The first scrape has a no-op waker, so the call must wake the second one.
    gate.permits.add_permits(1);
    assert!(waiting.await.unwrap().contains("\ncall 1\n"));
    drop(idle);
}

#[tokio::test]
async fn page_has_everything_recorded_before_the_scrape() {
    let gate = Gate::closed();
    let registry = Registry::new();
    registry.collector("gate", gate.clone()).unwrap();
    let handler = registry.handler().scrape_timeout(LONG);
    let mut first = start_scrape(&handler).await;
    assert!(poll_once(&mut first).is_pending());
    metrics::with_local_recorder(&registry, || metrics::counter!("late_total").increment(1));
    let second = start_scrape(&handler).await;
    gate.permits.add_permits(1);
    assert!(read(first).await.contains("\nlate_total 1\n"));
    assert!(read(second).await.contains("\nlate_total 1\n"));
}

/// Many threads scrape a collector that yields often.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_scrapes_lose_no_wake_up() {
    struct WakesItself;
    impl Collector for WakesItself {
        async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
            for _ in 0..20 {
                tokio::task::yield_now().await;
                let work = tokio::spawn(async {});
                work.await?;
            }
            samples.gauge("done", "").value(true);
            Ok(())
        }
    }
    let handler = handler_with_long_timeout("wakes_itself", WakesItself);
    let scrapers = (0..8).map(|_| {
        let handler = handler.clone();
        tokio::spawn(async move {
            for i in 0..100 {
                let mut page = start_scrape(&handler).await;
                if i % 3 == 0 {
                    let _ = poll_once(&mut page);
                    continue;
                }
                let page = read(page).await;
                assert!(page.contains("\ndone 1\n"), "{page}");
            }
        })
    });
    for scraper in join_all(scrapers).await {
        scraper.unwrap();
    }
}

#[tokio::test]
async fn concurrent_gathers_and_scrapes_share_one_call() {
    let gate = Gate::closed();
    let registry = Registry::new();
    registry.collector("gate", gate.clone()).unwrap();
    let handler = registry.handler().scrape_timeout(LONG);
    let gather = || {
        let registry = registry.clone();
        tokio::spawn(async move { registry.gather_within(LONG).await })
    };
    let gathers = [gather(), gather()];
    let scrape = tokio::spawn(async move { read(start_scrape(&handler).await).await });
    wait_until("the collector is called", || gate.calls() == 1).await;
    // Give all of them time to join the call.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    gate.permits.add_permits(1);
    let value = |snapshot: &Snapshot| {
        let call = snapshot.family("call").unwrap();
        format!("{:?}", call.series().next().unwrap().value())
    };
    for gather in gathers {
        assert_eq!(value(&gather.await.unwrap()), "Gauge(Integer(1))");
    }
    assert!(scrape.await.unwrap().contains("\ncall 1\n"));
    assert_eq!(gate.calls(), 1);
    // The next gather calls the collector again.
    gate.permits.add_permits(1);
    assert_eq!(value(&registry.gather().await), "Gauge(Integer(2))");
}

#[tokio::test]
async fn two_handlers_of_a_registry_share_one_call() {
    let gate = Gate::closed();
    let registry = Registry::new();
    registry.collector("gate", gate.clone()).unwrap();
    let handler = || registry.handler().scrape_timeout(LONG);
    let (mut first, mut second) = (
        start_scrape(&handler()).await,
        start_scrape(&handler()).await,
    );
    assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
    gate.permits.add_permits(1);
    let (first, second) = tokio::join!(read(first), read(second));
    assert!(first.contains("\ncall 1\n") && second.contains("\ncall 1\n"));
    assert_eq!(gate.calls(), 1);
}

#[tokio::test]
async fn dropped_gather_cancels_its_calls() {
    let gate = Gate::closed();
    let registry = Registry::new();
    registry.collector("gate", gate.clone()).unwrap();
    let mut gather = Box::pin(registry.gather_within(LONG));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(gather.as_mut().poll(cx).is_pending());
    assert_eq!(gate.running.load(Ordering::SeqCst), 1);
    drop(gather);
    assert_eq!(gate.running.load(Ordering::SeqCst), 0);
}
