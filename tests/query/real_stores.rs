//! Real stores behind the proxy: Prometheus and VictoriaMetrics scrape an application, and are killed and
//! started again. `tests/run` installs them.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use axum::Router;
use serde_json::Value;
use tower_prometheus::Registry;
use tower_prometheus::query::QueryProxy;

use crate::store::{Answer, get};
use test_support::server::Server;
use test_support::skip_without;
use test_support::store::{Kind, Store};

/// A store that scrapes one service.
fn store_of(kind: Kind, target: SocketAddr) -> Store {
    let mut store = Store::new(kind);
    store.scrape(&format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: shop\n    static_configs: [{{ targets: ['{target}'] }}]\n"
    ));
    store
}

/// What a store says to the same question without the proxy.
async fn ask(store: &Store, target: &str) -> (u16, String) {
    let url = format!("{}/api/v1{target}", store.url);
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Two tenants' orders.
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

/// Asks until the answer is as it should be; a store takes its time to start, to scrape, to store.
async fn wait_for(
    proxy: &QueryProxy,
    target: impl Fn() -> String,
    is_so: impl Fn(&Answer) -> bool,
) -> Answer {
    let wait = async {
        loop {
            let answer = get(proxy, &target()).await;
            if is_so(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    waited.unwrap_or_else(|_| panic!("never so: {}", target()))
}

/// The series of an answer, in one order, without what depends on the time of asking.
fn series(answer: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let series = answer["data"]["result"].as_array().unwrap();
    let mut series: Vec<_> = series.iter().map(Value::to_string).collect();
    series.sort();
    series
}

async fn carries_queries_and_recovers(kind: Kind, bad_query: u16) {
    let shop = shop().await;
    let mut store = store_of(kind, shop.address);
    let builder = || {
        QueryProxy::builder(&store.url)
            .services_of("service_info", "service")
            .fallback_services(["configured"])
    };
    let proxy = builder().build().unwrap();
    let tenant = builder().force_label("tenant", "a").build().unwrap();

    // Until all is scraped, five seconds and more of it.
    let is_there = |answer: &Answer| answer.status == 200 && series(&answer.text).len() == 4;
    wait_for(&proxy, || range("orders_total offset 5s", now()), is_there).await;
    let end = now() - 4;
    assert_eq!(get(&proxy, "/health").await.text, r#"{"status":"healthy"}"#);

    // A good query carries the same series as without the proxy.
    for query in [
        "orders_total",
        "sum by (kind) (orders_total)",
        "rate(orders_total[10s])",
    ] {
        let target = range(query, end);
        let through = get(&proxy, &target).await;
        let (status, direct) = ask(&store, &target).await;
        assert_eq!((through.status, status), (200, 200), "{through:?}");
        assert_eq!(through.headers["content-type"], "application/json");
        assert_eq!(series(&through.text), series(&direct), "{query}");
        assert!(!series(&direct).is_empty(), "{query}");
    }
    // A bad one the store's own words.
    let target = range("sum(orders_total", end);
    let through = get(&proxy, &target).await;
    assert_eq!(
        (through.status, through.text.clone()),
        ask(&store, &target).await
    );
    assert_eq!(through.status, bad_query);

    // A tenant's answer is everyone's, without what is not the tenant's.
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
        let (status, direct) = ask(&store, &range(filtered, end)).await;
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

    // It goes.
    store.kill();
    get(&proxy, &range("orders_total", end))
        .await
        .assert_problem(503, "unavailable");
    assert_eq!(get(&proxy, "/health").await.json()["status"], "unhealthy");
    assert_eq!(get(&proxy, "/services").await.text, r#"["configured"]"#);

    // It comes back where it was, and the proxy needs nothing for that.
    store.restart();
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
async fn prometheus() {
    skip_without!(Prometheus);
    carries_queries_and_recovers(Kind::Prometheus, 400).await;
}

#[tokio::test]
async fn victoria_metrics() {
    skip_without!(VictoriaMetrics);
    carries_queries_and_recovers(Kind::VictoriaMetrics, 422).await;
}
