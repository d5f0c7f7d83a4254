//! The labels of hosts and ports: the same for HTTP/1 and HTTP/2, for any case, and for clients whose URI has no host.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_prometheus::http::HttpLabel;
use tower_prometheus::{HttpMetrics, Registry};

use test_support::server::{BOTH_PROTOCOLS, Protocol, Server};
use test_support::wait_for_requests_to_end;

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    Ok(Response::new(Full::from("hello")))
}

/// A request for a host, as a client of the protocol sends it.
fn request_to(protocol: Protocol, host: &str) -> Request<Empty<Bytes>> {
    let request = match protocol {
        Protocol::Http1 => Request::get("/").header("host", host),
        Protocol::Http2 => Request::get(format!("http://{host}/")),
    };
    request.body(Empty::new()).unwrap()
}

#[tokio::test]
async fn requests_for_a_host_have_one_series_over_both_protocols_and_in_any_case() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .label(HttpLabel::host("tenant").on_everything())
        .label(HttpLabel::port("port").on_everything())
        .build(&registry)
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(layer)
        .service(service_fn(hello));
    let server = Server::start(service).await;
    let port = server.address.port().to_string();
    for protocol in BOTH_PROTOCOLS {
        let mut client = server.connect(protocol).await;
        for host in ["tenant-a.example", "TENANT-A.example", "Tenant-A.Example"] {
            let request = request_to(protocol, &format!("{host}:{port}"));
            let response = client.send_request(request).await.unwrap();
            response.into_body().collect().await.unwrap();
        }
    }
    wait_for_requests_to_end(&registry, 6).await;
    let labels = [("tenant", "tenant-a.example"), ("port", port.as_str())];
    let metrics = ["http_requests_total", "http_request_duration_seconds_count"];
    for metric in metrics {
        assert_eq!(registry.sum(metric, &labels), Some(6.0), "{metric}");
    }
    let page = registry.render();
    for metric in metrics.into_iter().chain(["http_requests_in_progress"]) {
        let start = format!("{metric}{{");
        let series = page.lines().filter(|line| line.starts_with(&start));
        assert_eq!(series.count(), 1, "{page}");
    }
}

/// hyper's low-level client: over HTTP/1, the host is only in the header.
#[tokio::test]
async fn host_of_a_client_whose_uri_has_no_host_is_that_of_its_header() {
    let server = Server::start(service_fn(hello)).await;
    for (host, expected) in [
        ("shop.example", "shop.example"),
        ("Shop.Example:8080", "shop.example"),
        ("[::1]:8080", "[::1]"),
    ] {
        let registry = Registry::new();
        let stream = TcpStream::connect(server.address).await.unwrap();
        let handshake = conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.unwrap();
        tokio::spawn(connection);
        let send = service_fn(move |request| sender.send_request(request));
        let mut client = registry.http_client_layer().layer(send);
        let request = request_to(Protocol::Http1, host);
        assert_eq!(request.uri().host(), None);
        let response = client.call(request).await.unwrap();
        response.into_body().collect().await.unwrap();
        for metric in ["requests_total", "request_duration_seconds_count"] {
            let metric = format!("http_client_{metric}");
            let requests = registry.sum(&metric, &[("host", expected)]);
            assert_eq!(requests, Some(1.0), "{}", registry.render());
        }
    }
}

#[tokio::test]
async fn ports_of_a_host_are_told_apart_by_a_label() {
    let registry = Registry::new();
    let layer = HttpMetrics::client()
        .label(HttpLabel::port("port").on_everything())
        .build(&registry)
        .unwrap();
    let first = Server::start(service_fn(hello)).await;
    let second = Server::start(service_fn(hello)).await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut client = layer.layer(client);
    for server in [&first, &second, &second] {
        let request = Request::get(server.url("/")).body(Empty::new()).unwrap();
        let response = client.call(request).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    for (server, expected) in [(&first, 1.0), (&second, 2.0)] {
        let port = server.address.port().to_string();
        let labels = [("host", "127.0.0.1"), ("port", port.as_str())];
        let requests = registry.sum("http_client_requests_total", &labels);
        assert_eq!(requests, Some(expected), "{}", registry.render());
        let in_progress = registry.sum("http_client_requests_in_progress", &labels);
        assert_eq!(in_progress, Some(0.0));
    }
}
