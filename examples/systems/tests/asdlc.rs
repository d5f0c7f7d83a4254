//! aSDLC, started as programs: its table of metric families, its counts, a Redis that stops and comes back, and its query
//! proxy before real stores. `tests/run` installs Redis, Prometheus and VictoriaMetrics.

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

/// The example with what the test gives it.
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

/// What it prints is two URLs, each on a line of its own.
fn started(command: &mut Command) -> Asdlc {
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
    /// On that Redis, and without the client that is built in.
    fn driven_by_test(redis: &RedisServer) -> Self {
        started(command(&["--no-traffic"]).env("REDIS_URL", redis.url()))
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
        ask(&["-d", payload, &url])
    }

    /// Submits an event, and waits for what becomes of it; how often it asked for that.
    fn task(&self, event_type: &str, payload: &str, state: &str) -> usize {
        let (status, answer) = self.submit(event_type, payload);
        assert_eq!(status, "202", "{answer}");
        let url = format!("{}/api/tasks/{}", self.orchestrator, answer["task"]);
        let mut asked = 0;
        let mut is_so = || {
            asked += 1;
            ask(&[&url]).1["state"] == state
        };
        poll(state, &mut is_so);
        asked
    }
}

/// The status and the JSON of an answer.
fn ask(arguments: &[&str]) -> (String, Value) {
    let answer = curl(&[&["-w", "\n%{http_code}"], arguments].concat());
    let (body, status) = answer.rsplit_once('\n').unwrap();
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    (status.to_owned(), body)
}

#[track_caller]
fn poll(what: &str, mut is_so: impl FnMut() -> bool) {
    retry_until_ok(what, || match is_so() {
        true => Ok(()),
        false => Err("never came true".to_owned()),
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
    let asdlc = Asdlc::driven_by_test(&redis);
    let mut looks = 0;
    for _ in 0..5 {
        looks += asdlc.task("code_submitted", "fn pay() {}", "success");
    }
    for _ in 0..2 {
        looks += asdlc.task("code_submitted", "fn pay() {}\n// FIXME", "failed");
    }
    looks += asdlc.task("design_proposed", "One service.", "success");
    assert_eq!(asdlc.submit("Not-a-type", "").0, "400");
    assert_eq!(
        ask(&[&format!("{}/api/tasks/1000", asdlc.orchestrator)]).0,
        "404"
    );
    assert_eq!(ask(&[&format!("{}/nowhere", asdlc.orchestrator)]).0, "404");
    for path in ["health", "health", "pool", "nowhere/at/all"] {
        curl(&[&format!("{}/{path}", asdlc.workers)]);
    }
    // What is no result is none, and what cannot be read is not lost either.
    redis.cli(&[
        "LPUSH",
        "asdlc:results",
        r#"{"task":1,"event_type":"what","payload":""}"#,
    ]);
    redis.cli(&["LPUSH", "asdlc:results", "{"]);

    let [(orchestrator, page), (workers, worker_page)] = asdlc.pages();
    let unreadable = events(orchestrator, "unreadable", "failed");
    let strange = events(orchestrator, "what", "failed");
    let page = wait_for_page(&page, "all is processed", |page| {
        page.contains(&format!("\n{unreadable} 1\n")) && page.contains(&format!("\n{strange} 1\n"))
    });
    let looks = looks as f64;
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
            looks,
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
    let total = 8.0 + 1.0 + looks + 1.0 + 1.0;
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
    // Eight submitted, and eight results and two that were none finished.
    assert_eq!((operations("incr"), operations("exec")), (8.0, 18.0));
    assert_eq!(operations("get"), looks + 1.0);

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

/// With the built-in client and a Redis that the program starts, all counts increase. After SIGTERM and SIGINT the program
/// exits with success and Redis ends; after SIGKILL Redis ends, too.
#[test]
fn stopped_program_leaves_no_redis_and_no_files() {
    skip_without!(Curl, Redis);
    for signal in ["TERM", "INT", "KILL"] {
        let mut asdlc = started(&mut command(&[]));
        for (service, url) in asdlc.pages() {
            let page = wait_for_page(&url, "events of both kinds", |page| {
                let moved = |series: &str| !page.contains(&format!("{series} 0\n"));
                let types = match service {
                    "workers" => ["code_submitted", "tests_submitted"],
                    _ => ["task_completed", "task_failed"],
                };
                types.iter().all(|event_type| {
                    let success = events(service, event_type, "success");
                    page.contains(&success) && moved(&success)
                })
            });
            assert_page_matches_table(&page, &["service"], &TABLE);
        }
        let redis = descendants(asdlc.running.id())
            .into_iter()
            .find(|pid| name_of(*pid) == "redis-server");
        let redis = redis.expect("it starts a Redis");
        let directory = std::fs::read_link(format!("/proc/{redis}/cwd")).unwrap();
        assert!(directory.join("redis.sock").exists());
        asdlc.running.signal(signal);
        let status = asdlc.running.wait_for_exit();
        assert_eq!(status.success(), signal != "KILL", "{signal}: {status}");
        poll("its Redis is gone", || name_of(redis) != "redis-server");
        poll("its directory is gone", || !directory.exists());
    }
}

/// If a default port is used by another program, a free port is chosen. If a configured port is, the program fails.
#[test]
fn used_default_port_is_replaced_and_used_configured_port_is_an_error() {
    skip_without!(Curl, Redis);
    // Whoever has them, they are taken.
    let _taken = [8080, 8081].map(|port| TcpListener::bind(("127.0.0.1", port)));
    let mut usual = command(&["--no-traffic"]);
    usual
        .env_remove("ORCHESTRATOR_PORT")
        .env_remove("WORKERS_PORT");
    let asdlc = started(&mut usual);
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
        error.contains(&format!("port {port} of WORKERS_PORT")),
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
    let said = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let error = said(command(&[]).env("PATH", "/nowhere"));
    assert!(error.contains("redis-server is not installed"), "{error}");
    assert!(error.contains("REDIS_URL"), "{error}");
    let error = said(&mut command(&["workers"]));
    assert!(error.contains("set REDIS_URL"), "{error}");
    let error = said(&mut command(&["--nonsense"]));
    assert!(error.contains("--no-traffic"), "{error}");
}

/// One scrape that waits two seconds, and what it says about Redis; the page is whole either way.
fn scrape(url: &str, service: &str) -> f64 {
    let timeout = "X-Prometheus-Scrape-Timeout-Seconds: 2";
    let began = Instant::now();
    let (page, status) = {
        let answer = curl(&["-w", "\n%{http_code}", "-H", timeout, url]);
        let (page, status) = answer.rsplit_once('\n').unwrap();
        (page.to_owned(), status.to_owned())
    };
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(status, "200", "{page}");
    assert_page_matches_table(&page, &["service"], &TABLE);
    // Only what nobody can know without Redis is missing, and that is said.
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
    let asdlc = started(&mut asdlc);
    asdlc.task("code_submitted", "fn pay() {}", "success");
    // The task has succeeded when its result is kept; that the result was processed is counted after.
    for (_, url) in asdlc.pages() {
        wait_for_page(&url, "events are counted", |page| {
            page.contains("\nasdlc_events_processed_total{")
        });
    }
    // Started now: its workers take events from the same Redis.
    let strict = started(
        command(&["--no-traffic", "--strict"])
            .env("REDIS_URL", redis.url())
            .env("INSTANCE", "2")
            .stderr(Stdio::null()),
    );
    let is_whole = |asdlc: &Asdlc| {
        for (service, url) in asdlc.pages() {
            assert_eq!(scrape(&url, service), 1.0, "{service}");
        }
    };
    is_whole(&asdlc);

    // Slow: it is there and does not answer.
    redis.signal("STOP");
    for (service, url) in asdlc.pages() {
        assert_eq!(scrape(&url, service), 0.0, "{service}");
    }
    redis.signal("CONT");
    let comes_back = |asdlc: &Asdlc| {
        for (service, url) in asdlc.pages() {
            let up = format!("\n{} 1\n", redis_up(service));
            wait_for_page(&url, "Redis is up", |page| page.contains(&up));
        }
    };
    comes_back(&asdlc);
    is_whole(&asdlc);

    // Gone. Who would rather have no page than one with a part missing has none, and the reason.
    redis.kill();
    for (service, url) in asdlc.pages() {
        assert_eq!(scrape(&url, service), 0.0, "{service}");
    }
    for (_, url) in strict.pages() {
        let answer = curl(&["-w", "\n%{http_code}", &url]);
        let (reason, status) = answer.rsplit_once('\n').unwrap();
        assert_eq!(status, "500", "{answer}");
        assert!(reason.contains("queue"), "{answer}");
    }
    let (status, answer) = asdlc.submit("code_submitted", "fn pay() {}");
    assert_eq!(status, "503", "{answer}");
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("WARN"), "{log}");
    assert!(log.contains("collector \"queue\" failed"), "{log}");

    // Back at the same address: both processes connect again.
    redis.restart();
    comes_back(&asdlc);
    comes_back(&strict);
    is_whole(&asdlc);
    asdlc.task("code_submitted", "// FIXME", "failed");
}

/// An event that a worker took and did not finish is processed by the next worker of the same name.
#[test]
fn event_taken_by_a_stopped_worker_is_processed_later() {
    skip_without!(Curl, Redis);
    let redis = RedisServer::start();
    let event = r#"{"task":7,"event_type":"code_submitted","payload":""}"#;
    redis.cli(&["LPUSH", "asdlc:events:1:worker-3", event]);
    let asdlc = Asdlc::driven_by_test(&redis);
    let url = format!("{}/api/tasks/7", asdlc.orchestrator);
    poll("it is done", || ask(&[&url]).1["state"] == "success");
}

/// The example's own configuration, but for the targets and the interval.
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
        // Debian's is built without the discovery of Kubernetes.
        let (job, pods) = config.split_once("- job_name: asdlc-services").unwrap();
        assert!(pods.contains("kubernetes_sd_configs"));
        config = job.to_owned();
    }
    config
}

/// An orchestrator's proxy.
struct Proxy(String);

impl Proxy {
    fn get(&self, endpoint: &str) -> (String, Value) {
        ask(&[&format!("{}/api/metrics/{endpoint}", self.0)])
    }

    /// A range query over the last seconds.
    fn query(&self, query: &str) -> (String, Value) {
        range_query(&format!("{}/api/metrics/query_range", self.0), query)
    }

    /// The labels and the last value of each series.
    fn series(&self, query: &str) -> BTreeSet<String> {
        let (status, answer) = self.query(query);
        let series = answer["data"]["result"].as_array();
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
    ask(&[
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
    // Both stores scrape the services of the first; the second's orchestrator is there for its proxy.
    let start = |store: &Store| {
        let mut asdlc = command(&["--no-traffic"]);
        asdlc.env("REDIS_URL", redis.url());
        started(
            asdlc
                .env("VICTORIAMETRICS_URL", &store.url)
                .stderr(Stdio::null()),
        )
    };
    let asdlc = start(&stores[0]);
    asdlc.task("code_submitted", "fn pay() {}", "success");
    asdlc.task("code_submitted", "// FIXME", "failed");
    let mut other = command(&["orchestrator", "--no-traffic"]);
    other.env("REDIS_URL", redis.url()).env("INSTANCE", "2");
    other.env("VICTORIAMETRICS_URL", &stores[1].url);
    let mut other = RunningProgram::start(other.stderr(Stdio::null()));
    let other_url = other.read_line_after("").replace("/metrics", "");
    let proxies = [Proxy(asdlc.orchestrator.clone()), Proxy(other_url)];
    for (store, proxy) in stores.iter_mut().zip(&proxies) {
        assert_away(proxy);
        store.start_with_config(&scrape_config(store.kind, &asdlc));
    }

    let query = "asdlc_events_processed_total";
    let queries = [
        query,
        "asdlc_redis_connection_up",
        "sum by (service) (asdlc_events_processed_total)",
        "asdlc_service_info",
    ];
    let is_there = |proxy: &Proxy| {
        let is_asked = proxy.get("services").1 == serde_json::json!(SERVICES);
        // Three event types, and two ways to end.
        is_asked && proxy.series(query).len() == 6
    };
    for proxy in &proxies {
        poll("it is scraped", || is_there(proxy));
        assert_eq!(
            proxy.get("health").1,
            serde_json::json!({ "status": "healthy" })
        );
    }
    let [prometheus, victoria] = &proxies;
    for query in queries {
        let mut same = (BTreeSet::new(), BTreeSet::new());
        poll(query, || {
            same = (prometheus.series(query), victoria.series(query));
            !same.0.is_empty() && same.0 == same.1
        });
    }
    for ((store, proxy), status) in stores.iter().zip(&proxies).zip(["400", "422"]) {
        let bad = "sum(asdlc_events_processed_total";
        let (through, said) = proxy.query(bad);
        assert_eq!(through, status, "{said}");
        let (direct, own_words) = range_query(&format!("{}/api/v1/query_range", store.url), bad);
        assert_eq!(
            (through, &said["errorType"]),
            (direct, &own_words["errorType"])
        );
        assert!(!said["error"].as_str().unwrap().is_empty(), "{said}");
    }
    for (store, proxy) in stores.iter_mut().zip(&proxies) {
        store.kill();
        assert_away(proxy);
        store.restart();
        poll("it is back", || is_there(proxy));
        assert_eq!(proxy.get("health").1["status"], "healthy");
    }
}

/// Nobody is behind the proxy, and it says so.
#[track_caller]
fn assert_away(proxy: &Proxy) {
    let (status, said) = proxy.query("asdlc_service_info");
    assert_eq!(status, "503", "{said}");
    assert_eq!(said["errorType"], "unavailable", "{said}");
    assert!(!said["detail"].as_str().unwrap().is_empty(), "{said}");
    let (status, said) = proxy.get("health");
    assert_eq!(status, "200", "{said}");
    assert_eq!(said["status"], "unhealthy", "{said}");
    assert!(!said["error"].as_str().unwrap().is_empty(), "{said}");
    // The configured list, which is in another order than the one that the store gives.
    let (_, services) = proxy.get("services");
    assert_eq!(services, serde_json::json!(["workers", "orchestrator"]));
}
