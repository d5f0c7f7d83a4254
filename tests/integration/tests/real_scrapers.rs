//! The example `axum` as a user runs it: `curl` requests its page, promtool checks it, and a real Prometheus scrapes
//! it and answers queries. Prometheus scrapes metrics of a catalogue, too. `tests/run` installs the programs that
//! these tests need.

use std::process::Stdio;

use axum::Router;
use axum::routing::get;
use tower_prometheus::{Counter, Registry, StateSet, catalogue, labels};

use test_support::page::{assert_valid_open_metrics, assert_valid_text, samples};
use test_support::process::{RunningProgram, curl, example};
use test_support::server::Server;
use test_support::skip_without;
use test_support::store::{Store, assert_promtool_accepts};

/// Starts the example on a free port and waits until it listens. Returns its URL.
fn shop() -> (RunningProgram, String) {
    let mut shop = RunningProgram::start(example("axum").stderr(Stdio::null()));
    let metrics = shop.read_line_after("  curl http://");
    let address = metrics.strip_suffix("/metrics").unwrap();
    let url = format!("http://{address}");
    (shop, url)
}

/// The requests of README, with the endpoint, the status and the number that must be counted.
const TRAFFIC: [(&str, &str, &str, &str, u32); 7] = [
    ("GET", "/users/[1-3]", "/users/{id}", "200", 3),
    ("GET", "/slow", "/slow", "200", 1),
    ("GET", "/stream", "/stream", "200", 1),
    ("GET", "/fail", "/fail", "503", 1),
    ("GET", "/panic", "/panic", "panicked", 1),
    ("GET", "/nowhere", "unmatched", "404", 1),
    ("POST", "/admin/orders", "/admin/orders", "201", 1),
];

fn send_traffic(shop: &str) {
    for (method, path, ..) in TRAFFIC {
        curl(&["-X", method, &format!("{shop}{path}")]);
    }
}

fn assert_counts(page: &str) {
    assert_valid_text(page);
    let samples = samples(page);
    for (method, _, endpoint, status, count) in TRAFFIC {
        let labels = format!("endpoint=\"{endpoint}\",method=\"{method}\",service=\"shop\"");
        let requests = format!("http_requests_total{{{labels},status=\"{status}\"}}");
        assert_eq!(samples[&requests], f64::from(count), "{requests}\n{page}");
        let durations = format!("http_request_duration_seconds_count{{{labels}}}");
        assert_eq!(samples[&durations], f64::from(count));
        assert_eq!(
            samples[&format!("http_requests_in_progress{{{labels}}}")],
            0.0
        );
    }
    let total: f64 = samples
        .iter()
        .filter(|(name, _)| name.starts_with("http_requests_total"))
        .map(|(_, value)| value)
        .sum();
    assert_eq!(
        total,
        f64::from(TRAFFIC.iter().map(|row| row.4).sum::<u32>())
    );
    assert_eq!(
        samples["shop_orders_total{kind=\"book\",service=\"shop\"}"],
        1.0
    );
}

#[test]
fn page_requested_by_curl_has_exact_counts() {
    skip_without!(Curl);
    let (_running, shop) = shop();
    let metrics = format!("{shop}/metrics");
    assert_eq!(curl(&[&metrics]), "");
    send_traffic(&shop);
    let page = curl(&[&metrics]);
    assert_counts(&page);
    // A scrape does not change the page, compression keeps it the same, and HEAD is answered.
    assert_eq!(curl(&[&metrics]), page);
    assert_eq!(
        curl(&["--compressed", "--http2-prior-knowledge", &metrics]),
        page
    );
    let head = curl(&["-I", &metrics]).to_ascii_lowercase();
    assert!(
        head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{head}"
    );
    let accept = "accept: application/openmetrics-text";
    assert_valid_open_metrics(&curl(&["-H", accept, &metrics]));
}

#[test]
fn promtool_reports_no_problems() {
    skip_without!(Curl, Promtool);
    let (_running, shop) = shop();
    send_traffic(&shop);
    let page = curl(&[&format!("{shop}/metrics")]);
    assert_promtool_accepts(&page);
}

#[test]
fn prometheus_answers_queries_with_exact_counts() {
    skip_without!(Curl, Prometheus);
    let (_running, shop) = shop();
    send_traffic(&shop);
    let prometheus = prometheus(&shop);
    // `values` waits for a result, because Prometheus scrapes at its own pace.
    for (query, expected) in [
        ("sum(http_requests_total)", 9.0),
        ("up", 1.0),
        ("http_requests_total{endpoint=\"/users/{id}\"}", 3.0),
        ("sum(http_requests_in_progress)", 0.0),
        (
            "sum(http_request_duration_seconds_bucket{le=\"+Inf\"})",
            9.0,
        ),
        (
            "count(http_requests_total{endpoint=\"/metrics\"}) or vector(0)",
            0.0,
        ),
    ] {
        assert_eq!(prometheus.wait_for_values(query), [expected], "{query}");
    }
    // The metadata has the OpenMetrics name, without `_total`: Prometheus negotiated its preferred format.
    let metadata = curl(&[
        "-G",
        &format!("{}/api/v1/metadata", prometheus.url),
        "-d",
        "metric=http_requests",
    ]);
    assert!(metadata.contains("\"type\":\"counter\""), "{metadata}");
}

/// From the header of a request to the storage of Prometheus.
#[test]
fn prometheus_stores_exemplars() {
    skip_without!(Curl, Prometheus);
    let (_running, shop) = shop();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let header = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01");
    curl(&["-H", &header, &format!("{shop}/users/1")]);
    let prometheus = prometheus(&shop);
    assert_eq!(
        prometheus.wait_for_values("sum(http_requests_total)"),
        [1.0]
    );
    let query = "query=http_request_duration_seconds_bucket";
    let exemplars = format!("{}/api/v1/query_exemplars", prometheus.url);
    let answer = curl(&[
        "-G",
        &exemplars,
        "-d",
        query,
        "-d",
        "start=0",
        "-d",
        "end=9999999999",
    ]);
    assert!(answer.contains(trace), "{answer}");
    assert!(answer.contains("/users/{id}"), "{answer}");
}

/// A state set is a type of OpenMetrics, and a counter without `_total` is of type `unknown` there.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_state_sets_and_unconventional_counters() {
    skip_without!(Curl, Prometheus);
    labels! {
        enum State { Starting = "starting", Ready = "ready" }
        enum Zone("zone") { East = "east", West = "west" }
    }
    catalogue! {
        struct Jobs {
            /// State of the queue.
            queue_state: StateSet<State, Zone>,
            /// Hits, under a name that dashboards have.
            hits: Counter { unconventional: true },
        }
    }
    let registry = Registry::new();
    let jobs = Jobs::on(&registry).unwrap();
    jobs.queue_state.with(Zone::East).set(State::Ready);
    jobs.hits.add(3);
    let server = Server::start(Router::new().route("/metrics", get(registry.handler()))).await;
    tokio::task::block_in_place(|| {
        let prometheus = prometheus(&server.url(""));
        for (query, expected) in [
            ("hits", 3.0),
            ("queue_state{zone=\"east\",queue_state=\"ready\"}", 1.0),
            ("queue_state{zone=\"east\",queue_state=\"starting\"}", 0.0),
            ("queue_state{zone=\"west\",queue_state=\"starting\"}", 1.0),
            ("count(queue_state == 1)", 2.0),
        ] {
            assert_eq!(prometheus.wait_for_values(query), [expected], "{query}");
        }
        let metadata = format!("{}/api/v1/metadata", prometheus.url);
        let metadata = curl(&["-G", &metadata, "-d", "metric=queue_state"]);
        assert!(metadata.contains("\"type\":\"stateset\""), "{metadata}");
    });
}

/// Starts a Prometheus on a free port that scrapes the shop every second.
fn prometheus(shop: &str) -> Store {
    let target = shop.trim_start_matches("http://");
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: shop\n    static_configs: [{{ targets: ['{target}'] }}]\n"
    );
    Store::prometheus(&config, &[])
}
