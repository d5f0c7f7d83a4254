//! Real stores behind the proxy: Prometheus and VictoriaMetrics scrape an application, and are killed and
//! started again. `tests/run` installs them.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use axum::Router;
use serde_json::Value;
use tower_prometheus::Registry;
use tower_prometheus::query::QueryProxy;

use crate::store::{Answer, get};
use crate::support::process::Running;
use crate::support::server::Server;

/// The program to start, and how it answers a query that is none.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Prometheus,
    VictoriaMetrics,
}

/// A store on a port of its own, with data that outlives it.
struct RealStore {
    kind: Kind,
    address: SocketAddr,
    directory: PathBuf,
    running: Option<Running>,
}

impl RealStore {
    fn start(kind: Kind, target: SocketAddr) -> Self {
        let name = format!("query-{kind:?}-{}", std::process::id());
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let config = format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: shop\n    static_configs: [{{ targets: ['{target}'] }}]\n"
        );
        std::fs::write(directory.join("scrape.yml"), config).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut store = Self {
            kind,
            address: free.local_addr().unwrap(),
            directory,
            running: None,
        };
        drop(free);
        store.restart();
        store
    }

    fn restart(&mut self) {
        let config = self.directory.join("scrape.yml");
        let config = config.display();
        let data = self.directory.join("data");
        let data = data.display();
        let address = self.address;
        let mut command = match self.kind {
            Kind::Prometheus => {
                let mut command = Command::new("prometheus");
                command.arg(format!("--config.file={config}"));
                command.arg(format!("--storage.tsdb.path={data}"));
                command.arg(format!("--web.listen-address={address}"));
                command
            }
            Kind::VictoriaMetrics => {
                let mut command = Command::new("victoria-metrics");
                command.arg(format!("-promscrape.config={config}"));
                command.arg(format!("-storageDataPath={data}"));
                command.arg(format!("-httpListenAddr={address}"));
                command.args(["-retentionPeriod=1d", "-search.latencyOffset=0s"]);
                command
            }
        };
        self.running = Some(Running::start(command.stderr(Stdio::null())));
    }

    fn kill(&mut self) {
        self.running = None;
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it says to the same question without the proxy.
    async fn ask(&self, target: &str) -> (u16, String) {
        let url = format!("{}/api/v1{target}", self.url());
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

impl Drop for RealStore {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
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
    let mut store = RealStore::start(kind, shop.address);
    let builder = || {
        QueryProxy::builder(store.url())
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
        let (status, direct) = store.ask(&target).await;
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
        store.ask(&target).await
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
        let (status, direct) = store.ask(&range(filtered, end)).await;
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
    carries_queries_and_recovers(Kind::Prometheus, 400).await;
}

#[tokio::test]
async fn victoria_metrics() {
    carries_queries_and_recovers(Kind::VictoriaMetrics, 422).await;
}
