//! Scrapes end before the timeout of the scraper, even if collectors hang.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_prometheus::Registry;
use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};

use test_support::page::samples;
use test_support::scrape::{
    collector_succeeded, handler_with_collector, measure_time, scrape_with_timeout,
};

/// A collector that waits for a response that never comes, and reports 0 at its deadline.
struct Ping {
    /// The remaining time at the start of each call.
    remaining: Arc<Mutex<Vec<Duration>>>,
}

impl Collector for Ping {
    async fn collect(&self, deadline: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        self.remaining.lock().unwrap().push(deadline.remaining());
        let pong = tokio::time::timeout_at(deadline.instant(), std::future::pending::<()>()).await;
        samples.gauge("redis_connection_up", "").value(pong.is_ok());
        Ok(())
    }
}

struct Hangs;

impl Collector for Hangs {
    async fn collect(&self, _: Deadline, _: &mut Samples) -> Result<(), CollectError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn page_is_served_50_ms_before_the_scrape_timeout() {
    let remaining = Arc::default();
    let ping = Ping {
        remaining: Arc::clone(&remaining),
    };
    let registry = Registry::new();
    registry.collector("ping", ping).unwrap();
    registry.collector("hangs", Hangs).unwrap();
    let handler = registry.handler();
    for seconds in [0.1, 0.2, 0.75, 1.0, 10.0, 60.0] {
        let ((_, page), took) = measure_time(scrape_with_timeout(&handler, seconds)).await;
        let limit = Duration::from_secs_f64(seconds) - Duration::from_millis(50);
        assert!(
            took <= limit + Duration::from_millis(1),
            "{seconds}: {took:?}"
        );
        // The page waits for the deadline of the collector, and has its samples.
        assert!(collector_succeeded(&page, "ping") && !collector_succeeded(&page, "hangs"));
        assert_eq!(samples(&page)["redis_connection_up"], 0.0);
        let remaining = remaining.lock().unwrap().pop().unwrap();
        assert!(
            remaining < took && took >= limit * 2 / 3,
            "{remaining:?} {took:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn scrapes_without_a_timeout_header_use_the_timeout_of_the_handler() {
    let millis_to_page = async |handler: tower_prometheus::MetricsHandler, header: Option<&str>| {
        let mut request = Request::new(());
        if let Some(value) = header {
            let name = "x-prometheus-scrape-timeout-seconds";
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let page = handler.oneshot(request).await.unwrap().into_body();
        measure_time(page.collect()).await.1.as_millis()
    };
    let handler = || handler_with_collector("hangs", Hangs);
    for header in [None, Some("soon"), Some("-1"), Some("0")] {
        assert!((9900..9910).contains(&millis_to_page(handler(), header).await));
    }
    let short = handler().scrape_timeout(Duration::from_secs(3));
    assert!((2900..2910).contains(&millis_to_page(short.clone(), None).await));
    assert!((4900..4910).contains(&millis_to_page(short, Some("5")).await));
}

#[tokio::test(start_paused = true)]
async fn scrapes_that_share_a_call_keep_their_own_timeouts() {
    struct Slow;
    impl Collector for Slow {
        async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
            tokio::time::sleep(Duration::from_secs(5)).await;
            samples.gauge("slow", "").value(1_u64);
            Ok(())
        }
    }
    let handler = handler_with_collector("slow", Slow);
    let long = measure_time(scrape_with_timeout(&handler, 10.0));
    let short = measure_time(scrape_with_timeout(&handler, 1.0));
    let (((_, complete), long), ((_, without_slow), short)) = tokio::join!(long, short);
    assert!(complete.contains("\nslow 1\n") && collector_succeeded(&complete, "slow"));
    assert!(!without_slow.contains("\nslow 1\n") && !collector_succeeded(&without_slow, "slow"));
    assert_eq!((long.as_secs(), short.as_millis() / 10), (5, 90));
}

/// A collector that yields once.
struct Yields;

impl Collector for Yields {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        tokio::task::yield_now().await;
        samples.gauge("good", "").value(1_u64);
        Ok(())
    }
}

/// One test, because the warning is logged once per process.
#[test]
fn collectors_run_without_a_tokio_timer_and_one_warning_is_logged() {
    let warnings = test_support::warnings::Warnings::capture();
    let handler = handler_with_collector("yields", Yields);
    for _ in 0..2 {
        let (_, page) =
            futures_util::future::FutureExt::now_or_never(scrape_with_timeout(&handler, 1.0))
                .unwrap_or_else(|| block_on(scrape_with_timeout(&handler, 1.0)));
        assert!(page.contains("\ngood 1\n"), "{page}");
    }
    let without_timer = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let handler = handler_with_collector("yields", Yields);
    let (_, page) = without_timer.block_on(scrape_with_timeout(&handler, 1.0));
    assert!(page.contains("\ngood 1\n"), "{page}");
    assert_eq!(
        warnings
            .about("scrape timeout is not enforced for collectors")
            .len(),
        1
    );
}

/// A minimal executor without a runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut cx) {
            return done;
        }
        std::thread::park();
    }
}
