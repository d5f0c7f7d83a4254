//! Prometheus and VictoriaMetrics scrape several machines of one service. The results of the generated rules over all
//! machines must equal the requests that the test sent and their durations.
//!
//! The loads of the three machines differ in volume, failures and durations. Between two loads, one machine restarts with
//! its counters at 0. Prometheus scrapes OpenMetrics and evaluates the generated rules; VictoriaMetrics scrapes the text
//! format and is queried with the expressions of the rules.
//!
//! | result | precision, and why |
//! |---|---|
//! | counts | Exact: the samples of a counter are whole numbers, and their sum over the machines is the number of requests. |
//! | ratios | Exact except for rounding, if the rates of the machines are weighted (see below). |
//! | quantiles | The correct bucket: the measured duration is at least the time that the handler slept, and at most the time that the test waited for the response. |
//!
//! `rate` divides by time, and the stores calculate this time differently: Prometheus extrapolates to the ends of the
//! window, VictoriaMetrics divides by the time between samples. All series of a machine come from the same scrapes, so
//! their rates have the same relative error. Two machines are scraped at different times, so their errors differ, by about
//! one scrape interval relative to the window. The rate of a machine is therefore its number of requests times a weight.
//! The test queries the weights, checks that they are nearly equal, and calculates the expected ratio from them.
//!
//! All series must be scraped with the value 0 before the first request, because `rate` ignores the first sample: if the
//! first sample of a series is 3, these three requests are never counted. `HttpMetrics::preregister` creates the series.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use futures_util::{StreamExt, stream};
use http::{Method, StatusCode};
use tower::{ServiceExt, service_fn};
use tower_prometheus::{HttpMetrics, Registry};
use tower_prometheus_mixin::{Error, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Slo};

use test_support::server::Server;
use test_support::skip_without;
use test_support::store::Store;
use test_support::{check_equal, retry_until_ok};

/// Bucket bounds. They are far apart, so that a delayed request does not reach the next bucket on a busy test machine.
const BUCKETS: [f64; 3] = [0.1, 1.0, 10.0];

/// Kinds of requests: path, endpoint, seconds that the handler sleeps, status.
const REQUESTS: [(&str, &str, f64, StatusCode); 5] = [
    ("/orders/1", "/orders/{id}", 0.0, StatusCode::OK),
    (
        "/orders/0",
        "/orders/{id}",
        0.0,
        StatusCode::SERVICE_UNAVAILABLE,
    ),
    ("/orders/none", "/orders/{id}", 0.0, StatusCode::BAD_REQUEST),
    ("/search", "/search", 0.25, StatusCode::OK),
    ("/report", "/report", 1.5, StatusCode::OK),
];

/// The number of requests of each kind to one machine.
type Load = [u32; REQUESTS.len()];

const LOADS_BEFORE_RESTART: [Load; 3] = [[120, 2, 5, 30, 1], [40, 0, 0, 50, 9], [30, 33, 0, 8, 0]];
const LOADS_AFTER_RESTART: [Load; 3] = [[10, 0, 0, 0, 0], [20, 17, 3, 20, 4], [0, 11, 0, 2, 0]];

/// The index of the machine that restarts.
const RESTARTED: usize = 1;

fn http() -> HttpMetrics {
    let layer = HttpMetrics::server().duration_buckets(BUCKETS);
    ["/orders/{id}", "/search", "/report"]
        .into_iter()
        .fold(layer, |layer, endpoint| {
            layer.preregister(Method::GET, endpoint, [200, 400, 503])
        })
}

/// Returns the service of a newly started process, with all counters at 0.
fn service() -> Result<Router, Error> {
    let registry = Registry::new();
    let sleeping = |seconds| get(move || tokio::time::sleep(Duration::from_secs_f64(seconds)));
    Ok(Router::new()
        .route("/orders/{id}", get(order))
        .route("/search", sleeping(0.25))
        .route("/report", sleeping(1.5))
        .layer(http().build(&registry)?)
        .route_service("/metrics", registry.handler()))
}

async fn order(Path(id): Path<String>) -> StatusCode {
    match id.parse() {
        Ok(0) => StatusCode::SERVICE_UNAVAILABLE,
        Ok(1_u32..) => StatusCode::OK,
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

/// A machine, which keeps its address when its process restarts.
struct Machine {
    server: Server,
    process: Arc<RwLock<Router>>,
}

impl Machine {
    async fn start() -> Self {
        let process = Arc::new(RwLock::new(service().unwrap()));
        let current = Arc::clone(&process);
        let server = Server::start(service_fn(move |request: http::Request<_>| {
            let process = current.read().unwrap_or_else(PoisonError::into_inner);
            process.clone().oneshot(request.map(Body::new))
        }));
        Self {
            server: server.await,
            process,
        }
    }

    fn restart(&self) {
        let mut process = self.process.write().unwrap_or_else(PoisonError::into_inner);
        *process = service().unwrap();
    }

    fn instance(&self) -> String {
        self.server.address.to_string()
    }
}

/// A request that the test sent, and its duration.
#[derive(Clone, Copy, Debug)]
struct SentRequest {
    machine: usize,
    /// The index in [`REQUESTS`].
    request: usize,
    /// Seconds from before the request was sent until its response was read.
    waited: f64,
}

impl SentRequest {
    fn endpoint(&self) -> &'static str {
        REQUESTS[self.request].1
    }

    fn slept(&self) -> f64 {
        REQUESTS[self.request].2
    }

    fn failed(&self) -> bool {
        REQUESTS[self.request].3.is_server_error()
    }
}

/// Sends all requests of the loads, interleaved, with up to 16 in progress.
async fn send_loads(machines: &[Machine], loads: &[Load]) -> Vec<SentRequest> {
    let client = reqwest::Client::new();
    let mut requests = Vec::new();
    for (machine, load) in loads.iter().enumerate() {
        for (request, times) in load.iter().enumerate() {
            requests.extend((0..*times).map(|turn| (turn, machine, request)));
        }
    }
    requests.sort_unstable();
    let sent = stream::iter(requests).map(async |(_, machine, request)| {
        let (path, _, _, status) = REQUESTS[request];
        let url = machines[machine].server.url(path);
        let start = Instant::now();
        let response = client.get(url).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status.as_u16(), "{path}");
        response.bytes().await.unwrap();
        SentRequest {
            machine,
            request,
            waited: start.elapsed().as_secs_f64(),
        }
    });
    sent.buffer_unordered(16).collect().await
}

/// Compares two numbers except for rounding, because the stores add floats in any order.
fn check_nearly_equal(found: f64, expected: f64) -> Result<(), String> {
    match (found - expected).abs() <= 1e-9 * expected.abs() {
        true => Ok(()),
        false => Err(format!("{found}, not {expected}")),
    }
}

/// Values other than 0, by machine, endpoint and status. A missing label is an empty text.
type Counts = BTreeMap<[String; 3], f64>;

fn counts(store: &Store, query: &str) -> Counts {
    let samples = store.query(query, None).into_iter();
    let samples = samples.filter(|(_, value)| *value != 0.0);
    let label = |labels: &BTreeMap<String, String>, name| labels.get(name).cloned();
    samples
        .map(|(labels, value)| {
            let names = ["instance", "endpoint", "status"];
            let key = names.map(|name| label(&labels, name).unwrap_or_default());
            (key, value)
        })
        .collect()
}

/// Returns the expected counts of the requests that were sent.
fn counts_of(sent: &[SentRequest], machines: &[Machine]) -> Counts {
    let mut counts = Counts::new();
    for sent in sent {
        let status = REQUESTS[sent.request].3.as_u16().to_string();
        let instance = machines[sent.machine].instance();
        let key = [instance, sent.endpoint().to_owned(), status];
        *counts.entry(key).or_default() += 1.0;
    }
    counts
}

/// Waits until the counters in a store equal the requests that were sent: none is missing, none is counted twice.
fn assert_counts(store: &Store, sent: &[SentRequest], machines: &[Machine]) {
    let expected = counts_of(sent, machines);
    retry_until_ok("the counts equal the sent requests", || {
        check_equal(&counts(store, "http_requests_total"), &expected)?;
        let total = store.query("sum(http_requests_total)", None);
        let durations = store.query("sum(http_request_duration_seconds_count)", None);
        let total_sent = vec![(BTreeMap::new(), sent.len() as f64)];
        check_equal(&total, &total_sent)?;
        check_equal(&durations, &total_sent)
    });
}

/// The requests that were sent, and a weight for each machine: the rate in a store, divided by the number of requests.
struct WeightedRequests<'a> {
    sent: &'a [SentRequest],
    weights: Vec<f64>,
}

impl<'a> WeightedRequests<'a> {
    fn at(
        store: &Store,
        time: f64,
        sent: &'a [SentRequest],
        machines: &[Machine],
    ) -> Result<Self, String> {
        let rates = store.query(
            "sum by (instance) (rate(http_requests_total[5m]))",
            Some(time),
        );
        let mut weights = Vec::new();
        for (index, machine) in machines.iter().enumerate() {
            let of_machine = sent.iter().filter(|sent| sent.machine == index).count();
            let instance = machine.instance();
            let rate = rates
                .iter()
                .find(|(labels, _)| labels["instance"] == instance);
            let (_, rate) = rate.ok_or_else(|| format!("no rate of {instance}"))?;
            weights.push(rate / of_machine as f64);
        }
        let least = weights.iter().copied().fold(f64::INFINITY, f64::min);
        let most = weights.iter().copied().fold(0.0, f64::max);
        match most <= 1.2 * least {
            true => Ok(Self { sent, weights }),
            false => Err(format!(
                "the weights of the machines differ too much: {weights:?}"
            )),
        }
    }

    /// Returns the expected rate of the selected requests.
    fn rate(&self, is_selected: impl Fn(&SentRequest) -> bool) -> f64 {
        let selected = self.sent.iter().filter(|sent| is_selected(sent));
        selected.map(|sent| self.weights[sent.machine]).sum()
    }

    /// Returns the bounds of the bucket that contains a quantile of the selected requests.
    fn bucket(
        &self,
        quantile: f64,
        is_selected: impl Fn(&SentRequest) -> bool,
        duration: fn(&SentRequest) -> f64,
    ) -> (f64, f64) {
        let rank = quantile * self.rate(&is_selected);
        let mut lower = 0.0;
        for upper in BUCKETS {
            if self.rate(|sent| is_selected(sent) && duration(sent) <= upper) >= rank {
                return (lower, upper);
            }
            lower = upper;
        }
        panic!("a request took longer than {lower} s");
    }

    /// Checks the result of a rule for the selected requests.
    fn check(
        &self,
        rule: &str,
        value: f64,
        is_selected: impl Fn(&SentRequest) -> bool + Copy,
    ) -> Result<(), String> {
        let waited = |sent: &SentRequest| sent.waited;
        let quantiles = [(":p50_", 0.5), (":p95_", 0.95), (":p99_", 0.99)];
        let quantile = quantiles.iter().find(|(word, _)| rule.contains(word));
        let (least, most) = if let Some((_, quantile)) = quantile {
            let (lower, _) = self.bucket(*quantile, is_selected, SentRequest::slept);
            let (_, upper) = self.bucket(*quantile, is_selected, waited);
            (lower, upper)
        } else if rule.ends_with("{fast}") {
            let share = |duration: fn(&SentRequest) -> f64| {
                self.rate(|sent| is_selected(sent) && duration(sent) > BUCKETS[0])
                    / self.rate(is_selected)
            };
            (share(SentRequest::slept) - 1e-9, share(waited) + 1e-9)
        } else if rule.contains("errors:ratio_rate") {
            let failed = self.rate(|sent| is_selected(sent) && sent.failed());
            return check_nearly_equal(value, failed / self.rate(is_selected));
        } else {
            assert!(rule.ends_with("http_requests:rate5m"), "{rule}");
            return check_nearly_equal(value, self.rate(is_selected));
        };
        match least <= value && value <= most {
            true => Ok(()),
            false => Err(format!("{value} is not from {least} to {most}")),
        }
    }
}

/// A recording rule.
struct RecordingRule {
    /// The name of the rule, with the name of the objective in braces if it has one.
    name: String,
    /// The selector of the recorded series, with the labels that the rule adds.
    recorded: String,
    expression: String,
}

/// The generated rules of the service.
fn rules() -> Result<String, Error> {
    let http = http();
    Rules::new(http.families()?)
        .job("shop")
        .group(RuleGroup::http("http", &http)?.interval("1s"))
        .group(
            Slo::http_availability("all", 0.999, &http)?
                .group()?
                .interval("1s"),
        )
        .group(
            Slo::http_latency("fast", 0.95, BUCKETS[0], &http)?
                .group()?
                .interval("1s"),
        )
        .to_yaml()
}

fn recording_rules(rules: &str) -> Vec<RecordingRule> {
    let rules: serde_json::Value = yaml_serde::from_str(rules).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let recording_rules = rules.filter_map(|rule| {
        let name = rule["record"].as_str()?;
        let slo = rule["labels"]["slo"].as_str();
        Some(RecordingRule {
            name: slo.map_or(name.to_owned(), |slo| format!("{name}{{{slo}}}")),
            recorded: slo.map_or(name.to_owned(), |slo| format!("{name}{{slo=\"{slo}\"}}")),
            expression: rule["expr"].as_str().unwrap().to_owned(),
        })
    });
    recording_rules.collect()
}

/// Checks all series of a rule.
fn check_rule(
    weighted: &WeightedRequests<'_>,
    rule: &str,
    samples: &[(BTreeMap<String, String>, f64)],
) -> Result<(), String> {
    let by_endpoint = rule.starts_with("job_endpoint:");
    check_equal(&samples.len(), if by_endpoint { &3 } else { &1 })?;
    for (labels, value) in samples {
        assert_eq!(labels["job"], "shop");
        // The rule aggregates over machines.
        assert!(!labels.contains_key("instance"), "{labels:?}");
        let endpoint = labels.get("endpoint");
        assert_eq!(endpoint.is_some(), by_endpoint, "{rule}: {labels:?}");
        let is_selected =
            |sent: &SentRequest| endpoint.is_none_or(|endpoint| sent.endpoint() == endpoint);
        weighted.check(rule, *value, is_selected)?;
    }
    Ok(())
}

fn now() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_over_all_machines_equal_the_sent_requests() {
    skip_without!(Curl, Prometheus, VictoriaMetrics);
    let mut machines = Vec::new();
    for _ in LOADS_BEFORE_RESTART {
        machines.push(Machine::start().await);
    }
    let job = ScrapeJob::new("shop");
    let job = machines
        .iter()
        .fold(job, |job, machine| job.target(machine.instance()));
    let config = ScrapeConfig::new()
        .interval("1s")
        .job(job)
        .rule_file("rules.yml");
    let rules = rules().unwrap();
    let prometheus = Store::prometheus(
        &config.to_prometheus_yaml().unwrap(),
        &[("rules.yml", &rules)],
    );
    let victoria = Store::victoria_metrics(&config.to_vmagent_yaml().unwrap());
    let stores = [&prometheus, &victoria];

    // All series are scraped at 0 before the first request: three endpoints with three statuses, on three machines.
    let series_at_zero = "count(http_requests_total == 0)";
    for store in stores {
        retry_until_ok("the store has scraped all machines", || {
            check_equal(
                &store.query(series_at_zero, None),
                &vec![(BTreeMap::new(), 27.0)],
            )
        });
    }
    // The label `le` is as in the scraped format: `1.0` in OpenMetrics, `1` in the text format.
    for (store, bound) in [(&prometheus, "1.0"), (&victoria, "1")] {
        let buckets = format!("count(http_request_duration_seconds_bucket{{le=\"{bound}\"}})");
        let found = store.query(&buckets, None);
        assert_eq!(found, [(BTreeMap::new(), 9.0)], "{bound}");
    }
    let mut sent = send_loads(&machines, &LOADS_BEFORE_RESTART).await;
    for store in stores {
        assert_counts(store, &sent, &machines);
    }
    machines[RESTARTED].restart();
    let instance = machines[RESTARTED].instance();
    let requests_since_restart = format!("sum(http_requests_total{{instance=\"{instance}\"}})");
    for store in stores {
        retry_until_ok("the store has scraped the new process", || {
            check_equal(
                &store.query(&requests_since_restart, None),
                &vec![(BTreeMap::new(), 0.0)],
            )
        });
    }
    let second = send_loads(&machines, &LOADS_AFTER_RESTART).await;
    let is_kept = |sent: &&SentRequest| sent.machine != RESTARTED;
    let sent_since_start: Vec<_> = sent
        .iter()
        .filter(is_kept)
        .chain(&second)
        .copied()
        .collect();
    for store in stores {
        assert_counts(store, &sent_since_start, &machines);
    }
    sent.extend(second);
    let total: u32 = LOADS_BEFORE_RESTART
        .iter()
        .chain(&LOADS_AFTER_RESTART)
        .flatten()
        .sum();
    assert_eq!(sent.len(), total as usize);

    let recording_rules = recording_rules(&rules);
    assert_eq!(recording_rules.len(), 10 + 7 + 7);
    for RecordingRule {
        name,
        recorded,
        expression,
    } in &recording_rules
    {
        retry_until_ok(&format!("Prometheus records {name}"), || {
            let newest = prometheus.query(&format!("max(timestamp({recorded}))"), None);
            let (_, time) = newest.first().ok_or("no recorded sample")?;
            let weighted = WeightedRequests::at(&prometheus, *time, &sent, &machines)?;
            check_rule(&weighted, name, &prometheus.query(recorded, Some(*time)))
        });
        retry_until_ok(&format!("VictoriaMetrics computes {name}"), || {
            let time = now();
            let weighted = WeightedRequests::at(&victoria, time, &sent, &machines)?;
            check_rule(&weighted, name, &victoria.query(expression, Some(time)))
        });
    }

    // VictoriaMetrics does not extrapolate, so the increase over all machines and the restart is the number of requests.
    retry_until_ok("the increase equals the sent requests", || {
        let increase = victoria.query("sum(increase(http_requests_total[10m]))", None);
        check_equal(&increase, &vec![(BTreeMap::new(), f64::from(total))])
    });
    // The error ratio over all machines fires the alert, although that of the first machine alone would not.
    retry_until_ok("the alert fires", || {
        let query = "ALERTS{alertname=\"ErrorBudgetBurn\",slo=\"all\",long=\"1h\"}";
        let alerts = prometheus.query(query, None);
        check_equal(&alerts.len(), &1)
    });
}
