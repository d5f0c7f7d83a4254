//! The same traffic recorded by our registry and by metrics-exporter-prometheus results in the same samples.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use http::{Request, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tower::{Layer, Service, service_fn};
use tower_prometheus::{
    HttpMetrics, HttpMetricsLayer, MetricsHandler, Registry, Sink, http::LongLived,
};

use test_support::page::{assert_valid_text, samples, samples_with_sorted_labels};
use test_support::server::{BOTH_PROTOCOLS, Server};

const BUCKETS: [f64; 3] = [0.5, 1.0, 60.0];

/// Sends requests that update every metric of the layer and end in every way except a panic. Returns the page.
async fn page_after_requests(layer: HttpMetricsLayer, handler: MetricsHandler) -> String {
    let app = Router::new()
        .route("/users/{id}", get(async || "ada"))
        .route("/fail", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route_service("/metrics", handler)
        .layer(layer);
    let server = Server::start(app).await;
    for protocol in BOTH_PROTOCOLS {
        let mut client = server.connect(protocol).await;
        for path in ["/users/1", "/users/2", "/fail", "/nowhere", "/metrics"] {
            client.fetch("GET", path).await;
        }
    }
    let mut cancelled = layer.layer(service_fn(|_: Request<()>| {
        pending::<Result<Response<String>, ()>>()
    }));
    drop(cancelled.call(Request::new(())));
    let mut aborted = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, ()>(Response::new("never read".to_owned()))
    }));
    drop(aborted.call(Request::new(())).await);
    let mut long = layer.layer(service_fn(async |_: Request<()>| {
        let response = Response::builder().extension(LongLived::new("download"));
        Ok::<_, ()>(response.body("never read".to_owned()).unwrap())
    }));
    drop(long.call(Request::new(())).await);
    server.get("/metrics").await.1
}

/// Returns the samples that do not depend on time.
fn without_times(page: &str) -> BTreeMap<String, f64> {
    let mut samples = samples_with_sorted_labels(page);
    samples.retain(|name, _| !name.contains("_seconds_sum"));
    samples
}

#[tokio::test]
async fn registry_and_exporter_export_the_same_samples() {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .unwrap()
        .build_recorder();
    let handler = MetricsHandler::new(recorder.handle());
    let layer = HttpMetrics::server()
        .build(Sink::recorder(recorder))
        .unwrap();
    let theirs = page_after_requests(layer, handler).await;

    let registry = Registry::builder().buckets(BUCKETS).build().unwrap();
    let ours = page_after_requests(registry.http_layer(), registry.handler()).await;

    assert_valid_text(&ours);
    assert_eq!(without_times(&ours), without_times(&theirs));
    assert_eq!(registry.sum("http_requests_total", &[]), Some(11.0));
    let help = |page: &str| {
        let help = page.lines().filter(|line| line.starts_with("# HELP "));
        help.map(str::to_owned)
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(help(&ours), help(&theirs));
}

#[tokio::test]
async fn page_of_the_exporter_is_compressed() {
    use http_body_util::BodyExt;
    use std::io::Read;
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        (0..5000).for_each(|i| metrics::counter!("rows_total", "i" => i.to_string()).increment(1));
    });
    let mut handler = MetricsHandler::new(recorder.handle());
    let request = Request::builder()
        .header("accept", "application/openmetrics-text")
        .header("accept-encoding", "gzip");
    let response = handler.call(request.body(()).unwrap()).await.unwrap();
    // The exporter has one format, whatever the scraper accepts.
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let compressed = response.into_body().collect().await.unwrap().to_bytes();
    let mut page = String::new();
    flate2::read::GzDecoder::new(&compressed[..])
        .read_to_string(&mut page)
        .unwrap();
    assert_eq!(samples(&page).len(), 5000);
}

/// Records the histograms of an application with macros.
fn record_application(recorder: &dyn metrics::Recorder, samples: RangeInclusive<u32>) {
    metrics::with_local_recorder(recorder, || {
        metrics::counter!("orders.total", "kind" => "book").increment(2);
        for i in samples {
            let sample = f64::from(i) / 1000.0;
            metrics::histogram!("db.query.seconds", "op" => "read").record(sample);
            metrics::histogram!("db.open.seconds").record(sample);
            metrics::histogram!("cache.read.bytes").record(sample);
            metrics::histogram!("queue.wait").record(sample - 0.5);
        }
    });
}

#[test]
fn options_of_the_exporter_and_their_counterparts_export_the_same_samples() {
    let quantiles = [0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0];
    let exporter = |default: Option<&[f64]>| {
        let matcher = |matcher: fn(String) -> Matcher, text: &str| matcher(text.to_owned());
        let mut builder = PrometheusBuilder::new()
            .set_quantiles(&quantiles)
            .unwrap()
            .set_bucket_duration(Duration::from_secs(20))
            .unwrap()
            .set_buckets_for_metric(matcher(Matcher::Full, "db.query.seconds"), &[0.1])
            .unwrap()
            .set_buckets_for_metric(matcher(Matcher::Prefix, "db."), &[0.2])
            .unwrap()
            .set_buckets_for_metric(matcher(Matcher::Suffix, ".bytes"), &[0.3])
            .unwrap()
            .add_global_label("service", "shop");
        if let Some(buckets) = default {
            builder = builder.set_buckets(buckets).unwrap();
        }
        let recorder = builder.build_recorder();
        record_application(&recorder, 1..=1);
        // The exporter leaves observations out of its quantiles that are older than the first one that it processes, and
        // it processes the newest block of observations first.
        recorder.handle().render();
        record_application(&recorder, 2..=1000);
        samples_with_sorted_labels(&recorder.handle().render())
    };
    let registry = |default: Option<&[f64]>| {
        let builder = Registry::builder()
            .buckets_for("db.query.seconds", [0.1])
            .buckets_for_prefix("db.", [0.2])
            .buckets_for_suffix(".bytes", [0.3])
            .constant_label("service", "shop");
        let builder = match default {
            Some(buckets) => builder.buckets(buckets),
            None => builder
                .quantiles(quantiles)
                .summary_window(Duration::from_secs(60)),
        };
        let registry = builder.build().unwrap();
        record_application(&registry, 1..=1);
        record_application(&registry, 2..=1000);
        samples_with_sorted_labels(&registry.render())
    };
    for default in [None, Some(&[0.25, 0.5][..])] {
        let (theirs, ours) = (exporter(default), registry(default));
        let names = |samples: &BTreeMap<String, f64>| samples.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs));
        for (name, value) in ours {
            let (theirs, tolerance) = (
                theirs[&name],
                if name.contains("quantile") {
                    0.011
                } else {
                    1e-9
                },
            );
            assert!(
                (value - theirs).abs() <= tolerance * theirs.abs(),
                "{name}: {value}, {theirs}"
            );
        }
    }
}

/// The names of the public methods of a type in a source file.
fn public_methods(source: &str, of: &str) -> BTreeSet<String> {
    let start = format!("\nimpl {of} {{\n");
    let blocks = source.split(&start).skip(1);
    let blocks = blocks.filter_map(|block| block.split("\n}\n").next());
    let functions = blocks.flat_map(|block| block.split("\n    pub fn ").skip(1));
    let names = functions.filter_map(|function| function.split(['(', '<']).next());
    names.map(str::to_owned).collect()
}

#[test]
fn migration_guide_has_a_row_for_each_option_of_the_exporter() {
    let arguments = ["metadata", "--format-version=1", "--locked"];
    let metadata = Command::new(env!("CARGO"))
        .args(arguments)
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let exporter = packages
        .iter()
        .find(|package| package["name"] == "metrics-exporter-prometheus")
        .unwrap();
    let manifest = Path::new(exporter["manifest_path"].as_str().unwrap());
    let source = |path| std::fs::read_to_string(manifest.with_file_name("src").join(path)).unwrap();
    let builder = public_methods(&source("exporter/builder.rs"), "PrometheusBuilder");
    let recorder = source("recorder.rs");
    let recorder =
        ["PrometheusRecorder", "PrometheusHandle"].map(|of| public_methods(&recorder, of));
    assert!(
        builder.len() >= 18 && builder.contains("set_quantiles"),
        "{builder:?}"
    );
    assert!(recorder[1].contains("render"), "{recorder:?}");

    let guide = include_str!("../../../docs/guide/migration.md");
    let (_, guide) = guide
        .split_once("# From metrics-exporter-prometheus")
        .unwrap();
    let (guide, _) = guide.split_once("More that changes silently").unwrap();
    let rows: Vec<&str> = guide
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    for method in builder.iter().chain(recorder.iter().flatten()) {
        let has_row = |row: &&str| {
            let option = row.split(" | ").next().unwrap_or_default();
            option.contains(&format!("`{method}(")) || option.contains(&format!("::{method}("))
        };
        assert!(rows.iter().any(has_row), "{method} is missing");
    }
}
