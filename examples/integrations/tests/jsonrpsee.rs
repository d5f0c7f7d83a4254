//! The recipe for jsonrpsee, over sockets: the HTTP layer counts HTTP requests, the RPC middleware counts calls.

#[path = "../../../docs/guide/jsonrpsee.rs"]
mod rpc_metrics;

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use jsonrpsee::server::middleware::rpc::RpcServiceBuilder;
use jsonrpsee::server::{RpcModule, Server, ServerConfig, ServerHandle};
use jsonrpsee::types::ErrorObjectOwned;
use test_support::wait_until;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tower::ServiceBuilder;
use tower_prometheus::{HttpMetrics, Registry};

use rpc_metrics::{Measured, RpcMetrics};

struct Service {
    registry: Registry,
    address: SocketAddr,
    /// The server stops when this is dropped.
    _handle: ServerHandle,
}

impl Service {
    async fn start() -> Self {
        let registry = Registry::new();
        let metrics = RpcMetrics::on(&registry).unwrap();
        let http = HttpMetrics::server()
            .endpoint("rpc")
            .build(&registry)
            .unwrap();
        let middleware = RpcServiceBuilder::new().layer_fn(move |service| Measured {
            service,
            metrics,
            max_response_body_size: 1000,
        });
        let server = Server::builder()
            .set_config(config())
            .set_http_middleware(ServiceBuilder::new().layer(http))
            .set_rpc_middleware(middleware)
            .build("127.0.0.1:0")
            .await
            .unwrap();
        Self {
            registry,
            address: server.local_addr().unwrap(),
            _handle: server.start(methods()),
        }
    }

    async fn post(&self, message: &str) -> String {
        post(self.address, message).await
    }

    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.registry.sum(name, labels).unwrap_or(0.0)
    }

    /// Waits until `calls` have ended and none is in progress. Then asserts that each was counted and timed once.
    async fn wait_for_calls(&self, calls: f64) {
        wait_until("calls have ended", || {
            self.sum("rpc_calls_total", &[]) >= calls
                && self.sum("rpc_calls_in_progress", &[]) == 0.0
        })
        .await;
        assert_eq!(self.sum("rpc_calls_total", &[]), calls);
        assert_eq!(self.sum("rpc_call_duration_seconds_count", &[]), calls);
    }

    #[track_caller]
    fn assert_calls(&self, method: &str, outcome: &str, calls: f64) {
        let labels = [("method", method), ("outcome", outcome)];
        assert_eq!(self.sum("rpc_calls_total", &labels), calls, "{labels:?}");
    }

    #[track_caller]
    fn assert_errors(&self, method: &str, error_type: &str, errors: f64) {
        let labels = [("method", method), ("error_type", error_type)];
        assert_eq!(self.sum("rpc_errors_total", &labels), errors, "{labels:?}");
    }
}

/// Sends a message in an HTTP request and returns the response.
async fn post(server: SocketAddr, message: &str) -> String {
    let request = reqwest::Client::new()
        .post(format!("http://{server}"))
        .header("content-type", "application/json")
        .body(message.to_owned());
    request.send().await.unwrap().text().await.unwrap()
}

fn config() -> ServerConfig {
    ServerConfig::builder().max_response_body_size(1000).build()
}

fn methods() -> RpcModule<()> {
    let mut methods = RpcModule::new(());
    let add = |params: jsonrpsee::types::Params<'_>, _: &(), _: &jsonrpsee::Extensions| {
        let (left, right): (u32, u32) = params.parse()?;
        let sum = left.checked_add(right);
        sum.ok_or_else(|| ErrorObjectOwned::owned(-1, "overflow", None::<()>))
    };
    methods.register_method("add", add).unwrap();
    methods
        .register_async_method("wait", |_, _, _| std::future::pending::<u32>())
        .unwrap();
    methods
}

/// Returns the message of a call.
fn call(id: u32, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

#[tokio::test]
async fn calls_over_http_are_counted_by_method_and_error() {
    let service = Service::start().await;
    assert!(
        service
            .post(&call(1, "add", "[1, 2]"))
            .await
            .contains(r#""result":3"#)
    );
    for (method, params, code) in [
        ("add", "[4294967295, 1]", "-1"),
        ("add", r#"["one"]"#, "-32602"),
        ("steal", "[]", "-32601"),
        ("remove", "[]", "-32601"),
    ] {
        let response = service.post(&call(1, method, params)).await;
        assert!(
            response.contains(&format!(r#""code":{code},"#)),
            "{response}"
        );
    }
    service.wait_for_calls(5.0).await;
    service.assert_calls("add", "success", 1.0);
    service.assert_calls("add", "error", 2.0);
    service.assert_calls("unknown", "error", 2.0);
    service.assert_errors("add", "other", 1.0);
    service.assert_errors("add", "invalid_params", 1.0);
    service.assert_errors("unknown", "method_not_found", 2.0);
    // JSON-RPC reports errors in responses with the status 200.
    let labels = [("endpoint", "rpc"), ("status", "200")];
    assert_eq!(service.sum("http_requests_total", &labels), 5.0);
    assert_eq!(service.sum("http_requests_total", &[]), 5.0);
}

#[tokio::test]
async fn calls_of_a_batch_are_counted_one_by_one() {
    let service = Service::start().await;
    let batch = |entries: &[String]| format!("[{}]", entries.join(","));
    let notification = r#"{"jsonrpc":"2.0","method":"add","params":[1, 2]}"#.to_owned();
    let add = call(1, "add", "[1, 2]");
    let three = batch(&[
        add.clone(),
        call(2, "steal", "[]"),
        notification.clone(),
        "7".to_owned(),
    ]);
    let responses = service.post(&three).await;
    for part in [r#""result":3"#, r#""code":-32601,"#, r#""code":-32600,"#] {
        assert!(responses.contains(part), "{responses}");
    }
    service.wait_for_calls(2.0).await;
    service.assert_calls("add", "success", 1.0);
    service.assert_calls("unknown", "error", 1.0);
    assert_eq!(service.sum("http_requests_total", &[]), 1.0);
}

#[tokio::test]
async fn responses_are_those_of_a_server_without_the_middleware() {
    let service = Service::start().await;
    let plain = Server::builder().set_config(config()).build("127.0.0.1:0");
    let plain = plain.await.unwrap();
    let address = plain.local_addr().unwrap();
    let _handle = plain.start(methods());

    let add = call(1, "add", "[1, 2]");
    let notification = r#"{"jsonrpc":"2.0","method":"add","params":[1, 2]}"#;
    let large = format!("[{}]", vec![add.clone(); 100].join(","));
    for message in [
        add.clone(),
        call(2, "steal", "[]"),
        notification.to_owned(),
        format!("[{add}, {notification}, 7]"),
        format!("[{notification}]"),
        "[]".to_owned(),
        large,
    ] {
        let expected = post(address, &message).await;
        assert_eq!(service.post(&message).await, expected, "{message}");
    }
}

#[tokio::test]
async fn calls_of_a_websocket_are_counted_one_by_one_and_its_http_request_once() {
    let service = Service::start().await;
    let stream = TcpStream::connect(service.address).await.unwrap();
    let url = format!("ws://{}", service.address);
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    for id in 1..=3 {
        let message = Message::text(call(id, "add", "[1, 2]"));
        socket.send(message).await.unwrap();
        let response = socket.next().await.unwrap().unwrap();
        assert!(response.to_text().unwrap().contains(r#""result":3"#));
    }
    service.wait_for_calls(3.0).await;
    service.assert_calls("add", "success", 3.0);
    assert_eq!(
        service.sum("http_requests_total", &[("status", "101")]),
        1.0
    );

    // The session ends while a call is in progress.
    socket
        .send(Message::text(call(4, "wait", "[]")))
        .await
        .unwrap();
    wait_until("the call is in progress", || {
        service.sum("rpc_calls_in_progress", &[("method", "wait")]) == 1.0
    })
    .await;
    drop(socket);
    service.wait_for_calls(4.0).await;
    service.assert_calls("wait", "cancelled", 1.0);
    assert_eq!(service.sum("http_requests_total", &[]), 1.0);
}
