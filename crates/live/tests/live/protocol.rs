//! What is sent: all values of the metrics page, once, then changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::Request;
use http_body_util::BodyExt;
use test_support::server::Server;
use test_support::wait_for_requests_to_end;
use tower::ServiceExt;
use tower_prometheus::Registry;
use tower_prometheus::collect::Samples;
use tower_prometheus_live::LivePage;

use crate::viewer::Viewer;

/// A service with a live page and an HTTP layer.
pub async fn service(metrics: &Registry, page: LivePage) -> Server {
    let app = Router::new()
        .route("/users/{id}", get(async || "ada"))
        .nest_service("/live", page)
        .layer(metrics.http_layer());
    Server::start(app).await
}

/// The samples of a metrics page. Labels are sorted as the viewer sorts them: with `le` and `quantile` among them.
fn page_samples(metrics: &Registry) -> BTreeMap<String, f64> {
    let sorted = test_support::page::samples(&metrics.render()).into_iter();
    let sorted = sorted.map(|(name, value)| {
        let Some((family, labels)) = name.split_once('{') else {
            return (name, value);
        };
        let mut labels: Vec<_> = split_labels(labels.trim_end_matches('}'));
        labels.sort_unstable();
        (format!("{family}{{{}}}", labels.join(",")), value)
    });
    sorted.collect()
}

/// Splits `a="1",b="2"` at the commas between labels, not at those in values.
fn split_labels(labels: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut is_quoted, mut is_escaped) = (0, false, false);
    for (i, byte) in labels.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                parts.push(&labels[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&labels[start..]);
    parts
}

fn assert_same(sent: &BTreeMap<String, f64>, page: &BTreeMap<String, f64>) {
    let bits = |samples: &BTreeMap<String, f64>| -> BTreeMap<String, String> {
        let samples = samples.iter();
        samples
            .map(|(name, value)| (name.clone(), value.to_string()))
            .collect()
    };
    assert_eq!(bits(sent), bits(page));
}

#[tokio::test]
async fn every_value_equals_the_metrics_page() {
    let metrics = Registry::builder()
        .constant_label("service", "shop")
        .build()
        .unwrap();
    let server = service(&metrics, tower_prometheus_live::page(&metrics)).await;
    for path in ["/users/1", "/users/2", "/nowhere"] {
        server.get(path).await;
    }
    wait_for_requests_to_end(&metrics, 3).await;
    metrics::with_local_recorder(&metrics, || {
        metrics::counter!("orders_total", "kind" => "book").increment(3);
        metrics::gauge!("temperature", "room" => "a").set(-1.5);
        metrics::gauge!("temperature", "room" => "nan").set(f64::NAN);
        metrics::gauge!("temperature", "room" => "inf").set(f64::INFINITY);
        metrics::gauge!("temperature", "room" => "-inf").set(f64::NEG_INFINITY);
        metrics::gauge!("hostile", "value" => "<img src=x>\"\\\n,}\u{0}é").set(1.0);
        for value in [0.001, 0.3, 0.3, 99.0] {
            metrics::histogram!("wait_seconds").record(value);
        }
    });
    let mut viewer = Viewer::connect(&server, "/live/data").await;
    viewer.tick_after(0).await;
    let first = viewer.tick().await;
    assert!(viewer.starts == 1 && first.time > 0);
    assert_same(&viewer.samples(), &page_samples(&metrics));

    metrics::with_local_recorder(&metrics, || {
        metrics::counter!("orders_total", "kind" => "book").increment(1);
        metrics::counter!("orders_total", "kind" => "pen").increment(1);
        metrics::gauge!("temperature", "room" => "nan").set(4.0);
        metrics::histogram!("wait_seconds").record(2.0);
    });
    let now = viewer.tick().await.time;
    viewer.tick_after(now).await;
    assert_same(&viewer.samples(), &page_samples(&metrics));
}

#[tokio::test]
async fn ten_thousand_series_are_sent_once_and_then_only_changes() {
    let metrics = Registry::new();
    let change = |series: usize| {
        metrics::with_local_recorder(&metrics, || {
            metrics::counter!("hits_total", "page" => series.to_string()).increment(1);
        });
    };
    (0..10_000).for_each(change);
    let server = service(&metrics, tower_prometheus_live::page(&metrics)).await;
    let mut viewer = Viewer::connect(&server, "/live/data").await;
    let mut announced = viewer.tick().await.announced;
    // The page was built after all series were registered, so the first sample has them.
    assert_eq!(announced, 10_000);
    for i in [7, 4_000, 9_999] {
        change(i);
    }
    let mut changed = 0;
    while changed < 3 {
        let tick = viewer.tick().await;
        announced += tick.announced;
        changed += tick.values.len();
    }
    assert_eq!((announced, changed), (10_000, 3));
    assert!(viewer.tick().await.values.is_empty());
}

#[tokio::test]
async fn viewers_share_one_sample_per_second() {
    let metrics = Registry::new();
    let samples_taken = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&samples_taken);
    let collect = move |samples: &mut Samples| {
        let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
        samples.gauge("sample_number", "Samples.").value(number);
        Ok(())
    };
    metrics.collector("count", collect).unwrap();
    let page = LivePage::builder(&metrics).without_history().build();
    let server = service(&metrics, page.unwrap()).await;
    let mut viewers = Vec::new();
    for _ in 0..5 {
        viewers.push(Viewer::connect(&server, "/live/data").await);
    }
    let mut seen = Vec::new();
    for viewer in &mut viewers {
        viewer.tick().await;
        let before = viewer.tick().await.time;
        for _ in 0..2 {
            viewer.tick().await;
        }
        let last = viewer.tick().await.time;
        seen.push((last - before, viewer.value("sample_number")));
    }
    // Three samples after each other take about three seconds, and a sample is taken once for all viewers.
    for (milliseconds, number) in &seen {
        assert!(*milliseconds >= 2_900, "{seen:?}");
        assert!(*number <= 6.0, "{seen:?}");
    }
}

#[tokio::test]
async fn new_viewer_gets_samples_from_before_it_came() {
    for has_history in [true, false] {
        let metrics = Registry::new();
        let mut builder = LivePage::builder(&metrics);
        if !has_history {
            builder = builder.without_history();
        }
        let server = service(&metrics, builder.build().unwrap()).await;
        let mut early = Viewer::connect(&server, "/live/data").await;
        let first = early.tick().await.time;
        let second = early.tick().await.time;
        let mut late = Viewer::connect(&server, "/live/data").await;
        let replayed = late.tick().await.time;
        assert_eq!(replayed == first, has_history);
        assert!(replayed <= second);
    }
}

#[tokio::test]
async fn series_that_no_longer_exist_are_gone() {
    let metrics = Registry::new();
    let gauge = metrics.gauge("leases", "Leases.", || 3_u64).unwrap();
    let server = service(&metrics, tower_prometheus_live::page(&metrics)).await;
    let mut viewer = Viewer::connect(&server, "/live/data").await;
    viewer.tick().await;
    assert_eq!(viewer.value("leases"), 3.0);
    gauge.remove();
    while viewer.series_count("leases") > 0 {
        viewer.tick().await;
    }
    metrics.gauge("leases", "Leases.", || 4_u64).unwrap();
    while viewer.series_count("leases") == 0 {
        viewer.tick().await;
    }
    assert_eq!(viewer.value("leases"), 4.0);
}

#[tokio::test]
async fn metric_that_comes_back_with_another_type_is_another_series() {
    let metrics = Registry::new();
    let counter = |samples: &mut Samples| {
        samples.counter("leases_total", "Leases.").value(7_u64);
        Ok(())
    };
    let gauge = |samples: &mut Samples| {
        samples.gauge("leases_total", "Leases.").value(7_u64);
        Ok(())
    };
    let before = metrics.collector("leases", counter).unwrap();
    let server = service(&metrics, tower_prometheus_live::page(&metrics)).await;
    let mut viewer = Viewer::connect(&server, "/live/data").await;
    viewer.tick().await;
    assert_eq!(viewer.kind("leases_total"), "counter");
    before.remove();
    metrics.collector("leases", gauge).unwrap();
    let now = viewer.tick().await.time;
    viewer.tick_after(now).await;
    assert_eq!(viewer.kind("leases_total"), "gauge");
    assert_eq!(viewer.value("leases_total"), 7.0);
}

#[tokio::test]
async fn page_is_not_measured_and_creates_no_series() {
    let metrics = Registry::new();
    let server = service(&metrics, tower_prometheus_live::page(&metrics)).await;
    for path in ["/live", "/live/", "/live/app.js", "/live/none.js"] {
        server.get(path).await;
    }
    let mut viewer = Viewer::connect(&server, "/live/data").await;
    viewer.tick().await;
    assert_eq!(viewer.tick().await.announced, 0);
    drop(viewer);
    let mut client = server.connect(test_support::server::Protocol::Http1).await;
    client.send("POST", "/live/data").await.unwrap();
    assert_eq!(metrics.render(), "");
}

#[tokio::test(start_paused = true)]
async fn viewer_that_is_late_gets_the_last_state_without_the_history() {
    let metrics = Registry::new();
    let number = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&number);
    let increase = move || counted.fetch_add(1, Ordering::Relaxed);
    metrics.gauge("number", "Number.", increase).unwrap();
    let page = tower_prometheus_live::page(&metrics);
    let request = Request::get("http://localhost/live/data").body(()).unwrap();
    let mut body = page.oneshot(request).await.unwrap().into_body();
    let mut lines = String::new();
    while !lines.contains("tick") {
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        lines.push_str(std::str::from_utf8(&data).unwrap());
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    let late = number.load(Ordering::Relaxed);
    assert!(late >= 30, "{late}");
    lines.clear();
    while !lines.contains("\"hello\"") {
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        lines.push_str(std::str::from_utf8(&data).unwrap());
    }
    while !lines.contains("\"tick\"") {
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        lines.push_str(std::str::from_utf8(&data).unwrap());
    }
    // The first value was 0.
    let values = format!("\"values\":[1,{},", late - 1);
    assert!(
        lines.contains("\"families\"") && lines.contains(&values),
        "{lines}"
    );
}
