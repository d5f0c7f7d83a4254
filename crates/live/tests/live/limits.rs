//! Limits: viewers, series, and viewers that do not read.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use test_support::wait_until;
use tower::ServiceExt;
use tower_prometheus::Registry;
use tower_prometheus_live::LivePage;

use crate::protocol::service;
use crate::viewer::{Viewer, get, status};

#[tokio::test]
async fn viewers_beyond_the_maximum_are_refused_until_one_leaves() {
    let metrics = Registry::new();
    let page = LivePage::builder(&metrics).max_viewers(2).build().unwrap();
    let server = service(&metrics, page).await;
    let mut first = Viewer::connect(&server, "/live/data").await;
    let second = Viewer::connect(&server, "/live/data").await;
    let (_client, refused) = get(&server, "/live/data", &[]).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "10");
    let text = refused.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&text).unwrap();
    assert!(
        text.contains("2 viewers") && text.contains("max_viewers"),
        "{text}"
    );
    first.tick().await;

    drop(second);
    while status(&server, "/live/data", &[]).await == 503 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn fifty_viewers_all_get_samples() {
    let metrics = Registry::new();
    metrics.gauge("answer", "Answer.", || 42_u64).unwrap();
    let server = service(&metrics, tower_prometheus_live::page(&metrics)).await;
    let mut viewers = Vec::new();
    for _ in 0..50 {
        viewers.push(Viewer::connect(&server, "/live/data").await);
    }
    for viewer in &mut viewers {
        viewer.tick().await;
        viewer.tick().await;
        assert_eq!(viewer.value("answer"), 42.0);
    }
}

#[tokio::test]
async fn largest_metrics_are_cut_if_there_are_too_many_series() {
    let metrics = Registry::new();
    metrics::with_local_recorder(&metrics, || {
        for i in 0..100 {
            metrics::gauge!("a_large_metric", "i" => i.to_string()).set(1.0);
        }
        metrics::gauge!("z_small_metric").set(1.0);
    });
    let page = LivePage::builder(&metrics).max_series(10).build().unwrap();
    let server = service(&metrics, page).await;
    let mut viewer = Viewer::connect(&server, "/live/data").await;
    let tick = viewer.tick().await;
    assert_eq!((tick.announced, tick.hidden), (10, 91));
    assert_eq!(viewer.series_count("z_small_metric"), 1);
    assert_eq!(viewer.series_count("a_large_metric"), 9);
}

#[tokio::test]
async fn small_metric_is_shown_although_the_limit_was_reached_before_it_existed() {
    let metrics = Registry::new();
    metrics::with_local_recorder(&metrics, || {
        for i in 0..100 {
            metrics::gauge!("a_large_metric", "i" => i.to_string()).set(1.0);
        }
    });
    let page = LivePage::builder(&metrics).max_series(10).build().unwrap();
    let server = service(&metrics, page).await;
    let mut viewer = Viewer::connect(&server, "/live/data").await;
    viewer.tick().await;
    assert_eq!(viewer.series_count("a_large_metric"), 10);

    metrics::with_local_recorder(&metrics, || metrics::gauge!("z_small_metric").set(1.0));
    let now = viewer.tick().await.time;
    viewer.tick_after(now).await;
    assert_eq!(viewer.value("z_small_metric"), 1.0);
    assert_eq!(viewer.series_count("a_large_metric"), 9);
}

#[tokio::test(start_paused = true)]
async fn viewer_that_does_not_read_for_a_minute_makes_room_for_another() {
    let metrics = Registry::new();
    let page = LivePage::builder(&metrics).max_viewers(1).build().unwrap();
    let connect = async || {
        let request = Request::get("http://localhost/live/data").body(());
        page.clone().oneshot(request.unwrap()).await.unwrap()
    };
    let mut hung = connect().await.into_body();
    hung.frame().await.unwrap().unwrap();
    assert_eq!(connect().await.status(), 503);
    tokio::time::sleep(Duration::from_secs(63)).await;
    assert_eq!(connect().await.status(), 200);
    assert!(hung.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn no_samples_are_taken_without_viewers_and_without_history() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static SAMPLES: AtomicU64 = AtomicU64::new(0);
    let metrics = Registry::new();
    let count = || SAMPLES.fetch_add(1, Ordering::Relaxed);
    metrics.gauge("samples", "Samples.", count).unwrap();
    let page = LivePage::builder(&metrics).without_history().build();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(SAMPLES.load(Ordering::Relaxed), 0);
    drop(page);

    let page = tower_prometheus_live::page(&metrics);
    tokio::time::sleep(Duration::from_secs(95)).await;
    assert_eq!(SAMPLES.load(Ordering::Relaxed), 10);
    drop(page);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(
        SAMPLES.load(Ordering::Relaxed),
        10,
        "after the page is dropped"
    );
}

#[tokio::test]
async fn viewer_that_leaves_ends_the_samples_of_every_second() {
    let metrics = Registry::new();
    let page = LivePage::builder(&metrics).max_viewers(1).build().unwrap();
    let server = service(&metrics, page.clone()).await;
    let mut viewer = Viewer::connect(&server, "/live/data").await;
    viewer.tick().await;
    drop(viewer);
    // The place of the viewer is free only when its stream is dropped.
    let connect = || {
        let request = Request::get("http://localhost/data").body(()).unwrap();
        futures_util::FutureExt::now_or_never(page.clone().oneshot(request))
    };
    wait_until("the viewer has left", || {
        connect().is_some_and(|response| response.unwrap().status() == 200)
    })
    .await;
}
