//! Scrapes at the same moment share what collectors give, and no collector runs twice at once.

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
use tower_prometheus::{MetricsHandler, Registry, scrape::MetricsBody};

use test_support::eventually;

/// Answers when it is let, and counts its calls.
#[derive(Clone)]
struct Gate {
    permits: Arc<Semaphore>,
    calls: Arc<AtomicUsize>,
    under_way: Arc<AtomicUsize>,
}

impl Gate {
    fn shut() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(0)),
            calls: Arc::default(),
            under_way: Arc::default(),
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Collector for Gate {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        struct UnderWay<'a>(&'a AtomicUsize);
        impl Drop for UnderWay<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        assert_eq!(
            self.under_way.fetch_add(1, Ordering::SeqCst),
            0,
            "twice at once"
        );
        let _under_way = UnderWay(&self.under_way);
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.permits.acquire().await?.forget();
        samples.gauge("call", "Which one it is.").value(call);
        Ok(())
    }
}

/// Has so much time that a wake-up which is lost is not made good by the deadline.
fn patient(registry: &Registry) -> MetricsHandler {
    registry.handler().scrape_timeout(Duration::from_secs(3000))
}

async fn ask(handler: &MetricsHandler) -> Page {
    let response = handler.clone().oneshot(Request::new(())).await;
    response.unwrap().into_body()
}

async fn read(page: Page) -> String {
    let collected = tokio::select! {
        biased;
        // Before the page is polled again, which would find what it was not woken for.
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("it is never woken"),
        collected = page.collect() => collected.unwrap(),
    };
    String::from_utf8(collected.to_bytes().to_vec()).unwrap()
}

fn poll(page: &mut Page) -> Poll<()> {
    use http_body::Body;
    let cx = &mut Context::from_waker(Waker::noop());
    std::pin::Pin::new(page).poll_frame(cx).map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapes_at_the_same_moment_share_one_call() {
    let gate = Gate::shut();
    let handler = patient(&Registry::new()).collector("gate", gate.clone());
    let scrapes: Vec<_> = (0..20)
        .map(|_| {
            let handler = handler.clone();
            tokio::spawn(async move { read(ask(&handler).await).await })
        })
        .collect();
    eventually("it is asked", || gate.calls() == 1).await;
    gate.permits.add_permits(20);
    let pages = join_all(scrapes).await;
    for page in pages {
        assert!(page.unwrap().contains("\ncall "));
    }
}

#[tokio::test]
async fn a_shared_answer_is_the_same_page() {
    let gate = Gate::shut();
    let handler = patient(&Registry::new()).collector("gate", gate.clone());
    let (mut first, second) = (ask(&handler).await, ask(&handler).await);
    assert!(poll(&mut first).is_pending());
    gate.permits.add_permits(1);
    let first = read(first).await;
    assert!(first.contains("\ncall 1\n"), "{first}");
    // It comes later and asks nobody again: even the durations are the same.
    assert_eq!(read(second).await, first);
    assert_eq!(gate.calls(), 1);
}

#[tokio::test]
async fn one_that_comes_meanwhile_joins_the_call() {
    let gate = Gate::shut();
    let handler = patient(&Registry::new()).collector("gate", gate.clone());
    let handler = handler.gauge("quick", "", || 1_u64);
    let mut first = ask(&handler).await;
    assert!(poll(&mut first).is_pending());
    let mut second = ask(&handler).await;
    assert!(poll(&mut second).is_pending());
    // Who asked first leaves; the call goes on for the other.
    drop(first);
    gate.permits.add_permits(1);
    assert!(read(second).await.contains("\ncall 1\n"));
    gate.permits.add_permits(1);
    assert!(read(ask(&handler).await).await.contains("\ncall 2\n"));
}

#[tokio::test]
async fn a_waiter_is_woken_when_the_one_that_drove_has_left() {
    let gate = Gate::shut();
    let handler = patient(&Registry::new()).collector("gate", gate.clone());
    let mut drove = ask(&handler).await;
    assert!(poll(&mut drove).is_pending());
    let waits = tokio::spawn(read(ask(&handler).await));
    eventually("it waits", || {
        // Under way, and on a task of its own.
        gate.calls() == 1 && !waits.is_finished()
    })
    .await;
    tokio::task::yield_now().await;
    // The driver's waker goes nowhere.
    gate.permits.add_permits(1);
    assert!(waits.await.unwrap().contains("\ncall 1\n"));
    drop(drove);
}

#[tokio::test]
async fn a_page_shows_all_that_was_recorded_before_it_was_asked_for() {
    let gate = Gate::shut();
    let registry = Registry::new();
    let handler = patient(&registry).collector("gate", gate.clone());
    let mut first = ask(&handler).await;
    assert!(poll(&mut first).is_pending());
    metrics::with_local_recorder(&registry, || metrics::counter!("late_total").increment(1));
    let second = ask(&handler).await;
    gate.permits.add_permits(1);
    assert!(read(first).await.contains("\nlate_total 1\n"));
    assert!(read(second).await.contains("\nlate_total 1\n"));
}

/// Scrapes from many threads, with a collector that wakes itself, each get their page.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost() {
    struct Restless;
    impl Collector for Restless {
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
    let handler = patient(&Registry::new()).collector("restless", Restless);
    let scrapers = (0..8).map(|_| {
        let handler = handler.clone();
        tokio::spawn(async move {
            for i in 0..100 {
                let mut page = ask(&handler).await;
                if i % 3 == 0 {
                    let _ = poll(&mut page);
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
