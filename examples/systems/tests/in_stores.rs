//! All five systems as they are deployed: Prometheus and VictoriaMetrics scrape them with the configurations in
//! `generated/`, and every panel and every rule has a result.
//!
//! Each system runs twice. One process drives itself, so that every metric of a panel changes. The other is called by
//! this test only, so both stores must have exactly the counts of the requests that were sent.
//!
//! Behaviour of the stores that the test allows for:
//!
//! - Debian's Prometheus is built without Kubernetes discovery and refuses a configuration with such a job.
//!   VictoriaMetrics accepts it, and finds no pod.
//! - An alert that does not fire has an empty result, and so has an alert on a metric that does not exist. So the test
//!   queries the compared expression, which must have a result.
//! - A series that is exported only for a moment, like the balance of a channel that is settled soon, is stale at the
//!   next scrape. With instant queries, repeated for a minute, VictoriaMetrics once returned none where Prometheus
//!   did. So every query is a range query, as in Grafana.

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

/// A system, and the requests that the test makes of it.
struct System {
    /// The name of its directory in `generated`.
    name: &'static str,
    program: &'static str,
    sent: &'static [Sent],
}

/// A request, made some times.
struct Sent {
    times: u32,
    /// The path, or the method of gRPC.
    path: &'static str,
    curl: &'static [&'static str],
    /// Of HTTP, or the code of gRPC.
    status: &'static str,
    /// The series that counts it: a family, and labels.
    counted: (&'static str, &'static str),
}

const fn sent(
    times: u32,
    path: &'static str,
    curl: &'static [&'static str],
    status: &'static str,
    counted: (&'static str, &'static str),
) -> Sent {
    Sent {
        times,
        path,
        curl,
        status,
        counted,
    }
}

const ACME: &[&str] = &["-H", "x-workspace-id: acme"];
const ACME_ASKS: &[&str] = &["-H", "x-workspace-id: acme", "-d", "Where is the moon?"];
const JSON: &str = "content-type: application/json";

const SYSTEMS: &[System] = &[
    System {
        name: "agentos",
        program: env!("CARGO_BIN_EXE_agentos"),
        sent: &[
            sent(
                5,
                "/a2a/planner",
                ACME,
                "200",
                (
                    "a2a_requests_total",
                    r#"agent="planner",operation="card",status="success""#,
                ),
            ),
            sent(
                3,
                "/a2a/researcher/answer",
                ACME_ASKS,
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
        sent: &[
            sent(
                4,
                "/chat",
                &["-H", JSON, "-d", r#"{"message": "hello there"}"#],
                "200",
                (
                    "http_requests_total",
                    r#"endpoint="/chat",method="POST",status="200""#,
                ),
            ),
            sent(
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
        sent: &[
            sent(
                7,
                "/api/events/code_submitted",
                &["-d", "fn pay() {}"],
                "202",
                (
                    "asdlc_http_requests_total",
                    r#"endpoint="/api/events/{event_type}",status="202""#,
                ),
            ),
            sent(
                2,
                "/api/events/Not-a-type",
                &["-d", ""],
                "400",
                (
                    "asdlc_http_requests_total",
                    r#"endpoint="/api/events/{event_type}",status="400""#,
                ),
            ),
            sent(
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
        sent: &[
            sent(
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
            sent(
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
        sent: &[
            sent(
                5,
                "/channels/channel-1",
                &[],
                "404",
                (
                    "http_requests_total",
                    r#"endpoint="/channels/{channel_id}",status="404""#,
                ),
            ),
            sent(
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

/// Calls of ZeroState's gRPC API: channels that are opened, and payments over one that is not there.
const OPENED: u32 = 6;
const REFUSED: u32 = 4;

const NO_CONNECTION: &str = "it has no websocket, tunnel or event stream";
const NO_ABORT: &str = "every response is read to its end";
const NO_OVERFLOW: &str = "no label has more values than it may";

/// Panels and rules without an answer, and why there is none. That is said of no other: aSDLC's rule on overflows, for
/// one, is of all jobs, and ZeroState has more auctions than get series of their own.
const EMPTY: &[(&str, &str, &str)] = &[
    ("asdlc", "Http connections open", NO_CONNECTION),
    ("asdlc", "Http response bodies aborted", NO_ABORT),
    ("asdlc", "Metrics label overflow", NO_OVERFLOW),
    ("openclaw", "Http connections open", NO_CONNECTION),
    ("openclaw", "Http response bodies aborted", NO_ABORT),
    ("openclaw", "Metrics label overflow", NO_OVERFLOW),
    ("openclaw", "CardinalityOverflow", NO_OVERFLOW),
];

/// A system at work; it ends with the test.
struct Process {
    _running: RunningProgram,
    /// Where its pages are, in the order of its configuration's targets.
    pages: Vec<String>,
    /// Where it is asked over HTTP, and over gRPC if it can be.
    api: String,
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

/// Drives ZeroState's gRPC API.
#[tokio::main(flavor = "current_thread")]
async fn call(address: &str) {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let client = Client::new(endpoint.connect_lazy());
    for _ in 0..OPENED {
        let open = api::OpenChannel {
            opened_by: "client".to_owned(),
            client_deposit: 100,
            provider_deposit: 100,
        };
        client.call(open).await.unwrap();
    }
    for _ in 0..REFUSED {
        let pay = api::Pay {
            channel_id: "channel-1000".to_owned(),
            party: "client".to_owned(),
            amount: 1,
        };
        assert_eq!(client.call(pay).await.unwrap_err().code(), Code::NotFound);
    }
}

/// A system twice, and what is deployed with it.
struct Deployed {
    system: &'static System,
    /// Driven by itself.
    busy: Process,
    /// Driven by the test.
    driven: Process,
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
            busy: Process::start(system.program, &[], pages),
            driven: Process::start(system.program, &["--no-traffic"], pages),
            system,
            files,
        }
    }

    /// The jobs of its configuration, with the targets that are here.
    fn jobs(&self, file: &str) -> Vec<Value> {
        let config = yaml(&self.files.join(file));
        let mut pages = self.busy.pages.iter().zip(&self.driven.pages);
        let mut adapted = Vec::new();
        for job in jobs(&config) {
            let mut job = job.clone();
            if job.get("static_configs").is_some() {
                let (busy, driven) = pages.next().unwrap();
                job["static_configs"] = json!([{ "targets": [busy, driven] }]);
            } else if file == "prometheus.yml" {
                continue;
            }
            // Who is reached over TLS is behind somebody who ends it.
            job.as_object_mut().unwrap().remove("scheme");
            adapted.push(job);
        }
        adapted
    }

    fn drive(&self) {
        for sent in self.system.sent {
            let url = format!("{}{}", self.driven.api, sent.path);
            for _ in 0..sent.times {
                let status = ["-o", "/dev/null", "-w", "%{http_code}"];
                let status = curl(&[&status, sent.curl, &[&url]].concat());
                assert_eq!(status, sent.status, "{}: {}", self.system.name, sent.path);
            }
        }
        if let Some(address) = &self.driven.grpc {
            call(address);
        }
    }

    /// What the stores must say of the requests that were sent: of each series, and of all of a family.
    fn counts(&self) -> Vec<(String, f64)> {
        let instance = self.driven.pages.join("|");
        let mut counts = BTreeMap::<_, f64>::new();
        let mut count = |family: &str, labels: &str, times: u32| {
            let of = |labels: &str| format!("sum({family}{{instance=~\"{instance}\"{labels}}})");
            *counts.entry(of(&format!(",{labels}"))).or_default() += f64::from(times);
            *counts.entry(of("")).or_default() += f64::from(times);
        };
        for sent in self.system.sent {
            let (family, labels) = sent.counted;
            count(family, labels, sent.times);
        }
        if self.driven.grpc.is_some() {
            let handled = "grpc_server_handled_total";
            count(
                handled,
                r#"grpc_method="OpenChannel",grpc_code="OK""#,
                OPENED,
            );
            count(
                handled,
                r#"grpc_method="Pay",grpc_code="NotFound""#,
                REFUSED,
            );
        }
        counts.into_iter().collect()
    }

    /// What its panels ask, of the one that is busy.
    fn panels(&self) -> Vec<Asked> {
        let mut asked = Vec::new();
        let instance = self.busy.pages.join("|");
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
                    asked.push(Asked {
                        system: self.system.name,
                        what: panel["title"].as_str().unwrap().to_owned(),
                        query,
                    });
                }
            }
        }
        asked
    }

    /// What its rules ask: what is recorded, and what alerts compare.
    fn rules(&self) -> Vec<Asked> {
        let mut asked = Vec::new();
        for file in self.files_in("rules") {
            let rules = yaml(&file);
            let groups = rules["groups"].as_array().unwrap().iter();
            for rule in groups.flat_map(|group| group["rules"].as_array().unwrap()) {
                let name = rule["record"].as_str().or(rule["alert"].as_str());
                let query = rule["expr"].as_str().unwrap();
                let query = match rule.get("alert") {
                    Some(_) => compared(query),
                    None => query,
                };
                asked.push(Asked {
                    system: self.system.name,
                    what: name.unwrap().to_owned(),
                    query: query.to_owned(),
                });
            }
        }
        asked
    }

    fn files_in(&self, directory: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.files.join(directory)).unwrap();
        let files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "{}: no {directory}", self.system.name);
        files
    }
}

/// A query of a panel or a rule.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Asked {
    system: &'static str,
    /// The panel's title or the rule's name.
    what: String,
    query: String,
}

impl Asked {
    fn is_empty(&self) -> bool {
        let is =
            |(system, what, _): &(&str, &str, &str)| *system == self.system && *what == self.what;
        EMPTY.iter().any(is)
    }
}

/// What is left of an alert's comparison.
fn compared(alert: &str) -> &str {
    let comparisons = [" == ", " >= ", " <= ", " > ", " < "];
    let compared = comparisons.iter().find_map(|sign| alert.rsplit_once(sign));
    let (compared, threshold) = compared.unwrap_or_else(|| panic!("it compares nothing: {alert}"));
    assert!(threshold.parse::<f64>().is_ok(), "{alert}");
    compared
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

/// A configuration of all systems; JSON is YAML too.
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

/// Asks both stores, over and over, until what is left is what has no answer.
fn assert_answered(stores: &[(&'static str, &Store)], asked: &BTreeSet<Asked>) {
    for (system, what, reason) in EMPTY {
        let is_asked = |asked: &Asked| asked.system == *system && asked.what == *what;
        assert!(
            asked.iter().any(is_asked),
            "nobody asks for {what} of {system}: {reason}"
        );
    }
    let mut left: Vec<_> = stores
        .iter()
        .flat_map(|store| asked.iter().map(move |asked| (store, asked)))
        .collect();
    retry_until_ok("no answer", || {
        left.retain(|((_, store), asked)| !store.had_value_within(&asked.query, 60.0));
        let left: Vec<_> = left
            .iter()
            .filter(|(_, asked)| !asked.is_empty())
            .map(|((store, _), asked)| (store, asked))
            .collect();
        match left.is_empty() {
            true => Ok(()),
            false => Err(format!("{left:#?}")),
        }
    });
    let empty = asked.iter().filter(|asked| asked.is_empty()).count();
    assert_eq!(
        left.len(),
        empty * stores.len(),
        "an answer that nobody expected"
    );
}

#[test]
fn both_stores_answer_every_query_and_count_every_request() {
    skip_without!(Curl, Prometheus, Redis, VictoriaMetrics);
    let deployed: Vec<_> = SYSTEMS.iter().map(Deployed::start).collect();
    let prometheus = prometheus(&deployed);
    let victoria = Store::victoria_metrics(&config(&deployed, "vmagent.yml").to_string());
    let stores = [("Prometheus", &prometheus), ("VictoriaMetrics", &victoria)];
    for system in &deployed {
        system.drive();
    }

    let targets = deployed
        .iter()
        .map(|system| system.busy.pages.len() + system.driven.pages.len());
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

    let asked: BTreeSet<_> = deployed
        .iter()
        .flat_map(|system| [system.panels(), system.rules()].concat())
        .collect();
    assert_answered(&stores, &asked);
    // Prometheus evaluates all the rules, too.
    let is_evaluated = |rule: &Value| rule["health"] == "ok";
    let rules = prometheus.wait_for_response("/api/v1/rules", &[], |answer| {
        rules_of(answer).iter().all(is_evaluated)
    });
    let written: usize = deployed.iter().map(|system| system.rules().len()).sum();
    assert_eq!(rules_of(&rules).len(), written);
}

fn rules_of(answer: &Value) -> Vec<Value> {
    let groups = answer["data"]["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
    rules.collect()
}
