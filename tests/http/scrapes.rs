//! A scrape is invisible, and scrapes at the same moment share their work.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::routing::get;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_prometheus::{MetricsHandler, Registry, http::SkipMetrics, scrape::MetricsBody};

use test_support::assert_requests_ended;
use test_support::page::samples;

fn app(registry: &Registry) -> Router {
    Router::new()
        .route("/hello", get(async || "hello"))
        .route_service("/metrics", registry.handler())
}

#[tokio::test]
async fn a_handler_of_ones_own_can_be_a_scrape() {
    let registry = Registry::new();
    let own = async |_: Request<()>| {
        let mut response = Response::new("custom 1\n".to_owned());
        response.extensions_mut().insert(SkipMetrics);
        Ok::<_, ()>(response)
    };
    let service = registry.http_layer().layer(service_fn(own));
    drop(service.oneshot(Request::new(())).await);
    assert_requests_ended(&registry, 0);
}

async fn scrape(handler: &MetricsHandler) -> MetricsBody {
    let response = handler.clone().oneshot(Request::new(())).await;
    response.unwrap().into_body()
}

async fn read(page: MetricsBody) -> String {
    let collected = page.collect().await.unwrap();
    String::from_utf8(collected.to_bytes().to_vec()).unwrap()
}

/// Large enough to be read in many turns.
fn large_registry() -> Registry {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        for i in 0..20_000 {
            metrics::counter!("large_total", "i" => i.to_string()).increment(1);
        }
    });
    registry
}

fn count(registry: &Registry) {
    metrics::with_local_recorder(registry, || metrics::counter!("late_total").increment(1));
}

fn poll(page: &mut MetricsBody) -> Poll<Option<usize>> {
    let cx = &mut Context::from_waker(Waker::noop());
    let polled = Pin::new(page).poll_frame(cx);
    polled.map(|frame| frame.map(|frame| frame.unwrap().into_data().unwrap().len()))
}

#[tokio::test]
async fn a_large_page_makes_way_for_others() {
    let registry = large_registry();
    let mut page = scrape(&registry.handler()).await;
    let mut turns = 0;
    let mut longest = 0;
    poll_fn(|_| {
        loop {
            match poll(&mut page) {
                Poll::Ready(Some(slice)) => longest = longest.max(slice),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => turns += 1,
            }
        }
    })
    .await;
    assert!(turns > 5, "{turns}");
    assert!(longest <= 128 * 1024, "{longest}");
}

#[tokio::test]
async fn scrapes_at_the_same_moment_share_one_run() {
    let registry = large_registry();
    let handler = registry.handler();
    let mut pages = Vec::new();
    for _ in 0..10 {
        pages.push(scrape(&handler).await);
    }
    let mut first = pages.remove(0);
    while poll(&mut first) != Poll::Ready(None) {}
    // The first did the work; the others find it done, and as it was.
    count(&registry);
    for mut page in pages {
        assert!(
            matches!(poll(&mut page), Poll::Ready(Some(_))),
            "had to work"
        );
        assert!(!read(page).await.contains("late_total"));
    }
}

#[tokio::test]
async fn a_page_shows_all_that_was_recorded_before_it_was_asked_for() {
    let registry = large_registry();
    let handler = registry.handler();
    let mut first = scrape(&handler).await;
    // The first run begins, and does not end.
    assert!(poll(&mut first).is_pending());
    count(&registry);
    let second = scrape(&handler).await;
    let third = scrape(&handler).await;
    assert!(read(second).await.contains("\nlate_total 1\n"));
    assert!(read(third).await.contains("\nlate_total 1\n"));
    // The one that was overtaken is whole, and older.
    let first = read(first).await;
    assert!(!first.contains("late_total") && first.ends_with('\n'));
    assert_eq!(samples(&first).len(), 20_000);
}

#[tokio::test]
async fn a_scraper_that_leaves_half_way_disturbs_no_other() {
    let registry = large_registry();
    let handler = registry.handler();
    let (mut leaves, stays) = (scrape(&handler).await, scrape(&handler).await);
    assert!(poll(&mut leaves).is_pending());
    drop(leaves);
    assert_eq!(samples(&read(stays).await).len(), 20_000);

    let mut slow = scrape(&handler).await;
    assert!(matches!(poll(&mut slow), Poll::Ready(Some(_))));
    // The next run does not wait for who does not read, and leaves the rest to be read.
    assert_eq!(samples(&read(scrape(&handler).await).await).len(), 20_000);
    let rest = read(slow).await;
    assert!(samples(rest.split_once('\n').unwrap().1).len() > 18_000);
}

/// However scrapers come and go, one run is at work and one is waiting.
#[tokio::test]
async fn a_run_waits_for_the_one_at_work_even_if_another_scraper_left() {
    let registry = large_registry();
    let handler = registry.handler();
    let mut at_work = scrape(&handler).await;
    assert!(poll(&mut at_work).is_pending());
    drop(scrape(&handler).await);
    let mut waits = scrape(&handler).await;
    while poll(&mut waits).is_pending() {}
    // What was at work is done by now: reading it takes no more work.
    while let Poll::Ready(slice) = poll(&mut at_work) {
        if slice.is_none() {
            return;
        }
    }
    panic!("two runs were at work");
}

#[tokio::test]
async fn scrapes_of_both_formats_beside_each_other_are_whole() {
    let registry = large_registry();
    let handler = registry.handler();
    let open_metrics = || {
        let request = Request::builder().header("accept", "application/openmetrics-text");
        handler.clone().call(request.body(()).unwrap())
    };
    let (mut text, mut metrics) = (
        scrape(&handler).await,
        open_metrics().await.unwrap().into_body(),
    );
    assert!(poll(&mut text).is_pending());
    assert!(poll(&mut metrics).is_pending());
    let (text, metrics) = futures_util::future::join(read(text), read(metrics)).await;
    assert_eq!(samples(&text), samples(&metrics));
    assert!(metrics.ends_with("# EOF\n"));
}

#[tokio::test]
async fn requests_on_the_same_thread_go_on_during_a_scrape() {
    let registry = large_registry();
    let mut reading = pin!(read(scrape(&registry.handler()).await));
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
