//! The example as a user runs it: built, started, asked with `curl`, checked by promtool, scraped by a
//! real Prometheus that then answers queries. `tests/run` installs what this needs.

#[path = "support/mod.rs"]
mod support;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::page::{assert_open_metrics, assert_readable, samples};
use support::process::{Running, curl, example};

/// The shop on a free port, once it says that it is open.
fn shop() -> (Running, String) {
    let mut shop = Running::start(example("axum").stderr(Stdio::null()));
    let metrics = shop.printed("  curl http://");
    let address = metrics.strip_suffix("/metrics").unwrap();
    let url = format!("http://{address}");
    (shop, url)
}

/// The requests of README, and what they must have been counted as.
const TRAFFIC: [(&str, &str, &str, &str, u32); 7] = [
    ("GET", "/users/[1-3]", "/users/{id}", "200", 3),
    ("GET", "/slow", "/slow", "200", 1),
    ("GET", "/stream", "/stream", "200", 1),
    ("GET", "/fail", "/fail", "503", 1),
    ("GET", "/panic", "/panic", "panicked", 1),
    ("GET", "/nowhere", "unmatched", "404", 1),
    ("POST", "/admin/orders", "/admin/orders", "201", 1),
];

fn visit(shop: &str) {
    for (method, path, ..) in TRAFFIC {
        curl(&["-X", method, &format!("{shop}{path}")]);
    }
}

fn assert_counts(page: &str) {
    assert_readable(page);
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
fn curl_sees_exact_counts() {
    let (_running, shop) = shop();
    let metrics = format!("{shop}/metrics");
    assert_eq!(curl(&[&metrics]), "");
    visit(&shop);
    let page = curl(&[&metrics]);
    assert_counts(&page);
    // Looking changed nothing, compressed it is the same, and it has a head.
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
    assert_open_metrics(&curl(&["-H", accept, &metrics]));
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let (_running, shop) = shop();
    visit(&shop);
    let page = curl(&[&format!("{shop}/metrics")]);
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.expect("promtool is needed: tests/run installs it");
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_real_prometheus_answers_with_the_right_numbers() {
    let (_running, shop) = shop();
    visit(&shop);
    let (_prometheus, api) = prometheus(shop.trim_start_matches("http://"));
    // Each answer is waited for: Prometheus scrapes on its own time.
    let requests = wait_for(&api, "sum(http_requests_total)");
    assert_eq!(requests, "9");
    assert_eq!(wait_for(&api, "up"), "1");
    assert_eq!(
        wait_for(&api, "http_requests_total{endpoint=\"/users/{id}\"}"),
        "3"
    );
    assert_eq!(wait_for(&api, "sum(http_requests_in_progress)"), "0");
    assert_eq!(
        wait_for(
            &api,
            "sum(http_request_duration_seconds_bucket{le=\"+Inf\"})"
        ),
        "9"
    );
    assert_eq!(
        wait_for(
            &api,
            "count(http_requests_total{endpoint=\"/metrics\"}) or vector(0)"
        ),
        "0"
    );
    // It came in the format that Prometheus likes best, and with all it says about the families.
    let metadata = curl(&[
        "-G",
        &format!("{api}/metadata"),
        "-d",
        "metric=http_requests",
    ]);
    assert!(metadata.contains("\"type\":\"counter\""), "{metadata}");
}

/// Exemplars go all the way: from a request's header to a store that keeps them.
#[test]
fn a_real_prometheus_keeps_the_exemplars() {
    let (_running, shop) = shop();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let header = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01");
    curl(&["-H", &header, &format!("{shop}/users/1")]);
    let (_prometheus, api) = prometheus(shop.trim_start_matches("http://"));
    assert_eq!(wait_for(&api, "sum(http_requests_total)"), "1");
    let query = "query=http_request_duration_seconds_bucket";
    let exemplars = format!("{api}/query_exemplars");
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

/// A Prometheus on a free port that scrapes the shop each second.
fn prometheus(target: &str) -> (Running, String) {
    let directory =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("prometheus-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let config = directory.join("prometheus.yml");
    let text = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: shop\n    static_configs: [{{ targets: ['{target}'] }}]\n"
    );
    std::fs::write(&config, text).unwrap();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut prometheus = Command::new("prometheus");
    let prometheus = prometheus
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            directory.join("data").display()
        ))
        .arg(format!("--web.listen-address={free}"))
        .arg("--enable-feature=exemplar-storage")
        .stderr(Stdio::null());
    let prometheus = Running::start(prometheus);
    (prometheus, format!("http://{free}/api/v1"))
}

/// The value of an instant query, once there is one.
fn wait_for(api: &str, query: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let mut curl = Command::new("curl");
        let curl = curl.args(["-sG", &format!("{api}/query"), "--data-urlencode"]);
        let answer = curl.arg(format!("query={query}")).output().unwrap();
        let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
        if let Some((_, value)) = answer.split_once("\"value\":[") {
            let value = value.split('"').nth(1).unwrap();
            return value.to_owned();
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("Prometheus did not answer {query}");
}
