//! [`PageSource::rendered`]: pages rendered by other code, with the collectors of a registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_prometheus::collect::Samples;
use tower_prometheus::scrape::{PageSource, Render};
use tower_prometheus::{MetricsHandler, Registry};

use test_support::page::samples;
use test_support::scrape::{collector_succeeded, scrape_text};
use test_support::warnings::Warnings;

const RENDERED: &str = "# TYPE up gauge\nup 1\n# TYPE latency histogram\n\
    latency_bucket{le=\"+Inf\"} 1\nlatency_sum 2\nlatency_count 1\n";

#[tokio::test]
async fn rendered_page_is_served_unchanged() {
    let renders = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&renders);
    let source = PageSource::rendered(move || {
        count.fetch_add(1, Ordering::SeqCst);
        RENDERED.to_owned()
    });
    let handler = MetricsHandler::new(source);
    assert_eq!(renders.load(Ordering::SeqCst), 0);
    for scrapes in 1..3 {
        assert_eq!(scrape_text(&handler).await, RENDERED);
        assert_eq!(renders.load(Ordering::SeqCst), scrapes);
    }
    // A rendered page has one format, whatever the scraper accepts.
    let request = Request::get("/metrics").header("accept", "application/openmetrics-text");
    let response = handler.oneshot(request.body(()).unwrap()).await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, RENDERED);
}

#[tokio::test]
async fn type_that_implements_render_can_render_the_page() {
    struct Fixed;
    impl Render for Fixed {
        fn render(&self) -> String {
            RENDERED.to_owned()
        }
    }
    let handler = MetricsHandler::new(PageSource::rendered(Fixed));
    assert_eq!(scrape_text(&handler).await, RENDERED);
}

#[tokio::test]
async fn rendered_page_gets_the_collectors_of_a_registry_but_not_its_other_metrics() {
    let registry = Registry::builder().constant_label("service", "shop");
    let registry = registry.build().unwrap();
    metrics::with_local_recorder(&registry, || metrics::counter!("orders_total").increment(1));
    registry.gauge("depth", "Depth.", || 2_u64).unwrap();
    let source = PageSource::rendered(|| RENDERED.to_owned()).collectors(&registry);
    let handler = MetricsHandler::new(source);
    let first = scrape_text(&handler).await;
    let rest = first.strip_prefix(RENDERED).expect(&first);
    assert!(
        rest.starts_with("# HELP depth Depth.\n# TYPE depth gauge\ndepth{service=\"shop\"} 2\n"),
        "{rest}"
    );
    assert_eq!(samples(rest).len(), 3, "{rest}");
    assert!(!first.contains("orders_total"));
    // Collectors registered later are added, too.
    registry.gauge("late", "", || 3_u64).unwrap();
    assert!(
        scrape_text(&handler)
            .await
            .contains("\nlate{service=\"shop\"} 3\n")
    );
}

#[tokio::test]
async fn collector_that_conflicts_with_the_rendered_page_loses_its_metrics() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    registry.gauge("good", "", || 1_u64).unwrap();
    for taken in ["up", "latency", "latency_sum", "latency_bucket"] {
        let conflicting = move |samples: &mut Samples| {
            samples.gauge(format!("{taken}_valid"), "").value(1_u64);
            samples.gauge(taken, "").value(1_u64);
            Ok(())
        };
        registry.collector(taken, conflicting).unwrap();
    }
    let source = PageSource::rendered(|| RENDERED.to_owned()).collectors(&registry);
    let page = scrape_text(&MetricsHandler::new(source)).await;
    assert!(page.contains("\ngood 1\n") && collector_succeeded(&page, "good"));
    assert!(!page.contains("_valid"), "{page}");
    for taken in ["up", "latency", "latency_sum", "latency_bucket"] {
        assert!(!collector_succeeded(&page, taken), "{page}");
        let reason = format!("the name \"{taken}\" is taken by another metric");
        assert_eq!(warnings.about(&reason).len(), 1, "{taken}");
    }
}

#[tokio::test]
async fn collectors_of_another_registry_are_not_added_to_the_page_of_a_registry() {
    let (own, other) = (Registry::new(), Registry::new());
    own.gauge("own", "", || 1_u64).unwrap();
    other.gauge("other", "", || 1_u64).unwrap();
    let handler = MetricsHandler::new(PageSource::from(&own).collectors(&other));
    let page = scrape_text(&handler).await;
    assert!(
        page.contains("\nown 1\n") && !page.contains("other"),
        "{page}"
    );
}

#[tokio::test]
async fn rendered_page_without_a_registry_has_no_collector_metrics() {
    let registry = Registry::new();
    registry.gauge("depth", "", || 1_u64).unwrap();
    let handler = MetricsHandler::new(PageSource::rendered(|| RENDERED.to_owned()));
    assert_eq!(scrape_text(&handler).await, RENDERED);
}
