//! Several machines of one service, scraped side by side by real stores: what the shipped rules say of all of them is
//! what the driver sent and measured.
//!
//! Three machines are given loads that differ in every way: how much, what fails, what is slow. In between, one of
//! them begins anew, its counters at 0. Prometheus (OpenMetrics) records the rules as they are shipped; VictoriaMetrics
//! (text) is asked their expressions.
//!
//! What is exact, and why:
//!
//! - **Counts.** A counter's samples are whole numbers and their sum over the machines is the number of requests sent.
//! - **Ratios.** `rate` divides by time, and each store has its own idea of it. Prometheus extrapolates to the ends of the
//!   window, VictoriaMetrics divides by the time between its samples. Each does so alike for all series of a
//!   machine, which one scrape brought, but not quite for two machines, which are scraped at different moments: a
//!   machine's rate is its requests times a weight, and weights differ by as much as a scrape's interval is of the
//!   time that was seen. So the weights are asked for as well (a machine's rate, over what was sent to it), are seen to be
//!   nearly equal, and with them the ratio must be right to the last digits.
//! - **Quantiles.** A histogram knows in which bucket a quantile is. That must be the one in which the driver has it: what a
//!   layer measures is at least what the handler slept and at most what the driver waited for.
//!
//! All this needs series that began at 0: `rate` takes the first sample that it sees for granted, so of a series
//! that begins with its third error it never counts three. `HttpMetrics::declare` makes them begin in time.

#![cfg(feature = "mixin")]

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
use tower_prometheus::mixin::{RuleGroup, Rules, ScrapeConfig, ScrapeJob, Slo};
use tower_prometheus::{Error, HttpMetrics, Registry};

use test_support::server::Server;
use test_support::skip_without;
use test_support::store::Store;
use test_support::{same, until};

/// Far apart: a machine that is busy with other things has to lose a lot of time to be in the next one.
const BUCKETS: [f64; 3] = [0.1, 1.0, 10.0];

/// What can be asked, with how long it sleeps in seconds, and what it answers.
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

/// How often each of them is asked of a machine.
type Load = [u32; REQUESTS.len()];

const FIRST: [Load; 3] = [[120, 2, 5, 30, 1], [40, 0, 0, 50, 9], [30, 33, 0, 8, 0]];
/// Before it, the second machine begins anew.
const SECOND: [Load; 3] = [[10, 0, 0, 0, 0], [20, 17, 3, 20, 4], [0, 11, 0, 2, 0]];

const RESTARTED: usize = 1;

fn http() -> HttpMetrics {
    let layer = HttpMetrics::server().duration_buckets(BUCKETS);
    ["/orders/{id}", "/search", "/report"]
        .into_iter()
        .fold(layer, |layer, endpoint| {
            layer.declare(Method::GET, endpoint, [200, 400, 503])
        })
}

/// The service as it is when its process has just begun.
fn service() -> Result<Router, Error> {
    let registry = Registry::new();
    let sleeping = |seconds| get(move || tokio::time::sleep(Duration::from_secs_f64(seconds)));
    Ok(Router::new()
        .route("/orders/{id}", get(order))
        .route("/search", sleeping(0.25))
        .route("/report", sleeping(1.5))
        .layer(http().layer(&registry)?)
        .route_service("/metrics", registry.handler()))
}

async fn order(Path(id): Path<String>) -> StatusCode {
    match id.parse() {
        Ok(0) => StatusCode::SERVICE_UNAVAILABLE,
        Ok(1_u32..) => StatusCode::OK,
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

/// A machine keeps its address when its process begins anew.
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

/// What the driver knows of one request.
#[derive(Clone, Copy, Debug)]
struct Sent {
    machine: usize,
    /// Which of [`REQUESTS`].
    request: usize,
    /// From before it was sent until its answer was read, in seconds.
    waited: f64,
}

impl Sent {
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

/// Asks the machines for everything in their loads, mixed, sixteen requests at a time.
async fn drive(machines: &[Machine], loads: &[Load]) -> Vec<Sent> {
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
        let began = Instant::now();
        let answer = client.get(url).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status.as_u16(), "{path}");
        answer.bytes().await.unwrap();
        Sent {
            machine,
            request,
            waited: began.elapsed().as_secs_f64(),
        }
    });
    sent.buffer_unordered(16).collect().await
}

/// To the last digits, whatever the order in which floats were added.
fn nearly(found: f64, expected: f64) -> Result<(), String> {
    match (found - expected).abs() <= 1e-9 * expected.abs() {
        true => Ok(()),
        false => Err(format!("{found}, not {expected}")),
    }
}

/// Values by machine, endpoint and status, as far as they are labels; none that are 0.
type Counts = BTreeMap<[String; 3], f64>;

fn counts(store: &Store, query: &str) -> Counts {
    let samples = store.ask(query, None).into_iter();
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

/// The same of what was sent.
fn counts_of(sent: &[Sent], machines: &[Machine]) -> Counts {
    let mut counts = Counts::new();
    for sent in sent {
        let status = REQUESTS[sent.request].3.as_u16().to_string();
        let instance = machines[sent.machine].instance();
        let key = [instance, sent.endpoint().to_owned(), status];
        *counts.entry(key).or_default() += 1.0;
    }
    counts
}

/// The page of each machine, as it came to a store: no request is lost, none is counted twice.
fn assert_counts(store: &Store, sent: &[Sent], machines: &[Machine]) {
    let expected = counts_of(sent, machines);
    until("the counts are what was sent", || {
        same(&counts(store, "http_requests_total"), &expected)?;
        let total = store.ask("sum(http_requests_total)", None);
        let durations = store.ask("sum(http_request_duration_seconds_count)", None);
        let total_sent = vec![(BTreeMap::new(), sent.len() as f64)];
        same(&total, &total_sent)?;
        same(&durations, &total_sent)
    });
}

/// All that was sent, and what a store makes of a machine's requests at a time.
struct Weighed<'a> {
    sent: &'a [Sent],
    weights: Vec<f64>,
}

impl<'a> Weighed<'a> {
    fn at(
        store: &Store,
        time: f64,
        sent: &'a [Sent],
        machines: &[Machine],
    ) -> Result<Self, String> {
        let rates = store.ask(
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
            false => Err(format!("machines do not count alike: {weights:?}")),
        }
    }

    /// The rate of those requests.
    fn rate(&self, which: impl Fn(&Sent) -> bool) -> f64 {
        let which = self.sent.iter().filter(|sent| which(sent));
        which.map(|sent| self.weights[sent.machine]).sum()
    }

    /// The bounds of the bucket in which a quantile of the requests is.
    fn bucket(
        &self,
        quantile: f64,
        which: impl Fn(&Sent) -> bool,
        duration: fn(&Sent) -> f64,
    ) -> (f64, f64) {
        let rank = quantile * self.rate(&which);
        let mut lower = 0.0;
        for upper in BUCKETS {
            if self.rate(|sent| which(sent) && duration(sent) <= upper) >= rank {
                return (lower, upper);
            }
            lower = upper;
        }
        panic!("a request took longer than {lower} s");
    }

    /// Whether that is what a rule must say of those requests.
    fn check(
        &self,
        rule: &str,
        value: f64,
        which: impl Fn(&Sent) -> bool + Copy,
    ) -> Result<(), String> {
        let waited = |sent: &Sent| sent.waited;
        let quantiles = [(":p50_", 0.5), (":p95_", 0.95), (":p99_", 0.99)];
        let quantile = quantiles.iter().find(|(word, _)| rule.contains(word));
        let (least, most) = if let Some((_, quantile)) = quantile {
            let (lower, _) = self.bucket(*quantile, which, Sent::slept);
            let (_, upper) = self.bucket(*quantile, which, waited);
            (lower, upper)
        } else if rule.ends_with("{fast}") {
            let share = |duration: fn(&Sent) -> f64| {
                self.rate(|sent| which(sent) && duration(sent) > BUCKETS[0]) / self.rate(which)
            };
            (share(Sent::slept) - 1e-9, share(waited) + 1e-9)
        } else if rule.contains("errors:ratio_rate") {
            let failed = self.rate(|sent| which(sent) && sent.failed());
            return nearly(value, failed / self.rate(which));
        } else {
            assert!(rule.ends_with("http_requests:rate5m"), "{rule}");
            return nearly(value, self.rate(which));
        };
        match least <= value && value <= most {
            true => Ok(()),
            false => Err(format!("{value} is not from {least} to {most}")),
        }
    }
}

/// A rule that records.
struct Recording {
    /// Its name, with its objective in braces if it has one.
    name: String,
    /// What it records, with the labels that it adds.
    recorded: String,
    expression: String,
}

/// What is deployed for the service.
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

fn recordings(rules: &str) -> Vec<Recording> {
    let rules: serde_json::Value = yaml_serde::from_str(rules).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let recordings = rules.filter_map(|rule| {
        let name = rule["record"].as_str()?;
        let slo = rule["labels"]["slo"].as_str();
        Some(Recording {
            name: slo.map_or(name.to_owned(), |slo| format!("{name}{{{slo}}}")),
            recorded: slo.map_or(name.to_owned(), |slo| format!("{name}{{slo=\"{slo}\"}}")),
            expression: rule["expr"].as_str().unwrap().to_owned(),
        })
    });
    recordings.collect()
}

/// Whether what a store gives for a rule is so, for each series of it.
fn check_rule(
    weighed: &Weighed<'_>,
    rule: &str,
    samples: &[(BTreeMap<String, String>, f64)],
) -> Result<(), String> {
    let by_endpoint = rule.starts_with("job_endpoint:");
    same(&samples.len(), if by_endpoint { &3 } else { &1 })?;
    for (labels, value) in samples {
        assert_eq!(labels["job"], "shop");
        // Nothing is left of single machines.
        assert!(!labels.contains_key("instance"), "{labels:?}");
        let endpoint = labels.get("endpoint");
        assert_eq!(endpoint.is_some(), by_endpoint, "{rule}: {labels:?}");
        let which = |sent: &Sent| endpoint.is_none_or(|endpoint| sent.endpoint() == endpoint);
        weighed.check(rule, *value, which)?;
    }
    Ok(())
}

fn now() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_rules_say_of_all_machines_is_what_was_sent() {
    skip_without!(Curl, Prometheus, VictoriaMetrics);
    let mut machines = Vec::new();
    for _ in FIRST {
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

    // Every series is seen at 0 before its first request: three endpoints with three statuses, on three machines.
    let begun = "count(http_requests_total == 0)";
    for store in stores {
        until("it scrapes all machines", || {
            same(&store.ask(begun, None), &vec![(BTreeMap::new(), 27.0)])
        });
    }
    // Each has it in its own format: OpenMetrics writes a whole bound as `1.0`, the text format as `1`.
    for (store, bound) in [(&prometheus, "1.0"), (&victoria, "1")] {
        let buckets = format!("count(http_request_duration_seconds_bucket{{le=\"{bound}\"}})");
        let found = store.ask(&buckets, None);
        assert_eq!(found, [(BTreeMap::new(), 9.0)], "{bound}");
    }
    let mut sent = drive(&machines, &FIRST).await;
    for store in stores {
        assert_counts(store, &sent, &machines);
    }
    machines[RESTARTED].restart();
    let instance = machines[RESTARTED].instance();
    let begun = format!("sum(http_requests_total{{instance=\"{instance}\"}})");
    for store in stores {
        until("it sees the new process", || {
            same(&store.ask(&begun, None), &vec![(BTreeMap::new(), 0.0)])
        });
    }
    let second = drive(&machines, &SECOND).await;
    let is_kept = |sent: &&Sent| sent.machine != RESTARTED;
    let on_pages: Vec<_> = sent
        .iter()
        .filter(is_kept)
        .chain(&second)
        .copied()
        .collect();
    for store in stores {
        assert_counts(store, &on_pages, &machines);
    }
    sent.extend(second);
    let asked: u32 = FIRST.iter().chain(&SECOND).flatten().sum();
    assert_eq!(sent.len(), asked as usize);

    let recordings = recordings(&rules);
    assert_eq!(recordings.len(), 10 + 7 + 7);
    for Recording {
        name,
        recorded,
        expression,
    } in &recordings
    {
        until(&format!("Prometheus records {name}"), || {
            let newest = prometheus.ask(&format!("max(timestamp({recorded}))"), None);
            let (_, time) = newest.first().ok_or("nothing is recorded")?;
            let weighed = Weighed::at(&prometheus, *time, &sent, &machines)?;
            check_rule(&weighed, name, &prometheus.ask(recorded, Some(*time)))
        });
        until(&format!("VictoriaMetrics computes {name}"), || {
            let time = now();
            let weighed = Weighed::at(&victoria, time, &sent, &machines)?;
            check_rule(&weighed, name, &victoria.ask(expression, Some(time)))
        });
    }

    // VictoriaMetrics does not extrapolate: over all machines and both lives of one of them, the increase is what was sent.
    until("nothing was lost in between", || {
        let increase = victoria.ask("sum(increase(http_requests_total[10m]))", None);
        same(&increase, &vec![(BTreeMap::new(), f64::from(asked))])
    });
    // Of all requests too many fail, though on the first machine alone they would not be.
    until("somebody is woken", || {
        let query = "ALERTS{alertname=\"ErrorBudgetBurn\",slo=\"all\",long=\"1h\"}";
        let alerts = prometheus.ask(query, None);
        same(&alerts.len(), &1)
    });
}
