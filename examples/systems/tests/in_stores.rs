//! All five systems as they are deployed: Prometheus and VictoriaMetrics scrape them with the
//! configurations in `generated/`, and every panel and every rule has a result, or a reason in
//! [`EMPTY`].
//!
//! Each system runs twice. In one process the built-in client sends requests, so that every metric
//! of a panel changes. Only this test calls the other process, so both stores must have exactly the
//! counts of the requests that it sent.
//!
//! Behaviour of the stores that the test allows for:
//!
//! - Debian's Prometheus is built without Kubernetes discovery and refuses a configuration with such a job.
//!   VictoriaMetrics accepts it, and finds no pod.
//! - An alert that does not fire has an empty result, and so has an alert on a metric that does not
//!   exist. So the test queries the compared expression, which must have a result.
//! - A series that is exported only for a moment, such as the balance of a channel that is settled
//!   soon, is stale at the next scrape. Instant queries, repeated for a minute, once returned no
//!   such series from VictoriaMetrics, although they did from Prometheus. So every query is a range
//!   query, as in Grafana.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::Endpoint;

use systems::zerostate::api::{self, Client};
use test_support::process::{RunningProgram, curl, program};
use test_support::skip_without;
use test_support::store::Store;
use test_support::{check_equal, retry_until_ok};

/// A system, and the requests that the test sends to it.
struct System {
    /// Name of the directory in `generated`.
    name: &'static str,
    program: &'static str,
    requests: &'static [RepeatedRequest],
}

/// A request that is sent several times.
struct RepeatedRequest {
    times: u32,
    path: &'static str,
    /// Further arguments of curl.
    curl: &'static [&'static str],
    /// The expected HTTP status.
    status: &'static str,
    /// The series that counts the request: a family, and labels.
    counted: (&'static str, &'static str),
}

const fn repeated(
    times: u32,
    path: &'static str,
    curl: &'static [&'static str],
    status: &'static str,
    counted: (&'static str, &'static str),
) -> RepeatedRequest {
    RepeatedRequest {
        times,
        path,
        curl,
        status,
        counted,
    }
}

const ACME: &[&str] = &["-H", "x-workspace-id: acme"];
const ACME_TASK: &[&str] = &["-H", "x-workspace-id: acme", "-d", "Where is the moon?"];
const JSON: &str = "content-type: application/json";

const SYSTEMS: &[System] = &[
    System {
        name: "agentos",
        program: env!("CARGO_BIN_EXE_agentos"),
        requests: &[
            repeated(
                5,
                "/a2a/planner",
                ACME,
                "200",
                (
                    "a2a_requests_total",
                    r#"agent="planner",operation="card",status="success""#,
                ),
            ),
            repeated(
                3,
                "/a2a/researcher/answer",
                ACME_TASK,
                "200",
                (
                    "a2a_requests_total",
                    r#"agent="researcher",operation="answer",status="success""#,
                ),
            ),
        ],
    },
    System {
        name: "aria",
        program: env!("CARGO_BIN_EXE_aria"),
        requests: &[
            repeated(
                4,
                "/chat",
                &["-H", JSON, "-d", r#"{"message": "hello there"}"#],
                "200",
                (
                    "http_requests_total",
                    r#"endpoint="/chat",method="POST",status="200""#,
                ),
            ),
            repeated(
                3,
                "/nowhere",
                &[],
                "404",
                (
                    "http_requests_total",
                    r#"endpoint="unmatched",status="404""#,
                ),
            ),
        ],
    },
    System {
        name: "asdlc",
        program: env!("CARGO_BIN_EXE_asdlc"),
        requests: &[
            repeated(
                7,
                "/api/events/code_submitted",
                &["-d", "fn pay() {}"],
                "202",
                (
                    "asdlc_http_requests_total",
                    r#"endpoint="/api/events/{event_type}",status="202""#,
                ),
            ),
            repeated(
                2,
                "/api/events/Not-a-type",
                &["-d", ""],
                "400",
                (
                    "asdlc_http_requests_total",
                    r#"endpoint="/api/events/{event_type}",status="400""#,
                ),
            ),
            repeated(
                3,
                "/nowhere",
                &[],
                "404",
                (
                    "asdlc_http_requests_total",
                    r#"endpoint="unmatched",status="404""#,
                ),
            ),
        ],
    },
    System {
        name: "openclaw",
        program: env!("CARGO_BIN_EXE_openclaw"),
        requests: &[
            repeated(
                3,
                "/tasks",
                &[
                    "-H",
                    JSON,
                    "-d",
                    r#"{"capability": "levitate", "complexity": "low"}"#,
                ],
                "503",
                (
                    "openclaw_http_requests_total",
                    r#"endpoint="/tasks",status="503""#,
                ),
            ),
            repeated(
                5,
                "/audit",
                &[],
                "200",
                (
                    "openclaw_http_requests_total",
                    r#"endpoint="/audit",status="200""#,
                ),
            ),
        ],
    },
    System {
        name: "zerostate",
        program: env!("CARGO_BIN_EXE_zerostate"),
        requests: &[
            repeated(
                5,
                "/channels/channel-1",
                &[],
                "404",
                (
                    "http_requests_total",
                    r#"endpoint="/channels/{channel_id}",status="404""#,
                ),
            ),
            repeated(
                3,
                "/nowhere",
                &[],
                "404",
                (
                    "http_requests_total",
                    r#"endpoint="unmatched",status="404""#,
                ),
            ),
        ],
    },
];

/// Number of gRPC calls of ZeroState that open a channel.
const CHANNELS_OPENED: u32 = 6;
/// Number of gRPC calls of ZeroState that pay over an unknown channel.
const FAILED_PAYMENTS: u32 = 4;

const NO_CONNECTION: &str = "the system has no WebSocket, tunnel or event stream";
const NO_ABORT: &str = "the client reads every response body to its end";
const NO_OVERFLOW: &str = "no label exceeds its limit";

/// Panels and rules without a result, with the reason. All others must have one. aSDLC's overflow
/// rule has one, because it applies to all jobs and ZeroState has more auctions than the limit of
/// `auction_id`.
const EMPTY: &[(&str, &str, &str)] = &[
    ("asdlc", "Http connections open", NO_CONNECTION),
    ("asdlc", "Http response bodies aborted", NO_ABORT),
    ("asdlc", "Metrics label overflow", NO_OVERFLOW),
    ("openclaw", "Http connections open", NO_CONNECTION),
    ("openclaw", "Http response bodies aborted", NO_ABORT),
    ("openclaw", "Metrics label overflow", NO_OVERFLOW),
    ("openclaw", "CardinalityOverflow", NO_OVERFLOW),
];

/// A running system; dropping it stops the program.
struct Process {
    _running: RunningProgram,
    /// Addresses of the metrics pages, in the order of the targets in the scrape configuration.
    pages: Vec<String>,
    /// Address of the HTTP API.
    api: String,
    /// Address of the gRPC API, if the system has one.
    grpc: Option<String>,
}

impl Process {
    fn start(path: &str, arguments: &[&str], pages: usize) -> Self {
        let mut command = program(path);
        command.args(arguments).stderr(Stdio::null());
        for port in ["ORCHESTRATOR_PORT", "WORKERS_PORT", "METRICS_PORT"] {
            command.env(port, "0");
        }
        for variable in ["GRPC_PORT", "INSTANCE", "REDIS_URL", "VICTORIAMETRICS_URL"] {
            command.env_remove(variable);
        }
        let mut running = RunningProgram::start(&mut command);
        let mut found = Vec::new();
        let (mut api, mut grpc) = (None, None);
        while found.len() < pages {
            let line = running.read_line_after("");
            if let Some(address) = line.strip_prefix("gRPC on ") {
                grpc = Some(address.to_owned());
                continue;
            }
            let (_, address) = line.split_once("http://").unwrap();
            let page = address.strip_suffix("/metrics");
            found.extend(page.map(str::to_owned));
            api.get_or_insert_with(|| page.unwrap_or(address).to_owned());
        }
        Self {
            _running: running,
            pages: found,
            api: api.unwrap(),
            grpc,
        }
    }
}

/// Calls ZeroState's gRPC API.
#[tokio::main(flavor = "current_thread")]
async fn call_grpc(address: &str) {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let client = Client::new(endpoint.connect_lazy());
    for _ in 0..CHANNELS_OPENED {
        let open = api::OpenChannel {
            opened_by: "client".to_owned(),
            client_deposit: 100,
            provider_deposit: 100,
        };
        client.call(open).await.unwrap();
    }
    for _ in 0..FAILED_PAYMENTS {
        let pay = api::Pay {
            channel_id: "channel-1000".to_owned(),
            party: "client".to_owned(),
            amount: 1,
        };
        assert_eq!(client.call(pay).await.unwrap_err().code(), Code::NotFound);
    }
}

/// Two processes of a system, and its generated files.
struct Deployed {
    system: &'static System,
    /// With the built-in client.
    self_driven: Process,
    /// Called by this test only.
    test_driven: Process,
    files: PathBuf,
}

impl Deployed {
    fn start(system: &'static System) -> Self {
        let files = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("generated")
            .join(system.name);
        let config = yaml(&files.join("prometheus.yml"));
        let pages = jobs(&config)
            .filter(|job| job.get("static_configs").is_some())
            .count();
        Self {
            self_driven: Process::start(system.program, &[], pages),
            test_driven: Process::start(system.program, &["--no-traffic"], pages),
            system,
            files,
        }
    }

    /// The scrape jobs of a configuration file, with the addresses of the two processes as targets.
    fn jobs(&self, file: &str) -> Vec<Value> {
        let config = yaml(&self.files.join(file));
        let mut pages = self.self_driven.pages.iter().zip(&self.test_driven.pages);
        let mut adapted = Vec::new();
        for job in jobs(&config) {
            let mut job = job.clone();
            if job.get("static_configs").is_some() {
                let (self_driven, test_driven) = pages.next().unwrap();
                job["static_configs"] = json!([{ "targets": [self_driven, test_driven] }]);
            } else if file == "prometheus.yml" {
                continue;
            }
            // In production a proxy terminates TLS; the processes here serve plain HTTP.
            job.as_object_mut().unwrap().remove("scheme");
            adapted.push(job);
        }
        adapted
    }

    fn send_requests(&self) {
        for request in self.system.requests {
            let url = format!("{}{}", self.test_driven.api, request.path);
            for _ in 0..request.times {
                let status = ["-o", "/dev/null", "-w", "%{http_code}"];
                let status = curl(&[&status, request.curl, &[&url]].concat());
                let Self { system, .. } = self;
                assert_eq!(status, request.status, "{}: {}", system.name, request.path);
            }
        }
        if let Some(address) = &self.test_driven.grpc {
            call_grpc(address);
        }
    }

    /// Queries with the results that the stores must have for the requests sent: per series, and per family.
    fn counts(&self) -> Vec<(String, f64)> {
        let instance = self.test_driven.pages.join("|");
        let mut counts = BTreeMap::<_, f64>::new();
        let mut count = |family: &str, labels: &str, times: u32| {
            let sum = |labels: &str| format!("sum({family}{{instance=~\"{instance}\"{labels}}})");
            *counts.entry(sum(&format!(",{labels}"))).or_default() += f64::from(times);
            *counts.entry(sum("")).or_default() += f64::from(times);
        };
        for request in self.system.requests {
            let (family, labels) = request.counted;
            count(family, labels, request.times);
        }
        if self.test_driven.grpc.is_some() {
            let handled = "grpc_server_handled_total";
            count(
                handled,
                r#"grpc_method="OpenChannel",grpc_code="OK""#,
                CHANNELS_OPENED,
            );
            count(
                handled,
                r#"grpc_method="Pay",grpc_code="NotFound""#,
                FAILED_PAYMENTS,
            );
        }
        counts.into_iter().collect()
    }

    /// The queries of the panels, for the process with the built-in client.
    fn panels(&self) -> Vec<NamedQuery> {
        let mut queries = Vec::new();
        let instance = self.self_driven.pages.join("|");
        for file in self.files_in("dashboards") {
            if file.to_string_lossy().ends_with(".api.json") {
                continue;
            }
            let dashboard: Value = serde_json::from_str(&read(&file)).unwrap();
            for panel in dashboard["panels"].as_array().unwrap() {
                for target in panel["targets"].as_array().into_iter().flatten() {
                    let query = target["expr"].as_str().unwrap();
                    let query = query
                        .replace("$__rate_interval", "30s")
                        .replace("$instance", &instance)
                        .replace("$job", ".+");
                    assert!(!query.contains('$'), "{query}");
                    queries.push(NamedQuery {
                        system: self.system.name,
                        name: panel["title"].as_str().unwrap().to_owned(),
                        query,
                    });
                }
            }
        }
        queries
    }

    /// The queries of the rules: of recording rules the expression, of alerts its left side or, of `absent`, what is absent.
    fn rules(&self) -> Vec<NamedQuery> {
        let mut queries = Vec::new();
        for file in self.files_in("rules") {
            let rules = yaml(&file);
            let groups = rules["groups"].as_array().unwrap().iter();
            for rule in groups.flat_map(|group| group["rules"].as_array().unwrap()) {
                let name = rule["record"].as_str().or(rule["alert"].as_str());
                let query = rule["expr"].as_str().unwrap();
                let query = match rule.get("alert") {
                    Some(_) => left_side(query),
                    None => query,
                };
                queries.push(NamedQuery {
                    system: self.system.name,
                    name: name.unwrap().to_owned(),
                    query: query.to_owned(),
                });
            }
        }
        queries
    }

    fn files_in(&self, directory: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.files.join(directory)).unwrap();
        let files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        assert!(
            !files.is_empty(),
            "{}: {directory} is empty",
            self.system.name
        );
        files
    }
}

/// A query of a panel or a rule.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct NamedQuery {
    system: &'static str,
    /// The title of the panel or the name of the rule.
    name: String,
    query: String,
}

impl NamedQuery {
    fn is_expected_empty(&self) -> bool {
        let is_self =
            |(system, name, _): &(&str, &str, &str)| *system == self.system && *name == self.name;
        EMPTY.iter().any(is_self)
    }
}

/// Returns the expression that an alert compares with its threshold, or whose absence it reports.
fn left_side(alert: &str) -> &str {
    let absent = alert.strip_prefix("absent(");
    if let Some(of) = absent.and_then(|of| of.strip_suffix(')')) {
        return of;
    }
    let comparisons = [" == ", " >= ", " <= ", " > ", " < "];
    let sides = comparisons.iter().find_map(|sign| alert.rsplit_once(sign));
    let (left, threshold) = sides.unwrap_or_else(|| panic!("alert without comparison: {alert}"));
    assert!(threshold.parse::<f64>().is_ok(), "{alert}");
    left
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &Path) -> Value {
    yaml_serde::from_str(&read(path)).unwrap()
}

fn jobs(config: &Value) -> impl Iterator<Item = &Value> {
    config["scrape_configs"].as_array().unwrap().iter()
}

/// The scrape configuration of all systems, as JSON, which is also YAML.
fn config(deployed: &[Deployed], file: &str) -> Value {
    let jobs: Vec<_> = deployed
        .iter()
        .flat_map(|system| system.jobs(file))
        .collect();
    json!({ "global": { "scrape_interval": "1s" }, "scrape_configs": jobs })
}

fn prometheus(deployed: &[Deployed]) -> Store {
    let mut config = config(deployed, "prometheus.yml");
    let rules: Vec<_> = deployed
        .iter()
        .flat_map(|system| system.files_in("rules"))
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                read(&path),
            )
        })
        .collect();
    config["global"]["evaluation_interval"] = json!("1s");
    config["rule_files"] = rules.iter().map(|(name, _)| name.as_str()).collect();
    let rules: Vec<_> = rules
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    Store::prometheus(&config.to_string(), &rules)
}

/// Repeats the queries in both stores until each has a result, except those in [`EMPTY`].
fn assert_results(stores: &[(&'static str, &Store)], queries: &BTreeSet<NamedQuery>) {
    for (system, name, _) in EMPTY {
        let is_it = |query: &NamedQuery| query.system == *system && query.name == *name;
        assert!(
            queries.iter().any(is_it),
            "EMPTY: {system} has no panel or rule {name:?}"
        );
    }
    let mut without_result: Vec<_> = stores
        .iter()
        .flat_map(|store| queries.iter().map(move |query| (store, query)))
        .collect();
    retry_until_ok("every query has a result", || {
        without_result.retain(|((_, store), query)| !store.had_value_within(&query.query, 60.0));
        let missing: Vec<_> = without_result
            .iter()
            .filter(|(_, query)| !query.is_expected_empty())
            .map(|((store, _), query)| (store, query))
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(format!("{missing:#?}")),
        }
    });
    let empty = queries
        .iter()
        .filter(|query| query.is_expected_empty())
        .count();
    assert_eq!(
        without_result.len(),
        empty * stores.len(),
        "a query in EMPTY has a result"
    );
}

#[test]
fn both_stores_have_every_query_result_and_exact_counts() {
    skip_without!(Curl, Prometheus, Redis, VictoriaMetrics);
    let deployed: Vec<_> = SYSTEMS.iter().map(Deployed::start).collect();
    let prometheus = prometheus(&deployed);
    let victoria = Store::victoria_metrics(&config(&deployed, "vmagent.yml").to_string());
    let stores = [("Prometheus", &prometheus), ("VictoriaMetrics", &victoria)];
    for system in &deployed {
        system.send_requests();
    }

    let targets = deployed
        .iter()
        .map(|system| system.self_driven.pages.len() + system.test_driven.pages.len());
    let targets = targets.sum::<usize>() as f64;
    for (name, store) in stores {
        let counts = deployed.iter().flat_map(Deployed::counts);
        for (query, expected) in counts.chain([("sum(up)".to_owned(), targets)]) {
            retry_until_ok(&format!("{name}: {query}"), || {
                check_equal(
                    &store.query(&query, None),
                    &vec![(BTreeMap::new(), expected)],
                )
            });
        }
    }

    let queries: BTreeSet<_> = deployed
        .iter()
        .flat_map(|system| [system.panels(), system.rules()].concat())
        .collect();
    assert_results(&stores, &queries);
    // Prometheus evaluates all rules without errors.
    let is_evaluated = |rule: &Value| rule["health"] == "ok";
    let rules = prometheus.wait_for_response("/api/v1/rules", &[], |response| {
        rules_of(response).iter().all(is_evaluated)
    });
    let expected: usize = deployed.iter().map(|system| system.rules().len()).sum();
    assert_eq!(rules_of(&rules).len(), expected);
}

fn rules_of(response: &Value) -> Vec<Value> {
    let groups = response["data"]["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
    rules.collect()
}
