//! The sync server: its API, and its metrics page on a separate port.

use std::io::Read;
use std::time::Instant;

use super::common::{assert_series, start_download, status, upload_large_records};
use test_support::page::samples;
use test_support::process::{RunningProgram, curl, program};
use test_support::store::{Store, assert_promtool_accepts};
use test_support::{check_equal, retry_until_ok, skip_without};

const TOKEN: &str = "authorization: Bearer secret";

/// A running server with metrics.
struct Server {
    _program: RunningProgram,
    address: String,
    metrics: String,
}

impl Server {
    fn start() -> Self {
        let mut command = program(env!("CARGO_BIN_EXE_sync_server"));
        command
            .env("SYNC_TOKEN", "secret")
            .env("METRICS_PORT", "127.0.0.1:0");
        let mut program = RunningProgram::start(&mut command);
        let address = program.read_line_after("API at http://");
        let metrics = program.read_line_after("metrics at http://");
        Self {
            _program: program,
            address,
            metrics,
        }
    }

    fn request(&self, method: &str, path: &str, arguments: &[&str]) -> u16 {
        let url = format!("http://{}{path}", self.address);
        status(&[&["-X", method, "-H", TOKEN, &url], arguments].concat())
    }

    fn page(&self) -> String {
        curl(&[&self.metrics])
    }

    /// Sends eight requests.
    fn send_traffic(&self) {
        assert_eq!(self.request("POST", "/records/tabs", &["-d", "first"]), 201);
        assert_eq!(
            self.request("POST", "/records/tabs", &["-d", "second"]),
            201
        );
        assert_eq!(
            self.request("POST", "/records/history", &["-d", "third"]),
            201
        );
        assert_eq!(self.request("DELETE", "/records/history", &[]), 204);
        let tabs = format!("http://{}/records/tabs", self.address);
        assert_eq!(curl(&["-H", TOKEN, &tabs]), "firstsecond");
        assert_eq!(self.request("GET", "/records/passwords", &[]), 404);
        assert_eq!(status(&[&tabs]), 401);
        assert_eq!(status(&["-H", "authorization: Bearer secre", &tabs]), 401);
    }
}

#[test]
fn requests_are_counted_by_path_and_durations_by_status() {
    skip_without!(Curl);
    let server = Server::start();
    assert_eq!(server.page(), "");
    server.send_traffic();
    assert_eq!(server.request("GET", "/nowhere", &[]), 404);
    let page = server.page();
    assert_series(
        &page,
        &[
            (
                r#"http_requests_duration_seconds_count{method="DELETE",path="/records/{collection}",status="204"}"#,
                1.0,
            ),
            (
                r#"http_requests_duration_seconds_count{method="GET",path="/records/{collection}",status="200"}"#,
                1.0,
            ),
            (
                r#"http_requests_duration_seconds_count{method="GET",path="/records/{collection}",status="401"}"#,
                2.0,
            ),
            (
                r#"http_requests_duration_seconds_count{method="GET",path="/records/{collection}",status="404"}"#,
                1.0,
            ),
            (
                r#"http_requests_duration_seconds_count{method="GET",path="unmatched",status="404"}"#,
                1.0,
            ),
            (
                r#"http_requests_duration_seconds_count{method="POST",path="/records/{collection}",status="201"}"#,
                3.0,
            ),
            (
                r#"http_requests_in_progress{method="DELETE",path="/records/{collection}"}"#,
                0.0,
            ),
            (
                r#"http_requests_in_progress{method="GET",path="/records/{collection}"}"#,
                0.0,
            ),
            (
                r#"http_requests_in_progress{method="GET",path="unmatched"}"#,
                0.0,
            ),
            (
                r#"http_requests_in_progress{method="POST",path="/records/{collection}"}"#,
                0.0,
            ),
            (
                r#"http_requests_total{method="DELETE",path="/records/{collection}",status="204"}"#,
                1.0,
            ),
            (
                r#"http_requests_total{method="GET",path="/records/{collection}",status="200"}"#,
                1.0,
            ),
            (
                r#"http_requests_total{method="GET",path="/records/{collection}",status="401"}"#,
                2.0,
            ),
            (
                r#"http_requests_total{method="GET",path="/records/{collection}",status="404"}"#,
                1.0,
            ),
            (
                r#"http_requests_total{method="GET",path="unmatched",status="404"}"#,
                1.0,
            ),
            (
                r#"http_requests_total{method="POST",path="/records/{collection}",status="201"}"#,
                3.0,
            ),
            ("sync_record_size_bytes_count", 3.0),
            (r#"sync_records_total{collection="history"}"#, 1.0),
            (r#"sync_records_total{collection="tabs"}"#, 2.0),
            (r#"sync_stored_records{collection="history"}"#, 0.0),
            (r#"sync_stored_records{collection="tabs"}"#, 2.0),
        ],
    );
    assert_eq!(samples(&page)["sync_record_size_bytes_sum"], 16.0, "{page}");
    assert_eq!(
        samples(&page)[r#"sync_record_size_bytes_bucket{le="256"}"#],
        3.0,
        "{page}"
    );
    let help = "# HELP sync_records_total Total number of uploaded records, by collection.\n";
    assert!(page.contains(help), "{page}");
}

/// The client reads the head, waits, and then reads the body. The server had the head before the client had it.
#[test]
fn duration_ends_at_the_response_head_and_the_request_at_the_end_of_its_body() {
    skip_without!(Curl);
    let server = Server::start();
    upload_large_records(&server.address, TOKEN);
    let start = Instant::now();
    let mut client = start_download(&server.address, TOKEN);
    let head = start.elapsed();
    while start.elapsed() < 2 * head {
        std::thread::yield_now();
    }

    let requests = r#"http_requests_total{method="GET",path="/records/{collection}",status="200"}"#;
    let in_progress = r#"http_requests_in_progress{method="GET",path="/records/{collection}"}"#;
    let page = samples(&server.page());
    assert_eq!((page.get(requests), page[in_progress]), (None, 1.0));

    client.read_to_end(&mut Vec::new()).unwrap();
    let page = samples(&server.page());
    assert_eq!((page[requests], page[in_progress]), (1.0, 0.0));
    let sum = r#"http_requests_duration_seconds_sum{method="GET",path="/records/{collection}",status="200"}"#;
    assert!(
        page[sum] <= head.as_secs_f64(),
        "{} s, head after {head:?}",
        page[sum]
    );
}

#[test]
fn client_that_leaves_during_a_download_is_an_aborted_body() {
    skip_without!(Curl);
    let server = Server::start();
    upload_large_records(&server.address, TOKEN);
    let labels = r#"method="GET",path="/records/{collection}""#;
    let counts = || {
        let page = samples(&server.page());
        let value = |series: String| page.get(&series).copied();
        (
            value(format!("http_requests_in_progress{{{labels}}}")),
            value(format!(r#"http_requests_total{{{labels},status="200"}}"#)),
            value(format!(
                r#"http_response_bodies_aborted_total{{{labels},reason="dropped"}}"#
            )),
        )
    };
    let client = start_download(&server.address, TOKEN);
    assert_eq!(counts(), (Some(1.0), None, None));
    drop(client);
    let expected = (Some(0.0), Some(1.0), Some(1.0));
    retry_until_ok("the download has ended", || {
        check_equal(&counts(), &expected)
    });
}

#[test]
fn metrics_page_is_on_its_own_port_only() {
    skip_without!(Curl);
    let server = Server::start();
    assert_eq!(server.request("GET", "/metrics", &[]), 404);
    let records = server.metrics.replace("/metrics", "/records/tabs");
    assert_eq!(status(&["-H", TOKEN, &records]), 404);
}

#[test]
fn server_without_metrics_port_serves_its_api() {
    skip_without!(Curl);
    let mut command = program(env!("CARGO_BIN_EXE_sync_server"));
    command
        .env("SYNC_TOKEN", "secret")
        .env_remove("METRICS_PORT");
    let mut running = RunningProgram::start(&mut command);
    let url = format!(
        "http://{}/records/tabs",
        running.read_line_after("API at http://")
    );
    assert_eq!(status(&["-H", TOKEN, "-d", "record", &url]), 201);
    assert_eq!(curl(&["-H", TOKEN, &url]), "record");
}

#[test]
fn promtool_accepts_the_page() {
    skip_without!(Curl, Promtool);
    let server = Server::start();
    server.send_traffic();
    assert_promtool_accepts(&server.page());
}

#[test]
fn prometheus_answers_queries_with_exact_counts() {
    skip_without!(Curl, Prometheus);
    let server = Server::start();
    server.send_traffic();
    let target = server.metrics.strip_suffix("/metrics").unwrap();
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: sync\n  static_configs: [{{ targets: ['{target}'] }}]\n"
    );
    let prometheus = Store::prometheus(&config, &[]);
    for (query, expected) in [
        ("up", 1.0),
        ("sum(http_requests_total)", 8.0),
        (
            r#"http_requests_duration_seconds_count{path="/records/{collection}",status="401"}"#,
            2.0,
        ),
        ("sum(sync_records_total)", 3.0),
        ("sum(sync_stored_records)", 2.0),
    ] {
        assert_eq!(prometheus.wait_for_values(query), [expected], "{query}");
    }
}
