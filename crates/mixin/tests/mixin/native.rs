//! Native histograms: the PromQL of queries, and the values that Prometheus returns for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::{Router, routing::get};
use tower_prometheus::{
    HttpMetrics, NativeHistogram, Registry,
    model::{FamilyDescription, LabelDescription, MetricKind},
};
use tower_prometheus_mixin::{
    Dashboard, Definitions, Panel, PanelUnit, Query, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Slo,
};

use test_support::server::Server;
use test_support::skip_without;
use test_support::store::{Directory, Store, promtool};

const BOUNDS: [f64; 6] = [0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

fn families() -> [FamilyDescription; 2] {
    let route = || LabelDescription::new("route");
    [
        FamilyDescription::new("latency_seconds", MetricKind::Histogram)
            .buckets(BOUNDS)
            .label(route()),
        FamilyDescription::new("observations_total", MetricKind::Counter).label(route()),
    ]
}

fn registry(settings: NativeHistogram) -> Registry {
    let builder = Registry::builder().buckets(BOUNDS);
    builder.native_histograms(settings).build().unwrap()
}

fn native() -> Definitions {
    Definitions::new(families()).histograms_in(&registry(NativeHistogram::new(1.1)))
}

fn native_only() -> Definitions {
    let settings = NativeHistogram::new(1.1).without_classic_buckets();
    Definitions::new(families()).histograms_in(&registry(settings))
}

#[track_caller]
fn assert_promql(query: &Query, definitions: &Definitions, expected: &str) {
    let promql = query.to_promql(definitions).unwrap();
    promql_parser::parser::parse(&promql).unwrap();
    assert_eq!(promql, expected);
}

#[test]
fn queries_read_native_buckets() {
    let rate = || Query::rate("latency_seconds");
    for (query, expected) in [
        (rate(), "histogram_count(rate(latency_seconds[5m]))"),
        (
            Query::increase("latency_seconds")
                .with("route", "/")
                .by(["route"]),
            "sum by (route) (histogram_count(increase(latency_seconds{route=\"/\"}[5m])))",
        ),
        (
            Query::quantile(0.95, "latency_seconds").over("1h"),
            "histogram_quantile(0.95, sum(rate(latency_seconds[1h])))",
        ),
        (
            Query::mean("latency_seconds").by(["route"]),
            "sum by (route) (histogram_sum(rate(latency_seconds[5m]))) / sum by (route) (histogram_count(rate(latency_seconds[5m])))",
        ),
        (
            Query::from(1.0) - Query::fraction_below(0.3, "latency_seconds").by(["job"]),
            "1 - histogram_fraction(-Inf, 0.3, sum by (job) (rate(latency_seconds[5m])))",
        ),
        (
            Query::value("latency_seconds").absent(),
            "absent(latency_seconds)",
        ),
    ] {
        assert_promql(&query, &native(), expected);
        assert_promql(&query, &native_only(), expected);
    }
}

#[test]
fn queries_of_mixed_fleets_read_both_kinds() {
    let mixed = native().mixed_histograms();
    let count = "histogram_count(rate(latency_seconds[5m])) or rate(latency_seconds_count[5m])";
    let fraction = format!(
        "1 - (sum by (job) ((histogram_fraction(-Inf, 1, rate(latency_seconds[5m])) * histogram_count(rate(latency_seconds[5m])) >= 0) \
         or ignoring (le) rate(latency_seconds_bucket{{le=~\"1|1[.]0\"}}[5m])) / sum by (job) ({count}))"
    );
    for (query, expected) in [
        (Query::rate("latency_seconds"), count.to_owned()),
        (
            Query::rate("latency_seconds") * 2.0,
            format!("({count}) * 2"),
        ),
        (
            Query::rate("latency_seconds").by(["route"]),
            format!("sum by (route) ({count})"),
        ),
        (
            Query::quantile(0.95, "latency_seconds")
                .by(["route"])
                .above(100.0),
            "(histogram_quantile(0.95, sum by (route) (rate(latency_seconds[5m]))) or \
             histogram_quantile(0.95, sum by (le, route) (rate(latency_seconds_bucket[5m])))) > 100"
                .to_owned(),
        ),
        (
            Query::mean("latency_seconds"),
            format!(
                "sum(histogram_sum(rate(latency_seconds[5m])) or rate(latency_seconds_sum[5m])) / sum({count})"
            ),
        ),
        (
            Query::from(1.0) - Query::fraction_below(1.0, "latency_seconds").by(["job"]),
            fraction,
        ),
        (
            Query::value("latency_seconds").with("route", "/").absent(),
            "absent(latency_seconds{route=\"/\"}) and absent(latency_seconds_count{route=\"/\"})"
                .to_owned(),
        ),
        // Counters do not change.
        (
            Query::rate("observations_total"),
            "rate(observations_total[5m])".to_owned(),
        ),
    ] {
        assert_promql(&query, &mixed, &expected);
    }
    // Without classic buckets, only the count and the sum have a classic half.
    let native_only = native_only().mixed_histograms();
    assert_promql(&Query::rate("latency_seconds"), &native_only, count);
    for query in [
        Query::quantile(0.5, "latency_seconds"),
        Query::fraction_below(0.3, "latency_seconds"),
    ] {
        let expected = query.to_promql(&self::native_only()).unwrap();
        assert_promql(&query, &native_only, &expected);
    }
}

#[test]
fn mixed_fleets_without_native_histograms_have_classic_queries() {
    let classic = Definitions::new(families());
    let mixed = Definitions::new(families()).mixed_histograms();
    for query in [
        Query::rate("latency_seconds"),
        Query::quantile(0.5, "latency_seconds"),
        Query::fraction_below(1.0, "latency_seconds"),
    ] {
        assert_promql(&query, &mixed, &query.to_promql(&classic).unwrap());
    }
}

/// The rules of the registry apply by name, also to families that are added later.
#[test]
fn native_buckets_follow_the_rules_of_the_registry() {
    let registry = Registry::builder()
        .native_histograms_for_prefix("shop_", 1.1)
        .build()
        .unwrap();
    let histogram = |name: &str| FamilyDescription::new(name, MetricKind::Histogram).buckets([1.0]);
    let definitions = Definitions::default()
        .histograms_in(&registry)
        .and([histogram("shop_seconds"), histogram("other_seconds")]);
    let promql = |name: &str| Query::rate(name).to_promql(&definitions).unwrap();
    assert_eq!(
        promql("shop_seconds"),
        "histogram_count(rate(shop_seconds[5m]))"
    );
    assert_eq!(promql("other_seconds"), "rate(other_seconds_count[5m])");
    // Two definitions of one family agree only if both have the registry's buckets.
    let described = registry.with_native_buckets(histogram("shop_seconds"));
    let query = Query::rate("shop_seconds");
    assert!(
        query
            .to_promql(&definitions.clone().and([described]))
            .is_ok()
    );
    let http = Definitions::new([
        histogram("shop_seconds").native(),
        histogram("shop_seconds"),
    ]);
    let error = query.to_promql(&http).unwrap_err().to_string();
    assert!(error.contains("two different metric families"), "{error}");
}

#[test]
fn latency_objectives_of_native_histograms_accept_any_threshold() {
    let http = HttpMetrics::server();
    let group = || {
        let slo = Slo::http_latency("fast", 0.99, 0.3, &http).unwrap();
        slo.group().unwrap()
    };
    let definitions = || Definitions::new(http.families().unwrap());
    let yaml = |definitions: Definitions| {
        let rules = Rules::new(definitions).group(group()).to_yaml();
        rules.map_err(|error| error.to_string())
    };
    let registry = registry(NativeHistogram::new(1.1));
    let native = yaml(definitions().histograms_in(&registry)).unwrap();
    assert!(native.contains(
        "1 - histogram_fraction(-Inf, 0.3, sum by (job) (rate(http_request_duration_seconds[5m])))"
    ));
    let rule = "rule \"job:slo_errors:ratio_rate5m\": 0.3 is not a classic bucket bound of \"http_request_duration_seconds\"";
    assert_eq!(
        yaml(definitions()).unwrap_err(),
        format!("{rule}; use native histograms, or a bound: the nearest are 0.25 and 0.5")
    );
    assert_eq!(
        yaml(definitions().histograms_in(&registry).mixed_histograms()).unwrap_err(),
        format!("{rule}, as `mixed_histograms` needs; use a bound: the nearest are 0.25 and 0.5")
    );
}

/// A quantile of native buckets has no largest value.
#[test]
fn every_threshold_of_a_native_quantile_can_be_reached() {
    let slow = Query::quantile(0.99, "latency_seconds").above(10.0);
    assert!(slow.to_promql(&Definitions::new(families())).is_err());
    assert!(slow.to_promql(&native()).is_ok());
}

#[test]
fn dashboards_of_native_histograms_read_no_classic_series() {
    let http = HttpMetrics::server();
    let grpc = tower_prometheus::GrpcMetrics::server();
    let registry = registry(NativeHistogram::new(1.1));
    let dashboards = || {
        [
            Dashboard::http("http", "HTTP", &http).unwrap(),
            // Its variables are those of a histogram.
            Dashboard::http("otel", "OpenTelemetry", HttpMetrics::open_telemetry()).unwrap(),
            Dashboard::grpc("grpc", "gRPC", &grpc).unwrap(),
        ]
    };
    let limit = "never exceeds the last finite bucket bound";
    for dashboard in dashboards() {
        assert!(dashboard.to_json().unwrap().contains(limit));
        let native = dashboard.clone().histograms_in(&registry);
        let json = native.to_json().unwrap();
        for classic in ["_bucket", "seconds_count", "seconds_sum", limit] {
            assert!(!json.contains(classic), "{classic}: {json}");
        }
        test_support::dashboard::Dashboard::parse(&json).assert_valid(&[]);
        let mixed = native.mixed_histograms().to_json().unwrap();
        assert!(mixed.contains("_bucket") && !mixed.contains(limit));
        test_support::dashboard::Dashboard::parse(&mixed).assert_valid(&[]);
    }
    let [_, otel, _] = dashboards();
    let mixed = otel.histograms_in(&registry).mixed_histograms();
    let name = "http_server_request_duration_seconds";
    let variable = format!(
        "label_values({{__name__=~\\\"{name}|{name}_count\\\",job=~\\\"$job\\\"}}, instance)"
    );
    assert!(mixed.to_json().unwrap().contains(&variable));
}

#[test]
fn registry_of_added_definitions_leaves_the_families_of_the_dashboard_as_they_are() {
    let batch = Dashboard::http("http", "HTTP", HttpMetrics::server()).unwrap();
    let panel = Panel::time_series("Batches", PanelUnit::Seconds)
        .description("Latency of batches.")
        .query(Query::quantile(0.99, "latency_seconds"));
    let json = |dashboard: Dashboard| dashboard.to_json().unwrap();
    let with_batch = json(batch.clone().and_definitions(native()).panel(panel));
    assert!(with_batch.contains("http_request_duration_seconds_bucket{"));
    assert!(!with_batch.contains("rate(http_request_duration_seconds{"));
    assert!(with_batch.contains("rate(latency_seconds{"));
    // A registry of the dashboard still applies to all families.
    let registry = registry(NativeHistogram::new(1.1));
    let both = batch
        .histograms_in(&registry)
        .and_definitions(&families()[..]);
    assert!(!json(both).contains("_bucket"));
}

#[test]
fn heat_maps_read_native_or_classic_buckets() {
    let panel = |query: Query| {
        Panel::heat_map("Latency", PanelUnit::Seconds)
            .description("Observations per second, by latency.")
            .query(query)
    };
    let json = |definitions: &Definitions, panel: Panel| {
        let dashboard = Dashboard::new("shop", "Shop", definitions.clone()).panel(panel);
        dashboard.to_json().map_err(|error| error.to_string())
    };
    let matchers = "{route=\"/\",job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]";
    let native_half = format!("sum(rate(latency_seconds{matchers}))");
    let classic_half = format!("sum by (le) (rate(latency_seconds_bucket{matchers}))");
    for (definitions, expr, format) in [
        (
            Definitions::new(families()),
            classic_half.clone(),
            "heatmap",
        ),
        (native(), native_half.clone(), "time_series"),
        (
            native().mixed_histograms(),
            format!("{native_half} or on () {classic_half}"),
            "heatmap",
        ),
        (
            native_only().mixed_histograms(),
            native_half.clone(),
            "time_series",
        ),
    ] {
        let query = Query::rate("latency_seconds").with("route", "/");
        for query in [query.clone(), query.sum()] {
            let json = json(&definitions, panel(query)).unwrap();
            let dashboard = test_support::dashboard::Dashboard::parse(&json);
            dashboard.assert_valid(&[]);
            let target = &dashboard.panel("Latency").targets[0];
            assert_eq!(
                (target.expr.as_str(), target.format.as_str()),
                (expr.as_str(), format)
            );
            assert_eq!(target.legend_format, "{{le}}");
            let options = dashboard.panel("Latency").options.as_ref().unwrap();
            assert_eq!(options["calculate"], false);
            assert_eq!(options["yAxis"]["unit"], "s");
        }
    }
    let latency = || Query::rate("latency_seconds");
    for (panel, expected) in [
        (
            panel(latency().by(["route"])),
            "must be the rate or the increase of a histogram",
        ),
        (
            panel(latency() * 2.0),
            "must be the rate or the increase of a histogram",
        ),
        (
            panel(Query::quantile(0.5, "latency_seconds")),
            "must be the rate or the increase of a histogram",
        ),
        (
            panel(Query::rate("observations_total")),
            "has no heat map: only a histogram has one",
        ),
        (
            panel(latency()).query(latency()),
            "a heat map has 1 query, got 2",
        ),
    ] {
        let error = json(&native(), panel).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

/// Rules of an HTTP layer, with an objective at this threshold.
fn rules(definitions: Definitions, http: &HttpMetrics, threshold: f64) -> Rules {
    let slow = Slo::http_latency("fast", 0.99, threshold, http).unwrap();
    Rules::new(definitions)
        .group(RuleGroup::http("http", http).unwrap())
        .group(slow.group().unwrap())
}

#[test]
fn promtool_accepts_rules_of_native_histograms() {
    skip_without!(Promtool);
    let directory = Directory::new();
    for http in [HttpMetrics::server(), HttpMetrics::open_telemetry()] {
        let definitions = Definitions::new(http.families().unwrap());
        let native = definitions.histograms_in(&registry(NativeHistogram::new(1.1)));
        let threshold = http.families().unwrap();
        let threshold = threshold.iter().find_map(|family| family.buckets.first());
        for rules in [
            rules(native.clone(), &http, 0.3),
            rules(native.mixed_histograms(), &http, *threshold.unwrap()),
        ] {
            directory.write("native.yml", &rules.to_yaml().unwrap());
            let check = ["check", "rules", "--lint-fatal", "native.yml"];
            assert!(promtool(&check, &directory.0).contains("SUCCESS"));
        }
    }
}

/// The number of durations of a batch.
const BATCH: u64 = 1000;

/// Durations from 1 ms to 10 s, as many in each octave. A part of a batch has about the same distribution.
fn duration(i: u64) -> f64 {
    let i = i * 617 % BATCH;
    0.001 * 10_f64.powf((i as f64 + 0.5) / BATCH as f64 * 4.0)
}

/// The mean of the durations of a batch.
fn mean() -> f64 {
    (0..BATCH).map(duration).sum::<f64>() / BATCH as f64
}

/// The fraction of the durations of a batch that are at most `bound`.
fn fraction_below(bound: f64) -> f64 {
    (0..BATCH).filter(|i| duration(*i) <= bound).count() as f64 / BATCH as f64
}

/// The page of a registry at `/metrics`, and its text at `/text`, whatever the scraper accepts.
async fn serve(registry: &Registry) -> (Server, String) {
    let text = registry.clone();
    let app = Router::new()
        .route("/metrics", get(registry.handler()))
        .route("/text", get(async move || text.render()));
    let server = Server::start(app).await;
    let target = server.address.to_string();
    (server, target)
}

/// Records one duration, and counts it.
fn record(registry: &Registry, seconds: f64) {
    metrics::with_local_recorder(registry, || {
        metrics::histogram!("latency_seconds", "route" => "/").record(seconds);
        metrics::counter!("observations_total", "route" => "/").increment(1);
    });
}

/// Two instances whose durations are recorded until this is dropped. The first has native buckets, too.
struct Instances {
    done: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// All durations of the second instance.
const SECOND: f64 = 3.0;

impl Instances {
    fn start(first: Registry, second: Registry) -> Self {
        let idle = first.clone();
        let record = move |batches: u64| {
            for i in 0..batches * BATCH {
                record(&first, duration(i));
                record(&second, SECOND);
            }
        };
        // Many, so that Prometheus extrapolates the rates of histograms and counters alike.
        record(200);
        // A series without new observations: its fractions are NaN.
        metrics::with_local_recorder(&idle, || {
            metrics::histogram!("latency_seconds", "route" => "idle").record(1.0);
        });
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            while !is_done.load(Ordering::Relaxed) {
                record(1);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self {
            done,
            thread: Some(thread),
        }
    }
}

impl Drop for Instances {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Waits for the only value of a query, and asserts that it is near.
#[track_caller]
fn assert_near(store: &Store, query: &Query, definitions: &Definitions, expected: f64, error: f64) {
    let promql = query.to_promql(definitions).unwrap();
    let values = store.wait_for_values(&promql);
    assert_eq!(values.len(), 1, "{promql}: {values:?}");
    let ratio = values[0] / expected;
    assert!(
        (1.0 / (1.0 + error)..1.0 + error).contains(&ratio),
        "{promql}: {values:?}, not {expected}"
    );
}

/// A bucket of schema 3 ends at 1.09 times its start.
const BUCKET: f64 = 0.091;

/// Asserts that the rates of the histogram and of the counter are equal.
#[track_caller]
fn assert_counted_once(store: &Store, definitions: &Definitions) {
    let rate = |family: &str| Query::rate(family).by(["job"]);
    let per_observation = rate("latency_seconds") / rate("observations_total");
    assert_near(store, &per_observation, definitions, 1.0, 0.01);
    let increase = |family: &str| Query::increase(family).sum();
    let per_observation = increase("latency_seconds") / increase("observations_total");
    assert_near(store, &per_observation, definitions, 1.0, 0.01);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_returns_the_values_of_native_queries() {
    skip_without!(Curl, Prometheus);
    let first = registry(NativeHistogram::new(1.1));
    let second = Registry::new();
    let (_server, target) = serve(&first).await;
    let definitions = native();
    let slo = Slo::latency("fast", 0.95, 0.3, "latency_seconds");
    let rules = Rules::new(definitions.clone()).group(slo.group().unwrap().interval("1s"));
    let directory = Directory::new();
    let rules = directory.write("rules.yml", &rules.to_yaml().unwrap());
    let config = ScrapeConfig::new()
        .interval("1s")
        .native_histograms("2.42.0")
        .job(ScrapeJob::new("shop").target(target))
        .rule_file(rules.display().to_string());
    let config = config.to_prometheus_yaml().unwrap();
    let _instances = Instances::start(first, second);
    let store = Store::prometheus_with_native_histograms(&config);
    let near = |query: Query, expected: f64, error: f64| {
        assert_near(&store, &query, &definitions, expected, error);
    };
    let family = "latency_seconds";
    for quantile in [0.1, 0.5, 0.99] {
        let expected = 0.001 * 10_f64.powf(quantile * 4.0);
        near(Query::quantile(quantile, family), expected, BUCKET);
        let of_route = Query::quantile(quantile, family).with("route", "/");
        near(of_route.by(["job", "route"]), expected, BUCKET);
    }
    near(Query::mean(family), mean(), 0.01);
    for bound in [0.3, 0.007, 4.321] {
        let query = Query::fraction_below(bound, family);
        near(query, fraction_below(bound), 0.02);
    }
    assert_counted_once(&store, &definitions);
    let slow = 1.0 - fraction_below(0.3);
    for window in ["5m", "30m", "1h", "2h", "6h", "1d", "3d"] {
        let recorded = format!("job:slo_errors:ratio_rate{window}{{slo=\"fast\",job=\"shop\"}}");
        let ratio = store.wait_for_values(&recorded)[0] / slow;
        assert!((0.98..1.02).contains(&ratio), "{window}: {ratio}");
    }
    // The error ratio, 0.38, is above 6 times and below 14.4 times the allowed ratio.
    let alerts = "count(ALERTS{alertname=\"ErrorBudgetBurn\",severity=\"critical\",long=\"6h\"})";
    assert_eq!(store.wait_for_values(alerts), [1.0]);
    let fastest = store.query("ALERTS{long=\"1h\"}", None);
    assert!(fastest.is_empty(), "{fastest:?}");
    // Prometheus stores the native histogram only.
    assert!(store.query("latency_seconds_count", None).is_empty());
}

/// Starts two instances with 1 native and 1 classic page, and a Prometheus with or without native histograms.
async fn mixed_fleet() -> (Vec<Server>, Vec<String>, Instances) {
    let first = registry(NativeHistogram::new(1.1));
    let second = Registry::builder().buckets(BOUNDS).build().unwrap();
    let (server, target) = serve(&first).await;
    let (other_server, other_target) = serve(&second).await;
    let instances = Instances::start(first, second);
    (
        vec![server, other_server],
        vec![target, other_target],
        instances,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_queries_are_right_with_and_without_native_histograms() {
    skip_without!(Curl, Prometheus);
    let (_servers, targets, _instances) = mixed_fleet().await;
    let definitions = native().mixed_histograms();
    let job = targets.iter().fold(ScrapeJob::new("shop"), |job, target| {
        job.target(target.as_str())
    });
    let config = ScrapeConfig::new().interval("1s").job(job);
    let config = config.to_prometheus_yaml().unwrap();
    let family = "latency_seconds";
    let classic = Store::prometheus(&config, &[]);
    let native = Store::prometheus_with_native_histograms(&config);
    for store in [&classic, &native] {
        // Both instances then have samples in the whole range of the rates.
        store.wait_for_values("count(count_over_time(up[1m]) >= 22) == 2");
        assert_counted_once(store, &definitions);
        let near = |query: Query, expected: f64, error: f64| {
            assert_near(store, &query.over("20s"), &definitions, expected, error);
        };
        near(Query::mean(family), f64::midpoint(mean(), SECOND), 0.05);
        // 0.25 s and 5 s are bounds of classic buckets.
        let half = fraction_below(0.25) / 2.0;
        near(Query::fraction_below(0.25, family).by(["job"]), half, 0.05);
        let most = f64::midpoint(fraction_below(5.0), 1.0);
        near(Query::fraction_below(5.0, family), most, 0.05);
        // The second instance has classic buckets only: its quantiles are between the bounds 1 s and 5 s.
        let p50 = Query::quantile(0.5, family);
        near(p50.with("instance", targets[1].as_str()), 3.0, 0.01);
    }
    // The median of the first instance is 0.1 s. Quantiles over both instances are those of its native buckets.
    let p50 = Query::quantile(0.5, family).over("20s");
    assert_near(&native, &p50, &definitions, 0.1, BUCKET);
    let first = p50.with("instance", targets[0].as_str());
    assert_near(&native, &first, &definitions, 0.1, BUCKET);
    // Without native histograms, they are those of the classic buckets of both.
    let p90 = Query::quantile(0.9, family).over("20s");
    assert_near(
        &native,
        &p90,
        &definitions,
        0.001 * 10_f64.powf(3.6),
        BUCKET,
    );
    let value = classic.wait_for_values(&p90.to_promql(&definitions).unwrap())[0];
    assert!((4.5..5.0).contains(&value), "{value}");
}

/// As with `always_scrape_classic_histograms`, which Prometheus 2.42 does not have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_queries_count_series_of_both_kinds_once() {
    skip_without!(Curl, Prometheus);
    let (_servers, targets, _instances) = mixed_fleet().await;
    let definitions = native().mixed_histograms();
    let config = ScrapeConfig::new()
        .interval("1s")
        .job(ScrapeJob::new("shop").target(targets[0].as_str()))
        .job(
            ScrapeJob::new("text")
                .path("/text")
                .target(targets[0].as_str()),
        );
    let config = config.to_prometheus_yaml().unwrap()
        + "  relabel_configs:\n  - target_label: job\n    replacement: shop\n\
           \x20 metric_relabel_configs:\n  - source_labels: [__name__]\n    regex: observations_total\n    action: drop\n";
    let store = Store::prometheus_with_native_histograms(&config);
    let both = "latency_seconds_count{route=\"/\"} and histogram_count(latency_seconds)";
    assert_eq!(store.wait_for_values(both).len(), 1);
    assert_counted_once(&store, &definitions);
    let near = |query: Query, expected: f64, error: f64| {
        assert_near(&store, &query, &definitions, expected, error);
    };
    near(Query::mean("latency_seconds"), mean(), 0.01);
    let fraction = Query::fraction_below(0.25, "latency_seconds");
    near(fraction, fraction_below(0.25), 0.02);
    near(Query::quantile(0.5, "latency_seconds"), 0.1, BUCKET);
}
