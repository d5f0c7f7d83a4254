//! The label `error_kind`: each kind with the errors of the real libraries.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::{Empty, Full};
use hyper::client::conn;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tonic::transport::Endpoint as TonicEndpoint;
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_prometheus::http::ErrorKind;
use tower_prometheus::{HttpMetrics, Registry};

use test_support::assert_requests_ended;
use test_support::server::Server;

/// Expires before any server answers, because none of these tests does.
const TIMEOUT: Duration = Duration::from_millis(1);

fn of_error<E: StdError + 'static>(error: &E) -> ErrorKind {
    ErrorKind::of(error)
}

fn of_box(error: &BoxError) -> ErrorKind {
    ErrorKind::of(&**error)
}

/// Sends a request to a measured service, which fails. Asserts the kind under which the request is counted.
async fn assert_kind<S, ReqBody, ResBody>(
    expected: &str,
    of: fn(&S::Error) -> ErrorKind,
    service: S,
    request: Request<ReqBody>,
) where
    S: Service<Request<ReqBody>, Response = Response<ResBody>, Error: std::fmt::Debug>,
    ResBody: Body,
{
    let registry = Registry::new();
    let layer = HttpMetrics::server().with_error_kind(of);
    let service = layer.build(&registry).unwrap().layer(service);
    let Err(error) = service.oneshot(request).await else {
        panic!("{expected}: the request succeeded");
    };
    assert_counted(&registry, expected, &error);
}

#[track_caller]
fn assert_counted(registry: &Registry, expected: &str, error: &impl std::fmt::Debug) {
    let labels = [("status", "error"), ("error_kind", expected)];
    let requests = registry.sum("http_requests_total", &labels);
    assert_eq!(requests, Some(1.0), "{expected}: {error:?}");
    assert_requests_ended(registry, 1);
}

/// An address at which nothing listens.
async fn unused_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// Accepts connections and never answers. Dropping it refuses connections.
async fn silent_server() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Starts a server that closes each connection once it has read what the client sends first.
async fn closing_server() -> SocketAddr {
    let (listener, address) = silent_server().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 16_384]).await;
        }
    });
    address
}

fn get(url: impl AsRef<str>) -> Request<Empty<Bytes>> {
    Request::get(url.as_ref()).body(Empty::new()).unwrap()
}

// ===== reqwest =====

fn reqwest_with(
    builder: reqwest::ClientBuilder,
) -> impl Service<
    Request<reqwest::Body>,
    Response = Response<reqwest::Body>,
    Error = reqwest::Error,
    Future: Send,
> {
    let client = builder.no_proxy().build().unwrap();
    service_fn(move |request: Request<reqwest::Body>| {
        let sent = request.try_into().map(|request| client.execute(request));
        async move { Ok::<Response<reqwest::Body>, reqwest::Error>(sent?.await?.into()) }
    })
}

async fn assert_reqwest_kind(expected: &str, builder: reqwest::ClientBuilder, url: &str) {
    let request = Request::get(url).body(reqwest::Body::default()).unwrap();
    assert_kind(expected, of_error, reqwest_with(builder), request).await;
}

#[tokio::test]
async fn kinds_of_reqwest() {
    let plain = reqwest::Client::builder;
    let refused = format!("http://{}/", unused_address().await);
    assert_reqwest_kind("connect", plain(), &refused).await;
    assert_reqwest_kind("dns", plain(), "http://shop.invalid/").await;
    let (_silent, address) = silent_server().await;
    let silent = format!("http://{address}/");
    assert_reqwest_kind("timeout", plain().timeout(TIMEOUT), &silent).await;
    assert_reqwest_kind("timeout", plain().read_timeout(TIMEOUT), &silent).await;
    let closing = format!("http://{}/", closing_server().await);
    assert_reqwest_kind("other", plain(), &closing).await;
}

// ===== hyper-util =====

#[tokio::test]
async fn kinds_of_the_hyper_util_client() {
    for http2 in [false, true] {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .build_http::<Empty<Bytes>>();
        let refused = get(format!("http://{}/", unused_address().await));
        assert_kind("connect", of_error, client.clone(), refused).await;
        let unknown = get("http://shop.invalid/");
        assert_kind("dns", of_error, client.clone(), unknown).await;
        let closing = get(format!("http://{}/", closing_server().await));
        assert_kind("other", of_error, client.clone(), closing).await;
        let (_silent, address) = silent_server().await;
        let client = TimeoutLayer::new(TIMEOUT).layer(client);
        let silent = get(format!("http://{address}/"));
        assert_kind("timeout", of_box, client, silent).await;
    }
}

// ===== rustls =====

fn https_client(
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Client<HttpsConnector<HttpConnector>, Empty<Bytes>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .build();
    Client::builder(TokioExecutor::new()).build(connector)
}

/// Starts a TLS server with a certificate that no client trusts.
async fn tls_server(versions: &[&'static rustls::SupportedProtocolVersion]) -> SocketAddr {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.into()], PrivateKeyDer::from(key))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, address) = silent_server().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    address
}

#[tokio::test]
async fn failed_tls_handshake_has_the_kind_tls() {
    let all = rustls::ALL_VERSIONS;
    let to_port = |address: SocketAddr| get(format!("https://localhost:{}/", address.port()));
    let untrusted = to_port(tls_server(all).await);
    assert_kind("tls", of_error, https_client(all), untrusted).await;
    // The server refuses the client's version with an alert.
    let newer = to_port(tls_server(&[&rustls::version::TLS13]).await);
    let older = https_client(&[&rustls::version::TLS12]);
    assert_kind("tls", of_error, older, newer).await;
    // A server of plain HTTP.
    let ok = async |_: Request<_>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()));
    let plain = Server::start(service_fn(ok)).await;
    let plain = to_port(plain.address);
    assert_kind("tls", of_error, https_client(all), plain).await;
    let closing = to_port(closing_server().await);
    assert_kind("tls", of_error, https_client(all), closing).await;
    // Before the handshake.
    let refused = to_port(unused_address().await);
    assert_kind("connect", of_error, https_client(all), refused).await;
}

// ===== tonic =====

fn call() -> Request<tonic::body::Body> {
    let request = Request::post("/shop.Orders/Place");
    request.body(tonic::body::Body::empty()).unwrap()
}

fn tonic_endpoint(authority: impl std::fmt::Display) -> TonicEndpoint {
    TonicEndpoint::from_shared(format!("http://{authority}")).unwrap()
}

#[tokio::test]
async fn kinds_of_a_tonic_channel() {
    let refused = tonic_endpoint(unused_address().await).connect_lazy();
    assert_kind("connect", of_error, refused, call()).await;
    let unknown = tonic_endpoint("shop.invalid").connect_lazy();
    assert_kind("dns", of_error, unknown, call()).await;
    let (_silent, address) = silent_server().await;
    let slow = tonic_endpoint(address).timeout(TIMEOUT).connect_lazy();
    assert_kind("timeout", of_error, slow, call()).await;
    let never = service_fn(async |_: Uri| pending::<Result<TokioIo<TcpStream>, BoxError>>().await);
    let unreachable = tonic_endpoint(address)
        .connect_timeout(TIMEOUT)
        .connect_with_connector_lazy(never);
    assert_kind("timeout", of_error, unreachable, call()).await;
}

// ===== tower, tokio, hyper =====

async fn hang<E>(_: Request<()>) -> Result<Response<String>, E> {
    pending().await
}

#[tokio::test]
async fn expired_timeouts_of_tower_and_tokio_have_the_kind_timeout() {
    let of_tower = TimeoutLayer::new(TIMEOUT).layer(service_fn(hang::<BoxError>));
    assert_kind("timeout", of_box, of_tower, Request::new(())).await;
    let of_tokio = service_fn(async |request: Request<()>| {
        let answer = tokio::time::timeout(TIMEOUT, hang::<Infallible>(request)).await?;
        Ok::<_, tokio::time::error::Elapsed>(answer.unwrap())
    });
    assert_kind("timeout", of_error, of_tokio, Request::new(())).await;
}

#[tokio::test]
async fn overloaded_service_of_tower_has_the_kind_shed() {
    let mut service = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(service_fn(hang::<BoxError>));
    let only_permit = service.ready().await.unwrap().call(Request::new(()));
    assert_kind("shed", of_box, service, Request::new(())).await;
    drop(only_permit);
}

/// The connection is closed while the request is queued.
#[tokio::test]
async fn request_that_hyper_gives_up_has_the_kind_canceled() {
    let (_silent, address) = silent_server().await;
    let connect = async || TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = conn::http1::handshake(connect().await).await.unwrap();
    let mut connection = Some(connection);
    let http1 = service_fn(move |request: Request<Empty<Bytes>>| {
        let sent = sender.send_request(request);
        drop(connection.take());
        sent
    });
    assert_kind("canceled", of_error, http1, get("/")).await;
    let executor = TokioExecutor::new();
    let handshake = conn::http2::handshake(executor, connect().await).await;
    let (mut sender, connection) = handshake.unwrap();
    let mut connection = Some(connection);
    let http2 = service_fn(move |request: Request<Empty<Bytes>>| {
        let sent = sender.send_request(request);
        drop(connection.take());
        sent
    });
    assert_kind("canceled", of_error, http2, get("http://localhost/")).await;
}

// ===== kinds of the application =====

#[derive(Debug)]
enum ShopError {
    Quota,
    Maintenance,
}

const QUOTA: ErrorKind = ErrorKind::new("quota");

impl ShopError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Quota => QUOTA,
            Self::Maintenance => ErrorKind::new("maintenance"),
        }
    }
}

#[tokio::test]
async fn registered_kind_is_recorded_and_any_other_is_other() {
    for (error, expected) in [
        (ShopError::Quota, "quota"),
        (ShopError::Maintenance, "other"),
    ] {
        let registry = Registry::new();
        let layer = HttpMetrics::server()
            .error_kinds([QUOTA])
            .with_error_kind(ShopError::kind)
            .build(&registry)
            .unwrap();
        let mut error = Some(error);
        let fails = service_fn(move |_: Request<()>| {
            std::future::ready(Err::<Response<String>, _>(error.take().unwrap()))
        });
        let error = layer.layer(fails).oneshot(Request::new(())).await;
        assert_counted(&registry, expected, &error.unwrap_err());
    }
}

#[tokio::test]
async fn client_preset_of_open_telemetry_has_the_kind_as_error_type() {
    let registry = Registry::new();
    let layer = HttpMetrics::open_telemetry_client().with_error_kind(of_error);
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let client = layer.build(&registry).unwrap().layer(client);
    let refused = get(format!("http://{}/", unused_address().await));
    assert!(client.clone().oneshot(refused).await.is_err());
    assert!(client.oneshot(get("http://shop.invalid/")).await.is_err());
    let requests = |error_type| {
        let labels = [
            ("error_type", error_type),
            ("http_response_status_code", ""),
        ];
        registry.sum("http_client_request_duration_seconds_count", &labels)
    };
    assert_eq!(requests("connect"), Some(1.0), "{}", registry.render());
    assert_eq!(requests("dns"), Some(1.0));
    assert!(!registry.render().contains("error_kind"));
}

#[tokio::test]
async fn client_preset_of_open_telemetry_has_error_types_without_kinds() {
    let registry = Registry::new();
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let layer = HttpMetrics::open_telemetry_client().build(&registry);
    let client = layer.unwrap().layer(client);
    let refused = get(format!("http://{}/", unused_address().await));
    assert!(client.oneshot(refused).await.is_err());
    let labels = [("error_type", "error"), ("http_response_status_code", "")];
    let requests = registry.sum("http_client_request_duration_seconds_count", &labels);
    assert_eq!(requests, Some(1.0), "{}", registry.render());
}
