//! The metrics page by direct calls of the handler: headers, formats, compression and methods.

use std::io::Read;

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_prometheus::{Registry, scrape::MetricsBody};

use test_support::page::{assert_valid_open_metrics, assert_valid_text, samples};

fn registry(series: usize) -> Registry {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::describe_histogram!(
            "db_seconds",
            metrics::Unit::Seconds,
            "Time \"spent\" in the\ndatabase \\o/."
        );
        for i in 0..series {
            metrics::counter!("rows_total", "table" => format!("t{i:05}")).increment(i as u64);
        }
        metrics::counter!("clicks").increment(2);
        metrics::gauge!("temperature_celsius").set(-1.5);
        metrics::histogram!("db_seconds", "op" => "get").record(0.25);
    });
    registry
}

async fn get(registry: &Registry, headers: &[(&str, &str)]) -> Response<MetricsBody> {
    let mut request = Request::get("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).unwrap();
    registry.handler().oneshot(request).await.unwrap()
}

async fn text(response: Response<MetricsBody>) -> String {
    let page = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(page.to_vec()).unwrap()
}

const OPEN_METRICS: (&str, &str) = ("accept", "application/openmetrics-text; version=1.0.0");

/// The OpenMetrics page of a new registry with the metrics that a function records.
async fn open_metrics_of(record: impl FnOnce()) -> String {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, record);
    let page = text(get(&registry, &[OPEN_METRICS]).await).await;
    assert_valid_open_metrics(&page);
    page
}

#[tokio::test]
async fn text_format_is_sent_by_default() {
    let response = get(&registry(2), &[]).await;
    let content_type = &response.headers()["content-type"];
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(response.headers().get("content-encoding").is_none());
    let page = text(response).await;
    assert_valid_text(&page);
    let expected = r#"# TYPE clicks counter
clicks 2
# HELP db_seconds Time "spent" in the\ndatabase \\o/.
# TYPE db_seconds histogram
db_seconds_bucket{op="get",le="0.005"} 0
db_seconds_bucket{op="get",le="0.01"} 0
db_seconds_bucket{op="get",le="0.025"} 0
db_seconds_bucket{op="get",le="0.05"} 0
db_seconds_bucket{op="get",le="0.1"} 0
db_seconds_bucket{op="get",le="0.25"} 1
db_seconds_bucket{op="get",le="0.5"} 1
db_seconds_bucket{op="get",le="1"} 1
db_seconds_bucket{op="get",le="2.5"} 1
db_seconds_bucket{op="get",le="5"} 1
db_seconds_bucket{op="get",le="10"} 1
db_seconds_bucket{op="get",le="+Inf"} 1
db_seconds_sum{op="get"} 0.25
db_seconds_count{op="get"} 1
# TYPE rows_total counter
rows_total{table="t00000"} 0
rows_total{table="t00001"} 1
# TYPE temperature_celsius gauge
temperature_celsius -1.5
"#;
    assert_eq!(page, expected);
}

#[tokio::test]
async fn open_metrics_page_follows_the_specification() {
    let response = get(&registry(2), &[OPEN_METRICS]).await;
    let content_type = &response.headers()["content-type"];
    assert_eq!(
        content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let page = text(response).await;
    assert_valid_open_metrics(&page);
    for line in [
        // A counter without `_total` keeps its name and gets the type `unknown`.
        "# TYPE clicks unknown\nclicks 2\n",
        "# TYPE rows counter\nrows_total{table=\"t00000\"} 0\n",
        "# HELP db_seconds Time \\\"spent\\\" in the\\ndatabase \\\\o/.\n# TYPE db_seconds histogram\n# UNIT db_seconds seconds\n",
        "db_seconds_bucket{op=\"get\",le=\"1.0\"} 1\n",
        "db_seconds_bucket{op=\"get\",le=\"+Inf\"} 1\n",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    assert!(!page.contains("_created"));
}

#[tokio::test]
async fn counter_is_unknown_in_open_metrics_if_a_gauge_has_its_name_without_total() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("jobs_total").increment(1);
        metrics::gauge!("jobs").set(3.0);
    });
    let page = text(get(&registry, &[OPEN_METRICS]).await).await;
    assert_valid_open_metrics(&page);
    assert!(page.contains("# TYPE jobs gauge\njobs 3.0\n"), "{page}");
    assert!(
        page.contains("# TYPE jobs_total unknown\njobs_total 1\n"),
        "{page}"
    );
    assert_valid_text(&registry.render());
}

#[tokio::test]
async fn counter_is_unknown_in_open_metrics_if_its_names_clash_with_another_family() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::histogram!("x").record(1.0);
        metrics::counter!("x_bucket_total").increment(1);
        metrics::counter!("foo_total").increment(1);
        metrics::gauge!("foo_created").set(1.0);
    });
    let page = text(get(&registry, &[OPEN_METRICS]).await).await;
    assert_valid_open_metrics(&page);
    assert!(page.contains("# TYPE x_bucket_total unknown\n"), "{page}");
    assert!(page.contains("# TYPE foo_total unknown\n"), "{page}");
    assert_valid_text(&registry.render());
}

#[tokio::test]
async fn empty_registry_has_an_empty_page() {
    assert_eq!(text(get(&Registry::new(), &[]).await).await, "");
    let page = text(get(&Registry::new(), &[OPEN_METRICS]).await).await;
    assert_valid_open_metrics(&page);
    assert_eq!(page, "# EOF\n");
}

#[tokio::test]
async fn gzip_contains_the_same_page() {
    for series in [30, 20_000] {
        let registry = registry(series);
        let response = get(&registry, &[("accept-encoding", "gzip")]).await;
        assert_eq!(response.headers()["content-encoding"], "gzip");
        let compressed = response.into_body().collect().await.unwrap().to_bytes();
        let mut page = String::new();
        let mut decoder = flate2::read::GzDecoder::new(&compressed[..]);
        decoder.read_to_string(&mut page).unwrap();
        assert_eq!(page, registry.render());
        assert!(compressed.len() < page.len() / 2);
    }
}

#[tokio::test]
async fn small_page_is_not_compressed() {
    let gauges = Registry::new();
    metrics::with_local_recorder(&gauges, || {
        (0..30).for_each(|i| metrics::gauge!("g", "i" => i.to_string()).set(1.0));
    });
    let response = get(&gauges, &[("accept-encoding", "gzip")]).await;
    assert!(response.headers().contains_key("content-encoding"));

    let small = Registry::new();
    metrics::with_local_recorder(&small, || metrics::counter!("a_total").increment(1));
    let response = get(&small, &[("accept-encoding", "gzip")]).await;
    assert!(response.headers().get("content-encoding").is_none());
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let registry = registry(30);
    let headers = [OPEN_METRICS, ("accept-encoding", "gzip")];
    let got = get(&registry, &headers).await;
    let mut request = Request::head("/");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let head = registry
        .handler()
        .oneshot(request.body(()).unwrap())
        .await
        .unwrap();
    assert_eq!(head.headers(), got.headers());
    assert_eq!(head.status(), 200);
    assert_eq!(text(head).await, "");
}

#[tokio::test]
async fn methods_other_than_get_and_head_are_not_allowed() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let request = Request::builder().method(method).body(()).unwrap();
        let response = Registry::new().handler().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 405, "{method}");
        assert_eq!(response.headers()["allow"], "GET, HEAD");
        assert_eq!(text(response).await, "");
    }
}

#[tokio::test]
async fn page_does_not_depend_on_the_order_of_registration() {
    let register = |order: &[(&'static str, &'static str)]| {
        let registry = Registry::new();
        metrics::with_local_recorder(&registry, || {
            for (family, value) in order {
                metrics::counter!(*family, "b" => *value, "a" => "1").increment(1);
                // Scrapes between registrations make no difference.
                if value.len() == 1 {
                    drop(registry.render());
                }
            }
        });
        registry.render()
    };
    let order = [
        ("x_total", "1"),
        ("a_total", "22"),
        ("x_total", "0"),
        ("m_total", "33"),
        ("a_total", "1"),
    ];
    let mut reversed = order;
    reversed.reverse();
    assert_eq!(register(&order), register(&reversed));
    assert_eq!(samples(&register(&order)).len(), 5);
}

#[tokio::test]
async fn page_must_not_be_cached() {
    let response = get(&Registry::new(), &[]).await;
    assert_eq!(response.headers()["vary"], "accept, accept-encoding");
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn small_page_is_compressed_if_identity_is_refused() {
    for accept in ["gzip;q=0.1, identity;q=0", "gzip, *;q=0"] {
        let response = get(&Registry::new(), &[("accept-encoding", accept)]).await;
        assert!(
            response.headers().contains_key("content-encoding"),
            "{accept}"
        );
    }
}

#[tokio::test]
async fn only_histograms_reserve_the_names_of_their_samples() {
    let page = open_metrics_of(|| {
        metrics::histogram!("x").record(1.0);
        for name in [
            "x_sum_total",
            "x_count_total",
            "x_created_total",
            "y_bucket_total",
        ] {
            metrics::counter!(name).increment(1);
        }
        metrics::gauge!("y").set(1.0);
    })
    .await;
    for name in ["x_sum_total", "x_count_total", "x_created_total"] {
        assert!(page.contains(&format!("# TYPE {name} unknown\n")), "{page}");
    }
    // `y` is a gauge, so `y_bucket` is free.
    assert!(page.contains("# TYPE y_bucket counter\n"), "{page}");
}

#[tokio::test]
async fn unit_is_exported_only_if_the_name_ends_in_it() {
    let page = open_metrics_of(|| {
        metrics::describe_gauge!("wait_milliseconds", metrics::Unit::Seconds, "");
        metrics::gauge!("wait_milliseconds").set(1.0);
        metrics::describe_counter!("sent_bytes_total", metrics::Unit::Bytes, "");
        metrics::counter!("sent_bytes_total").increment(1);
    })
    .await;
    assert!(!page.contains("# UNIT wait"), "{page}");
    assert!(page.contains("# UNIT sent_bytes bytes\n"), "{page}");
}
