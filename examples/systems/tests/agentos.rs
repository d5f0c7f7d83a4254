//! AgentOS, started as a program and called over HTTP: its metric families, counts and rate limits,
//! and the queries of its dashboard in a real Prometheus.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tower_prometheus::Registry;
use tower_prometheus_mixin::{ScrapeConfig, ScrapeJob};

use systems::agentos::cache::{Cache, Question};
use systems::agentos::limits::{Limit, Limits, MAX_BUCKETS};
use systems::agentos::metrics::{AgentOperation, AgentOs, Endpoint, MAX_WORKSPACES};
use systems::agentos::mixin;
use test_support::page::samples;
use test_support::process::{RunningProgram, curl, program};
use test_support::skip_without;
use test_support::store::Store;
use test_support::system::{Row, assert_page_matches_table, histogram_row, row, wait_for_page};

/// The running example; dropping it stops the program.
struct Gateway {
    running: RunningProgram,
    client: Client,
    url: String,
}

/// A response of the gateway.
#[derive(Debug)]
struct Response {
    status: u16,
    cache: Option<String>,
    bytes: usize,
}

impl Gateway {
    fn start(arguments: &[&str]) -> Self {
        let mut running =
            RunningProgram::start(program(env!("CARGO_BIN_EXE_agentos")).args(arguments));
        let page = running.read_line_after("");
        let url = page.strip_suffix("/metrics").expect(&page).to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        Self {
            running,
            client: Client::new(),
            url,
        }
    }

    fn metrics_url(&self) -> String {
        format!("{}/metrics", self.url)
    }

    fn task(&self, workspace: &str, path: &str, text: &str) -> RequestBuilder {
        let request = self.client.post(format!("{}/a2a/{path}", self.url));
        let request = request.header("x-workspace-id", workspace);
        request.body(text.to_owned())
    }

    async fn send_task(&self, workspace: &str, path: &str, text: &str) -> Response {
        send(self.task(workspace, path, text)).await
    }

    async fn card(&self, workspace: &str, agent: &str) -> Response {
        let request = self.client.get(format!("{}/a2a/{agent}", self.url));
        send(request.header("x-workspace-id", workspace)).await
    }

    fn page(&self) -> BTreeMap<String, f64> {
        samples(&curl(&[&self.metrics_url()]))
    }

    /// The samples of the metrics page, once `sample` has this value.
    #[track_caller]
    fn page_when(&self, sample: &str, value: f64) -> BTreeMap<String, f64> {
        let page = wait_for_page(&self.metrics_url(), sample, |page| {
            samples(page).get(sample) == Some(&value)
        });
        samples(&page)
    }
}

async fn send(request: RequestBuilder) -> Response {
    let response = request.send().await.unwrap();
    let cache = response.headers().get("x-cache");
    Response {
        status: response.status().as_u16(),
        cache: cache.map(|value| value.to_str().unwrap().to_owned()),
        bytes: response.bytes().await.unwrap().len(),
    }
}

const STATUS: (&str, &[&str]) = ("status", &["success", "error", "cancelled"]);
const OPERATION: (&str, &[&str]) = ("operation", &["answer", "plan", "summarize", "card"]);
const AGENT: (&str, &[&str]) = ("agent", &[]);
const PROVIDER: (&str, &[&str]) = ("provider", &["small", "large"]);

const TABLE: [Row; 11] = [
    row("gauge", "agentos_info", &[("version", &[])]),
    histogram_row(
        "histogram",
        "a2a_request_duration_seconds",
        &[AGENT, OPERATION, STATUS],
        &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
    ),
    row("counter", "a2a_requests_total", &[AGENT, OPERATION, STATUS]),
    row("gauge", "a2a_active_tasks", &[AGENT]),
    histogram_row(
        "histogram",
        "a2a_response_size_bytes",
        &[AGENT],
        &[100.0, 500.0, 1000.0, 5000.0, 10_000.0, 50_000.0, 100_000.0],
    ),
    row(
        "counter",
        "cache_operations_total",
        &[("operation", &["get"]), ("result", &["hit", "miss"])],
    ),
    histogram_row(
        "histogram",
        "cache_latency_seconds",
        &[("operation", &["get", "set"])],
        &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1],
    ),
    row(
        "counter",
        "rate_limit_hits_total",
        &[
            ("endpoint", &["/a2a/{agent}", "/a2a/{agent}/{operation}"]),
            ("workspace_id", &[]),
            ("result", &["allowed", "denied"]),
        ],
    ),
    row(
        "counter",
        "ccr_requests_total",
        &[
            PROVIDER,
            ("task_type", &["default", "think", "background"]),
            STATUS,
        ],
    ),
    histogram_row(
        "histogram",
        "ccr_latency_seconds",
        &[PROVIDER],
        &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0],
    ),
    row(
        "counter",
        "ccr_tokens_total",
        &[PROVIDER, ("direction", &["input", "output"])],
    ),
];

fn requests(agent: &str, operation: &str, status: &str) -> String {
    let labels = format!("agent=\"{agent}\",operation=\"{operation}\",status=\"{status}\"");
    format!("a2a_requests_total{{{labels}}}")
}

fn active(agent: &str) -> String {
    format!("a2a_active_tasks{{agent=\"{agent}\"}}")
}

fn decisions(endpoint: &str, result: &str, workspace: &str) -> String {
    let labels =
        format!("endpoint=\"{endpoint}\",result=\"{result}\",workspace_id=\"{workspace}\"");
    format!("rate_limit_hits_total{{{labels}}}")
}

fn sum(page: &BTreeMap<String, f64>, family: &str) -> f64 {
    let of_family = page
        .iter()
        .filter(|(sample, _)| sample.split('{').next() == Some(family));
    of_family.map(|(_, value)| value).sum()
}

/// Asserts that the page has the families of `TABLE` and `others`, and no more: no process metrics.
#[track_caller]
fn assert_no_further_families(page: &str, others: &[&str]) {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut names: Vec<_> = types
        .map(|family| family.split(' ').next().unwrap())
        .collect();
    names.sort_unstable();
    let mut table: Vec<_> = TABLE.iter().map(|row| row.name).collect();
    table.extend(others);
    table.sort_unstable();
    assert_eq!(names, table);
}

#[test]
fn descriptions_match_the_table() {
    let families = AgentOs::families();
    let mut described: Vec<_> = families
        .iter()
        .map(|family| (family.name.as_str(), family.kind.as_str()))
        .collect();
    described.sort_unstable();
    // The text format exports an info as a gauge.
    let kind = |row: &Row| match row.name {
        "agentos_info" => "info",
        _ => row.kind,
    };
    let mut table: Vec<_> = TABLE.iter().map(|row| (row.name, kind(row))).collect();
    table.sort_unstable();
    assert_eq!(described, table);
}

#[tokio::test(flavor = "multi_thread")]
async fn series_are_zero_before_the_first_request() {
    skip_without!(Curl);
    let gateway = Gateway::start(&["--no-traffic"]);
    let page = gateway.page();
    for agent in ["planner", "researcher", "writer"] {
        for operation in OPERATION.1 {
            for status in STATUS.1 {
                assert_eq!(page[&requests(agent, operation, status)], 0.0);
            }
        }
        assert_eq!(page[&active(agent)], 0.0);
    }
    for provider in PROVIDER.1 {
        for direction in ["input", "output"] {
            let labels = format!("direction=\"{direction}\",provider=\"{provider}\"");
            assert_eq!(page[&format!("ccr_tokens_total{{{labels}}}")], 0.0);
        }
    }
    for result in ["hit", "miss"] {
        let labels = format!("operation=\"get\",result=\"{result}\"");
        assert_eq!(page[&format!("cache_operations_total{{{labels}}}")], 0.0);
    }
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(page[&format!("agentos_info{{version=\"{version}\"}}")], 1.0);
    assert!(
        page.iter()
            .all(|(sample, value)| *value == 0.0 || sample.starts_with("agentos_info"))
    );
}

/// Every count equals the number of requests sent or of responses received.
#[tokio::test(flavor = "multi_thread")]
async fn counts_equal_the_requests_sent() {
    skip_without!(Curl);
    let gateway = Gateway::start(&["--no-traffic"]);
    let capital = "What is the capital of France?";
    let mut sizes = BTreeMap::<&str, Vec<usize>>::new();
    let mut lookups = BTreeMap::<String, f64>::new();
    for (agent, operation, text, status) in [
        ("researcher", "answer", capital, 200),
        ("researcher", "answer", capital, 200),
        // Answers are cached per agent.
        ("writer", "answer", capital, 200),
        ("writer", "summarize", "one two three four five six", 200),
        ("planner", "plan", "design build ship", 200),
        ("writer", "summarize", &"word ".repeat(1_001), 413),
        ("writer", "summarize", &"word ".repeat(1_001), 413),
    ] {
        let response = gateway
            .send_task("acme", &format!("{agent}/{operation}"), text)
            .await;
        assert_eq!(response.status, status, "{operation}: {response:?}");
        sizes.entry(agent).or_default().push(response.bytes);
        // A request that fails is a cache miss too: failures are not cached.
        let result = response.cache.unwrap_or_else(|| "miss".to_owned());
        *lookups.entry(result).or_default() += 1.0;
    }
    let card = gateway.card("acme", "writer").await;
    assert_eq!(card.status, 200);
    sizes.entry("writer").or_default().push(card.bytes);
    for path in ["unknown/answer", "writer/unknown"] {
        assert_eq!(gateway.send_task("acme", path, "").await.status, 404);
    }
    // A request without a valid workspace id is rejected before the rate limits: no decision is counted.
    let invalid = gateway.send_task("not valid", "writer/answer", "");
    assert_eq!(invalid.await.status, 400);

    let text = curl(&[&gateway.metrics_url()]);
    assert_page_matches_table(&text, &[], &TABLE);
    assert_no_further_families(&text, &[]);
    let page = samples(&text);
    for (sample, expected) in [
        (requests("researcher", "answer", "success"), 2.0),
        (requests("writer", "answer", "success"), 1.0),
        (requests("writer", "summarize", "success"), 1.0),
        (requests("writer", "summarize", "error"), 2.0),
        (requests("writer", "card", "success"), 1.0),
        (requests("planner", "plan", "success"), 1.0),
        (
            decisions("/a2a/{agent}/{operation}", "allowed", "acme"),
            9.0,
        ),
        (decisions("/a2a/{agent}/{operation}", "denied", "acme"), 0.0),
        (decisions("/a2a/{agent}", "allowed", "acme"), 1.0),
    ] {
        assert_eq!(page.get(&sample), Some(&expected), "{sample}\n{text}");
    }
    assert_eq!(sum(&page, "a2a_requests_total"), 8.0, "{text}");
    assert_eq!(sum(&page, "a2a_request_duration_seconds_count"), 8.0);
    assert_eq!(sum(&page, "rate_limit_hits_total"), 10.0, "{text}");
    assert_eq!(sum(&page, "a2a_active_tasks"), 0.0);
    for (agent, sizes) in sizes {
        let of_agent =
            |part: &str| page[&format!("a2a_response_size_bytes_{part}{{agent=\"{agent}\"}}")];
        assert_eq!(of_agent("count"), sizes.len() as f64, "{agent}");
        assert_eq!(
            of_agent("sum"),
            sizes.iter().sum::<usize>() as f64,
            "{agent}"
        );
    }
    for result in ["hit", "miss"] {
        let labels = format!("operation=\"get\",result=\"{result}\"");
        let counted = page[&format!("cache_operations_total{{{labels}}}")];
        assert_eq!(counted, lookups[result], "{result}");
    }
    assert_eq!(lookups["hit"], 1.0);
    for (operation, count) in [("get", 7.0), ("set", 4.0)] {
        let sample = format!("cache_latency_seconds_count{{operation=\"{operation}\"}}");
        assert_eq!(page[&sample], count, "{sample}");
    }
    for (labels, expected) in [
        (
            "provider=\"small\",status=\"success\",task_type=\"default\"",
            2.0,
        ),
        (
            "provider=\"small\",status=\"success\",task_type=\"background\"",
            1.0,
        ),
        (
            "provider=\"small\",status=\"error\",task_type=\"background\"",
            2.0,
        ),
        (
            "provider=\"large\",status=\"success\",task_type=\"think\"",
            1.0,
        ),
    ] {
        assert_eq!(
            page[&format!("ccr_requests_total{{{labels}}}")],
            expected,
            "{labels}"
        );
    }
    assert_eq!(sum(&page, "ccr_requests_total"), 6.0);
    assert_eq!(sum(&page, "ccr_latency_seconds_count"), 6.0);
    // Each word is a token. Input of `small`: the question twice, and the text. Output: "You asked:
    // …" twice, and the summary of five words. A plan has two words for each input word.
    for (provider, direction, expected) in [
        ("small", "input", 6.0 + 6.0 + 6.0),
        ("small", "output", 8.0 + 8.0 + 5.0),
        ("large", "input", 3.0),
        ("large", "output", 6.0),
    ] {
        let labels = format!("direction=\"{direction}\",provider=\"{provider}\"");
        assert_eq!(
            page[&format!("ccr_tokens_total{{{labels}}}")],
            expected,
            "{labels}"
        );
    }
}

/// If the client disconnects, the task ends at the gateway and at the provider.
#[tokio::test(flavor = "multi_thread")]
async fn request_of_a_disconnected_client_is_cancelled() {
    skip_without!(Curl);
    let gateway = Gateway::start(&["--no-traffic"]);
    // A plan that takes longer than the test.
    let long = "milestone ".repeat(3_999);
    let pending: Vec<_> = ["one", "two"]
        .into_iter()
        .map(|workspace| tokio::spawn(gateway.task(workspace, "planner/plan", &long).send()))
        .collect();
    gateway.page_when(&active("planner"), 2.0);
    for (ended, request) in pending.into_iter().enumerate() {
        request.abort();
        assert!(request.await.is_err_and(|error| error.is_cancelled()));
        let cancelled = requests("planner", "plan", "cancelled");
        let page = gateway.page_when(&cancelled, ended as f64 + 1.0);
        assert_eq!(page[&active("planner")], 1.0 - ended as f64);
    }
    let page = gateway.page();
    assert_eq!(sum(&page, "a2a_requests_total"), 2.0);
    let cancelled = r#"ccr_requests_total{provider="large",status="cancelled",task_type="think"}"#;
    assert_eq!(page[cancelled], 2.0);
    assert_eq!(sum(&page, "ccr_tokens_total"), 0.0);
    // No response was sent.
    assert_eq!(sum(&page, "a2a_response_size_bytes_count"), 0.0);
    // The rate limits allowed both requests before they were cancelled.
    assert_eq!(sum(&page, "rate_limit_hits_total"), 2.0);
}

/// One workspace sends more requests at once than its bucket holds. The counts equal the responses.
#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_decisions_match_the_responses() {
    skip_without!(Curl);
    let gateway = Gateway::start(&["--no-traffic"]);
    let mut expected = BTreeMap::<(&str, u16), f64>::new();
    for workspace in ["greedy", "modest"] {
        let many = if workspace == "greedy" { 200 } else { 5 };
        let cards = (0..many).map(|_| gateway.card(workspace, "writer"));
        for response in join_all(cards).await {
            *expected.entry((workspace, response.status)).or_default() += 1.0;
        }
    }
    let page = gateway.page();
    assert!(expected[&("greedy", 429)] > 0.0, "{expected:?}");
    assert!(expected[&("greedy", 200)] >= 10.0, "{expected:?}");
    assert!(!expected.contains_key(&("modest", 429)), "{expected:?}");
    for (result, status) in [("allowed", 200), ("denied", 429)] {
        for workspace in ["greedy", "modest"] {
            let counted = page[&decisions("/a2a/{agent}", result, workspace)];
            let responses = expected.get(&(workspace, status)).copied();
            assert_eq!(counted, responses.unwrap_or(0.0), "{workspace} {result}");
        }
    }
    assert_eq!(sum(&page, "rate_limit_hits_total"), 205.0);
    // A denied request reaches no agent.
    let allowed = expected[&("greedy", 200)] + 5.0;
    assert_eq!(sum(&page, "a2a_requests_total"), allowed);
}

/// More workspaces than the limit of the label.
#[tokio::test(flavor = "multi_thread")]
async fn workspaces_beyond_the_limit_are_overflow() {
    skip_without!(Curl);
    let gateway = Gateway::start(&["--no-traffic"]);
    for workspace in 0..MAX_WORKSPACES + 5 {
        for _ in 0..3 {
            let card = gateway
                .card(&format!("workspace-{workspace}"), "writer")
                .await;
            assert_eq!(card.status, 200);
        }
    }
    let text = curl(&[&gateway.metrics_url()]);
    let page = samples(&text);
    let allowed = |workspace: &str| page.get(&decisions("/a2a/{agent}", "allowed", workspace));
    assert_eq!(allowed("workspace-0"), Some(&3.0));
    assert_eq!(
        allowed(&format!("workspace-{}", MAX_WORKSPACES - 1)),
        Some(&3.0)
    );
    assert_eq!(allowed(&format!("workspace-{MAX_WORKSPACES}")), None);
    assert_eq!(allowed("overflow"), Some(&15.0));
    let series = page
        .keys()
        .filter(|sample| sample.starts_with("rate_limit_hits_total{"));
    assert_eq!(series.count(), (MAX_WORKSPACES + 1) * 4);
    let overflow =
        r#"metrics_label_overflow_total{family="rate_limit_hits_total",label="workspace_id"}"#;
    assert!(page[overflow] > 0.0);
    assert_no_further_families(&text, &["metrics_label_overflow_total"]);
}

/// Ends of the timer: finished with `Ok` or `Err`, dropped, and dropped by a panic.
#[test]
fn timer_records_the_outcome_of_its_block() {
    let registry = Registry::new();
    let metrics = AgentOs::on(&registry).unwrap();
    let work = |end: fn() -> Result<(), &'static str>| {
        let timer = metrics.request_timer("writer", AgentOperation::Answer);
        let active = registry.sum("a2a_active_tasks", &[("agent", "writer")]);
        assert_eq!(active, Some(1.0));
        timer.finish(&end());
    };
    work(|| Ok(()));
    work(|| Err("no"));
    drop(metrics.request_timer("writer", AgentOperation::Answer));
    assert!(std::panic::catch_unwind(AssertUnwindSafe(|| work(|| panic!("oh")))).is_err());
    for (status, count) in [("success", 1.0), ("error", 2.0), ("cancelled", 1.0)] {
        let counted = registry.sum("a2a_requests_total", &[("status", status)]);
        assert_eq!(counted, Some(count), "{status}");
    }
    assert_eq!(registry.sum("a2a_active_tasks", &[]), Some(0.0));
}

fn question(text: &str) -> Question {
    Question {
        agent: "writer".to_owned(),
        operation: AgentOperation::Answer,
        text: text.to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn cache_evicts_least_recently_used_and_expired_entries() {
    let metrics = AgentOs::on(Registry::new()).unwrap();
    let cache = Cache::new(2, Duration::from_secs(10), metrics);
    let set = |text: &str| cache.set(question(text), Arc::from(text));
    let has = |text: &str| {
        cache
            .get(&question(text))
            .is_some_and(|answer| *answer == *text)
    };
    set("a");
    set("b");
    assert!(has("a") && has("b") && has("a"));
    set("c");
    assert!(has("a") && !has("b") && has("c"));
    tokio::time::advance(Duration::from_secs(6)).await;
    // `set` renews the time to live; `get` does not.
    set("c");
    assert!(has("a") && has("c"));
    tokio::time::advance(Duration::from_secs(4)).await;
    assert!(!has("a") && has("c"));
    tokio::time::advance(Duration::from_secs(6)).await;
    assert!(!has("c"));
}

#[tokio::test(start_paused = true)]
async fn token_is_taken_from_both_buckets_or_neither() {
    let registry = Registry::new();
    let metrics = AgentOs::on(&registry).unwrap();
    let limit = |burst, per_second| Limit { burst, per_second };
    let limits = Limits::new(limit(2.0, 1.0), limit(3.0, 0.5), metrics);
    let decide = |workspace| limits.decide(Endpoint::Agent, workspace);
    assert_eq!([decide("a"), decide("a")], [Ok(()); 2]);
    // Denied by the bucket of its workspace, the request takes no token of the endpoint.
    assert_eq!(decide("a"), Err(Duration::from_secs(1)));
    assert_eq!(decide("b"), Ok(()));
    // Denied by the bucket of the endpoint, the request takes no token of its workspace.
    assert_eq!(decide("b"), Err(Duration::from_secs(2)));
    assert_eq!(limits.decide(Endpoint::Operation, "b"), Ok(()));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(decide("b"), Ok(()));
    assert_eq!(decide("a"), Err(Duration::from_secs(2)));
    let counted = |result| registry.sum("rate_limit_hits_total", &[("result", result)]);
    assert_eq!(
        (counted("allowed"), counted("denied")),
        (Some(5.0), Some(3.0))
    );
}

/// The number of buckets is limited, however many workspaces send requests.
#[tokio::test(start_paused = true)]
async fn workspaces_beyond_the_limit_share_a_bucket() {
    let metrics = AgentOs::on(Registry::new()).unwrap();
    let limit = |burst, per_second| Limit { burst, per_second };
    let limits = Limits::new(limit(2.0, 1.0), limit(1e6, 1e6), metrics);
    let decide = |workspace: &str| limits.decide(Endpoint::Agent, workspace).is_ok();
    for workspace in 0..MAX_BUCKETS {
        assert!(decide(&format!("workspace-{workspace}")));
    }
    assert!(decide("a") && decide("b") && !decide("c"));
    // Workspaces that have a bucket keep it.
    assert!(decide("workspace-0") && !decide("workspace-0"));
    // Once the buckets are full again, they are removed, and new workspaces get a bucket.
    tokio::time::advance(Duration::from_secs(2)).await;
    for workspace in ["a", "b", "c"] {
        assert!(decide(workspace) && decide(workspace) && !decide(workspace));
    }
}

/// The built-in traffic updates every metric family of the table. The program ends after SIGTERM.
#[test]
fn built_in_traffic_updates_every_family() {
    skip_without!(Curl);
    let mut gateway = Gateway::start(&[]);
    let page = wait_for_page(&gateway.metrics_url(), "every family was updated", |text| {
        let page = samples(text);
        let updated = TABLE.iter().all(|row| {
            // This gauge is above 0 only while a task is in progress.
            row.name == "a2a_active_tasks"
                || sum(&page, row.name) > 0.0
                || sum(&page, &format!("{}_count", row.name)) > 0.0
        });
        let ends = [
            requests("researcher", "answer", "success"),
            requests("writer", "summarize", "error"),
            requests("planner", "plan", "cancelled"),
            decisions("/a2a/{agent}", "denied", "hooli"),
            r#"cache_operations_total{operation="get",result="hit"}"#.to_owned(),
        ];
        updated
            && ends
                .iter()
                .all(|sample| page.get(sample).is_some_and(|n| *n > 0.0))
    });
    assert_page_matches_table(&page, &[], &TABLE);
    assert_no_further_families(&page, &[]);
    gateway.running.signal("TERM");
    assert!(gateway.running.wait_for_exit().success());
}

/// Sends the queries of each panel to a real Prometheus, as Grafana does.
#[test]
fn every_panel_has_data() {
    skip_without!(Curl, Prometheus);
    let gateway = Gateway::start(&[]);
    let target = gateway.url.trim_start_matches("http://");
    let config = ScrapeConfig::new()
        .interval("1s")
        .job(ScrapeJob::new("agentos").target(target))
        .to_prometheus_yaml()
        .unwrap();
    let store = Store::prometheus(&config, &[]);
    let panels = panels();
    assert_eq!(panels.len(), 18);
    for (title, expressions) in panels {
        assert!(!expressions.is_empty(), "{title}");
        for expression in expressions {
            let expression = expression
                .replace("$__rate_interval", "5s")
                .replace("$job", "agentos")
                .replace("$instance", ".+");
            // Waits for a value above 0: tasks are in progress only for moments.
            let has_data = |response: &Value| {
                let result = response["data"]["result"].as_array();
                let mut values = result
                    .into_iter()
                    .flatten()
                    .map(|series| &series["value"][1]);
                values.any(|value| {
                    value
                        .as_str()
                        .is_some_and(|v| v.parse::<f64>().is_ok_and(|v| v > 0.0))
                })
            };
            store.wait_for_response("/api/v1/query", &[("query", &expression)], has_data);
        }
    }
}

/// Titles of the panels in the dashboard file, with their queries.
fn panels() -> Vec<(String, Vec<String>)> {
    let files = mixin::mixin(&AgentOs::families()).unwrap().files().unwrap();
    let dashboard = &files[Path::new("dashboards/agentos-gateway.json")];
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let panels = panels.filter(|panel| panel["type"] != "row").map(|panel| {
        let targets = panel["targets"].as_array().into_iter().flatten();
        let expressions = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
        (
            panel["title"].as_str().unwrap().to_owned(),
            expressions.collect(),
        )
    });
    panels.collect()
}
