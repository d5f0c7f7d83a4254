//! The package index: its API, its two metrics pages behind a token, and its database.

use std::fs::File;

use super::common::{assert_series, send_get, status};
use test_support::page::samples;
use test_support::process::{RunningProgram, curl, program};
use test_support::redis::RedisServer;
use test_support::store::{Directory, Store, assert_promtool_accepts};
use test_support::{check_equal, retry_until_ok, skip_without};

const TOKEN: &str = "authorization: Bearer secret";

/// A running index with a Redis.
struct Index {
    _program: RunningProgram,
    redis: RedisServer,
    address: String,
}

impl Index {
    fn start() -> Self {
        let redis = RedisServer::start();
        let mut command = program(env!("CARGO_BIN_EXE_package_index"));
        command
            .env("METRICS_TOKEN", "secret")
            .env("REDIS_URL", redis.url());
        let mut program = RunningProgram::start(&mut command);
        let address = program.read_line_after("API at http://");
        Self {
            _program: program,
            redis,
            address,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Publishes this test's source as the archive of a version.
    fn publish(&self, path: &str) -> u16 {
        let archive = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/services/package_index.rs"
        );
        status(&["-T", archive, &self.url(path)])
    }

    fn get(&self, path: &str) -> u16 {
        status(&[&self.url(path)])
    }

    fn instance_page(&self) -> String {
        curl(&["-H", TOKEN, &self.url("/private/metrics/instance")])
    }

    fn service_page(&self) -> String {
        // A scrape timeout, so that a collector without Redis does not wait for the default of 10 s.
        let timeout = "x-prometheus-scrape-timeout-seconds: 2";
        curl(&[
            "-H",
            TOKEN,
            "-H",
            timeout,
            &self.url("/private/metrics/service"),
        ])
    }

    /// Sends nine requests, of which one has no route.
    fn send_traffic(&self) {
        assert_eq!(self.publish("/packages/serde/1.0.0"), 201);
        assert_eq!(self.publish("/packages/serde/1.0.1"), 201);
        assert_eq!(self.publish("/packages/axum/0.8.0"), 201);
        assert_eq!(self.publish("/packages/axum/0.8.0"), 409);
        assert_eq!(curl(&[&self.url("/packages/axum")]), "0.8.0\n");
        let archive = curl(&[&self.url("/packages/serde/1.0.1")]);
        assert_eq!(archive, include_str!("package_index.rs"));
        assert_eq!(self.get("/packages/serde/2.0.0"), 404);
        assert_eq!(self.get("/packages/tokio"), 404);
        assert_eq!(self.get("/nowhere"), 404);
    }
}

#[test]
fn series_without_labels_and_preregistered_ones_are_exported_from_start_up() {
    skip_without!(Curl, Redis);
    let index = Index::start();
    assert_series(
        &index.instance_page(),
        &[
            ("index_instance_downloads_total", 0.0),
            ("index_instance_requests_in_flight", 0.0),
            ("index_instance_requests_total", 0.0),
            (
                r#"index_instance_response_times_seconds_count{endpoint="/packages/{name}"}"#,
                0.0,
            ),
            (
                r#"index_instance_response_times_seconds_count{endpoint="/packages/{name}/{version}"}"#,
                0.0,
            ),
            (
                r#"index_instance_responses_by_status_code_total{status="200"}"#,
                0.0,
            ),
            (
                r#"index_instance_responses_by_status_code_total{status="201"}"#,
                0.0,
            ),
            (
                r#"index_instance_responses_by_status_code_total{status="404"}"#,
                0.0,
            ),
            (
                r#"index_instance_responses_by_status_code_total{status="409"}"#,
                0.0,
            ),
        ],
    );
}

#[test]
fn requests_are_counted_without_labels_and_responses_by_status() {
    skip_without!(Curl, Redis);
    let index = Index::start();
    index.send_traffic();
    let expected = [
        ("index_instance_downloads_total", 1.0),
        ("index_instance_requests_in_flight", 0.0),
        ("index_instance_requests_total", 9.0),
        (
            r#"index_instance_response_times_seconds_count{endpoint="/packages/{name}"}"#,
            2.0,
        ),
        (
            r#"index_instance_response_times_seconds_count{endpoint="/packages/{name}/{version}"}"#,
            6.0,
        ),
        (
            r#"index_instance_response_times_seconds_count{endpoint="unmatched"}"#,
            1.0,
        ),
        (
            r#"index_instance_responses_by_status_code_total{status="200"}"#,
            2.0,
        ),
        (
            r#"index_instance_responses_by_status_code_total{status="201"}"#,
            3.0,
        ),
        (
            r#"index_instance_responses_by_status_code_total{status="404"}"#,
            3.0,
        ),
        (
            r#"index_instance_responses_by_status_code_total{status="409"}"#,
            1.0,
        ),
    ];
    assert_series(&index.instance_page(), &expected);
    // The second page shows that the scrape of the first one is not counted.
    assert_series(&index.instance_page(), &expected);
}

#[test]
fn service_page_has_what_the_database_counts_and_nothing_of_the_instance() {
    skip_without!(Curl, Redis);
    let index = Index::start();
    let page = |packages, versions| {
        [
            ("index_service_packages", packages),
            ("index_service_queued_builds", versions),
            ("index_service_versions", versions),
            (r#"scrape_collector_success{collector="index"}"#, 1.0),
        ]
    };
    assert_series(&index.service_page(), &page(0.0, 0.0));
    index.send_traffic();
    assert_series(&index.service_page(), &page(2.0, 3.0));
}

#[test]
fn metrics_pages_need_the_token_and_a_401_is_counted() {
    skip_without!(Curl, Redis);
    let index = Index::start();
    let pages = ["/private/metrics/instance", "/private/metrics/service"];
    let refused = [
        "accept: */*",
        "authorization: Bearer",
        "authorization: Bearer secre",
        "authorization: Bearer secrets",
        "authorization: Bearer Secret",
        "authorization: Basic secret",
        "authorization: secret",
    ];
    for page in pages {
        let url = index.url(page);
        for header in refused {
            assert_eq!(status(&["-H", header, &url]), 401, "{header}");
        }
        assert_eq!(curl(&[&url]), "needs a token\n");
        let head = curl(&["-i", &url]).to_ascii_lowercase();
        assert!(head.contains("www-authenticate: bearer\r\n"), "{head}");
        assert_eq!(status(&["-H", TOKEN, &url]), 200);
    }
    let page = index.instance_page();
    let samples = samples(&page);
    let refused = (pages.len() * (refused.len() + 2)) as f64;
    let responses = "index_instance_responses_by_status_code_total";
    assert_eq!(
        samples[&format!(r#"{responses}{{status="401"}}"#)],
        refused,
        "{page}"
    );
    assert_eq!(
        samples[&format!(r#"{responses}{{status="200"}}"#)],
        0.0,
        "{page}"
    );
    assert_eq!(samples["index_instance_requests_total"], refused, "{page}");
    assert_eq!(samples["index_instance_requests_in_flight"], 0.0, "{page}");
}

/// While Redis is stopped, a download waits for it. The request is in flight until its client leaves.
#[test]
fn client_that_leaves_is_a_request_without_a_response() {
    skip_without!(Curl, Redis);
    let index = Index::start();
    assert_eq!(index.publish("/packages/serde/1.0.0"), 201);
    index.redis.signal("STOP");
    let counts = || {
        let samples = samples(&index.instance_page());
        let responses = samples
            .iter()
            .filter(|(series, _)| series.starts_with("index_instance_responses"))
            .map(|(_, responses)| responses);
        (
            samples["index_instance_requests_in_flight"],
            samples["index_instance_requests_total"],
            responses.sum::<f64>(),
        )
    };
    let client = send_get(&index.address, "/packages/serde/1.0.0", "");
    retry_until_ok("the request is in flight", || {
        check_equal(&counts(), &(1.0, 1.0, 1.0))
    });
    drop(client);
    retry_until_ok("the request has ended", || {
        check_equal(&counts(), &(0.0, 2.0, 1.0))
    });
    index.redis.signal("CONT");
}

#[test]
fn service_page_without_the_database_loses_only_the_metrics_of_its_collector() {
    skip_without!(Curl, Redis);
    let mut index = Index::start();
    assert_eq!(index.publish("/packages/serde/1.0.0"), 201);
    let failed = [(r#"scrape_collector_success{collector="index"}"#, 0.0)];
    index.redis.kill();
    assert_series(&index.service_page(), &failed);
    assert_eq!(
        samples(&index.instance_page())["index_instance_requests_total"],
        1.0
    );

    index.redis.restart();
    retry_until_ok("the collector succeeds again", || {
        let page = index.service_page();
        let succeeded = samples(&page)[r#"scrape_collector_success{collector="index"}"#];
        check_equal(&succeeded, &1.0)
    });
    assert_eq!(
        samples(&index.service_page())["index_service_packages"],
        0.0
    );
}

#[test]
fn program_without_a_token_does_not_start() {
    for token in [None, Some("")] {
        let directory = Directory::new();
        let errors = directory.write("errors", "");
        let mut command = program(env!("CARGO_BIN_EXE_package_index"));
        command
            .env_remove("METRICS_TOKEN")
            .envs(token.map(|token| ("METRICS_TOKEN", token)))
            .stderr(File::create(&errors).unwrap());
        let status = RunningProgram::start(&mut command).wait_for_exit();
        let errors = std::fs::read_to_string(&errors).unwrap();
        assert!(!status.success(), "{token:?}");
        assert!(errors.contains("METRICS_TOKEN"), "{errors}");
    }
}

#[test]
fn promtool_accepts_both_pages() {
    skip_without!(Curl, Promtool, Redis);
    let index = Index::start();
    index.send_traffic();
    assert_promtool_accepts(&index.instance_page());
    assert_promtool_accepts(&index.service_page());
}

#[test]
fn prometheus_scrapes_both_pages_with_the_token_and_none_without() {
    skip_without!(Curl, Prometheus, Redis);
    let index = Index::start();
    index.send_traffic();
    let job = |name, path, authorization| {
        let target = &index.address;
        format!(
            "- {{ job_name: {name}, metrics_path: {path}, {authorization}static_configs: [{{ targets: ['{target}'] }}] }}\n"
        )
    };
    let token = "authorization: { credentials: secret }, ";
    let config = [
        "global: { scrape_interval: 1s }\nscrape_configs:\n",
        &job("instance", "/private/metrics/instance", token),
        &job("service", "/private/metrics/service", token),
        &job("stranger", "/private/metrics/service", ""),
    ];
    let prometheus = Store::prometheus(&config.concat(), &[]);
    for (query, expected) in [
        (r#"up{job="instance"}"#, 1.0),
        (r#"up{job="service"}"#, 1.0),
        (r#"up{job="stranger"}"#, 0.0),
        ("index_service_packages", 2.0),
        ("index_instance_downloads_total", 1.0),
        (
            r#"index_instance_responses_by_status_code_total{status="201"}"#,
            3.0,
        ),
    ] {
        assert_eq!(prometheus.wait_for_values(query), [expected], "{query}");
    }
    // Scrapes are not counted as requests; refused ones are.
    let unauthorized = r#"index_instance_responses_by_status_code_total{status="401"} > 0"#;
    assert_eq!(prometheus.wait_for_values(unauthorized).len(), 1);
}
