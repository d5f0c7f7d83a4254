//! The proxy in front of Prometheus and VictoriaMetrics. Both scrape an application, are killed and are restarted. The
//! tests need both programs; `tests/run` installs them.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use axum::Router;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tower_prometheus::Registry;
use tower_prometheus_query::QueryProxy;

use crate::fake_upstream::{FullResponse, get};
use test_support::server::Server;
use test_support::skip_without;
use test_support::store::{Kind, Store};

/// Starts an upstream that scrapes one target.
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

/// Repeats a request until its response meets the condition. An upstream needs time to start, scrape and store.
async fn wait_for(
    proxy: &QueryProxy,
    target: impl Fn() -> String,
    is_met: impl Fn(&FullResponse) -> bool,
) -> FullResponse {
    let wait = async {
        loop {
            let response = get(proxy, &target()).await;
            if is_met(&response) {
                return response;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    waited.unwrap_or_else(|_| panic!("condition never met: {}", target()))
}

/// Returns the series of a response, sorted.
fn series(response: &str) -> Vec<String> {
    let response: Value = serde_json::from_str(response).unwrap();
    let series = response["data"]["result"].as_array().unwrap();
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

    // Wait until the scraped samples of all series cover at least five seconds.
    let has_all_series =
        |response: &FullResponse| response.status == 200 && series(&response.text).len() == 4;
    wait_for(
        &proxy,
        || range("orders_total offset 5s", now()),
        has_all_series,
    )
    .await;
    let end = now() - 4;
    assert_eq!(get(&proxy, "/health").await.text, r#"{"status":"healthy"}"#);

    // The proxy returns the same series for a valid query as the upstream.
    for query in [
        "orders_total",
        "sum by (kind) (orders_total)",
        "rate(orders_total[10s])",
    ] {
        let target = range(query, end);
        let proxied = get(&proxy, &target).await;
        let (status, direct) = get_directly(&upstream, &target).await;
        assert_eq!((proxied.status, status), (200, 200), "{proxied:?}");
        assert_eq!(proxied.headers["content-type"], "application/json");
        assert_eq!(series(&proxied.text), series(&direct), "{query}");
        assert!(!series(&direct).is_empty(), "{query}");
    }
    // The upstream's error for an invalid query is forwarded.
    let target = range("sum(orders_total", end);
    let proxied = get(&proxy, &target).await;
    assert_eq!(
        (proxied.status, proxied.text.clone()),
        get_directly(&upstream, &target).await
    );
    assert_eq!(proxied.status, bad_query);

    // With a forced label, the proxy returns the same series as the upstream for the query with explicit matchers.
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
        let proxied = get(&tenant, &range(query, end)).await;
        let (status, direct) = get_directly(&upstream, &range(filtered, end)).await;
        assert_eq!(
            (proxied.status, status),
            (200, 200),
            "{query}: {proxied:?} {direct}"
        );
        assert_eq!(series(&proxied.text), series(&direct), "{query}");
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

    // After the upstream has restarted at the same address, the proxy works again.
    upstream.restart();
    wait_for(
        &proxy,
        || "/health".into(),
        |response| response.json()["status"] == "healthy",
    )
    .await;
    let has_all_series_again =
        |response: &FullResponse| response.status == 200 && series(&response.text).len() == 4;
    wait_for(
        &proxy,
        || range("orders_total", now()),
        has_all_series_again,
    )
    .await;
    let is_listed = |response: &FullResponse| response.text == r#"["a-shop","b-shop"]"#;
    wait_for(&proxy, || "/services".into(), is_listed).await;
}

#[tokio::test]
async fn proxy_forwards_to_prometheus_and_recovers_after_its_restart() {
    skip_without!(Prometheus);
    forwards_queries_and_recovers(Kind::Prometheus, 400).await;
}

#[tokio::test]
async fn proxy_forwards_to_victoria_metrics_and_recovers_after_its_restart() {
    skip_without!(VictoriaMetrics);
    forwards_queries_and_recovers(Kind::VictoriaMetrics, 422).await;
}
