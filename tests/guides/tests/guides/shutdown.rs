//! `shutdown.md`: the last requests are scraped by a real Prometheus, and jobs push to a real Pushgateway.

#[path = "../../../../docs/guide/shutdown_grpc.rs"]
mod grpc;
#[path = "../../../../docs/guide/shutdown.rs"]
#[expect(dead_code, reason = "the program has a `main`")]
mod program;

use std::convert::Infallible;
use std::future::{IntoFuture, Ready, ready};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use axum::routing::get;
use test_support::listening::ReservedAddress;
use test_support::page::samples;
use test_support::process::{RunningProgram, curl, program as start_of};
use test_support::pushgateway::Pushgateway;
use test_support::store::Store;
use test_support::{retry_until_ok, skip_without, wait_until};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tonic::body::Body as TonicBody;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower_prometheus::{Registry, scrape::MetricsServer};

use crate::page::{SHUTDOWN, block};
use program::{Limits, serve};

/// The last requests of the process, sent just before SIGTERM, are in Prometheus while the process still runs.
#[test]
fn prometheus_scrapes_the_last_requests_after_sigterm() {
    skip_without!(Curl, Prometheus);
    let mut command = start_of(env!("CARGO_BIN_EXE_shutdown"));
    let mut service = RunningProgram::start(command.env("METRICS_PORT", "127.0.0.1:0"));
    let url = service.read_line_after("listening on ");
    let metrics = service.read_line_after("metrics at http://");
    let target = metrics.strip_suffix("/metrics").unwrap();
    let prometheus = Store::prometheus(
        &format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: shop\n    static_configs: [{{ targets: ['{target}'] }}]\n"
        ),
        &[],
    );
    assert_eq!(prometheus.wait_for_values("up == 1"), [1.0]);
    curl(&[&format!("{url}/users/[1-3]")]);
    service.signal("TERM");
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    retry_until_ok(
        "the application's port is closed",
        || match TcpStream::connect(address) {
            Ok(_) => Err("it is open".to_owned()),
            Err(_) => Ok(()),
        },
    );
    assert_eq!(
        prometheus.wait_for_values("sum(http_requests_total) == 3"),
        [3.0]
    );
    assert!(!service.has_exited());
    // The last scrape is done, and the process ends by itself.
    assert!(service.wait_for_exit().success());
}

/// A running service, whose requests to `/gated` wait for permits, and whose `/endless` never ends.
struct Service {
    application: SocketAddr,
    metrics: SocketAddr,
    gate: Arc<Semaphore>,
    stop: Option<watch::Sender<()>>,
    task: JoinHandle<()>,
    registry: Registry,
}

impl Service {
    async fn start(limits: Limits) -> Self {
        let registry = Registry::new();
        let gate = Arc::new(Semaphore::new(0));
        let waiting = Arc::clone(&gate);
        let gated = async move || {
            let _permit = waiting.acquire().await;
            "done"
        };
        let endless = async || Body::from_stream(Endless);
        let app = Router::new()
            .route("/gated", get(gated))
            .route("/endless", get(endless))
            .layer(registry.http_layer());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let application = listener.local_addr().unwrap();
        let server = MetricsServer::bind("127.0.0.1:0").await.unwrap();
        let metrics = server.local_addr().unwrap();
        let (stop, stopped) = watch::channel(());
        let [stop_server, stopped] = stop_futures(stopped);
        let app = axum::serve(listener, app).with_graceful_shutdown(stop_server);
        let served = registry.clone();
        let task = tokio::spawn(async move {
            serve(app.into_future(), &served, server, stopped, limits).await;
        });
        let stop = Some(stop);
        Self {
            application,
            metrics,
            gate,
            stop,
            task,
            registry,
        }
    }

    /// Sends a request on another thread.
    fn request(&self, path: &str) -> JoinHandle<String> {
        let url = format!("http://{}{path}", self.application);
        tokio::task::spawn_blocking(move || curl(&["--max-time", "60", &url]))
    }

    async fn wait_for_requests_in_progress(&self, requests: f64) {
        wait_until("the requests are in progress", || {
            self.registry.sum("http_requests_in_progress", &[]) == Some(requests)
        })
        .await;
    }

    async fn wait_until_port_is_closed(&self) {
        wait_until("the application's port is closed", || {
            TcpStream::connect(self.application).is_err()
        })
        .await;
    }

    async fn scrape(&self) -> std::collections::BTreeMap<String, f64> {
        let url = format!("http://{}/metrics", self.metrics);
        let page = tokio::task::spawn_blocking(move || curl(&[&url])).await;
        samples(&page.unwrap()).into_iter().collect()
    }
}

/// Two futures that complete when the sender is dropped, as those of `stop_signal` complete at a signal.
fn stop_futures(stopped: watch::Receiver<()>) -> [impl Future<Output = ()> + Send + 'static; 2] {
    [stopped.clone(), stopped].map(|mut stopped| async move {
        let _ = stopped.changed().await;
    })
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A body that sends one chunk and never ends.
struct Endless;

impl futures_core::Stream for Endless {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Pending
    }
}

const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_in_progress_ends_and_is_in_the_last_scrape() {
    skip_without!(Curl);
    let mut service = Service::start(Limits {
        requests: NEVER,
        last_scrape: NEVER,
    })
    .await;
    let response = service.request("/gated");
    service.wait_for_requests_in_progress(1.0).await;
    service.stop.take();
    service.wait_until_port_is_closed().await;
    let labels = "{endpoint=\"/gated\",method=\"GET\"}";
    assert_eq!(
        service.scrape().await[&format!("http_requests_in_progress{labels}")],
        1.0
    );
    service.gate.add_permits(1);
    assert_eq!(response.await.unwrap(), "done");
    let requests = "http_requests_total{endpoint=\"/gated\",method=\"GET\",status=\"200\"}";
    assert_eq!(service.scrape().await[requests], 1.0);
    assert!(!service.task.is_finished());
}

/// axum alone would wait for the stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_stream_does_not_delay_the_shutdown_beyond_its_limit() {
    skip_without!(Curl);
    let limits = Limits {
        requests: Duration::from_millis(10),
        last_scrape: Duration::ZERO,
    };
    let mut service = Service::start(limits).await;
    let address = service.application;
    let stream = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        std::io::Write::write_all(&mut stream, b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        stream
    });
    let _stream = stream.await.unwrap();
    service.wait_for_requests_in_progress(1.0).await;
    service.stop.take();
    let ended = tokio::time::timeout(Duration::from_secs(30), &mut service.task).await;
    ended.expect("the service is still running").unwrap();
}

/// A gRPC service that answers every call with `OK`.
#[derive(Clone)]
struct Orders;

impl NamedService for Orders {
    const NAME: &'static str = "shop.Orders";
}

impl tower::Service<Request<TonicBody>> for Orders {
    type Response = Response<TonicBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<TonicBody>) -> Self::Future {
        ready(Ok(tonic::Status::ok("").into_http()))
    }
}

fn services() -> Routes {
    Routes::from(Router::new()).add_service(Orders)
}

fn measured_app(registry: &Registry) -> Router {
    let app = Router::new().route("/users/{id}", get(async || "ada"));
    app.layer(registry.http_layer())
}

/// Sends a request and a call. Both layers count once.
async fn assert_each_layer_counts_its_own(registry: &Registry, http: SocketAddr, grpc: SocketAddr) {
    let request = tokio::task::spawn_blocking(move || {
        let call = format!("http://{grpc}/shop.Orders/Place");
        let grpc = [
            "--http2-prior-knowledge",
            "-d",
            "",
            "-H",
            "content-type: application/grpc",
        ];
        curl(&[&grpc[..], &[&call]].concat());
        curl(&[&format!("http://{http}/users/7")])
    });
    assert_eq!(request.await.unwrap(), "ada");
    wait_until("the request is counted", || {
        registry.sum("http_requests_total", &[]) == Some(1.0)
    })
    .await;
    let handled = [("grpc_service", "shop.Orders"), ("grpc_code", "OK")];
    assert_eq!(
        registry.sum("grpc_server_handled_total", &handled),
        Some(1.0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_and_tonic_on_two_ports_end_after_the_signal() {
    skip_without!(Curl);
    let registry = Registry::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = listener.local_addr().unwrap();
    let reserved = ReservedAddress::new();
    let grpc = reserved.get().into();
    let (stop, stopped) = watch::channel(());
    let served = registry.clone();
    let servers = tokio::spawn(async move {
        let stop = stop_futures(stopped);
        let app = measured_app(&served);
        grpc::two_ports((app, listener), (services(), grpc), &served, stop).await
    });
    wait_until("tonic listens", || TcpStream::connect(grpc).is_ok()).await;
    assert_each_layer_counts_its_own(&registry, http, grpc).await;
    drop(stop);
    servers.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_and_tonic_share_a_port() {
    skip_without!(Curl);
    let registry = Registry::new();
    let app = grpc::one_port(measured_app(&registry), services(), &registry);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    assert_each_layer_counts_its_own(&registry, address, address).await;
}

/// The job of the page, with a database that the test plays.
fn job(gateway: &Pushgateway, database: SocketAddr) -> Command {
    let mut job = Command::new(env!("CARGO_BIN_EXE_shutdown_job"));
    job.env("PUSHGATEWAY_URL", gateway.url())
        .env("DATABASE", database.to_string());
    job
}

/// The value of a metric of the job in the Pushgateway.
fn pushed(gateway: &Pushgateway, name: &str) -> Option<f64> {
    let group = gateway.group_contents();
    let line = group.iter().find(|line| line.starts_with(name))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn job_pushes_when_it_succeeds_fails_or_is_stopped() {
    skip_without!(Curl, Pushgateway);
    const BYTES: &str = "backup_bytes_total";
    const SUCCESS: &str = "backup_last_success_timestamp_seconds";
    let gateway = Pushgateway::start();
    let database = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = database.local_addr().unwrap();

    let mut running = RunningProgram::start(&mut job(&gateway, address));
    let (mut connection, _) = database.accept().unwrap();
    std::io::Write::write_all(&mut connection, &[0; 4096]).unwrap();
    drop(connection);
    assert!(running.wait_for_exit().success());
    assert_eq!(pushed(&gateway, BYTES), Some(4096.0));
    let success = pushed(&gateway, SUCCESS).unwrap();
    assert!(success > 1.7e9, "{success}");
    let push_time = || {
        let page = curl(&[&format!("{}/metrics", gateway.url())]);
        samples(&page)["push_time_seconds{instance=\"\",job=\"nightly_backup\"}"]
    };
    let first = push_time();

    // Stopped in the middle: the time of the last success stays.
    let mut running = RunningProgram::start(&mut job(&gateway, address));
    let connection = database.accept().unwrap();
    running.signal("TERM");
    assert!(!running.wait_for_exit().success());
    drop(connection);
    assert_eq!(pushed(&gateway, SUCCESS), Some(success));
    let second = push_time();
    assert!(second > first);

    // The database is down.
    drop(database);
    let mut running = RunningProgram::start(&mut job(&gateway, address));
    assert!(!running.wait_for_exit().success());
    assert_eq!(pushed(&gateway, SUCCESS), Some(success));
    assert!(push_time() > second);
}

/// Retries alone would take longer than the time that Kubernetes gives a job.
#[test]
fn job_ends_if_the_pushgateway_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let database = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut job = Command::new(env!("CARGO_BIN_EXE_shutdown_job"));
    let url = format!("http://{}", silent.local_addr().unwrap());
    job.env("PUSHGATEWAY_URL", url)
        .env("DATABASE", database.local_addr().unwrap().to_string())
        .stderr(Stdio::piped());
    let job = job.spawn().unwrap();
    drop(database.accept().unwrap());
    let output = job.wait_with_output().unwrap();
    assert!(output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("not pushed within 20 s"), "{errors}");
}

/// With the configuration of the page, `job` is the one that was pushed.
#[test]
fn prometheus_keeps_the_job_that_was_pushed() {
    skip_without!(Curl, Prometheus, Pushgateway);
    let gateway = Pushgateway::start();
    let database = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut running = RunningProgram::start(&mut job(&gateway, database.local_addr().unwrap()));
    drop(database.accept().unwrap());
    assert!(running.wait_for_exit().success());
    let config = block(SHUTDOWN, "yaml", "honor_labels");
    let target = gateway.url();
    let config = config.replace(
        "pushgateway.example:9091",
        target.trim_start_matches("http://"),
    );
    let config = format!("global: {{ scrape_interval: 1s }}\n{config}\n");
    let prometheus = Store::prometheus(&config, &[]);
    let alert = block(SHUTDOWN, "text", "time()");
    let age = alert.split(" > ").next().unwrap();
    let age = age.replace("_seconds", "_seconds{job=\"nightly_backup\"}");
    let age = prometheus.wait_for_values(&age);
    assert!(age[0] < 600.0, "{age:?}");
}
