//! The proxy in front of Prometheus and VictoriaMetrics, which scrape an application, are killed and are
//! restarted. Needs both programs; `tests/run` installs them.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use axum::Router;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tower_prometheus::Registry;
use tower_prometheus_query::QueryProxy;

use crate::fake_upstream::{Answer, get};
use test_support::server::Server;
use test_support::skip_without;
use test_support::store::{Kind, Store};

/// Starts an upstream that scrapes one service.
fn scraping(kind: Kind, target: SocketAddr) -> Store {
    let mut upstream = Store::new(kind);
    upstream.start_with_config(&format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: shop\n    static_configs: [{{ targets: ['{target}'] }}]\n"
    ));
    upstream
}

/// Sends the same query to the upstream without the proxy.
async fn get_directly(upstream: &Store, target: &str) -> (u16, String) {
    let url = format!("{}/api/v1{target}", upstream.url);
    let client = Client::builder(TokioExecutor::new()).build_http::<String>();
    let response = client.get(url.parse().unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Serves metrics of two tenants.
async fn shop() -> Server {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        for (tenant, kind, orders) in [
            ("a", "book", 3),
            ("a", "pen", 4),
            ("b", "book", 50),
            ("b", "ink", 60),
        ] {
            metrics::counter!("orders_total", "tenant" => tenant, "kind" => kind).increment(orders);
            metrics::gauge!("service_info", "tenant" => tenant, "service" => format!("{tenant}-shop")).set(1.0);
        }
    });
    Server::start(Router::new().route_service("/metrics", registry.handler())).await
}

fn range(query: &str, end: u64) -> String {
    let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!(
        "/query_range?query={query}&start={}&end={end}&step=5",
        end - 20
    )
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// Queries until the response meets the condition: an upstream takes time to start, scrape and store.
async fn wait_for(
    proxy: &QueryProxy,
    target: impl Fn() -> String,
    is_met: impl Fn(&Answer) -> bool,
) -> Answer {
    let wait = async {
        loop {
            let answer = get(proxy, &target()).await;
            if is_met(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    waited.unwrap_or_else(|_| panic!("condition never met: {}", target()))
}

/// The series of a response, sorted.
fn series(answer: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let series = answer["data"]["result"].as_array().unwrap();
    let mut series: Vec<_> = series.iter().map(Value::to_string).collect();
    series.sort();
    series
}

async fn forwards_queries_and_recovers(kind: Kind, bad_query: u16) {
    let shop = shop().await;
    let mut upstream = scraping(kind, shop.address);
    let builder = || {
        QueryProxy::builder(&upstream.url)
            .services_of("service_info", "service")
            .fallback_services(["configured"])
    };
    let proxy = builder().build().unwrap();
    let tenant = builder().force_label("tenant", "a").build().unwrap();

    // Until at least five seconds of all series are scraped.
    let is_there = |answer: &Answer| answer.status == 200 && series(&answer.text).len() == 4;
    wait_for(&proxy, || range("orders_total offset 5s", now()), is_there).await;
    let end = now() - 4;
    assert_eq!(get(&proxy, "/health").await.text, r#"{"status":"healthy"}"#);

    // A valid query has the same series as without the proxy.
    for query in [
        "orders_total",
        "sum by (kind) (orders_total)",
        "rate(orders_total[10s])",
    ] {
        let target = range(query, end);
        let through = get(&proxy, &target).await;
        let (status, direct) = get_directly(&upstream, &target).await;
        assert_eq!((through.status, status), (200, 200), "{through:?}");
        assert_eq!(through.headers["content-type"], "application/json");
        assert_eq!(series(&through.text), series(&direct), "{query}");
        assert!(!series(&direct).is_empty(), "{query}");
    }
    // The upstream's error for an invalid query is forwarded.
    let target = range("sum(orders_total", end);
    let through = get(&proxy, &target).await;
    assert_eq!(
        (through.status, through.text.clone()),
        get_directly(&upstream, &target).await
    );
    assert_eq!(through.status, bad_query);

    // With a forced label, the series are those of the query with the matcher written out.
    for (query, filtered) in [
        ("orders_total", r#"orders_total{tenant="a"}"#),
        (
            r#"orders_total{tenant=~".*"}"#,
            r#"orders_total{tenant="a"}"#,
        ),
        (
            r#"{__name__="orders_total",kind="book"}"#,
            r#"orders_total{kind="book",tenant="a"}"#,
        ),
        (
            "sum by (kind) (orders_total)",
            r#"sum by (kind) (orders_total{tenant="a"})"#,
        ),
        (
            "quantile(scalar(count(orders_total)) / 10, orders_total)",
            r#"quantile(scalar(count(orders_total{tenant="a"})) / 10, orders_total{tenant="a"})"#,
        ),
        (
            "max_over_time(sum(orders_total)[10s:1s]) + on () group_right () orders_total",
            r#"max_over_time(sum(orders_total{tenant="a"})[10s:1s]) + on () group_right () orders_total{tenant="a"}"#,
        ),
        (
            r#"label_replace(orders_total, "tenant", "b", "kind", "book") and orders_total @ end()"#,
            r#"label_replace(orders_total{tenant="a"}, "tenant", "b", "kind", "book") and orders_total{tenant="a"} @ end()"#,
        ),
    ] {
        let through = get(&tenant, &range(query, end)).await;
        let (status, direct) = get_directly(&upstream, &range(filtered, end)).await;
        assert_eq!(
            (through.status, status),
            (200, 200),
            "{query}: {through:?} {direct}"
        );
        assert_eq!(series(&through.text), series(&direct), "{query}");
        assert!(!series(&direct).is_empty(), "{query}");
    }
    let others = get(&tenant, &range(r#"orders_total{tenant="b"}"#, end)).await;
    assert!(series(&others.text).is_empty(), "{others:?}");

    assert_eq!(
        get(&proxy, "/services").await.text,
        r#"["a-shop","b-shop"]"#
    );
    assert_eq!(get(&tenant, "/services").await.text, r#"["a-shop"]"#);

    // The upstream is killed.
    upstream.kill();
    get(&proxy, &range("orders_total", end))
        .await
        .assert_error(503, "unavailable");
    assert_eq!(get(&proxy, "/health").await.json()["status"], "unhealthy");
    assert_eq!(get(&proxy, "/services").await.text, r#"["configured"]"#);

    // It restarts at the same address; the proxy uses it again.
    upstream.restart();
    wait_for(
        &proxy,
        || "/health".into(),
        |answer| answer.json()["status"] == "healthy",
    )
    .await;
    let is_back = |answer: &Answer| answer.status == 200 && series(&answer.text).len() == 4;
    wait_for(&proxy, || range("orders_total", now()), is_back).await;
    let is_listed = |answer: &Answer| answer.text == r#"["a-shop","b-shop"]"#;
    wait_for(&proxy, || "/services".into(), is_listed).await;
}

#[tokio::test]
async fn prometheus_receives_queries_and_may_restart() {
    skip_without!(Prometheus);
    forwards_queries_and_recovers(Kind::Prometheus, 400).await;
}

#[tokio::test]
async fn victoria_metrics_receives_queries_and_may_restart() {
    skip_without!(VictoriaMetrics);
    forwards_queries_and_recovers(Kind::VictoriaMetrics, 422).await;
}
