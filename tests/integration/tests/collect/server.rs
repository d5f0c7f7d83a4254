//! The page on a port of its own.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};
use tower_prometheus::{MetricsHandler, Registry, scrape::MetricsServer};

use test_support::eventually;
use test_support::page::assert_readable;
use test_support::process::curl;
use test_support::skip_without;

/// A server that ends with its test.
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
        ended.expect("it goes on").unwrap();
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

/// What `curl` says, while the server runs beside it.
async fn ask(arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
    let ask = move || curl(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(ask).await.unwrap()
}

/// Status and body.
const STATUS: [&str; 4] = ["-w", " %{http_code} %{http_version}", "--max-time", "20"];

#[tokio::test]
async fn it_serves_the_page_and_its_health_and_nothing_else() {
    skip_without!(Curl);
    for address in ["127.0.0.1:0", "[::1]:0", "localhost:0"] {
        let server = MetricsServer::bind(address).await.unwrap();
        let server = Running::start(server, handler());
        for (protocol, version) in [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")] {
            let [w, format, m, t] = STATUS;
            let get = async |path: &str| ask(&[protocol, w, format, m, t, &server.url(path)]).await;
            let page = get("/metrics").await;
            let page = page.strip_suffix(&format!(" 200 {version}")).expect(&page);
            assert_readable(page);
            assert!(page.contains("\ngood 1\n"), "{page}");
            assert_eq!(get("/health").await, format!("ok\n 200 {version}"));
            for path in ["/", "/metrics/", "/metricsfoo", "/health/x"] {
                assert_eq!(get(path).await, format!("not found\n 404 {version}"));
            }
        }
        let head = ask(&["--head", &server.url("/metrics")]).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let posted = ask(&[
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
async fn paths_can_be_others() {
    skip_without!(Curl);
    let server = loopback().await.path("/internal/prom").health_path("/live");
    let server = Running::start(server, handler());
    assert!(
        ask(&[&server.url("/internal/prom")])
            .await
            .contains("good 1")
    );
    assert_eq!(ask(&[&server.url("/live")]).await, "ok\n");
    assert_eq!(ask(&[&server.url("/metrics")]).await, "not found\n");
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
    assert_eq!(
        taken.to_string(),
        format!("metrics server cannot listen on {address}: Address already in use (os error 98)")
    );
    let wrong = MetricsServer::bind("nowhere")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        wrong.starts_with("metrics server cannot listen on nowhere: "),
        "{wrong}"
    );
}

/// The only test that touches the environment; nextest gives each test a process, and no other test reads it.
#[test]
fn the_environment_says_the_port() {
    let test = |value: Option<&str>, is_expected: &dyn Fn(&str) -> bool| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "server::helper_of_the_environment",
            "--ignored",
            "--nocapture",
        ]);
        command.env_remove("METRICS_PORT");
        if let Some(value) = value {
            command.env("METRICS_PORT", value);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let said = text
            .split("listens: ")
            .nth(1)
            .unwrap_or_else(|| panic!("{text}"));
        let said = said.lines().next().unwrap();
        assert!(is_expected(said), "{value:?}: {said}");
    };
    test(None, &|said| said == "nowhere");
    test(Some(""), &|said| said == "nowhere");
    test(Some("0"), &|said| {
        said.starts_with("[::]:") || said.starts_with("0.0.0.0:")
    });
    test(Some("127.0.0.1:0"), &|said| said.starts_with("127.0.0.1:"));
    for wrong in ["http", "65536", "-1"] {
        test(Some(wrong), &|said| {
            said == format!(
                "METRICS_PORT: must be a port such as 8081 or an address such as 127.0.0.1:8081, got {wrong:?}"
            )
        });
    }
}

#[tokio::test]
#[ignore = "started by the_environment_says_the_port"]
async fn helper_of_the_environment() {
    match MetricsServer::from_env().await {
        Ok(None) => println!("listens: nowhere"),
        Ok(Some(server)) => println!("listens: {}", server.local_addr().unwrap()),
        Err(error) => println!("listens: {error}"),
    }
}

#[tokio::test]
async fn a_unix_socket() {
    skip_without!(Curl);
    let directory = test_support::store::Directory::within(&std::env::temp_dir());
    let path = directory.0.join("metrics.sock");
    // One whose process ended is replaced.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = MetricsServer::bind_unix(&path).unwrap();
    assert_eq!(server.local_addr(), None);
    // One that somebody listens on is not, nor is any other file.
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
    let page = ask(&["--unix-socket", socket, "http://localhost/metrics"]).await;
    assert!(page.contains("\ngood 1\n"));
    server.stop();
    server.ended().await;
    assert!(!path.exists());
}

/// Waits until the other side has closed.
async fn closed(stream: &mut (impl AsyncReadExt + Unpin)) {
    let read = async {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    };
    let closed = tokio::time::timeout(Duration::from_secs(20), read).await;
    closed.expect("it stays open");
}

#[tokio::test]
async fn connections_that_come_to_nothing_are_closed() {
    skip_without!(Curl);
    let idle = Duration::from_millis(300);
    let server = Running::start(loopback().await.idle_timeout(idle), handler());
    for beginning in [
        "",
        "GET",
        "GET /metrics HTTP/1.1\r\nx: ",
        "PRI * HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        // A whole request, and then nothing.
        "GET /health HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut stream = server.connect().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        closed(&mut stream).await;
    }
    // One that goes on for ever without an end: bytes alone keep nothing open.
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
    // The server is there for others.
    assert_eq!(ask(&[&server.url("/health")]).await, "ok\n");
}

/// A client that asks for a page and does not read it gives its place back.
#[tokio::test]
async fn who_does_not_read_is_closed() {
    skip_without!(Curl);
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        // More than a socket holds.
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
        ask(&["--max-time", "20", &server.url("/health")]).await,
        "ok\n"
    );
}

#[tokio::test]
async fn connections_beyond_the_cap_wait() {
    skip_without!(Curl);
    let server = Running::start(loopback().await.max_connections(2), handler());
    let mut held = vec![server.connect().await, server.connect().await];
    for stream in &mut held {
        // Answered, so they are accepted, and kept.
        stream
            .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    let url = server.url("/health");
    let waits = tokio::spawn(async move { ask(&[&url]).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!waits.is_finished());
    held.pop();
    assert_eq!(waits.await.unwrap(), "ok\n");
}

/// Answers when it is let.
struct Gate(
    tokio::sync::watch::Receiver<bool>,
    tokio::sync::watch::Sender<bool>,
);

impl Collector for Gate {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        self.1.send_replace(true);
        self.0.clone().wait_for(|open| *open).await?;
        samples.gauge("gate", "").value(1_u64);
        Ok(())
    }
}

#[tokio::test]
async fn a_running_scrape_finishes() {
    skip_without!(Curl);
    let (open, opened) = tokio::sync::watch::channel(false);
    let (asked, mut is_asked) = tokio::sync::watch::channel(false);
    let registry = registry();
    registry.collector("gate", Gate(opened, asked)).unwrap();
    let mut server = Running::start(loopback().await, registry.handler());
    let url = server.url("/metrics");
    let idle = server.connect().await;
    let scrape = tokio::spawn(async move { ask(&[&url]).await });
    is_asked.wait_for(|asked| *asked).await.unwrap();
    server.stop();
    // It listens no more, and the idle one is closed, while the scrape is under way.
    let address = server.address.unwrap();
    let mut idle = idle;
    closed(&mut idle).await;
    eventually("the port is closed", || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
    assert!(!scrape.is_finished() && !server.task.is_finished());
    open.send_replace(true);
    let page = scrape.await.unwrap();
    assert_readable(&page);
    assert!(page.contains("\ngate 1\n"));
    server.ended().await;
}

#[tokio::test]
async fn shutdown_has_a_bound() {
    let (_open, opened) = tokio::sync::watch::channel(false);
    let (asked, mut is_asked) = tokio::sync::watch::channel(false);
    let registry = registry();
    registry.collector("gate", Gate(opened, asked)).unwrap();
    let server = loopback().await.shutdown_timeout(Duration::from_millis(50));
    let mut server = Running::start(server, registry.handler());
    let mut stream = server.connect().await;
    let request =
        b"GET /metrics HTTP/1.1\r\nhost: x\r\nx-prometheus-scrape-timeout-seconds: 600\r\n\r\n";
    stream.write_all(request).await.unwrap();
    is_asked.wait_for(|asked| *asked).await.unwrap();
    server.stop();
    server.ended().await;
    closed(&mut stream).await;
}

/// Too many open files: it goes on once there are fewer, and does not spin meanwhile.
#[test]
fn running_out_of_files_is_survived() {
    let test = std::env::current_exe().unwrap();
    let command = format!(
        "ulimit -n 40; exec '{}' --exact server::helper_out_of_files --ignored --nocapture",
        test.display()
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &command])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("survived"),
        "{output:?}"
    );
}

#[tokio::test]
#[ignore = "started by running_out_of_files_is_survived with few files"]
async fn helper_out_of_files() {
    let warnings = test_support::warnings::Warnings::catch();
    let server = Running::start(loopback().await, handler());
    let mut connections = vec![server.connect().await];
    while let Ok(connection) = TcpStream::connect(server.address.unwrap()).await {
        connections.push(connection);
    }
    eventually("it runs out", || {
        !warnings.about("cannot accept").is_empty()
    })
    .await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(warnings.about("cannot accept").len(), 1, "it spins");
    connections.clear();
    let mut stream = server.connect().await;
    let request = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("ok\n"), "{answer}");
    println!("survived");
}

/// A socket over which a server can be asked is a stream like any other.
#[tokio::test]
async fn http2_over_a_unix_socket() {
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
