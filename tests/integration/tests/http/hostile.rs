//! Hostile input: random requests, invalid bytes, many streams, clients that disconnect at any byte. Every request
//! that reaches the service is counted once, none stays in progress, and neither series nor memory grow.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use axum::routing::{any, get, post};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::retry::RetryLayer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_prometheus::grpc::GrpcRequestBody;
use tower_prometheus::{
    GrpcMetrics, HttpMetrics, Registry,
    http::{Endpoint, HttpLabel, HttpMetric, RequestBody},
};

use test_support::body::ScriptedBody;
use test_support::page::samples;
use test_support::server::{BOTH_PROTOCOLS, Protocol, Server};
use test_support::warnings::Warnings;
use test_support::{
    assert_requests_ended, requests_with_status, wait_for_requests_to_end, wait_until,
};

use crate::retries::RetryUnavailable;
use crate::uploads::{GivesUp, Upload};
use crate::websockets::{self, Socket};

fn total(registry: &Registry) -> u64 {
    registry.sum("http_requests_total", &[]).unwrap_or(0.0) as u64
}

fn in_progress(registry: &Registry) -> Option<f64> {
    registry.sum("http_requests_in_progress", &[])
}

// ===== random requests =====

/// Requests per batch. Four tests send two batches each: a million requests.
const REQUESTS: usize = 125_000;

const KNOWN_METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
];
/// Values of the label `method`: the known methods and `OTHER`.
const METHODS: usize = KNOWN_METHODS.len() + 1;

/// A pseudo-random number generator (xorshift), so that every run sends the same requests.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn text(&mut self, alphabet: &[u8], max_length: usize) -> String {
        let length = 1 + self.below(max_length);
        let letters = (0..length).map(|_| alphabet[self.below(alphabet.len())]);
        letters.map(char::from).collect()
    }

    /// Returns a known method or a random token.
    fn method(&mut self) -> Method {
        let method = match self.below(2) {
            0 => KNOWN_METHODS[self.below(KNOWN_METHODS.len())].to_owned(),
            _ => self.text(b"GETPOSgetpos!#$%&'*+-.^_`|~019", 20),
        };
        Method::from_bytes(method.as_bytes()).unwrap()
    }

    /// Returns a path with or without a matching route, with characters that scanners use.
    fn path(&mut self) -> String {
        const PREFIXES: [&str; 4] = ["/users/", "/files/", "/", "/users/7/"];
        let prefix = PREFIXES[self.below(PREFIXES.len())];
        let rest = self.text(b"abcXYZ019/.-_~%{}*:;,=+@!$&'()\"|", 40);
        // Make each `%` a valid escape.
        prefix.to_owned() + &rest.replace('%', "%00")
    }

    fn uri(&mut self) -> Uri {
        loop {
            if let Ok(uri) = self.path().parse() {
                return uri;
            }
        }
    }
}

/// Polls a response that is ready, and reads its body to the end.
fn finish<B, E>(future: impl Future<Output = Result<Response<B>, E>>)
where
    B: http_body::Body,
{
    let cx = &mut Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(response)) = pin!(future).poll(cx) else {
        panic!("not ready");
    };
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(cx) {}
}

/// Sends two batches of random requests. The second batch must add no series and keep no memory.
#[track_caller]
fn assert_bounded(registry: &Registry, max_series: usize, mut send: impl FnMut(&mut Random)) {
    let names = || -> BTreeSet<String> { samples(&registry.render()).into_keys().collect() };
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut batch = || (0..REQUESTS).for_each(|_| send(&mut random));
    batch();
    let first = names();
    assert!(first.len() <= max_series, "{} series", first.len());
    let second = allocation_counter::measure(&mut batch);
    assert_eq!(second.bytes_current, 0, "memory grows with requests");
    assert_eq!(names(), first);
    assert_requests_ended(registry, 2 * REQUESTS as u64);
}

/// Returns the maximum number of series of `endpoints`. Each has, per method, a histogram of 12 buckets with sum and
/// count, the gauge, and `statuses` counters; and the gauge of open tunnels, because CONNECT is a method.
const fn max_series_of(endpoints: usize, statuses: usize) -> usize {
    endpoints * (METHODS * (12 + 2 + 1 + statuses) + 1)
}

#[test]
fn random_requests_to_a_router_add_series_of_its_route_templates_only() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let mut app = Router::new()
        .route("/users/{id}", get(async || "ada"))
        // Without a body, because axum may log each response to CONNECT that has one.
        .route("/files/{*path}", any(async || ()))
        .layer(registry.http_layer())
        .with_state(());
    assert_bounded(&registry, max_series_of(3, 2), |random| {
        let mut request = Request::new(Body::empty());
        (*request.method_mut(), *request.uri_mut()) = (random.method(), random.uri());
        finish(Service::<Request<Body>>::call(&mut app, request));
    });
    assert_eq!(warnings.about("").len(), 0);
}

/// A mistake that the crate cannot prevent: the service uses paths as endpoints.
#[test]
fn random_endpoints_are_limited_with_one_warning() {
    const LIMIT: usize = 20;
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let layer = HttpMetrics::server().max_endpoints(LIMIT);
    let use_path_as_endpoint = |mut request: Request<()>| {
        let endpoint = Endpoint::new(request.uri().path());
        request.extensions_mut().insert(endpoint);
        request
    };
    let mut service = ServiceBuilder::new()
        .map_request(use_path_as_endpoint)
        .layer(layer.build(&registry).unwrap())
        .service_fn(|_: Request<()>| {
            std::future::ready(Ok::<_, Infallible>(Response::new(ScriptedBody::full(
                "hello",
            ))))
        });
    let max_series = max_series_of(LIMIT + 1, 1) + 1;
    // First every endpoint within the limit gets every method, so that both batches have the same series.
    let methods = KNOWN_METHODS.iter().chain(&["HACK"]);
    let known = (0..LIMIT).flat_map(|i| methods.clone().map(move |method| (i, *method)));
    let mut known = known.map(|(i, method)| {
        let endpoint = format!("/tenant{i}").parse().unwrap();
        (method.parse::<Method>().unwrap(), endpoint)
    });
    assert_bounded(&registry, max_series, |random| {
        let mut request = Request::new(());
        let random_request = || (random.method(), random.uri());
        (*request.method_mut(), *request.uri_mut()) = known.next().unwrap_or_else(random_request);
        finish(service.call(request));
    });
    assert_eq!(warnings.about("").len(), 1);
    assert_eq!(warnings.about("overflow").len(), 1);
}

/// Every request has another host and another value of a custom label.
#[test]
fn random_hosts_and_label_values_are_limited_with_one_warning_each() {
    const HOSTS: usize = 20;
    const TENANTS: usize = 5;
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let host = HttpLabel::from_request("host", |request| request.uri().host());
    let tenant = HttpLabel::from_request("tenant", |request| request.header("x-tenant"));
    let layer = HttpMetrics::server()
        .endpoint("proxy")
        .label(host.max_values(HOSTS).on_histograms())
        .label(tenant.max_values(TENANTS));
    let hello = |_: Request<()>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(ScriptedBody::full(
            "hello",
        ))))
    };
    let mut service = layer.build(&registry).unwrap().layer(service_fn(hello));
    // First every value within the limit gets every method, so that both batches have the same series.
    let known = (0..HOSTS).flat_map(|host| (0..TENANTS).map(move |tenant| (host, tenant)));
    let mut known = known.flat_map(|values| {
        let methods = KNOWN_METHODS.iter().chain(&["HACK"]);
        methods.map(move |method| (values, method.parse::<Method>().unwrap()))
    });
    let requests = METHODS * (HOSTS * TENANTS + 1);
    let durations = METHODS * (HOSTS + 1) * (12 + 2);
    let in_progress_and_tunnels = METHODS + 1;
    let max_series = requests + durations + in_progress_and_tunnels + 2;
    assert_bounded(&registry, max_series, |random| {
        let random_request = || {
            (
                (random.below(usize::MAX), random.below(usize::MAX)),
                random.method(),
            )
        };
        let ((host, tenant), method) = known.next().unwrap_or_else(random_request);
        let request = Request::builder()
            .method(method)
            .uri(format!("http://h{host}.example/"))
            .header("x-tenant", tenant.to_string());
        finish(service.call(request.body(()).unwrap()));
    });
    assert_eq!(warnings.about("").len(), 2);
}

#[test]
fn random_grpc_methods_are_limited_with_one_warning() {
    const LIMIT: usize = 20;
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let layer = GrpcMetrics::server()
        .max_methods(LIMIT)
        .build(&registry)
        .unwrap();
    // The worst case: a server that answers every method.
    let answer = |_: Request<GrpcRequestBody<Empty<Bytes>>>| {
        let response = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "0");
        std::future::ready(Ok::<_, Infallible>(
            response.body(Empty::<Bytes>::new()).unwrap(),
        ))
    };
    let mut service = layer.layer(service_fn(answer));
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut batch = || {
        for _ in 0..REQUESTS {
            let (service_name, method) = (random.below(usize::MAX), random.below(usize::MAX));
            let request = Request::post(format!("/s{service_name}.S/M{method}"))
                .header("content-type", "application/grpc")
                .body(Empty::new());
            finish(service.call(request.unwrap()));
        }
    };
    batch();
    let first = samples(&registry.render()).len();
    let second = allocation_counter::measure(&mut batch);
    assert_eq!(second.bytes_current, 0, "memory grows with calls");
    assert_eq!(samples(&registry.render()).len(), first);
    // Per method: started, one code, in progress, two message counters, and a histogram.
    assert!(
        first <= (LIMIT + 1) * (1 + 1 + 1 + 2 + 12 + 2) + 1,
        "{first} series"
    );
    let total = |name| registry.sum(name, &[]);
    assert_eq!(
        total("grpc_server_handled_total"),
        Some(2.0 * REQUESTS as f64)
    );
    assert_eq!(
        total("grpc_server_started_total"),
        Some(2.0 * REQUESTS as f64)
    );
    assert_eq!(total("grpc_server_in_progress"), Some(0.0));
    assert_eq!(warnings.about("").len(), 1);
}

// ===== invalid bytes =====

/// A service that reads each request to its end and counts its calls.
#[derive(Clone, Default)]
struct Counting {
    calls: Arc<AtomicU64>,
}

impl Counting {
    fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn measured(
        &self,
        registry: &Registry,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<impl http_body::Body<Data: Send, Error = BoxError> + Send + use<>>,
        Error = BoxError,
        Future: Send,
    > + Clone
    + Send
    + use<> {
        let calls = Arc::clone(&self.calls);
        let service = service_fn(move |request: Request<Incoming>| {
            calls.fetch_add(1, Ordering::SeqCst);
            async move {
                let body = request.into_body().collect().await?.to_bytes();
                tokio::task::yield_now().await;
                let answer = ScriptedBody::stream(&["got ", "it"]).map_err(BoxError::from);
                Ok::<_, BoxError>(
                    Response::builder()
                        .header("x-length", body.len())
                        .body(answer)?,
                )
            }
        });
        registry.http_layer().layer(service)
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Sends bytes over a new connection and reads until the server closes it.
async fn send_bytes(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A server that rejects the request may reset the connection.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_with_invalid_header_bytes_are_counted() {
    let registry = Registry::new();
    let app = Router::new()
        .route("/", any(async || "hello"))
        .route_service("/metrics", registry.handler())
        .layer(registry.http_layer());
    let server = Server::start(app).await;
    let names = [
        "host",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "user-agent",
        "x-prometheus-scrape-timeout-seconds",
        "x-any",
    ];
    let mut answered = 0;
    for path in ["/", "/metrics"] {
        for name in names {
            let head = format!("GET {path} HTTP/1.1\r\nconnection: close\r\n{name}: ");
            let bytes = [head.as_bytes(), b"\xff\xfe\x80\r\n\r\n"].concat();
            let answer = send_bytes(&server, &bytes).await;
            // Only an invalid content length is rejected, by the server itself.
            let expected = if name == "content-length" {
                "400"
            } else {
                "200"
            };
            assert_eq!(answer.split(' ').nth(1), Some(expected), "{path} {name}");
            answered += u64::from(path == "/" && expected == "200");
        }
    }
    wait_for_requests_to_end(&registry, answered).await;
}

#[test]
fn responses_with_invalid_header_values_are_counted_as_complete() {
    let registry = Registry::new();
    let mut calls = 0;
    for name in [
        "content-length",
        "content-type",
        "content-encoding",
        "x-any",
    ] {
        for bytes in [
            &b"\xff\xfe"[..],
            b"text/event-strea\xff",
            b"-1",
            b"99999999999999999999",
            b"",
        ] {
            let value = HeaderValue::from_bytes(bytes).unwrap();
            let service = service_fn(|_: Request<()>| {
                let response = Response::builder().header(name, value.clone());
                let response = response.body(ScriptedBody::stream(&["a", "b"])).unwrap();
                std::future::ready(Ok::<_, Infallible>(response))
            });
            finish(registry.http_layer().layer(service).call(Request::new(())));
            calls += 1;
            assert_requests_ended(&registry, calls);
        }
    }
    assert_eq!(
        registry.sum("http_response_bodies_aborted_total", &[]),
        None
    );
}

/// The server itself rejects some of these requests. Those that reach the service are counted.
#[tokio::test]
async fn paths_of_64_kib_are_counted_and_do_not_become_labels() {
    let (registry, service) = (Registry::new(), Counting::default());
    let server = Server::start(service.measured(&registry)).await;
    let path = |length: usize| "/".to_owned() + &"%2e".repeat(length)[1..length];
    for (length, status) in [(60_000, "200"), (65_534, "200"), (65_536, "414")] {
        let path = path(length);
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = send_bytes(&server, request.as_bytes()).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{length}");
    }
    for protocol in BOTH_PROTOCOLS {
        for length in [8_000, 60_000] {
            let mut client = server.connect(protocol).await;
            if let Ok(response) = client.send("GET", &path(length)).await {
                let _ = response.into_body().collect().await;
            }
        }
    }
    assert!(service.calls() >= 4);
    wait_for_requests_to_end(&registry, service.calls()).await;
    assert!(registry.render().len() < 10_000, "the page contains a path");
}

// ===== many concurrent requests =====

#[tokio::test]
async fn ten_thousand_concurrent_streams_are_each_counted_once() {
    const CONNECTIONS: usize = 4;
    const STREAMS: usize = 2500;
    let registry = Registry::new();
    let (gate, calls) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU64::new(0)));
    let waits = {
        let (gate, calls) = (Arc::clone(&gate), Arc::clone(&calls));
        service_fn(move |_: Request<Incoming>| {
            calls.fetch_add(1, Ordering::SeqCst);
            let gate = Arc::clone(&gate);
            async move {
                let _ = gate.acquire().await;
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"passed"))))
            }
        })
    };
    let service = registry.http_layer().layer(waits);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut servers = JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await.unwrap();
        let accepted = TokioIo::new(listener.accept().await.unwrap().0);
        let service = TowerToHyperService::new(service.clone());
        servers.spawn(async move {
            let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server.max_concurrent_streams(STREAMS as u32);
            let _ = server.serve_connection(accepted, service).await;
        });
        let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        client.initial_max_send_streams(STREAMS);
        let (sender, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection).abort_handle();
        clients.push((sender, connection, JoinSet::new()));
    }
    for (sender, _, answers) in &mut clients {
        for _ in 0..STREAMS {
            let request = Request::get(format!("http://{address}/")).body(Empty::<Bytes>::new());
            let answer = sender.send_request(request.unwrap());
            answers.spawn(async move {
                let response = answer.await.ok()?;
                Some(response.into_body().collect().await.ok()?.to_bytes())
            });
        }
    }
    wait_until("all are in progress", || {
        in_progress(&registry) == Some(10_000.0)
    })
    .await;
    assert_eq!(total(&registry), 0);

    // One client disconnects with all its requests; the others receive their responses.
    let (sender, connection, answers) = clients.pop().unwrap();
    connection.abort();
    drop((sender, answers));
    wait_until("the requests of the disconnected client end", || {
        in_progress(&registry) == Some(7_500.0)
    })
    .await;
    gate.close();
    for (_, _, answers) in clients {
        for answer in answers.join_all().await {
            assert_eq!(answer.as_deref(), Some(&b"passed"[..]));
        }
    }
    assert_eq!(calls.load(Ordering::SeqCst), 10_000);
    wait_for_requests_to_end(&registry, 10_000).await;
    assert_eq!(requests_with_status(&registry, "200"), 7_500.0);
    assert_eq!(requests_with_status(&registry, "cancelled"), 2_500.0);
}

// ===== clients that disconnect =====

/// When and how a client disconnects.
#[derive(Clone, Copy, Debug)]
enum Disconnect {
    /// The client closes the connection before the server reads.
    BeforeRead,
    /// The client resets the connection before the server reads.
    Reset,
    /// It closes the connection after the server has processed all bytes.
    AfterRead,
}

/// Sends a part of a request and disconnects. Returns when the server has ended the connection.
async fn send_and_disconnect<S, B>(
    listener: &TcpListener,
    service: S,
    bytes: &[u8],
    how: Disconnect,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = BoxError>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data: Send, Error = BoxError> + Send + 'static,
{
    let address = listener.local_addr().unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    let accepted = TokioIo::new(listener.accept().await.unwrap().0);
    client.write_all(bytes).await.unwrap();
    let server = auto::Builder::new(TokioExecutor::new());
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(server.serve_connection(accepted, service));
    match how {
        Disconnect::BeforeRead => drop(client),
        Disconnect::Reset => {
            client.set_zero_linger().unwrap();
            drop(client);
        }
        Disconnect::AfterRead => {
            let mut answer = [0; 4096];
            for _ in 0..50 {
                tokio::select! {
                    biased;
                    // The server has already closed the connection: the request was complete or invalid.
                    _ = &mut connection => return,
                    _ = client.read(&mut answer) => {}
                    () = tokio::task::yield_now() => {}
                }
            }
            drop(client);
        }
    }
    let _ = connection.await;
}

/// Sends every prefix of the bytes and disconnects in every way. Each request that reached the service is counted once.
async fn assert_every_prefix_counted(bytes: &[u8]) {
    let (registry, service) = (Registry::new(), Counting::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for how in [
        Disconnect::BeforeRead,
        Disconnect::Reset,
        Disconnect::AfterRead,
    ] {
        let before = service.calls();
        for length in 0..=bytes.len() {
            let measured = service.measured(&registry);
            send_and_disconnect(&listener, measured, &bytes[..length], how).await;
            let server = tokio::runtime::Handle::current().metrics();
            wait_until("the server has no tasks", || server.num_alive_tasks() == 0).await;
            assert_eq!(total(&registry), service.calls(), "{how:?} after {length}");
            assert_eq!(in_progress(&registry).unwrap_or(0.0), 0.0);
        }
        if let Disconnect::AfterRead = how {
            assert!(service.calls() > before, "no request reached the service");
        }
    }
    wait_for_requests_to_end(&registry, service.calls()).await;
    assert!(
        requests_with_status(&registry, "200") > 0.0,
        "{}",
        registry.render()
    );
}

#[tokio::test]
async fn requests_are_counted_once_if_the_client_disconnects_at_any_byte_of_http1() {
    let request = b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello";
    assert_every_prefix_counted(request).await;
    let chunked =
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert_every_prefix_counted(chunked).await;
}

#[tokio::test]
async fn requests_are_counted_once_if_the_client_disconnects_at_any_byte_of_http2() {
    assert_every_prefix_counted(&recorded_http2_bytes().await).await;
}

/// Returns the bytes that a client sends over HTTP/2 for one request.
async fn recorded_http2_bytes() -> Vec<u8> {
    let (client, mut client_side) = tokio::io::duplex(1 << 16);
    let (mut server_side, server) = tokio::io::duplex(1 << 16);
    let service = TowerToHyperService::new(Counting::default().measured(&Registry::new()));
    tokio::spawn(async move {
        let http = auto::Builder::new(TokioExecutor::new());
        let _ = http.serve_connection(TokioIo::new(server), service).await;
    });
    // A proxy between client and server records the bytes of the client.
    let recording = tokio::spawn(async move {
        let (mut recorded, mut buffer) = (Vec::new(), [0; 4096]);
        let mut answer = [0; 4096];
        loop {
            tokio::select! {
                read = client_side.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return recorded,
                    Ok(read) => {
                        recorded.extend_from_slice(&buffer[..read]);
                        let _ = server_side.write_all(&buffer[..read]).await;
                    }
                },
                read = server_side.read(&mut answer) => match read {
                    Ok(0) | Err(_) => return recorded,
                    Ok(read) => drop(client_side.write_all(&answer[..read]).await),
                },
            }
        }
    });
    let executor = TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, TokioIo::new(client))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post("http://x/orders").body(Full::new(Bytes::from_static(b"hello")));
    let response = sender.send_request(request.unwrap()).await.unwrap();
    assert_eq!(response.headers()["x-length"], "5");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "got it");
    drop(sender);
    let _ = connection.await;
    let recorded = recording.await.unwrap();
    assert!(recorded.starts_with(b"PRI * HTTP/2.0") && recorded.len() < 1000);
    recorded
}

// ===== event streams, WebSockets, uploads and retries =====

/// A stream of two events, then `end`.
fn events(
    end: impl futures_util::Stream<Item = Result<Event, BoxError>> + Send + 'static,
) -> impl IntoResponse {
    use futures_util::StreamExt;
    let two = [0, 1].map(|_| Ok(Event::default().data("token")));
    Sse::new(stream::iter(two).chain(end))
}

/// A server of event streams, WebSockets and uploads that counts its calls.
async fn serve_mix(registry: &Registry, calls: &Arc<AtomicU64>) -> Server {
    let layer = HttpMetrics::server()
        .measure(HttpMetric::ResponseBytes)
        .measure(HttpMetric::ConnectionDuration)
        .with_request_body()
        .build(registry)
        .unwrap();
    let failure = || stream::iter([Err(BoxError::from("the model failed"))]);
    let unstable = Arc::new(AtomicU64::new(0));
    let router = Router::new()
        .route("/ends", any(async || events(stream::empty())))
        .route("/hangs", any(async || events(stream::pending())))
        .route("/fails", any(async move || events(failure())))
        .route("/guarded", any(websockets::guarded))
        .route("/unguarded", any(websockets::unguarded))
        .route("/upload", post(async |body: Bytes| body))
        .route("/echo", post(async |body: Body| body))
        .route(
            "/unstable",
            get(
                async move || match unstable.fetch_add(1, Ordering::SeqCst) % 3 {
                    0 => (StatusCode::OK, "hello"),
                    _ => (StatusCode::SERVICE_UNAVAILABLE, "try again"),
                },
            ),
        );
    let calls = Arc::clone(calls);
    let service = ServiceBuilder::new()
        .layer(layer)
        .map_request(move |request: Request<RequestBody<Incoming>>| {
            calls.fetch_add(1, Ordering::SeqCst);
            request.map(Body::new)
        })
        .service(router);
    Server::start(service).await
}

/// Requests an event stream, reads some of it, and disconnects.
async fn read_events(server: &Server, protocol: Protocol, random: &mut Random) {
    let method = ["GET", "POST"][random.below(2)];
    let path = ["/ends", "/hangs", "/fails"][random.below(3)];
    let mut client = server.connect(protocol).await;
    // Over HTTP/1, the body may fail before the head is sent.
    let Ok(response) = client.send(method, path).await else {
        return;
    };
    let mut body = response.into_body();
    let frames = match path {
        "/hangs" => random.below(2),
        _ => random.below(5),
    };
    for _ in 0..frames {
        let Some(Ok(_)) = body.frame().await else {
            return;
        };
    }
}

async fn open_websocket(server: &Server, protocol: Protocol, random: &mut Random) {
    let path = ["/guarded", "/unguarded"][random.below(2)];
    let mut socket = Socket::open(server, protocol, path).await;
    for _ in 0..random.below(3) {
        socket.assert_echoes().await;
    }
}

async fn upload(server: &Server, protocol: Protocol, random: &mut Random) {
    let path = ["/upload", "/echo"][random.below(2)];
    let mut upload = Upload::start(server, protocol, path).await;
    // The head of an echo shows that the server reads the body.
    let echo = match path {
        "/echo" => Some(upload.head().await),
        _ => None,
    };
    match random.below(3) {
        0 => upload.give_up(GivesUp::ClosesConnection),
        1 => upload.give_up(GivesUp::FailsToRead),
        _ => {
            let response = upload.finish().await;
            let response = match echo {
                Some(echo) => echo,
                None => response.await.unwrap().unwrap(),
            };
            response.into_body().collect().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_streams_websockets_uploads_and_retries_are_each_counted_once() {
    const CLIENTS: u64 = 400;
    /// Fewer than the 128 connections that may wait to be accepted: the kernel refuses further ones.
    const CONCURRENT: usize = 50;
    let (registry, calls) = (Registry::new(), Arc::new(AtomicU64::new(0)));
    let server = Arc::new(serve_mix(&registry, &calls).await);
    let (client_registry, client_calls) = (Registry::new(), Arc::new(AtomicU64::new(0)));
    let client = [false, true].map(|http2| {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .build_http::<Empty<Bytes>>();
        let calls = Arc::clone(&client_calls);
        ServiceBuilder::new()
            .layer(RetryLayer::new(RetryUnavailable))
            .map_request(move |request| {
                calls.fetch_add(1, Ordering::SeqCst);
                request
            })
            .layer(client_registry.http_client_layer())
            .service(client)
    });
    let permits = Arc::new(Semaphore::new(CONCURRENT));
    let mut clients = JoinSet::new();
    for seed in 1..=CLIENTS {
        let (server, client) = (Arc::clone(&server), client.clone());
        let permits = Arc::clone(&permits);
        clients.spawn(async move {
            let _permit = permits.acquire().await.unwrap();
            let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let protocol = BOTH_PROTOCOLS[random.below(2)];
            match random.below(4) {
                0 => read_events(&server, protocol, &mut random).await,
                1 => open_websocket(&server, protocol, &mut random).await,
                2 => upload(&server, protocol, &mut random).await,
                _ => {
                    let [http1, http2] = client;
                    let client = match protocol {
                        Protocol::Http1 => http1,
                        Protocol::Http2 => http2,
                    };
                    let request = Request::get(server.url("/unstable")).body(Empty::new());
                    let response = client.oneshot(request.unwrap()).await.unwrap();
                    if random.below(2) == 0 {
                        response.into_body().collect().await.unwrap();
                    }
                }
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    drop(client);
    // The response to one more request shows that the earlier connections were accepted.
    assert_eq!(server.get("/nowhere").await.0, 404);
    let tasks = tokio::runtime::Handle::current().metrics();
    wait_until("only the server accepts", || tasks.num_alive_tasks() == 1).await;

    wait_for_requests_to_end(&registry, calls.load(Ordering::SeqCst)).await;
    let client_total = |name: &str, labels: &[(&str, &str)]| {
        let value = client_registry.sum(&format!("http_client_{name}"), labels);
        value.unwrap_or(0.0)
    };
    let sent = client_calls.load(Ordering::SeqCst) as f64;
    assert_eq!(client_total("requests_total", &[]), sent);
    assert_eq!(client_total("requests_in_progress", &[]), 0.0);
    // A retry drops its body, and so do some of the clients.
    let retries = client_total("requests_total", &[("status", "503")]);
    let unread = client_total("response_bodies_aborted_total", &[("reason", "unread")]);
    assert!(retries > 0.0 && unread >= retries && unread < sent);
    let aborted = client_total("response_bodies_aborted_total", &[]);
    assert_eq!(aborted, unread);
    // Every kind of end occurred.
    let value = |metric, labels: &[(&str, &str)]| registry.sum(metric, labels).unwrap_or(0.0);
    for reason in ["error", "dropped"] {
        let bodies = value("http_response_bodies_aborted_total", &[("reason", reason)]);
        assert!(bodies > 0.0, "{reason}");
    }
    let uploads = value("http_request_bodies_aborted_total", &[]);
    assert!(uploads > 0.0);
    for kind in ["event-stream", "websocket"] {
        let labels = [("kind", kind)];
        assert!(value("http_connection_duration_seconds_count", &labels) > 0.0);
    }
}
