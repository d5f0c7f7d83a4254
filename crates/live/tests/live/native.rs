//! Native histograms: all buckets once, then those that changed.

use serde_json::{Value, json};
use test_support::server::Server;
use tower_prometheus::snapshot::Value as Sample;
use tower_prometheus::{NativeHistogram, Registry};
use tower_prometheus_live::LivePage;

use crate::viewer::Viewer;

fn record(metrics: &Registry, values: &[f64]) {
    metrics::with_local_recorder(metrics, || {
        for value in values {
            metrics::histogram!("wait_seconds").record(*value);
        }
    });
}

/// The only native histogram, as it was last sent.
fn sent(viewer: &Viewer) -> Value {
    assert_eq!(viewer.native.len(), 1);
    viewer.native.values().next().unwrap().clone()
}

/// The buckets of the only series of a registry, as they must be sent to a new viewer.
async fn expected(metrics: &Registry) -> Value {
    let snapshot = metrics.gather().await;
    let series = snapshot.family("wait_seconds").unwrap().series().next();
    let Sample::Histogram(histogram) = series.unwrap().value() else {
        panic!("not a histogram");
    };
    let native = histogram.native().unwrap();
    let mut value =
        json!({"schema": native.schema(), "sum": histogram.sum(), "zero": native.zero_count()});
    let positive: Vec<_> = native
        .positive()
        .flat_map(|it| [json!(it.index), json!(it.count)])
        .collect();
    let negative: Vec<_> = native
        .negative()
        .flat_map(|it| [json!(it.index), json!(it.count)])
        .collect();
    for (name, buckets) in [("positive", positive), ("negative", negative)] {
        if !buckets.is_empty() {
            value[name] = buckets.into();
        }
    }
    // Parsed from text: the viewer gets text, too.
    serde_json::from_str(&value.to_string()).unwrap()
}

async fn serve(metrics: &Registry, has_history: bool) -> Server {
    let page = LivePage::builder(metrics);
    let page = if has_history {
        page
    } else {
        page.without_history()
    };
    Server::start(page.build().unwrap()).await
}

async fn next_value(viewer: &mut Viewer) -> Value {
    while viewer.tick().await.values.is_empty() {}
    sent(viewer)
}

#[tokio::test]
async fn native_buckets_are_sent_once_and_then_only_those_that_changed() {
    for settings in [
        NativeHistogram::new(1.1),
        NativeHistogram::new(1.1).without_classic_buckets(),
    ] {
        let metrics = Registry::builder()
            .native_histograms(settings)
            .build()
            .unwrap();
        record(&metrics, &[-2.0, 0.0, 0.001, 0.3, 0.3, 99.0]);
        let server = serve(&metrics, true).await;
        let mut viewer = Viewer::connect(&server, "/live/data").await;
        assert_eq!(next_value(&mut viewer).await, expected(&metrics).await);
        assert_eq!(sent(&viewer)["schema"], 3);

        record(&metrics, &[0.3, 5.0]);
        let changed = next_value(&mut viewer).await;
        // 2^(-14/8) is 0.297 and 2^(19/8) is 5.19.
        assert_eq!(changed["positive"], json!([-13, 3, 19, 1]));
        assert!(
            changed.get("schema").is_none() && changed.get("negative").is_none(),
            "{changed}"
        );
        assert!(viewer.tick().await.values.is_empty());

        // A viewer that comes now gets all buckets.
        let mut late = Viewer::connect(&server, "/live/data").await;
        let now = viewer.tick().await.time;
        late.tick_after(now - 1).await;
        assert_eq!(sent(&late), expected(&metrics).await);
    }
}

#[tokio::test]
async fn buckets_are_sent_again_if_their_resolution_was_reduced() {
    let settings = NativeHistogram::new(1.1).max_buckets(4);
    let metrics = Registry::builder()
        .native_histograms(settings)
        .build()
        .unwrap();
    record(&metrics, &[1.0, 2.0]);
    let server = serve(&metrics, false).await;
    let mut viewer = Viewer::connect(&server, "/live/data").await;
    assert_eq!(next_value(&mut viewer).await["schema"], 3);
    record(&metrics, &[1.1, 1.2, 1.3, 1.4, 1.5]);
    let whole = next_value(&mut viewer).await;
    assert_eq!(whole, expected(&metrics).await);
    assert!(whole["schema"].as_i64().unwrap() < 3, "{whole}");
}

#[tokio::test]
async fn lines_with_native_buckets_are_short() {
    let metrics = Registry::builder().native_histograms(1.1).build().unwrap();
    metrics::with_local_recorder(&metrics, || {
        for series in 0..50 {
            let histogram = metrics::histogram!("wait_seconds", "series" => series.to_string());
            (0..150).for_each(|i| histogram.record(1.09_f64.powi(i)));
        }
    });
    let server = serve(&metrics, true).await;
    let mut viewer = Viewer::connect(&server, "/live/data").await;
    let (mut longest, mut lines) = (0, 0);
    loop {
        let line = viewer.next_line().await.unwrap();
        if line.starts_with("{\"tick\"") {
            break;
        }
        longest = longest.max(line.len());
        lines += usize::from(line.starts_with("{\"values\""));
    }
    // 8 KiB, and one value.
    assert!(
        longest < 10_000 && lines > 3,
        "{longest} bytes, {lines} lines"
    );
}
