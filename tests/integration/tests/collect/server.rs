//! [`MetricsServer`]: the metrics page on its own port or Unix socket.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};
use tower_prometheus::{MetricsHandler, Registry, scrape::MetricsServer};

use test_support::page::assert_valid_text;
use test_support::process::curl;
use test_support::skip_without;
use test_support::wait_until;
use test_support::warnings::Warnings;

/// A server that is stopped when dropped.
struct Running {
    address: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(server: MetricsServer, handler: MetricsHandler) -> Self {
        let (stop, stopped) = oneshot::channel();
        let address = server.local_addr();
        let task = tokio::spawn(server.serve(handler, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            stop: Some(stop),
            task,
        }
    }

    fn stop(&mut self) {
        drop(self.stop.take());
    }

    async fn ended(&mut self) {
        let ended = tokio::time::timeout(Duration::from_secs(20), &mut self.task).await;
        ended.expect("the server is still running").unwrap();
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address.unwrap())
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address.unwrap()).await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn loopback() -> MetricsServer {
    MetricsServer::bind("127.0.0.1:0").await.unwrap()
}

fn registry() -> Registry {
    let registry = Registry::new();
    registry.gauge("good", "", || 1_u64).unwrap();
    registry
}

fn handler() -> MetricsHandler {
    registry().handler()
}

/// Runs `curl` on another thread, while the server runs on this one. Returns its output.
async fn run_curl(arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
    let run = move || curl(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Arguments with which `curl` appends the status and the HTTP version to the body.
const STATUS: [&str; 4] = ["-w", " %{http_code} %{http_version}", "--max-time", "20"];

#[tokio::test]
async fn server_serves_metrics_and_health_and_404_for_other_paths() {
    skip_without!(Curl);
    for address in ["127.0.0.1:0", "[::1]:0", "localhost:0"] {
        let server = MetricsServer::bind(address).await.unwrap();
        let server = Running::start(server, handler());
        for (protocol, version) in [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")] {
            let [w, format, m, t] = STATUS;
            let get =
                async |path: &str| run_curl(&[protocol, w, format, m, t, &server.url(path)]).await;
            let page = get("/metrics").await;
            let page = page.strip_suffix(&format!(" 200 {version}")).expect(&page);
            assert_valid_text(page);
            assert!(page.contains("\ngood 1\n"), "{page}");
            assert_eq!(get("/health").await, format!("ok\n 200 {version}"));
            for path in ["/", "/metrics/", "/metricsfoo", "/health/x"] {
                assert_eq!(get(path).await, format!("not found\n 404 {version}"));
            }
        }
        let head = run_curl(&["--head", &server.url("/metrics")]).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let posted = run_curl(&[
            "-d",
            "x",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            &server.url("/metrics"),
        ])
        .await;
        assert_eq!(posted, "405");
    }
}

#[tokio::test]
async fn paths_are_configurable() {
    skip_without!(Curl);
    let server = loopback().await.path("/internal/prom").health_path("/live");
    let server = Running::start(server, handler());
    assert!(
        run_curl(&[&server.url("/internal/prom")])
            .await
            .contains("good 1")
    );
    assert_eq!(run_curl(&[&server.url("/live")]).await, "ok\n");
    assert_eq!(run_curl(&[&server.url("/metrics")]).await, "not found\n");
}

#[tokio::test]
async fn bind_errors_name_the_address_and_keep_the_cause() {
    let first = loopback().await;
    let address = first.local_addr().unwrap();
    let taken = MetricsServer::bind(address).await.unwrap_err();
    assert_eq!(
        taken.io_error().map(std::io::Error::kind),
        Some(std::io::ErrorKind::AddrInUse)
    );
    assert!(taken.is_address_in_use());
    assert_eq!(
        taken.to_string(),
        format!("metrics server cannot listen on {address}: Address already in use (os error 98)")
    );
    let wrong = MetricsServer::bind("nowhere").await.unwrap_err();
    assert!(wrong.io_error().is_some() && !wrong.is_address_in_use());
    let wrong = wrong.to_string();
    assert!(
        wrong.starts_with("metrics server cannot listen on nowhere: "),
        "{wrong}"
    );
}

/// Runs a child process for each value, because the environment belongs to the whole process.
#[test]
fn metrics_port_variable_sets_the_address() {
    let test = |value: Option<&str>, is_expected: &dyn Fn(&str) -> bool| {
        let mut command = test_support::child_test::ignored_test("server::helper_for_metrics_port");
        command.env_remove("METRICS_PORT");
        if let Some(value) = value {
            command.env("METRICS_PORT", value);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let result = text
            .split("listens: ")
            .nth(1)
            .unwrap_or_else(|| panic!("{text}"));
        let result = result.lines().next().unwrap();
        assert!(is_expected(result), "{value:?}: {result}");
    };
    test(None, &|result| result == "no");
    test(Some(""), &|result| result == "no");
    for port in ["0", ":0"] {
        test(Some(port), &|result| {
            result.starts_with("[::]:") || result.starts_with("0.0.0.0:")
        });
    }
    test(Some("127.0.0.1:0"), &|result| {
        result.starts_with("127.0.0.1:")
    });
    test(Some("[::1]:0"), &|result| result.starts_with("[::1]:"));
    test(Some("localhost:0"), &|result| {
        result.starts_with("127.0.0.1:") || result.starts_with("[::1]:")
    });
    test(Some("name.invalid:0"), &|result| {
        result.starts_with("METRICS_PORT: metrics server cannot listen on name.invalid:0: ")
    });
    // Kubernetes sets these for a Service called `metrics`.
    for url in [
        "tcp://10.96.0.1:8080",
        "udp://10.96.0.1:53",
        "sctp://10.96.0.1:99",
    ] {
        test(Some(url), &|result| {
            result.starts_with("no, WARN ")
                && result.contains(&format!("METRICS_PORT is ignored: {url:?}"))
        });
    }
    for wrong in [
        "http",
        "65536",
        "-1",
        ":",
        ":65536",
        "localhost",
        "localhost:",
        "localhost:http",
        "::1:0",
        "http://localhost:8081",
    ] {
        test(Some(wrong), &|result| {
            result
                == format!(
                    "METRICS_PORT: must be a port such as 8081 or an address such as 127.0.0.1:8081 or localhost:8081, got {wrong:?}"
                )
        });
    }
}

#[tokio::test]
#[ignore = "started by metrics_port_variable_sets_the_address"]
async fn helper_for_metrics_port() {
    let warnings = Warnings::capture();
    match MetricsServer::from_env().await {
        Ok(None) if warnings.all().is_empty() => println!("listens: no"),
        Ok(None) => println!("listens: no, {}", warnings.all().join("; ")),
        Ok(Some(server)) => println!("listens: {}", server.local_addr().unwrap()),
        Err(error) => println!("listens: {error}"),
    }
}

/// Runs a child process in a network namespace, in which listeners on `::` do not accept IPv4 by default. Skipped if
/// the system does not allow namespaces.
#[cfg(target_os = "linux")]
#[test]
fn metrics_port_accepts_ipv4_whatever_the_default_of_the_system() {
    let run = |script: &str| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--map-root-user", "--net", "sh", "-c", script]);
        command.arg(std::env::current_exe().unwrap());
        command.env("METRICS_PORT", "0").output()
    };
    let set_up = "ip link set lo up && echo 1 > /proc/sys/net/ipv6/bindv6only";
    if !run(set_up).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: network namespaces are not allowed");
        return;
    }
    let test = "server::helper_that_connects_to_the_metrics_port";
    let output = run(&format!(
        "{set_up} && exec \"$0\" --exact {test} --ignored --nocapture"
    ));
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("connected over IPv4 and IPv6"), "{output:?}");
}

#[tokio::test]
#[ignore = "started by metrics_port_accepts_ipv4_whatever_the_default_of_the_system"]
async fn helper_that_connects_to_the_metrics_port() {
    let server = MetricsServer::from_env().await.unwrap().unwrap();
    let address = server.local_addr().unwrap();
    assert_eq!(address.ip(), std::net::Ipv6Addr::UNSPECIFIED);
    for host in ["127.0.0.1", "::1"] {
        std::net::TcpStream::connect((host, address.port())).unwrap();
    }
    println!("connected over IPv4 and IPv6");
}

#[tokio::test]
async fn server_replaces_a_stale_unix_socket_and_removes_its_own() {
    skip_without!(Curl);
    let directory = test_support::store::Directory::within(&std::env::temp_dir());
    let path = directory.0.join("metrics.sock");
    // A socket file that no process listens on is replaced.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = MetricsServer::bind_unix(&path).unwrap();
    assert_eq!(server.local_addr(), None);
    // A socket in use and any other file are kept.
    let taken = MetricsServer::bind_unix(&path).unwrap_err().to_string();
    assert!(
        taken.contains("metrics.sock: Address already in use"),
        "{taken}"
    );
    let file = directory.0.join("file");
    std::fs::write(&file, "kept").unwrap();
    MetricsServer::bind_unix(&file).unwrap_err();
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");

    let mut server = Running::start(server, handler());
    let socket = path.to_str().unwrap();
    let page = run_curl(&["--unix-socket", socket, "http://localhost/metrics"]).await;
    assert!(page.contains("\ngood 1\n"));
    server.stop();
    server.ended().await;
    assert!(!path.exists());
}

/// Waits until the server closes the connection.
async fn closed(stream: &mut (impl AsyncReadExt + Unpin)) {
    let read = async {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    };
    let closed = tokio::time::timeout(Duration::from_secs(20), read).await;
    closed.expect("the connection stays open");
}

#[tokio::test]
async fn connections_without_progress_are_closed() {
    skip_without!(Curl);
    let idle = Duration::from_millis(300);
    let server = Running::start(loopback().await.idle_timeout(idle), handler());
    for beginning in [
        "",
        "GET",
        "GET /metrics HTTP/1.1\r\nx: ",
        "PRI * HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        // A complete request, then nothing.
        "GET /health HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut stream = server.connect().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        closed(&mut stream).await;
    }
    // A request head that never ends: bytes alone are not progress.
    let stream = server.connect().await;
    let (mut read, mut write) = stream.into_split();
    let trickle = tokio::spawn(async move {
        write.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
        while write.write_all(b"x: y\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    closed(&mut read).await;
    trickle.await.unwrap();
    // The server still answers other clients.
    assert_eq!(run_curl(&[&server.url("/health")]).await, "ok\n");
}

#[tokio::test]
async fn connection_of_a_client_that_does_not_read_is_closed() {
    skip_without!(Curl);
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        // More than the buffers of a socket hold.
        for i in 0..200_000 {
            metrics::counter!("large_total", "i" => i.to_string()).increment(1);
        }
    });
    let server = loopback().await;
    let server = server
        .max_connections(1)
        .idle_timeout(Duration::from_millis(300));
    let server = Running::start(server, registry.handler());
    let mut stuck = server.connect().await;
    let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";
    stuck.write_all(request).await.unwrap();
    let mut byte = [0];
    stuck.read_exact(&mut byte).await.unwrap();
    assert_eq!(
        run_curl(&["--max-time", "20", &server.url("/health")]).await,
        "ok\n"
    );
}

/// The behaviour of a nested service after a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Silent {
    NoResponse,
    NoFrame,
    AfterFirstFrame,
}

/// The body of an event stream without events, or with one.
struct SilentBody(Option<Bytes>);

impl Body for SilentBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(event) => Poll::Ready(Some(Ok(Frame::data(event)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test]
async fn nested_service_that_does_not_respond_keeps_its_connection_for_the_idle_timeout() {
    assert_closed_after_idle_timeout(Silent::NoResponse).await;
}

#[tokio::test]
async fn nested_stream_without_a_frame_keeps_its_connection_for_the_idle_timeout() {
    assert_closed_after_idle_timeout(Silent::NoFrame).await;
}

/// Repeated, because a connection that is polled does not always poll its parts in the same order.
#[tokio::test]
async fn nested_stream_that_becomes_silent_keeps_its_connection_for_the_idle_timeout() {
    for _ in 0..20 {
        assert_closed_after_idle_timeout(Silent::AfterFirstFrame).await;
    }
}

async fn assert_closed_after_idle_timeout(silent: Silent) {
    const IDLE: Duration = Duration::from_secs(75);
    let (called, mut is_called) = tokio::sync::watch::channel(false);
    let nested = tower::service_fn(move |_: Request<()>| {
        called.send_replace(true);
        let event = (silent == Silent::AfterFirstFrame).then(|| Bytes::from_static(b"event"));
        async move {
            if silent == Silent::NoResponse {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(SilentBody(event)))
        }
    });
    let server = loopback().await.idle_timeout(IDLE);
    let server = server.nest_service("/events", nested);
    let server = Running::start(server, handler());
    let mut stream = server.connect().await;
    let request = b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    is_called.wait_for(|called| *called).await.unwrap();
    let expected = match silent {
        Silent::NoResponse => "",
        Silent::NoFrame => "\r\n\r\n",
        Silent::AfterFirstFrame => "event",
    };
    let mut received = String::new();
    while !received.contains(expected) {
        let mut bytes = [0; 1024];
        let length = stream.read(&mut bytes).await.unwrap();
        assert_ne!(length, 0, "the connection is closed");
        received.push_str(str::from_utf8(&bytes[..length]).unwrap());
    }
    // From now on, the clock advances only if nothing else is left to do.
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    let closed = async { stream.read_to_end(&mut Vec::new()).await };
    let closed = tokio::time::timeout(10 * IDLE, closed).await;
    let elapsed = start.elapsed();
    tokio::time::resume();
    let _ = closed.unwrap_or_else(|_| panic!("{silent:?}: the connection stays open"));
    // The graceful shutdown takes up to 1 s more.
    let limit = IDLE + Duration::from_secs(2);
    assert!(elapsed <= limit, "{silent:?}: {elapsed:?}");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    skip_without!(Curl);
    let server = Running::start(loopback().await.max_connections(2), handler());
    let mut held = vec![server.connect().await, server.connect().await];
    for stream in &mut held {
        // A response proves that the connection is accepted. It stays open.
        stream
            .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut status_line = [0; 12];
        stream.read_exact(&mut status_line).await.unwrap();
        assert_eq!(&status_line, b"HTTP/1.1 200");
    }
    let url = server.url("/health");
    let waiting = tokio::spawn(async move { run_curl(&[&url]).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    held.pop();
    assert_eq!(waiting.await.unwrap(), "ok\n");
}

/// A collector that signals its call and then waits until it is released.
struct Gate {
    released: tokio::sync::watch::Receiver<bool>,
    called: tokio::sync::watch::Sender<bool>,
}

impl Collector for Gate {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        self.called.send_replace(true);
        self.released.clone().wait_for(|released| *released).await?;
        samples.gauge("gate", "").value(1_u64);
        Ok(())
    }
}

#[tokio::test]
async fn shutdown_finishes_running_scrapes() {
    skip_without!(Curl);
    let (release, released) = tokio::sync::watch::channel(false);
    let (called, mut is_called) = tokio::sync::watch::channel(false);
    let registry = registry();
    registry
        .collector("gate", Gate { released, called })
        .unwrap();
    let mut server = Running::start(loopback().await, registry.handler());
    let url = server.url("/metrics");
    let idle = server.connect().await;
    let scrape = tokio::spawn(async move { run_curl(&[&url]).await });
    is_called.wait_for(|called| *called).await.unwrap();
    server.stop();
    // The port and the idle connection are closed while the scrape is running.
    let address = server.address.unwrap();
    let mut idle = idle;
    closed(&mut idle).await;
    wait_until("the port is closed", || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
    assert!(!scrape.is_finished() && !server.task.is_finished());
    release.send_replace(true);
    let page = scrape.await.unwrap();
    assert_valid_text(&page);
    assert!(page.contains("\ngate 1\n"));
    server.ended().await;
}

#[tokio::test]
async fn shutdown_timeout_ends_running_scrapes() {
    let (_release, released) = tokio::sync::watch::channel(false);
    let (called, mut is_called) = tokio::sync::watch::channel(false);
    let registry = registry();
    registry
        .collector("gate", Gate { released, called })
        .unwrap();
    let server = loopback().await.shutdown_timeout(Duration::from_millis(50));
    let mut server = Running::start(server, registry.handler());
    let mut stream = server.connect().await;
    let request =
        b"GET /metrics HTTP/1.1\r\nhost: x\r\nx-prometheus-scrape-timeout-seconds: 600\r\n\r\n";
    stream.write_all(request).await.unwrap();
    is_called.wait_for(|called| *called).await.unwrap();
    server.stop();
    server.ended().await;
    closed(&mut stream).await;
}

/// The server continues once files are closed. Until then it does not retry in a busy loop.
#[test]
fn server_recovers_from_too_many_open_files() {
    let test = std::env::current_exe().unwrap();
    let command = format!(
        "ulimit -n 40; exec '{}' --exact server::helper_for_too_many_open_files --ignored --nocapture",
        test.display()
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &command])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("recovered"),
        "{output:?}"
    );
}

#[tokio::test]
#[ignore = "started by server_recovers_from_too_many_open_files with few files"]
async fn helper_for_too_many_open_files() {
    let warnings = test_support::warnings::Warnings::capture();
    let server = Running::start(loopback().await, handler());
    let mut connections = vec![server.connect().await];
    while let Ok(connection) = TcpStream::connect(server.address.unwrap()).await {
        connections.push(connection);
    }
    wait_until("no more files can be opened", || {
        !warnings.about("cannot accept").is_empty()
    })
    .await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(warnings.about("cannot accept").len(), 1, "busy loop");
    connections.clear();
    let mut stream = server.connect().await;
    let request = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.ends_with("ok\n"), "{response}");
    println!("recovered");
}

#[tokio::test]
async fn http2_works_over_a_unix_socket() {
    let path =
        std::env::temp_dir().join(format!("tower-prometheus-h2-{}.sock", std::process::id()));
    let _server = Running::start(MetricsServer::bind_unix(&path).unwrap(), handler());
    let stream = UnixStream::connect(&path).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://localhost/metrics");
    let request = request
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("\ngood 1\n"));
    connection.abort();
}
