//! Prometheus and VictoriaMetrics scrape several machines of one service. The results of the generated rules over all
//! machines equal what the driver sent and measured.
//!
//! The loads of the three machines differ in volume, failures and durations. In between, one machine restarts with its
//! counters at 0. Prometheus scrapes OpenMetrics and evaluates the generated rules; VictoriaMetrics scrapes the text
//! format and is queried with the expressions of the rules.
//!
//! | result | precision, and why |
//! |---|---|
//! | counts | Exact: the samples of a counter are whole numbers, and their sum over the machines is the number of requests. |
//! | ratios | Exact to the last digits, once the rates of the machines are weighted (see below). |
//! | quantiles | The right bucket: the layer measures at least what the handler slept, and at most what the driver waited. |
//!
//! `rate` divides by time, and each store computes the time differently: Prometheus extrapolates to the ends of the
//! window, VictoriaMetrics divides by the time between samples. All series of one machine come from the same scrapes, so
//! their rates have the same error; the scrapes of two machines happen at different moments, so their errors differ by
//! about one scrape interval of the window. The rate of a machine is therefore its number of requests times a weight. The
//! test queries the weights, checks that they are nearly equal, and computes the expected ratio from them.
//!
//! All series must exist at 0 before the first request, because `rate` does not count the first sample that it sees: if a
//! series starts with its third error, those three errors are never counted. `HttpMetrics::preregister` creates the series.

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

/// Far apart, so that a request does not reach the next bucket on a busy test machine.
const BUCKETS: [f64; 3] = [0.1, 1.0, 10.0];

/// Path, endpoint, seconds that the handler sleeps, and status.
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

const FIRST: [Load; 3] = [[120, 2, 5, 30, 1], [40, 0, 0, 50, 9], [30, 33, 0, 8, 0]];
/// The load after the second machine has restarted.
const SECOND: [Load; 3] = [[10, 0, 0, 0, 0], [20, 17, 3, 20, 4], [0, 11, 0, 2, 0]];

const RESTARTED: usize = 1;

fn http() -> HttpMetrics {
    let layer = HttpMetrics::server().duration_buckets(BUCKETS);
    ["/orders/{id}", "/search", "/report"]
        .into_iter()
        .fold(layer, |layer, endpoint| {
            layer.preregister(Method::GET, endpoint, [200, 400, 503])
        })
}

/// The service of a process that has just started.
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

/// A machine. It keeps its address when its process restarts.
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

/// A request that the driver sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    machine: usize,
    /// Which of [`REQUESTS`].
    request: usize,
    /// Seconds from before it was sent until its response was read.
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

/// Sends all requests of the loads, interleaved, sixteen at a time.
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

/// Compares except for rounding: floats may be added in any order.
fn nearly(found: f64, expected: f64) -> Result<(), String> {
    match (found - expected).abs() <= 1e-9 * expected.abs() {
        true => Ok(()),
        false => Err(format!("{found}, not {expected}")),
    }
}

/// Values that are not 0, by machine, endpoint and status, as far as these are labels.
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

/// The expected values for the requests that were sent.
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

/// Checks the counters in a store: no request is lost, none is counted twice.
fn assert_counts(store: &Store, sent: &[Sent], machines: &[Machine]) {
    let expected = counts_of(sent, machines);
    retry_until_ok("the counts are what was sent", || {
        check_equal(&counts(store, "http_requests_total"), &expected)?;
        let total = store.query("sum(http_requests_total)", None);
        let durations = store.query("sum(http_request_duration_seconds_count)", None);
        let total_sent = vec![(BTreeMap::new(), sent.len() as f64)];
        check_equal(&total, &total_sent)?;
        check_equal(&durations, &total_sent)
    });
}

/// The requests that were sent, with a store's rate per request of each machine.
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
            false => Err(format!("machines do not count alike: {weights:?}")),
        }
    }

    /// The rate of the requests that `which` selects.
    fn rate(&self, which: impl Fn(&Sent) -> bool) -> f64 {
        let which = self.sent.iter().filter(|sent| which(sent));
        which.map(|sent| self.weights[sent.machine]).sum()
    }

    /// The bounds of the bucket that contains a quantile of the selected requests.
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

    /// Checks the value of a rule for the selected requests.
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

/// A recording rule.
struct Recording {
    /// Its name, with the objective in braces if it has one.
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

/// Checks each series of a rule.
fn check_rule(
    weighed: &Weighed<'_>,
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
async fn rules_over_all_machines_equal_what_was_sent() {
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

    // Every series is scraped at 0 before its first request: three endpoints with three statuses, on three machines.
    let begun = "count(http_requests_total == 0)";
    for store in stores {
        retry_until_ok("it scrapes all machines", || {
            check_equal(&store.query(begun, None), &vec![(BTreeMap::new(), 27.0)])
        });
    }
    // The stores have the bounds of their formats: `1.0` in OpenMetrics, `1` in the text format.
    for (store, bound) in [(&prometheus, "1.0"), (&victoria, "1")] {
        let buckets = format!("count(http_request_duration_seconds_bucket{{le=\"{bound}\"}})");
        let found = store.query(&buckets, None);
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
        retry_until_ok("it sees the new process", || {
            check_equal(&store.query(&begun, None), &vec![(BTreeMap::new(), 0.0)])
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
        retry_until_ok(&format!("Prometheus records {name}"), || {
            let newest = prometheus.query(&format!("max(timestamp({recorded}))"), None);
            let (_, time) = newest.first().ok_or("nothing is recorded")?;
            let weighed = Weighed::at(&prometheus, *time, &sent, &machines)?;
            check_rule(&weighed, name, &prometheus.query(recorded, Some(*time)))
        });
        retry_until_ok(&format!("VictoriaMetrics computes {name}"), || {
            let time = now();
            let weighed = Weighed::at(&victoria, time, &sent, &machines)?;
            check_rule(&weighed, name, &victoria.query(expression, Some(time)))
        });
    }

    // VictoriaMetrics does not extrapolate: over all machines and across the restart, the increase is the number of requests.
    retry_until_ok("nothing was lost in between", || {
        let increase = victoria.query("sum(increase(http_requests_total[10m]))", None);
        check_equal(&increase, &vec![(BTreeMap::new(), f64::from(asked))])
    });
    // Over all machines, too many requests fail, although the first machine alone would not cause an alert.
    retry_until_ok("the alert fires", || {
        let query = "ALERTS{alertname=\"ErrorBudgetBurn\",slo=\"all\",long=\"1h\"}";
        let alerts = prometheus.query(query, None);
        check_equal(&alerts.len(), &1)
    });
}
