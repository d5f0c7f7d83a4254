//! Scrapes are not counted, share one rendering, and yield to other tasks.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::routing::get;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_prometheus::{
    MetricsHandler, NativeHistogram, Registry, http::SkipMetrics, scrape::MetricsBody,
};

use test_support::assert_requests_ended;
use test_support::page::samples;

fn app(registry: &Registry) -> Router {
    Router::new()
        .route("/hello", get(async || "hello"))
        .route_service("/metrics", registry.handler())
}

#[tokio::test]
async fn response_with_skip_metrics_is_not_counted() {
    let registry = Registry::new();
    let service = async |_: Request<()>| {
        let mut response = Response::new("custom 1\n".to_owned());
        response.extensions_mut().insert(SkipMetrics);
        Ok::<_, ()>(response)
    };
    let service = registry.http_layer().layer(service_fn(service));
    drop(service.oneshot(Request::new(())).await);
    assert_requests_ended(&registry, 0);
}

async fn scrape(handler: &MetricsHandler) -> MetricsBody {
    let response = handler.clone().oneshot(Request::new(())).await;
    response.unwrap().into_body()
}

async fn read_to_end(page: MetricsBody) -> String {
    let collected = page.collect().await.unwrap();
    String::from_utf8(collected.to_bytes().to_vec()).unwrap()
}

/// A registry whose page needs many polls.
fn large_registry() -> Registry {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        for i in 0..20_000 {
            metrics::counter!("large_total", "i" => i.to_string()).increment(1);
        }
    });
    registry
}

fn record_late_counter(registry: &Registry) {
    metrics::with_local_recorder(registry, || metrics::counter!("late_total").increment(1));
}

/// Polls a page once. Returns the size of the frame in bytes.
fn poll_frame_size(page: &mut MetricsBody) -> Poll<Option<usize>> {
    let cx = &mut Context::from_waker(Waker::noop());
    let polled = Pin::new(page).poll_frame(cx);
    polled.map(|frame| frame.map(|frame| frame.unwrap().into_data().unwrap().len()))
}

#[tokio::test]
async fn large_page_yields_and_is_sent_in_bounded_frames() {
    let registry = large_registry();
    let mut page = scrape(&registry.handler()).await;
    let mut yields = 0;
    let mut largest = 0;
    poll_fn(|_| {
        loop {
            match poll_frame_size(&mut page) {
                Poll::Ready(Some(size)) => largest = largest.max(size),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => yields += 1,
            }
        }
    })
    .await;
    assert!(yields > 5, "{yields}");
    assert!(largest <= 128 * 1024, "{largest}");
}

#[tokio::test]
async fn concurrent_scrapes_share_one_rendering() {
    let registry = large_registry();
    let handler = registry.handler();
    let mut pages = Vec::new();
    for _ in 0..10 {
        pages.push(scrape(&handler).await);
    }
    let mut first = pages.remove(0);
    while poll_frame_size(&mut first) != Poll::Ready(None) {}
    // The first one has rendered the page. The others get it at once, without later metrics.
    record_late_counter(&registry);
    for mut page in pages {
        assert!(
            matches!(poll_frame_size(&mut page), Poll::Ready(Some(_))),
            "the page is not rendered yet"
        );
        assert!(!read_to_end(page).await.contains("late_total"));
    }
}

#[tokio::test]
async fn page_contains_everything_recorded_before_the_scrape() {
    let registry = large_registry();
    let handler = registry.handler();
    let mut first = scrape(&handler).await;
    // The first rendering starts and does not end.
    assert!(poll_frame_size(&mut first).is_pending());
    record_late_counter(&registry);
    let second = scrape(&handler).await;
    let third = scrape(&handler).await;
    assert!(read_to_end(second).await.contains("\nlate_total 1\n"));
    assert!(read_to_end(third).await.contains("\nlate_total 1\n"));
    // The first page is complete and has no later metrics.
    let first = read_to_end(first).await;
    assert!(!first.contains("late_total") && first.ends_with('\n'));
    assert_eq!(samples(&first).len(), 20_000);
}

#[tokio::test]
async fn scraper_that_disconnects_or_is_slow_does_not_affect_others() {
    let registry = large_registry();
    let handler = registry.handler();
    let (mut disconnects, stays) = (scrape(&handler).await, scrape(&handler).await);
    assert!(poll_frame_size(&mut disconnects).is_pending());
    drop(disconnects);
    assert_eq!(samples(&read_to_end(stays).await).len(), 20_000);

    let mut slow = scrape(&handler).await;
    assert!(matches!(poll_frame_size(&mut slow), Poll::Ready(Some(_))));
    // The next rendering does not wait for the slow scraper, which can still read the rest of its page.
    assert_eq!(
        samples(&read_to_end(scrape(&handler).await).await).len(),
        20_000
    );
    let rest = read_to_end(slow).await;
    assert!(samples(rest.split_once('\n').unwrap().1).len() > 18_000);
}

/// At most one rendering is in progress and one waits for it.
#[tokio::test]
async fn rendering_waits_for_the_one_in_progress_also_after_a_scraper_disconnected() {
    let registry = large_registry();
    let handler = registry.handler();
    let mut in_progress = scrape(&handler).await;
    assert!(poll_frame_size(&mut in_progress).is_pending());
    drop(scrape(&handler).await);
    let mut waiting = scrape(&handler).await;
    while poll_frame_size(&mut waiting).is_pending() {}
    // The rendering in progress has ended by now, so reading it is never pending.
    while let Poll::Ready(frame) = poll_frame_size(&mut in_progress) {
        if frame.is_none() {
            return;
        }
    }
    panic!("two renderings were in progress");
}

#[tokio::test]
async fn concurrent_scrapes_in_two_formats_get_complete_pages() {
    let registry = large_registry();
    let handler = registry.handler();
    let open_metrics = || {
        let request = Request::builder().header("accept", "application/openmetrics-text");
        handler.clone().call(request.body(()).unwrap())
    };
    let (mut text, mut open_metrics_page) = (
        scrape(&handler).await,
        open_metrics().await.unwrap().into_body(),
    );
    assert!(poll_frame_size(&mut text).is_pending());
    assert!(poll_frame_size(&mut open_metrics_page).is_pending());
    let (text, open_metrics_page) =
        futures_util::future::join(read_to_end(text), read_to_end(open_metrics_page)).await;
    assert_eq!(samples(&text), samples(&open_metrics_page));
    assert!(open_metrics_page.ends_with("# EOF\n"));
}

#[tokio::test]
async fn requests_on_the_same_thread_are_served_during_a_scrape() {
    let registry = large_registry();
    let mut reading = pin!(read_to_end(scrape(&registry.handler()).await));
    let app = ServiceBuilder::new()
        .layer(registry.http_layer())
        .service(app(&registry));
    let mut served = 0;
    loop {
        tokio::select! {
            biased;
            _ = &mut reading => break,
            response = app.clone().oneshot(Request::get("/hello").body(axum::body::Body::empty()).unwrap()) => {
                drop(response);
                served += 1;
            }
        }
    }
    assert!(served > 5, "{served}");
}

/// Not only gathering the samples, which precedes the first frame, but also writing the frames yields.
#[tokio::test]
async fn rendering_yields_to_other_tasks() {
    let registry = large_registry();
    let mut page = scrape(&registry.handler()).await;
    while poll_frame_size(&mut page).is_pending() {}
    let mut yields = 0;
    loop {
        match poll_frame_size(&mut page) {
            Poll::Ready(Some(_)) => {}
            Poll::Ready(None) => break,
            Poll::Pending => yields += 1,
        }
    }
    assert!(page.is_end_stream());
    assert!(yields > 0);
}

/// The number of yields of a scrape of 200 native histograms with one observation each.
async fn native_yields(factor: f64) -> usize {
    let settings = NativeHistogram::new(factor).without_classic_buckets();
    let builder = Registry::builder().native_histograms(settings);
    let registry = builder.build().unwrap();
    metrics::with_local_recorder(&registry, || {
        for i in 0..200 {
            metrics::histogram!("wait_seconds", "i" => i.to_string()).record(0.3);
        }
    });
    let mut page = scrape(&registry.handler()).await;
    let mut yields = 0;
    loop {
        match poll_frame_size(&mut page) {
            Poll::Ready(Some(_)) => {}
            Poll::Ready(None) => return yields,
            Poll::Pending => yields += 1,
        }
    }
}

/// A histogram with 256 buckets per octave has more cells to read than one with 8.
#[tokio::test]
async fn native_histograms_of_a_high_resolution_yield_more_often() {
    let (coarse, fine) = (native_yields(1.1).await, native_yields(1.0028).await);
    assert!(fine > 4 * coarse.max(4), "{fine} yields, {coarse} yields");
}
