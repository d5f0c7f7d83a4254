//! All queries of the PromQL guide, and all queries of the dashboard and the rules of a layer, have a result in a Prometheus
//! that scrapes a service.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_prometheus::{
    HttpMetrics, NativeHistogram, Registry,
    http::{HttpMetric, LongLived},
};
use tower_prometheus_mixin::{Definitions, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Slo};

use test_support::server::Server;
use test_support::skip_without;
use test_support::store::{Directory, Store};

/// Returns the PromQL code blocks of a Markdown text.
fn queries_of(markdown: &str) -> Vec<String> {
    let mut queries = Vec::new();
    let mut lines = markdown
        .lines()
        .map(|line| line.trim_start_matches("//!").trim());
    while lines.by_ref().any(|line| line == "```promql") {
        let block = lines.by_ref().take_while(|line| *line != "```");
        queries.push(block.collect::<Vec<_>>().join(" "));
    }
    queries
}

fn http() -> HttpMetrics {
    HttpMetrics::server()
        .measure(HttpMetric::ResponseBodySize)
        .max_endpoints(6)
}

/// Starts a service that has data for all queries: failures, panics, aborted bodies, open event streams, label overflow.
async fn shop(registry: &Registry) -> Server {
    let mut app = Router::new()
        .route("/users/{id}", get(async || "ada"))
        .route("/fail", get(async || http::StatusCode::SERVICE_UNAVAILABLE))
        .route(
            "/panic",
            get(async || -> &'static str {
                // Unlike `panic!`, this does not call the panic hook, which would print each panic.
                std::panic::resume_unwind(Box::new("on purpose"))
            }),
        )
        .route(
            "/cut",
            get(async || {
                let broken = futures_util::stream::iter([
                    Ok("first half"),
                    Err(std::io::Error::other("aborted on purpose")),
                ]);
                axum::body::Body::from_stream(broken)
            }),
        )
        .route(
            "/events",
            get(async || {
                let mut response = axum::response::Response::new(axum::body::Body::from_stream(
                    futures_util::stream::pending::<Result<&str, std::io::Error>>(),
                ));
                response.extensions_mut().insert(LongLived::new("events"));
                response
            }),
        );
    for i in 0..4 {
        app = app.route(&format!("/page/{i}"), get(async || "page"));
    }
    let app = app
        .layer(http().build(registry).unwrap())
        .layer(CatchPanicLayer::new())
        .route_service("/metrics", registry.handler());
    Server::start(app).await
}

/// Sends requests until the test is done, because a rate needs a counter that increases.
async fn send_requests(url: String, done: &AtomicBool) {
    let client = reqwest::Client::new();
    let get = async |path: &str| {
        if let Ok(response) = client.get(format!("{url}{path}")).send().await {
            let _ = response.bytes().await;
        }
    };
    let open = client.get(format!("{url}/events")).send().await.unwrap();
    while !done.load(Ordering::Relaxed) {
        for path in [
            "/users/1", "/fail", "/panic", "/cut", "/nowhere", "/page/0", "/page/1", "/page/2",
            "/page/3",
        ] {
            get(path).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    drop(open);
}

/// Queries that have a result only if there is a problem.
const EMPTY_WITHOUT_PROBLEMS: [&str; 1] = ["up == 0"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_has_a_result() {
    skip_without!(Curl, Prometheus);
    let start = |config: &str| Store::prometheus(config, &[]);
    check_shop(&Registry::new(), 1.0, start, true).await;
}

/// The histograms have only native buckets, and the objective a threshold that is not a bound of classic ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_native_histograms_has_a_result() {
    skip_without!(Curl, Prometheus);
    let settings = NativeHistogram::new(1.1).without_classic_buckets();
    let registry = Registry::builder().native_histograms(settings);
    let registry = registry.build().unwrap();
    let start = Store::prometheus_with_native_histograms;
    check_shop(&registry, 1.3, start, false).await;
}

/// Checks the queries of the layer, and those of the guide if `guide`, against a shop that records into this registry. No
/// request takes `threshold` seconds.
async fn check_shop(registry: &Registry, threshold: f64, start: fn(&str) -> Store, guide: bool) {
    let server = shop(registry).await;
    let target = server.address.to_string();
    let done = AtomicBool::new(false);
    let directory = Directory::new();
    let http = http();
    let definitions = Definitions::new(http.families().unwrap()).histograms_in(registry);
    let rules = Rules::new(definitions.clone())
        .group(RuleGroup::http("http", &http).unwrap().interval("1s"))
        .group(
            Slo::http_availability("http", 0.99, &http)
                .unwrap()
                .group()
                .unwrap()
                .interval("1s"),
        )
        .group(
            Slo::http_latency("fast", 0.99, threshold, &http)
                .unwrap()
                .group()
                .unwrap()
                .interval("1s"),
        )
        .group(RuleGroup::health("health", definitions).interval("1s"));
    let rules = rules.to_yaml().unwrap();
    let rule_file = directory.write("rules.yml", &rules);
    let config = ScrapeConfig::new()
        .interval("1s")
        .job(ScrapeJob::new("shop").target(target))
        .rule_file(rule_file.display().to_string());
    let config = config.to_prometheus_yaml().unwrap();
    let registry = registry.clone();
    let checks = tokio::task::spawn_blocking(move || {
        let store = start(&config);
        if guide {
            check_guide(&store);
        }
        check_queries(&store, &registry, &rules);
    });
    let checks = async {
        let result = checks.await;
        done.store(true, Ordering::Relaxed);
        result.unwrap();
    };
    tokio::join!(checks, send_requests(server.url(""), &done));
}

/// Checks the queries of the PromQL guide.
fn check_guide(store: &Store) {
    let guide = queries_of(include_str!("../../../../docs/guide/promql.md"));
    assert!(guide.len() >= 17, "{guide:#?}");
    for query in &guide {
        promql_parser::parser::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        match EMPTY_WITHOUT_PROBLEMS.contains(&query.as_str()) {
            true => drop(
                store.wait_for_response("/api/v1/query", &[("query", query)], |answer| {
                    answer["status"] == "success"
                        && answer["data"]["result"]
                            .as_array()
                            .is_some_and(Vec::is_empty)
                }),
            ),
            false => assert!(!store.wait_for_values(query).is_empty(), "{query}"),
        }
    }
}

/// Checks the dashboard and the rules of the layer.
fn check_queries(store: &Store, registry: &Registry, rules: &str) {
    // All panels of the layer's dashboard.
    let dashboard = tower_prometheus_mixin::Dashboard::http("shop", "Shop", http()).unwrap();
    let dashboard = dashboard.histograms_in(registry);
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard.to_json().unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let mut checked = 0;
    for target in targets {
        let query = target["expr"].as_str().unwrap();
        let query = query
            .replace("$__rate_interval", "1m")
            .replace("$job", ".+")
            .replace("$instance", ".+");
        assert!(!store.wait_for_values(&query).is_empty(), "{query}");
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
    // All recording rules. Two of nine requests fail, so both critical burn-rate alerts fire.
    for line in rules.lines() {
        if let Some(name) = line.trim_start_matches(['-', ' ']).strip_prefix("record: ") {
            assert!(!store.wait_for_values(name).is_empty(), "{name}");
        }
    }
    let alerts = store.wait_for_values(
        "ALERTS{alertname=\"ErrorBudgetBurn\",slo=\"http\",severity=\"critical\"}",
    );
    assert_eq!(alerts, [1.0, 1.0]);
    assert!(
        !store
            .wait_for_values("ALERTS{alertname=\"CardinalityOverflow\"}")
            .is_empty()
    );
    // No request takes longer than the threshold. Of 1 s, this needs a matcher for `le` as Prometheus scraped it, `1.0`.
    assert_eq!(
        store.wait_for_values("job:slo_errors:ratio_rate5m{slo=\"fast\"}"),
        [0.0]
    );
}
