//! aSDLC, started as programs: its metric families, its counts, its gauges when Redis stops and
//! restarts, and its query proxy in front of real stores. `tests/run` installs Redis, Prometheus
//! and VictoriaMetrics.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use systems::asdlc::{metrics, mixin};

use test_support::page::samples;
use test_support::process::{RunningProgram, curl, program};
use test_support::redis::RedisServer;
use test_support::retry_until_ok;
use test_support::skip_without;
use test_support::store::{Directory, Kind, Store};
use test_support::system::{Row, assert_page_matches_table, histogram_row, row, wait_for_page};

const TABLE: [Row; 9] = [
    row("gauge", "asdlc_service_info", &[("version", &[])]),
    row(
        "counter",
        "asdlc_http_requests_total",
        &[("method", &[]), ("endpoint", &[]), ("status", &[])],
    ),
    histogram_row(
        "histogram",
        "asdlc_http_request_duration_seconds",
        &[("method", &[]), ("endpoint", &[])],
        &[
            0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ],
    ),
    row(
        "counter",
        "asdlc_events_processed_total",
        &[("event_type", &[]), ("status", &["success", "failed"])],
    ),
    row("gauge", "asdlc_active_tasks", &[]),
    row("gauge", "asdlc_active_workers", &[]),
    row("gauge", "asdlc_redis_connection_up", &[]),
    histogram_row(
        "histogram",
        "asdlc_redis_operation_duration_seconds",
        &[("operation", &[])],
        &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5],
    ),
    row(
        "gauge",
        "asdlc_process_memory_bytes",
        &[("type", &["rss", "vms"])],
    ),
];

const SERVICES: [&str; 2] = ["orchestrator", "workers"];

/// The running example; dropping it stops the programs.
struct Asdlc {
    running: RunningProgram,
    orchestrator: String,
    workers: String,
}

fn command(arguments: &[&str]) -> Command {
    let mut asdlc = program(env!("CARGO_BIN_EXE_asdlc"));
    asdlc
        .args(arguments)
        .env("ORCHESTRATOR_PORT", "0")
        .env("WORKERS_PORT", "0")
        .env_remove("REDIS_URL")
        .env_remove("VICTORIAMETRICS_URL");
    asdlc
}

/// Starts the program, which prints the URLs of its two metrics pages, one per line.
fn start(command: &mut Command) -> Asdlc {
    let mut running = RunningProgram::start(command);
    let mut url = || {
        let line = running.read_line_after("");
        let url = line.strip_suffix("/metrics").expect(&line);
        assert!(url.starts_with("http://127.0.0.1:"), "{line}");
        url.to_owned()
    };
    Asdlc {
        orchestrator: url(),
        workers: url(),
        running,
    }
}

impl Asdlc {
    /// Starts the program with this Redis, without the built-in client.
    fn without_traffic(redis: &RedisServer) -> Self {
        start(command(&["--no-traffic"]).env("REDIS_URL", redis.url()))
    }

    fn pages(&self) -> [(&'static str, String); 2] {
        let [orchestrator, workers] = SERVICES;
        [
            (orchestrator, format!("{}/metrics", self.orchestrator)),
            (workers, format!("{}/metrics", self.workers)),
        ]
    }

    fn submit(&self, event_type: &str, payload: &str) -> (String, Value) {
        let url = format!("{}/api/events/{event_type}", self.orchestrator);
        send(&["-d", payload, &url])
    }

    /// Submits an event, and waits until its task has this state. Returns the number of status requests sent.
    fn run_task(&self, event_type: &str, payload: &str, state: &str) -> usize {
        let (status, response) = self.submit(event_type, payload);
        assert_eq!(status, "202", "{response}");
        let url = format!("{}/api/tasks/{}", self.orchestrator, response["task"]);
        let mut requests = 0;
        let mut has_state = || {
            requests += 1;
            send(&[&url]).1["state"] == state
        };
        poll(state, &mut has_state);
        requests
    }
}

/// Runs curl with these arguments. Returns the status and the JSON of the response.
fn send(arguments: &[&str]) -> (String, Value) {
    let response = curl(&[&["-w", "\n%{http_code}"], arguments].concat());
    let (body, status) = response.rsplit_once('\n').unwrap();
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    (status.to_owned(), body)
}

#[track_caller]
fn poll(condition: &str, mut holds: impl FnMut() -> bool) {
    retry_until_ok(condition, || match holds() {
        true => Ok(()),
        false => Err("the condition was never true".to_owned()),
    });
}

fn value(page: &str, series: &str) -> f64 {
    let samples = samples(page);
    *samples
        .get(series)
        .unwrap_or_else(|| panic!("no {series}\n{page}"))
}

fn sum(page: &str, family: &str) -> f64 {
    let samples = samples(page);
    let of_family = samples
        .iter()
        .filter(|(name, _)| name.split('{').next() == Some(family));
    of_family.map(|(_, value)| value).sum()
}

fn events(service: &str, event_type: &str, status: &str) -> String {
    format!(
        "asdlc_events_processed_total{{event_type=\"{event_type}\",service=\"{service}\",status=\"{status}\"}}"
    )
}

fn requests(service: &str, method: &str, endpoint: &str, status: &str) -> String {
    format!(
        "asdlc_http_requests_total{{endpoint=\"{endpoint}\",method=\"{method}\",service=\"{service}\",status=\"{status}\"}}"
    )
}

fn redis_up(service: &str) -> String {
    format!("asdlc_redis_connection_up{{service=\"{service}\"}}")
}

#[test]
fn counts_equal_the_requests_sent() {
    skip_without!(Curl, Redis);
    let redis = RedisServer::start();
    let asdlc = Asdlc::without_traffic(&redis);
    let mut status_requests = 0;
    for _ in 0..5 {
        status_requests += asdlc.run_task("code_submitted", "fn pay() {}", "success");
    }
    for _ in 0..2 {
        status_requests += asdlc.run_task("code_submitted", "fn pay() {}\n// FIXME", "failed");
    }
    status_requests += asdlc.run_task("design_proposed", "One service.", "success");
    assert_eq!(asdlc.submit("Not-a-type", "").0, "400");
    assert_eq!(
        send(&[&format!("{}/api/tasks/1000", asdlc.orchestrator)]).0,
        "404"
    );
    assert_eq!(send(&[&format!("{}/nowhere", asdlc.orchestrator)]).0, "404");
    for path in ["health", "health", "pool", "nowhere/at/all"] {
        curl(&[&format!("{}/{path}", asdlc.workers)]);
    }
    // An event of unknown type and invalid JSON are both counted as failed.
    redis.cli(&[
        "LPUSH",
        "asdlc:results",
        r#"{"task":1,"event_type":"what","payload":""}"#,
    ]);
    redis.cli(&["LPUSH", "asdlc:results", "{"]);

    let [(orchestrator, page), (workers, worker_page)] = asdlc.pages();
    let unreadable = events(orchestrator, "unreadable", "failed");
    let unknown = events(orchestrator, "what", "failed");
    let page = wait_for_page(&page, "the invalid events are counted", |page| {
        page.contains(&format!("\n{unreadable} 1\n")) && page.contains(&format!("\n{unknown} 1\n"))
    });
    let status_requests = status_requests as f64;
    for (series, expected) in [
        (events(orchestrator, "task_completed", "success"), 6.0),
        (events(orchestrator, "task_completed", "failed"), 0.0),
        (events(orchestrator, "task_failed", "success"), 2.0),
        (
            requests(orchestrator, "POST", "/api/events/{event_type}", "202"),
            8.0,
        ),
        (
            requests(orchestrator, "POST", "/api/events/{event_type}", "400"),
            1.0,
        ),
        (
            requests(orchestrator, "GET", "/api/tasks/{task}", "200"),
            status_requests,
        ),
        (
            requests(orchestrator, "GET", "/api/tasks/{task}", "404"),
            1.0,
        ),
        (requests(orchestrator, "GET", "unmatched", "404"), 1.0),
        (redis_up(orchestrator), 1.0),
        (
            format!("asdlc_active_workers{{service=\"{orchestrator}\"}}"),
            2.0,
        ),
        (
            format!("asdlc_active_tasks{{service=\"{orchestrator}\"}}"),
            0.0,
        ),
    ] {
        assert_eq!(value(&page, &series), expected, "{series}\n{page}");
    }
    let total = 8.0 + 1.0 + status_requests + 1.0 + 1.0;
    assert_eq!(sum(&page, "asdlc_http_requests_total"), total, "{page}");
    assert_eq!(
        sum(&page, "asdlc_http_request_duration_seconds_count"),
        total
    );
    let operations = |operation: &str| {
        value(
            &page,
            &format!(
                "asdlc_redis_operation_duration_seconds_count{{operation=\"{operation}\",service=\"{orchestrator}\"}}"
            ),
        )
    };
    // `exec`: eight events submitted, eight results and two invalid events finished.
    assert_eq!((operations("incr"), operations("exec")), (8.0, 18.0));
    assert_eq!(operations("get"), status_requests + 1.0);

    let page = curl(&[&worker_page]);
    for (series, expected) in [
        (events(workers, "code_submitted", "success"), 5.0),
        (events(workers, "code_submitted", "failed"), 2.0),
        (events(workers, "design_proposed", "success"), 1.0),
        (events(workers, "design_proposed", "failed"), 0.0),
        (requests(workers, "GET", "/health", "200"), 2.0),
        (requests(workers, "GET", "/pool", "200"), 1.0),
        (requests(workers, "GET", "unmatched", "404"), 1.0),
        (
            format!("asdlc_active_workers{{service=\"{workers}\"}}"),
            4.0,
        ),
    ] {
        assert_eq!(value(&page, &series), expected, "{series}\n{page}");
    }
    assert_eq!(sum(&page, "asdlc_http_requests_total"), 4.0, "{page}");
    assert_eq!(sum(&page, "asdlc_events_processed_total"), 8.0, "{page}");
    for (_, url) in asdlc.pages() {
        assert_page_matches_table(&curl(&[&url]), &["service"], &TABLE);
    }
}

/// With the built-in client and a Redis that the program starts, all counts increase. After SIGTERM
/// and SIGINT the program exits with success and Redis ends; after SIGKILL Redis ends, too.
#[test]
fn stopped_program_leaves_no_redis_and_no_files() {
    skip_without!(Curl, Redis);
    for signal in ["TERM", "INT", "KILL"] {
        let mut asdlc = start(&mut command(&[]));
        for (service, url) in asdlc.pages() {
            let page = wait_for_page(&url, "events of both types are counted", |page| {
                let is_nonzero = |series: &str| !page.contains(&format!("{series} 0\n"));
                let types = match service {
                    "workers" => ["code_submitted", "tests_submitted"],
                    _ => ["task_completed", "task_failed"],
                };
                types.iter().all(|event_type| {
                    let success = events(service, event_type, "success");
                    page.contains(&success) && is_nonzero(&success)
                })
            });
            assert_page_matches_table(&page, &["service"], &TABLE);
        }
        let redis = descendants(asdlc.running.id())
            .into_iter()
            .find(|pid| name_of(*pid) == "redis-server");
        let redis = redis.expect("the program should start redis-server");
        let directory = std::fs::read_link(format!("/proc/{redis}/cwd")).unwrap();
        assert!(directory.join("redis.sock").exists());
        asdlc.running.signal(signal);
        let status = asdlc.running.wait_for_exit();
        assert_eq!(status.success(), signal != "KILL", "{signal}: {status}");
        poll("redis-server has ended", || {
            name_of(redis) != "redis-server"
        });
        poll("the directory is removed", || !directory.exists());
    }
}

/// If a default port is in use, a free port is chosen. If a configured port is in use, the program fails.
#[test]
fn used_default_port_is_replaced_and_used_configured_port_is_an_error() {
    skip_without!(Curl, Redis);
    // Binding fails if another program uses the ports; they are in use either way.
    let _in_use = [8080, 8081].map(|port| TcpListener::bind(("127.0.0.1", port)));
    let mut command_without_ports = command(&["--no-traffic"]);
    command_without_ports
        .env_remove("ORCHESTRATOR_PORT")
        .env_remove("WORKERS_PORT");
    let asdlc = start(&mut command_without_ports);
    for (service, url) in asdlc.pages() {
        assert!(!url.contains(":8080/") && !url.contains(":8081/"), "{url}");
        let up = format!("\n{} 1\n", redis_up(service));
        wait_for_page(&url, "Redis is up", |page| page.contains(&up));
    }
    let port = asdlc.workers.rsplit(':').next().unwrap();
    let output = command(&[]).env("WORKERS_PORT", port).output().unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains(&format!("WORKERS_PORT: cannot listen on port {port}")),
        "{error}"
    );
}

fn name_of(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

fn descendants(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let children = tasks.flat_map(|task| {
        let children = std::fs::read_to_string(task.path().join("children"));
        let children = children.unwrap_or_default();
        let pids = children.split_whitespace().map(|pid| pid.parse().unwrap());
        pids.collect::<Vec<u32>>()
    });
    let children = children.flat_map(|child| [vec![child], descendants(child)].concat());
    children.collect()
}

#[test]
fn missing_programs_and_settings_are_named_in_errors() {
    let error_of = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let error = error_of(command(&[]).env("PATH", "/nowhere"));
    assert!(error.contains("redis-server is not installed"), "{error}");
    assert!(error.contains("REDIS_URL"), "{error}");
    let error = error_of(&mut command(&["workers"]));
    assert!(error.contains("set REDIS_URL"), "{error}");
    let error = error_of(&mut command(&["--nonsense"]));
    assert!(error.contains("--no-traffic"), "{error}");
}

/// Scrapes with a timeout of two seconds. Asserts that the page is complete whether Redis is up or
/// not, and returns the value of `asdlc_redis_connection_up`.
fn scrape(url: &str, service: &str) -> f64 {
    let timeout = "X-Prometheus-Scrape-Timeout-Seconds: 2";
    let start = Instant::now();
    let (page, status) = {
        let response = curl(&["-w", "\n%{http_code}", "-H", timeout, url]);
        let (page, status) = response.rsplit_once('\n').unwrap();
        (page.to_owned(), status.to_owned())
    };
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(status, "200", "{page}");
    assert_page_matches_table(&page, &["service"], &TABLE);
    // Without Redis only the queue length is missing, and its collector is reported as failed.
    let up = value(&page, &redis_up(service));
    let queue = format!("scrape_collector_success{{collector=\"queue\",service=\"{service}\"}}");
    assert_eq!(value(&page, &queue), up, "{page}");
    assert_eq!(page.contains("\nasdlc_queue_length{"), up == 1.0, "{page}");
    up
}

#[test]
fn gauges_follow_redis_that_stops_and_restarts() {
    skip_without!(Curl, Redis);
    let mut redis = RedisServer::start();
    let directory = Directory::new();
    let log = directory.0.join("log");
    let mut asdlc = command(&["--no-traffic"]);
    asdlc
        .env("REDIS_URL", redis.url())
        .stderr(std::fs::File::create(&log).unwrap());
    let asdlc = start(&mut asdlc);
    asdlc.run_task("code_submitted", "fn pay() {}", "success");
    // Results are counted after the state of the task is stored, so wait for the count.
    for (_, url) in asdlc.pages() {
        wait_for_page(&url, "events are counted", |page| {
            page.contains("\nasdlc_events_processed_total{")
        });
    }
    // Started only now, because its workers take events from the same Redis.
    let strict = start(
        command(&["--no-traffic", "--strict"])
            .env("REDIS_URL", redis.url())
            .env("INSTANCE", "2")
            .stderr(Stdio::null()),
    );
    let assert_redis_up = |asdlc: &Asdlc| {
        for (service, url) in asdlc.pages() {
            assert_eq!(scrape(&url, service), 1.0, "{service}");
        }
    };
    assert_redis_up(&asdlc);

    // Redis is slow: it runs, but does not answer.
    redis.signal("STOP");
    for (service, url) in asdlc.pages() {
        assert_eq!(scrape(&url, service), 0.0, "{service}");
    }
    redis.signal("CONT");
    let wait_for_redis_up = |asdlc: &Asdlc| {
        for (service, url) in asdlc.pages() {
            let up = format!("\n{} 1\n", redis_up(service));
            wait_for_page(&url, "Redis is up", |page| page.contains(&up));
        }
    };
    wait_for_redis_up(&asdlc);
    assert_redis_up(&asdlc);

    // Redis is down. With `--strict`, the scrape fails with the reason.
    redis.kill();
    for (service, url) in asdlc.pages() {
        assert_eq!(scrape(&url, service), 0.0, "{service}");
    }
    for (_, url) in strict.pages() {
        let response = curl(&["-w", "\n%{http_code}", &url]);
        let (reason, status) = response.rsplit_once('\n').unwrap();
        assert_eq!(status, "500", "{response}");
        assert!(reason.contains("queue"), "{response}");
    }
    let (status, response) = asdlc.submit("code_submitted", "fn pay() {}");
    assert_eq!(status, "503", "{response}");
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("WARN"), "{log}");
    assert!(log.contains("collector \"queue\" failed"), "{log}");

    // Redis restarts at the same address: both processes reconnect.
    redis.restart();
    wait_for_redis_up(&asdlc);
    wait_for_redis_up(&strict);
    assert_redis_up(&asdlc);
    asdlc.run_task("code_submitted", "// FIXME", "failed");
}

/// An event that a worker took and did not finish is processed by the next worker of the same name.
#[test]
fn event_taken_by_a_stopped_worker_is_processed_later() {
    skip_without!(Curl, Redis);
    let redis = RedisServer::start();
    let event = r#"{"task":7,"event_type":"code_submitted","payload":""}"#;
    redis.cli(&["LPUSH", "asdlc:events:1:worker-3", event]);
    let asdlc = Asdlc::without_traffic(&redis);
    let url = format!("{}/api/tasks/7", asdlc.orchestrator);
    poll("the task has succeeded", || {
        send(&[&url]).1["state"] == "success"
    });
}

/// Returns the scrape configuration of the example, with the targets and the interval of the test.
fn scrape_config(kind: Kind, asdlc: &Asdlc) -> String {
    let families = metrics::families().unwrap();
    let files = mixin::mixin(&families).unwrap().files().unwrap();
    let file = match kind {
        Kind::Prometheus => "prometheus.yml",
        Kind::VictoriaMetrics => "vmagent.yml",
    };
    let mut config = files[Path::new(file)].clone();
    for (target, url) in [
        ("orchestrator:8080", &asdlc.orchestrator),
        ("workers:8081", &asdlc.workers),
    ] {
        assert!(config.contains(target), "{config}");
        config = config.replace(target, url.trim_start_matches("http://"));
    }
    config = config.replace("scrape_interval: 15s", "scrape_interval: 1s");
    if let Kind::Prometheus = kind {
        // Debian's Prometheus is built without Kubernetes service discovery.
        let (job, pods) = config.split_once("- job_name: asdlc-services").unwrap();
        assert!(pods.contains("kubernetes_sd_configs"));
        config = job.to_owned();
    }
    config
}

/// The query proxy of an orchestrator.
struct Proxy(String);

impl Proxy {
    fn get(&self, endpoint: &str) -> (String, Value) {
        send(&[&format!("{}/api/metrics/{endpoint}", self.0)])
    }

    /// Sends a range query over the last 10 seconds.
    fn query(&self, query: &str) -> (String, Value) {
        range_query(&format!("{}/api/metrics/query_range", self.0), query)
    }

    /// Returns the labels and the last value of each series.
    fn series(&self, query: &str) -> BTreeSet<String> {
        let (status, response) = self.query(query);
        let series = response["data"]["result"].as_array();
        let series = series.filter(|_| status == "200").into_iter().flatten();
        let last = |series: &Value| {
            let (_, value) = series["values"]
                .as_array()?
                .last()?
                .as_array()?
                .split_first()?;
            Some(format!("{} {}", series["metric"], value[0]))
        };
        series.filter_map(last).collect()
    }
}

fn range_query(url: &str, query: &str) -> (String, Value) {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let end = now.unwrap().as_secs();
    send(&[
        "-G",
        url,
        "--data-urlencode",
        &format!("query={query}"),
        "-d",
        &format!("start={}&end={end}&step=1s", end - 10),
    ])
}

#[test]
fn query_proxy_returns_the_same_from_both_stores() {
    skip_without!(Curl, Prometheus, Redis, VictoriaMetrics);
    let redis = RedisServer::start();
    let mut stores = [
        Store::new(Kind::Prometheus),
        Store::new(Kind::VictoriaMetrics),
    ];
    // Both stores scrape the first program; the second one only runs an orchestrator for its proxy.
    let mut asdlc = command(&["--no-traffic"]);
    asdlc.env("REDIS_URL", redis.url());
    asdlc.env("VICTORIAMETRICS_URL", &stores[0].url);
    let asdlc = start(asdlc.stderr(Stdio::null()));
    asdlc.run_task("code_submitted", "fn pay() {}", "success");
    asdlc.run_task("code_submitted", "// FIXME", "failed");
    let mut other = command(&["orchestrator", "--no-traffic"]);
    other.env("REDIS_URL", redis.url()).env("INSTANCE", "2");
    other.env("VICTORIAMETRICS_URL", &stores[1].url);
    let mut other = RunningProgram::start(other.stderr(Stdio::null()));
    let other_url = other.read_line_after("").replace("/metrics", "");
    let proxies = [Proxy(asdlc.orchestrator.clone()), Proxy(other_url)];
    for (store, proxy) in stores.iter_mut().zip(&proxies) {
        assert_store_unreachable(proxy);
        store.start_with_config(&scrape_config(store.kind, &asdlc));
    }

    let query = "asdlc_events_processed_total";
    let queries = [
        query,
        "asdlc_redis_connection_up",
        "sum by (service) (asdlc_events_processed_total)",
        "asdlc_service_info",
    ];
    let has_series = |proxy: &Proxy| {
        let lists_services = proxy.get("services").1 == serde_json::json!(SERVICES);
        // Three event types with two statuses each.
        lists_services && proxy.series(query).len() == 6
    };
    for proxy in &proxies {
        poll("the store has the series", || has_series(proxy));
        assert_eq!(
            proxy.get("health").1,
            serde_json::json!({ "status": "healthy" })
        );
    }
    let [prometheus, victoria] = &proxies;
    for query in queries {
        let mut series = (BTreeSet::new(), BTreeSet::new());
        poll(query, || {
            series = (prometheus.series(query), victoria.series(query));
            !series.0.is_empty() && series.0 == series.1
        });
    }
    for ((store, proxy), status) in stores.iter().zip(&proxies).zip(["400", "422"]) {
        let invalid = "sum(asdlc_events_processed_total";
        let (proxied, body) = proxy.query(invalid);
        assert_eq!(proxied, status, "{body}");
        let url = format!("{}/api/v1/query_range", store.url);
        let (direct, direct_body) = range_query(&url, invalid);
        assert_eq!(
            (proxied, &body["errorType"]),
            (direct, &direct_body["errorType"])
        );
        assert!(!body["error"].as_str().unwrap().is_empty(), "{body}");
    }
    for (store, proxy) in stores.iter_mut().zip(&proxies) {
        store.kill();
        assert_store_unreachable(proxy);
        store.restart();
        poll("the restarted store has the series", || has_series(proxy));
        assert_eq!(proxy.get("health").1["status"], "healthy");
    }
}

/// Asserts how the proxy responds while its store is unreachable.
#[track_caller]
fn assert_store_unreachable(proxy: &Proxy) {
    let (status, body) = proxy.query("asdlc_service_info");
    assert_eq!(status, "503", "{body}");
    assert_eq!(body["errorType"], "unavailable", "{body}");
    assert!(!body["detail"].as_str().unwrap().is_empty(), "{body}");
    let (status, body) = proxy.get("health");
    assert_eq!(status, "200", "{body}");
    assert_eq!(body["status"], "unhealthy", "{body}");
    assert!(!body["error"].as_str().unwrap().is_empty(), "{body}");
    // The configured list: its order differs from the sorted list of the store.
    let (_, services) = proxy.get("services");
    assert_eq!(services, serde_json::json!(["workers", "orchestrator"]));
}
