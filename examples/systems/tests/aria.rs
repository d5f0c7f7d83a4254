//! Aria, started as a program and called over HTTP: its metric families on a separate port, its
//! counts for every way in which requests and LLM calls end, and the queries of its dashboard in a
//! real Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use systems::aria::{metrics, mixin};
use tower_prometheus_mixin::{ScrapeConfig, ScrapeJob};

use test_support::page::samples;
use test_support::process::{RunningProgram, curl, program};
use test_support::skip_without;
use test_support::store::Store;
use test_support::system::{Row, assert_page_matches_table, histogram_row, row, wait_for_page};

type Labels = &'static [(&'static str, &'static [&'static str])];

const REQUEST_STATUS: (&str, &[&str]) = ("status", &["200", "500", "cancelled", "panicked"]);
const STATUS: (&str, &[&str]) = ("status", &["success", "error", "cancelled", "panicked"]);
const METHOD: Labels = &[("method", &[])];
const MODEL: Labels = &[("model", &[])];
const JOB: Labels = &[("job_id", &[])];
const SKILL: Labels = &[("skill_name", &[])];
const OPERATION: Labels = &[("operation", &["select", "insert", "delete"])];

const fn histogram(name: &'static str, labels: Labels, buckets: &'static [f64]) -> Row {
    histogram_row("histogram", name, labels, buckets)
}

const TABLE: &[Row] = &[
    // The text format exports an info as a gauge.
    row(
        "gauge",
        "aria_build_info",
        &[("version", &[]), ("rust", &[]), ("engine", &[])],
    ),
    row(
        "counter",
        "aria_requests_total",
        &[("method", &[]), REQUEST_STATUS],
    ),
    histogram(
        "aria_request_duration_seconds",
        METHOD,
        &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0],
    ),
    row("gauge", "aria_requests_in_progress", METHOD),
    row(
        "counter",
        "aria_llm_requests_total",
        &[("model", &[]), STATUS],
    ),
    histogram(
        "aria_llm_request_duration_seconds",
        MODEL,
        &[0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0],
    ),
    row("counter", "aria_llm_tokens_input_total", MODEL),
    row("counter", "aria_llm_tokens_output_total", MODEL),
    row("counter", "aria_llm_token_cost_estimate_total", MODEL),
    row("gauge", "aria_llm_circuit_breaker_state", MODEL),
    histogram(
        "aria_llm_thinking_duration_seconds",
        MODEL,
        &[0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0],
    ),
    row(
        "counter",
        "aria_agent_routing_total",
        &[("selected_agent", &[])],
    ),
    histogram(
        "aria_agent_routing_duration_seconds",
        &[],
        &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5],
    ),
    row("gauge", "aria_agent_pheromone_score", &[("agent_id", &[])]),
    row(
        "counter",
        "aria_agent_tasks_total",
        &[("agent_id", &[]), STATUS],
    ),
    row("gauge", "aria_agents_active", &[]),
    row("gauge", "aria_sessions_active", &[]),
    row("counter", "aria_sessions_created_total", &[]),
    row(
        "counter",
        "aria_sessions_messages_total",
        &[("role", &["user", "assistant"])],
    ),
    histogram(
        "aria_session_duration_seconds",
        &[],
        &[60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 86_400.0],
    ),
    row(
        "gauge",
        "aria_scheduler_jobs_total",
        &[("status", &["active", "paused", "failed"])],
    ),
    row(
        "counter",
        "aria_scheduler_executions_total",
        &[("job_id", &[]), STATUS],
    ),
    histogram(
        "aria_scheduler_execution_duration_seconds",
        JOB,
        &[0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0],
    ),
    row("gauge", "aria_scheduler_last_run_timestamp", JOB),
    row(
        "counter",
        "aria_skill_executions_total",
        &[("skill_name", &[]), STATUS],
    ),
    histogram(
        "aria_skill_execution_duration_seconds",
        SKILL,
        &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0],
    ),
    row("counter", "aria_db_queries_total", OPERATION),
    histogram(
        "aria_db_query_duration_seconds",
        OPERATION,
        &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0],
    ),
    row("gauge", "aria_db_pool_size", &[]),
    row("gauge", "aria_db_pool_available", &[]),
    row("gauge", "aria_memory_rss_bytes", &[]),
    row("gauge", "aria_memory_gc_objects", &[]),
    // Last, because it is the only family without series at start-up.
    row(
        "counter",
        ERRORS,
        &[("error_type", &[]), ("component", &[])],
    ),
];

const ERRORS: &str = "aria_errors_total";

/// The running example; dropping it stops the program.
struct Aria {
    running: RunningProgram,
    api: String,
    url: String,
}

fn command(arguments: &[&str]) -> Command {
    let mut aria = program(env!("CARGO_BIN_EXE_aria"));
    aria.args(arguments)
        .env("METRICS_PORT", "0")
        .env_remove("ARIA_VERSION");
    aria
}

impl Aria {
    fn start(arguments: &[&str]) -> Self {
        Self::start_command(&mut command(arguments))
    }

    fn start_command(command: &mut Command) -> Self {
        let mut running = RunningProgram::start(command);
        let api = running.read_line_after("API at ");
        let url = running.read_line_after("");
        assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/metrics"));
        Self { running, api, url }
    }

    fn page(&self) -> BTreeMap<String, f64> {
        samples(&curl(&[&self.url]))
    }

    /// The samples of the metrics page, once `sample` has this value.
    #[track_caller]
    fn page_when(&self, sample: &str, value: f64) -> BTreeMap<String, f64> {
        let page = wait_for_page(&self.url, &format!("{sample} {value}"), |page| {
            samples(page).get(sample) == Some(&value)
        });
        samples(&page)
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-X", method, "-H", "content-type: application/json"])
            .args(["-d", body, "-w", "\n%{http_code}"])
            .arg(format!("{}{path}", self.api));
        curl
    }

    /// Sends a request. Returns the status and the body of the response, also if the body is incomplete.
    fn send(&self, method: &str, path: &str, body: &str) -> (String, String) {
        let mut request = self.request(method, path, body);
        let output = request.stderr(Stdio::null()).output();
        let output = output.expect("curl is not installed; `tests/run` installs it");
        let response = String::from_utf8(output.stdout).unwrap();
        let (body, status) = response.rsplit_once('\n').unwrap();
        (status.to_owned(), body.to_owned())
    }

    #[track_caller]
    fn send_expecting_204(&self, method: &str, path: &str, body: &str) {
        assert_eq!(self.send(method, path, body).0, "204", "{path} {body}");
    }

    #[track_caller]
    fn set_fault(&self, model: &str, fault: &str) {
        let path = format!("/models/{model}/fault");
        self.send_expecting_204("PUT", &path, &json!(fault).to_string());
    }

    /// Sends a message to an agent, in a new session.
    fn chat(&self, agent: &str, message: &str) -> (String, String) {
        self.send("POST", "/chat", &to_agent(agent, message))
    }

    #[track_caller]
    fn reply(&self, message: &Value) -> Value {
        let (status, reply) = self.send("POST", "/chat", &message.to_string());
        assert_eq!(status, "200", "{reply}");
        serde_json::from_str(&reply).unwrap()
    }

    fn skill(&self, name: &str, input: &str) -> (String, String) {
        self.send("POST", &format!("/skills/{name}"), input)
    }

    /// Sends a request that does not end, and disconnects once its last query is done.
    #[track_caller]
    fn send_and_disconnect(&self, path: &str, body: &str, query: &str, method: &str) {
        let queries = format!("aria_db_queries_total{{operation=\"{query}\"}}");
        let before = self.page()[&queries];
        let pending = RunningProgram::start(&mut self.request("POST", path, body));
        self.page_when(&queries, before + 1.0);
        let in_progress = format!("aria_requests_in_progress{{method=\"{method}\"}}");
        assert_eq!(self.page()[&in_progress], 1.0, "{in_progress}");
        drop(pending);
        self.page_when(&in_progress, 0.0);
    }
}

fn to_agent(agent: &str, message: &str) -> String {
    json!({ "agent": agent, "message": message }).to_string()
}

/// `families()` describes exactly the metric families of the table.
#[test]
fn descriptions_match_the_table() {
    let mut described = BTreeMap::new();
    for family in metrics::families() {
        let labels = family.labels.iter().map(|label| label.name.to_string());
        let labels: BTreeSet<_> = labels.collect();
        described.insert(family.name, (labels, family.buckets));
    }
    let table = TABLE.iter().map(|row| {
        let labels = row.labels.iter().map(|(name, _)| (*name).to_owned());
        (
            row.name.to_owned(),
            (labels.collect(), row.buckets.to_vec()),
        )
    });
    assert_eq!(described, table.collect());
}

#[test]
fn enum_series_are_zero_before_the_first_request() {
    skip_without!(Curl);
    let aria = Aria::start(&["--no-traffic"]);
    let timed_jobs = "aria_scheduler_last_run_timestamp{job_id=\"compact\"}";
    let page = wait_for_page(&aria.url, timed_jobs, |page| page.contains(timed_jobs));
    let (errors, closed) = TABLE.split_last().unwrap();
    assert_eq!(errors.name, ERRORS);
    assert_page_matches_table(&page, &[], closed);
    assert!(!page.contains(ERRORS), "{page}");
    let page = samples(&page);
    assert_eq!(
        page["aria_build_info{engine=\"aria\",rust=\"1.88\",version=\"2.0.0\"}"],
        1.0
    );
    for method in [
        "chat",
        "chat_stream",
        "close_session",
        "run_skill",
        "run_job",
    ] {
        let cancelled = format!("aria_requests_total{{method=\"{method}\",status=\"cancelled\"}}");
        assert_eq!(page.get(&cancelled), Some(&0.0), "{cancelled}");
    }
    // Every other series is 0: only these families have values at start-up, or are updated by periodic jobs.
    let nonzero = [
        "aria_build_info",
        "aria_agent_pheromone_score",
        "aria_agents_active",
        "aria_db_pool",
        "aria_memory",
        "aria_scheduler",
        "aria_db_queries_total{operation=\"select\"}",
    ];
    for (sample, value) in page {
        let nonzero = nonzero.iter().any(|prefix| sample.starts_with(prefix));
        let is_queries = sample.starts_with("aria_db_query_duration") && sample.contains("select");
        if sample.starts_with("aria_") && !nonzero && !is_queries {
            assert_eq!(value, 0.0, "{sample}");
        }
    }
}

#[test]
fn metrics_are_served_on_a_separate_port() {
    skip_without!(Curl);
    let aria = Aria::start(&["--no-traffic"]);
    assert_eq!(aria.send("GET", "/metrics", "").0, "404");
    let chat = aria.url.replace("/metrics", "/chat");
    let status = curl(&["-o", "/dev/null", "-w", "%{http_code}", "-d", "{}", &chat]);
    assert_eq!(status, "404");
    assert_eq!(
        aria.page()["aria_requests_total{method=\"chat\",status=\"500\"}"],
        0.0
    );
}

/// Requests to an overloaded model. Their number depends on timing, so the test counts them.
struct Failed {
    /// The provider rejected the call.
    overloaded: f64,
    /// The open circuit breaker rejected the call.
    open: f64,
}

/// Every count equals the number of requests sent, by outcome.
#[test]
fn counts_equal_the_requests_sent() {
    skip_without!(Curl);
    let mut command = command(&["--no-traffic"]);
    let aria = Aria::start_command(command.env("ARIA_VERSION", "3.1.4"));
    // From here on, jobs run only on demand.
    for job in ["close_idle_sessions", "compact"] {
        aria.send_expecting_204("PUT", &format!("/jobs/{job}/paused"), "true");
    }
    let session = converse(&aria);
    let failed = trip_breaker(&aria);
    abort_stream(&aria);
    cancel(&aria);
    panic(&aria);
    run_jobs(&aria);
    use_skills(&aria);
    exhaust_pool(&aria);
    aria.send_expecting_204("DELETE", &format!("/sessions/{session}"), "");
    assert_eq!(
        aria.send("DELETE", &format!("/sessions/{session}"), "").0,
        "404"
    );

    let page = curl(&[&aria.url]);
    assert_page_matches_table(&page, &[], TABLE);
    let page = samples(&page);
    assert_eq!(counters(&page), expected_counters(&failed));
    assert_gauges(&page, &failed);
    assert_costs(&page);
    assert_durations(&page);
    assert_http(&page, &failed);
}

/// Sends six messages that are answered, one of them streamed, one that fails because no agent is
/// active, and one to an unknown agent. Returns the session of the first.
fn converse(aria: &Aria) -> Value {
    let message = |agent: &str| json!({ "agent": agent, "message": "one two three" });
    let first = aria.reply(&message("coder"));
    assert_eq!(first["text"], "You said: one two three");
    aria.reply(&message("coder"));
    aria.reply(&message("researcher"));

    let set_active = |agent: &str, active: &str| {
        aria.send_expecting_204("PUT", &format!("/agents/{agent}/active"), active);
    };
    set_active("researcher", "false");
    set_active("clerk", "false");
    assert_eq!(aria.page()["aria_agents_active"], 1.0);
    let session = first["session"].clone();
    for _ in 0..2 {
        let chosen = aria.reply(&json!({ "session": session, "message": "hi" }));
        assert_eq!(chosen["agent"], "coder");
        assert_eq!(chosen["session"], session);
    }
    set_active("coder", "false");
    assert_eq!(aria.send("POST", "/chat", "{\"message\":\"hi\"}").0, "500");
    for agent in ["coder", "clerk", "researcher"] {
        set_active(agent, "true");
    }

    let streamed = aria.send("POST", "/chat/stream", &to_agent("coder", "as it comes"));
    assert_eq!(streamed, ("200".into(), "You said: as it comes \n".into()));
    // Rejected before it reaches the engine: not in `aria_requests_total`.
    assert_eq!(aria.chat("unknown", "hi").0, "404");
    session
}

/// Makes a model fail until its circuit breaker is open, and lets it recover.
fn trip_breaker(aria: &Aria) -> Failed {
    const STATE: &str = "aria_llm_circuit_breaker_state{model=\"quick\"}";
    aria.set_fault("quick", "overloaded");
    let mut failed = Failed {
        overloaded: 0.0,
        open: 0.0,
    };
    // The breaker becomes half-open after a while; a failed trial opens it again.
    loop {
        let (status, reason) = aria.chat("clerk", "hi");
        assert_eq!(status, "500");
        match reason.trim() {
            "the model is overloaded" => failed.overloaded += 1.0,
            _ => failed.open += 1.0,
        }
        let state = aria.page()[STATE];
        if failed.overloaded < 3.0 {
            assert_eq!((state, failed.open), (0.0, 0.0));
        } else if state == 1.0 && failed.open > 0.0 {
            break;
        }
    }
    aria.page_when(STATE, 2.0);
    aria.set_fault("quick", "none");
    assert_eq!(aria.chat("clerk", "hi").0, "200");
    assert_eq!(aria.page()[STATE], 0.0);
    failed
}

/// Sends a request whose stream the model aborts.
fn abort_stream(aria: &Aria) {
    aria.set_fault("quick", "aborts_stream");
    let (status, words) = aria.send("POST", "/chat/stream", &to_agent("clerk", "hi"));
    assert_eq!((status.as_str(), words.contains("said")), ("200", false));
    aria.set_fault("quick", "none");
}

/// Disconnects while a model does not answer.
fn cancel(aria: &Aria) {
    aria.set_fault("deep", "hangs");
    let message = to_agent("researcher", "hi");
    aria.send_and_disconnect("/chat", &message, "insert", "chat");
    aria.send_and_disconnect("/chat/stream", &message, "insert", "chat_stream");
    aria.send_and_disconnect("/jobs/digest/runs", "", "select", "run_job");
}

/// Lets the decoder of a model's answers panic.
fn panic(aria: &Aria) {
    aria.set_fault("deep", "malformed");
    assert_eq!(aria.chat("researcher", "hi").0, "500");
    aria.send("POST", "/chat/stream", &to_agent("researcher", "hi"));
    assert_eq!(aria.send("POST", "/jobs/digest/runs", "").0, "500");
    assert_eq!(aria.skill("divide", "1 0").0, "500");
    aria.page_when("aria_requests_in_progress{method=\"chat_stream\"}", 0.0);
}

/// Runs a job that fails, then one that succeeds, and checks the status of the jobs after each.
fn run_jobs(aria: &Aria) {
    let jobs = |status: &str| {
        let jobs = format!("aria_scheduler_jobs_total{{status=\"{status}\"}}");
        aria.page()[&jobs]
    };
    assert_eq!(["active", "paused", "failed"].map(jobs), [1.0, 2.0, 0.0]);
    aria.set_fault("deep", "overloaded");
    assert_eq!(aria.send("POST", "/jobs/digest/runs", "").0, "500");
    assert_eq!(["active", "paused", "failed"].map(jobs), [0.0, 2.0, 1.0]);
    aria.set_fault("deep", "none");
    aria.send_expecting_204("POST", "/jobs/digest/runs", "");
    assert_eq!(["active", "paused", "failed"].map(jobs), [1.0, 2.0, 0.0]);
}

fn use_skills(aria: &Aria) {
    let ok = |output: &str| ("200".to_owned(), output.to_owned());
    assert_eq!(aria.skill("count_words", "a b c"), ok("3"));
    assert_eq!(aria.skill("divide", "7 2"), ok("3"));
    assert_eq!(aria.skill("scan", "10").0, "200");
    assert_eq!(aria.skill("divide", "many").0, "500");
    assert_eq!(aria.skill("unknown", "3").0, "404");
}

/// Holds all database connections until a chat request has failed because none is available.
fn exhaust_pool(aria: &Aria) {
    let scan = || RunningProgram::start(&mut aria.request("POST", "/skills/scan", "600000"));
    let scans = [scan(), scan(), scan(), scan()];
    aria.page_when("aria_db_pool_available", 0.0);
    assert_eq!(aria.chat("coder", "hi").0, "500");
    drop(scans);
    aria.page_when("aria_db_pool_available", 4.0);
    aria.page_when("aria_requests_in_progress{method=\"run_skill\"}", 0.0);
}

/// All nonzero counters except costs, which are not integers, and periodic jobs.
fn counters(page: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let compactions =
        page["aria_scheduler_executions_total{job_id=\"compact\",status=\"success\"}"];
    let counters = page.iter().filter(|(sample, value)| {
        let name = sample.split('{').next().unwrap();
        let is_counter = name.starts_with("aria_") && name.ends_with("_total");
        // The second is a gauge despite its name.
        let is_excluded = name.contains("_cost_") || name == "aria_scheduler_jobs_total";
        let is_periodic = sample.contains("close_idle_sessions") || sample.contains("compact");
        **value != 0.0 && is_counter && !is_excluded && !is_periodic
    });
    let counters =
        counters.map(
            |(sample, value)| match sample.ends_with("{operation=\"select\"}") {
                // Each run of `compact` makes one query.
                true => (sample.clone(), value - compactions),
                false => (sample.clone(), *value),
            },
        );
    counters.collect()
}

fn expected_counters(failed: &Failed) -> BTreeMap<String, f64> {
    let Failed { overloaded, open } = *failed;
    let both = overloaded + open;
    let expected = [
        (r#"requests_total{method="chat",status="200"}"#, 6.0),
        // One failed because no agent was active, one because no connection was available.
        (r#"requests_total{method="chat",status="500"}"#, 2.0 + both),
        (r#"requests_total{method="chat",status="cancelled"}"#, 1.0),
        (r#"requests_total{method="chat",status="panicked"}"#, 1.0),
        (r#"requests_total{method="chat_stream",status="200"}"#, 1.0),
        (r#"requests_total{method="chat_stream",status="500"}"#, 1.0),
        (
            r#"requests_total{method="chat_stream",status="cancelled"}"#,
            1.0,
        ),
        (
            r#"requests_total{method="chat_stream",status="panicked"}"#,
            1.0,
        ),
        (
            r#"requests_total{method="close_session",status="200"}"#,
            1.0,
        ),
        (r#"requests_total{method="run_job",status="200"}"#, 1.0),
        (r#"requests_total{method="run_job",status="500"}"#, 1.0),
        (
            r#"requests_total{method="run_job",status="cancelled"}"#,
            1.0,
        ),
        (r#"requests_total{method="run_job",status="panicked"}"#, 1.0),
        (r#"requests_total{method="run_skill",status="200"}"#, 3.0),
        (r#"requests_total{method="run_skill",status="500"}"#, 1.0),
        (
            r#"requests_total{method="run_skill",status="cancelled"}"#,
            4.0,
        ),
        (
            r#"requests_total{method="run_skill",status="panicked"}"#,
            1.0,
        ),
        (r#"llm_requests_total{model="deep",status="success"}"#, 2.0),
        (r#"llm_requests_total{model="deep",status="error"}"#, 1.0),
        (
            r#"llm_requests_total{model="deep",status="cancelled"}"#,
            3.0,
        ),
        (r#"llm_requests_total{model="deep",status="panicked"}"#, 3.0),
        (r#"llm_requests_total{model="quick",status="success"}"#, 6.0),
        (
            r#"llm_requests_total{model="quick",status="error"}"#,
            1.0 + overloaded,
        ),
        (r#"llm_tokens_input_total{model="deep"}"#, DEEP_INPUT),
        (r#"llm_tokens_output_total{model="deep"}"#, DEEP_OUTPUT),
        (r#"llm_tokens_input_total{model="quick"}"#, QUICK_INPUT),
        (r#"llm_tokens_output_total{model="quick"}"#, QUICK_OUTPUT),
        (r#"agent_routing_total{selected_agent="coder"}"#, 2.0),
        (
            r#"agent_tasks_total{agent_id="coder",status="success"}"#,
            5.0,
        ),
        (
            r#"agent_tasks_total{agent_id="clerk",status="success"}"#,
            1.0,
        ),
        (
            r#"agent_tasks_total{agent_id="clerk",status="error"}"#,
            1.0 + both,
        ),
        (
            r#"agent_tasks_total{agent_id="researcher",status="success"}"#,
            1.0,
        ),
        (
            r#"agent_tasks_total{agent_id="researcher",status="cancelled"}"#,
            2.0,
        ),
        (
            r#"agent_tasks_total{agent_id="researcher",status="panicked"}"#,
            2.0,
        ),
        ("sessions_created_total", 12.0 + both),
        (r#"sessions_messages_total{role="user"}"#, 14.0 + both),
        (r#"sessions_messages_total{role="assistant"}"#, 7.0),
        (r#"db_queries_total{operation="insert"}"#, 21.0 + both),
        // Four digests, one completed scan, and four cancelled scans.
        (r#"db_queries_total{operation="select"}"#, 9.0),
        (r#"db_queries_total{operation="delete"}"#, 1.0),
        (
            r#"scheduler_executions_total{job_id="digest",status="success"}"#,
            1.0,
        ),
        (
            r#"scheduler_executions_total{job_id="digest",status="error"}"#,
            1.0,
        ),
        (
            r#"scheduler_executions_total{job_id="digest",status="cancelled"}"#,
            1.0,
        ),
        (
            r#"scheduler_executions_total{job_id="digest",status="panicked"}"#,
            1.0,
        ),
        (
            r#"skill_executions_total{skill_name="count_words",status="success"}"#,
            1.0,
        ),
        (
            r#"skill_executions_total{skill_name="divide",status="success"}"#,
            1.0,
        ),
        (
            r#"skill_executions_total{skill_name="divide",status="error"}"#,
            1.0,
        ),
        (
            r#"skill_executions_total{skill_name="divide",status="panicked"}"#,
            1.0,
        ),
        (
            r#"skill_executions_total{skill_name="scan",status="success"}"#,
            1.0,
        ),
        (
            r#"skill_executions_total{skill_name="scan",status="cancelled"}"#,
            4.0,
        ),
        // An error of a component fails the request too, so it is counted twice: once for each.
        (
            r#"errors_total{component="chat",error_type="NoAgent"}"#,
            1.0,
        ),
        (
            r#"errors_total{component="llm",error_type="Overloaded"}"#,
            1.0 + overloaded,
        ),
        (
            r#"errors_total{component="chat",error_type="Overloaded"}"#,
            overloaded,
        ),
        (
            r#"errors_total{component="llm",error_type="CircuitOpen"}"#,
            open,
        ),
        (
            r#"errors_total{component="chat",error_type="CircuitOpen"}"#,
            open,
        ),
        (
            r#"errors_total{component="llm",error_type="StreamAborted"}"#,
            1.0,
        ),
        (
            r#"errors_total{component="chat_stream",error_type="StreamAborted"}"#,
            1.0,
        ),
        (
            r#"errors_total{component="scheduler",error_type="Overloaded"}"#,
            1.0,
        ),
        (
            r#"errors_total{component="run_job",error_type="Overloaded"}"#,
            1.0,
        ),
        (
            r#"errors_total{component="skill",error_type="ParseIntError"}"#,
            1.0,
        ),
        (
            r#"errors_total{component="run_skill",error_type="ParseIntError"}"#,
            1.0,
        ),
        (
            r#"errors_total{component="database",error_type="PoolTimeout"}"#,
            1.0,
        ),
        (
            r#"errors_total{component="chat",error_type="PoolTimeout"}"#,
            1.0,
        ),
    ];
    let expected = expected.map(|(sample, value)| (format!("aria_{sample}"), value));
    expected.into()
}

/// A message of three words, and the prompt of a digest of three.
const DEEP_INPUT: f64 = 6.0;
/// Two answers of five thoughts, the two words "You said:", and the prompt.
const DEEP_OUTPUT: f64 = 20.0;
/// Three messages of three words and four of one word. The answer to one of the latter is aborted.
const QUICK_INPUT: f64 = 13.0;
/// Six complete answers, and one that was aborted after one word.
const QUICK_OUTPUT: f64 = 25.0;

fn assert_gauges(page: &BTreeMap<String, f64>, failed: &Failed) {
    for (sample, value) in page {
        if sample.starts_with("aria_requests_in_progress") {
            assert_eq!(*value, 0.0, "{sample}");
        }
    }
    let sessions = 11.0 + failed.overloaded + failed.open;
    assert_eq!(page["aria_sessions_active"], sessions);
    assert_eq!(page["aria_session_duration_seconds_count"], 1.0);
    assert_eq!(page["aria_agents_active"], 3.0);
    assert_eq!(page["aria_db_pool_size"], 4.0);
    assert!(page["aria_memory_rss_bytes"] > 1e6);
    assert!(page["aria_memory_gc_objects"] > 0.0);
    assert_eq!(
        page["aria_build_info{engine=\"aria\",rust=\"1.88\",version=\"3.1.4\"}"],
        1.0
    );
}

fn assert_costs(page: &BTreeMap<String, f64>) {
    for (model, price, input, output) in [
        ("deep", 0.000_015, DEEP_INPUT, DEEP_OUTPUT),
        ("quick", 0.000_001, QUICK_INPUT, QUICK_OUTPUT),
    ] {
        let cost = page[&format!("aria_llm_token_cost_estimate_total{{model=\"{model}\"}}")];
        let expected = price * (input + 4.0 * output);
        assert!((cost - expected).abs() < 1e-9, "{model}: {cost} {expected}");
    }
}

/// Asserts that each operation with a duration has one observation for each end.
fn assert_durations(page: &BTreeMap<String, f64>) {
    let sum = |family: &str, label: &str| -> f64 {
        let start = format!("aria_{family}{{");
        let series = page.iter().filter(|(s, _)| s.starts_with(&start));
        let series = series.filter(|(s, _)| s.contains(label));
        series.map(|(_, value)| value).sum()
    };
    for (total, duration, values) in [
        (
            "requests_total",
            "request_duration_seconds_count",
            &[
                "method=\"chat\"",
                "method=\"chat_stream\"",
                "method=\"close_session\"",
                "method=\"run_job\"",
                "method=\"run_skill\"",
            ][..],
        ),
        (
            "llm_requests_total",
            "llm_request_duration_seconds_count",
            &["deep", "quick"],
        ),
        (
            "scheduler_executions_total",
            "scheduler_execution_duration_seconds_count",
            &["close_idle_sessions", "compact", "digest"],
        ),
        (
            "skill_executions_total",
            "skill_execution_duration_seconds_count",
            &["count_words", "divide", "scan"],
        ),
        (
            "db_queries_total",
            "db_query_duration_seconds_count",
            &["select", "insert", "delete"],
        ),
    ] {
        for value in values {
            let ends = sum(total, value);
            assert!(ends > 0.0, "{total} {value}");
            assert_eq!(sum(duration, value), ends, "{duration} {value}");
        }
    }
    assert_eq!(page["aria_agent_routing_duration_seconds_count"], 2.0);
    let thoughts = |model: &str| sum("llm_thinking_duration_seconds_count", model);
    assert_eq!([thoughts("deep"), thoughts("quick")], [2.0, 0.0]);
}

/// Asserts that the HTTP layer counted the same requests, and those rejected before they reach the engine.
fn assert_http(page: &BTreeMap<String, f64>, failed: &Failed) {
    let errors = 2.0 + failed.overloaded + failed.open;
    for (endpoint, status, expected) in [
        ("/chat", "200", 6.0),
        // `CatchPanicLayer` turns the panic into a 500.
        ("/chat", "500", errors + 1.0),
        ("/chat", "404", 1.0),
        ("/chat", "cancelled", 1.0),
        ("/jobs/{id}/runs", "204", 1.0),
        ("/jobs/{id}/runs", "500", 2.0),
        ("/jobs/{id}/runs", "cancelled", 1.0),
        ("/skills/{name}", "200", 3.0),
        ("/skills/{name}", "404", 1.0),
        ("/skills/{name}", "cancelled", 4.0),
    ] {
        let labels = format!("endpoint=\"{endpoint}\",method=\"POST\",status=\"{status}\"");
        let requests = format!("http_requests_total{{{labels}}}");
        assert_eq!(page.get(&requests), Some(&expected), "{requests}");
    }
}

/// A trial of a half-open breaker closes or opens it. A cancelled trial does neither, and the next
/// call is a trial again.
#[test]
fn half_open_breaker_closes_or_opens_by_one_trial() {
    skip_without!(Curl);
    const STATE: &str = "aria_llm_circuit_breaker_state{model=\"deep\"}";
    const CALLS: &str = "aria_llm_requests_total{model=\"deep\",status=\"error\"}";
    let aria = Aria::start(&["--no-traffic"]);
    let chat_fails = || assert_eq!(aria.chat("researcher", "hi").0, "500");
    aria.set_fault("deep", "overloaded");
    for _ in 0..3 {
        chat_fails();
    }
    // Half-open now, so it was open before.
    assert_eq!(aria.page_when(STATE, 2.0)[CALLS], 3.0);

    aria.set_fault("deep", "hangs");
    let message = to_agent("researcher", "hi");
    aria.send_and_disconnect("/chat", &message, "insert", "chat");
    assert_eq!(aria.page()[STATE], 2.0);
    // While a trial is in progress, other calls are rejected.
    let trial = RunningProgram::start(&mut aria.request("POST", "/chat", &message));
    aria.page_when("aria_db_queries_total{operation=\"insert\"}", 5.0);
    assert!(aria.chat("researcher", "hi").1.contains("circuit breaker"));
    drop(trial);
    aria.page_when("aria_requests_in_progress{method=\"chat\"}", 0.0);

    aria.set_fault("deep", "overloaded");
    chat_fails();
    assert_eq!(aria.page_when(STATE, 2.0)[CALLS], 4.0);
    aria.set_fault("deep", "none");
    assert_eq!(aria.chat("researcher", "hi").0, "200");
    let page = aria.page();
    assert_eq!((page[STATE], page[CALLS]), (0.0, 4.0));
    let cancelled = "aria_llm_requests_total{model=\"deep\",status=\"cancelled\"}";
    assert_eq!(page[cancelled], 2.0);
}

/// Successful tasks raise the score of an agent, failed tasks lower it, and all scores decay.
#[test]
fn pheromone_scores_rise_with_success_and_decay() {
    skip_without!(Curl);
    let aria = Aria::start(&["--no-traffic"]);
    let scores = |page: &BTreeMap<String, f64>| {
        let score = |agent| page[&format!("aria_agent_pheromone_score{{agent_id=\"{agent}\"}}")];
        ["coder", "clerk", "researcher"].map(score)
    };
    for _ in 0..3 {
        assert_eq!(aria.chat("coder", "hi").0, "200");
    }
    aria.set_fault("quick", "overloaded");
    assert_eq!(aria.chat("clerk", "hi").0, "500");
    let [coder, clerk, researcher] = scores(&aria.page());
    assert!(coder > researcher && researcher > clerk && clerk >= 0.1);
    let later = wait_for_page(&aria.url, "the score decays", |page| {
        scores(&samples(page))[0] < coder * 0.9
    });
    let [coder, clerk, researcher] = scores(&samples(&later));
    assert!(coder > researcher && researcher > clerk && clerk >= 0.1);
}

/// The cleanup job ends a session after five seconds without a message, and deletes its messages.
#[test]
fn idle_session_ends() {
    skip_without!(Curl);
    let aria = Aria::start(&["--no-traffic"]);
    assert_eq!(aria.chat("coder", "hi").0, "200");
    let page = aria.page_when("aria_db_queries_total{operation=\"delete\"}", 1.0);
    assert_eq!(page["aria_sessions_active"], 0.0);
    assert_eq!(page["aria_session_duration_seconds_count"], 1.0);
    assert!(page["aria_session_duration_seconds_sum"] >= 5.0);
}

/// The built-in traffic updates every metric family of the table. The program ends after SIGTERM.
#[test]
fn built_in_traffic_updates_every_family() {
    skip_without!(Curl);
    let mut aria = Aria::start(&[]);
    let mut not_updated: BTreeSet<_> = TABLE.iter().map(|row| row.name).collect();
    // Collected over several scrapes: the circuit breaker is open only at times.
    let page = wait_for_page(&aria.url, "every family was updated", |page| {
        for (sample, value) in samples(page) {
            let name = sample.split('{').next().unwrap();
            if value > 0.0 {
                not_updated.remove(name.strip_suffix("_count").unwrap_or(name));
            }
        }
        not_updated.is_empty()
    });
    assert_page_matches_table(&page, &[], TABLE);
    aria.running.signal("TERM");
    assert!(aria.running.wait_for_exit().success());
}

/// Sends every query of the dashboard to a real Prometheus that scrapes the program.
#[test]
fn every_panel_has_data() {
    skip_without!(Curl, Prometheus);
    let aria = Aria::start(&[]);
    let target = aria.url.trim_start_matches("http://");
    let config = ScrapeConfig::new()
        .interval("1s")
        .job(ScrapeJob::new("aria").target(target.trim_end_matches("/metrics")))
        .to_prometheus_yaml()
        .unwrap();
    let store = Store::prometheus(&config, &[]);

    let files = mixin::mixin(&metrics::families()).unwrap().files().unwrap();
    let dashboard = &files[Path::new("dashboards/aria-engine-prod.json")];
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert_eq!(panels.len(), 13);
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        let results = panel["targets"].as_array().unwrap().iter().map(|target| {
            let query = target["expr"].as_str().unwrap();
            let query = query.replace("$job", "aria").replace("$instance", ".+");
            assert!(!query.contains('$'), "{title}: {query}");
            (store.wait_for_values(&query), query)
        });
        let results: Vec<_> = results.collect();
        for (values, query) in &results {
            // A rate can be 0 between two errors, but not negative.
            assert!(values.iter().all(|value| *value >= 0.0), "{title}: {query}");
        }
        let values: Vec<_> = results.iter().map(|(values, _)| &values[..]).collect();
        match title {
            "Active agents" => assert_eq!(values, [[3.0]]),
            "Scheduler job status" => {
                assert_eq!(values[0].len(), 3);
                assert_eq!(values[0].iter().sum::<f64>(), 3.0);
            }
            "Database pool" => assert!(values[0] == [4.0] && values[1][0] <= 4.0),
            "Pheromone scores" | "Routing distribution (1 h)" => assert_eq!(values[0].len(), 3),
            "LLM token usage" => assert!(values.iter().all(|by_model| by_model.len() == 2)),
            // Megabytes.
            "Memory (RSS)" => assert!((1.0..1000.0).contains(&values[0][0]), "{values:?}"),
            _ => assert!(!values[0].is_empty(), "{title}"),
        }
    }
}
