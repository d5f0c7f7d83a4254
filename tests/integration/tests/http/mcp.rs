//! A server of the Model Context Protocol (rmcp) over sockets. It answers POST with event streams that end, and GET
//! with an endless one.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower_prometheus::Registry;

use test_support::server::{BOTH_PROTOCOLS, Protocol, Server};
use test_support::{aborted_bodies, requests_with_status, wait_for_requests_to_end, wait_until};

/// A tool that answers when the test permits it.
#[derive(Clone)]
struct Tool {
    permits: Arc<Semaphore>,
}

impl ServerHandler for Tool {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::default();
        info.capabilities = ServerCapabilities::builder().enable_tools().build();
        info
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let _permit = self.permits.acquire().await;
        Ok(CallToolResult::success(vec![ContentBlock::text("42")]).into())
    }
}

/// A client with a session.
struct Session {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    id: Option<String>,
}

impl Session {
    async fn start(server: &Server, protocol: Protocol) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(protocol == Protocol::Http2)
            .build_http();
        let mut session = Self {
            client,
            url: server.url("/mcp"),
            id: None,
        };
        let initialize = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": { "name": "test", "version": "1" },
            },
        });
        let response = session.post(&initialize).await;
        let id = response.headers()["mcp-session-id"].to_str().unwrap();
        session.id = Some(id.to_owned());
        response.into_body().collect().await.unwrap();
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let response = session.post(&initialized).await;
        assert_eq!(response.status(), 202);
        response.into_body().collect().await.unwrap();
        session
    }

    async fn send(&self, method: &str, accept: &str, body: String) -> Response<Incoming> {
        let mut request = Request::builder()
            .method(method)
            .uri(&self.url)
            .header("accept", accept)
            .header("content-type", "application/json");
        if let Some(id) = &self.id {
            request = request
                .header("mcp-session-id", id)
                .header("mcp-protocol-version", "2025-06-18");
        }
        let request = request.body(Full::from(body)).unwrap();
        let response = self.client.request(request).await.unwrap();
        assert!(response.status().is_success(), "{response:?}");
        response
    }

    async fn post(&self, message: &Value) -> Response<Incoming> {
        let accept = "application/json, text/event-stream";
        self.send("POST", accept, message.to_string()).await
    }

    /// Calls the tool, and returns the event stream that will have its answer.
    async fn call_tool(&self) -> Incoming {
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "ask", "arguments": {} },
        });
        let response = self.post(&call).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        response.into_body()
    }
}

/// The number of requests of a session until it can call tools.
const STARTING: u64 = 2;

async fn serve(registry: &Registry, permits: &Arc<Semaphore>) -> Server {
    let tool = Tool {
        permits: Arc::clone(permits),
    };
    let service = StreamableHttpService::new(
        move || Ok(tool.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default().with_sse_keep_alive(None),
    );
    let app = Router::new()
        .route_service("/mcp", service)
        .layer(registry.http_layer());
    Server::start(app).await
}

fn in_progress(registry: &Registry) -> Option<f64> {
    registry.sum("http_requests_in_progress", &[])
}

fn open_connections(registry: &Registry) -> Option<f64> {
    let labels = [("endpoint", "/mcp"), ("kind", "event-stream")];
    registry.sum("http_connections_open", &labels)
}

#[tokio::test]
async fn tool_call_is_in_progress_until_its_answer_is_sent() {
    for protocol in BOTH_PROTOCOLS {
        let (registry, permits) = (Registry::new(), Arc::new(Semaphore::new(0)));
        let server = serve(&registry, &permits).await;
        let session = Session::start(&server, protocol).await;
        wait_for_requests_to_end(&registry, STARTING).await;
        let answer = session.call_tool().await;
        assert_eq!(in_progress(&registry), Some(1.0), "{protocol:?}");
        assert_eq!(open_connections(&registry), None);
        permits.add_permits(1);
        let answer = answer.collect().await.unwrap().to_bytes();
        let answer = String::from_utf8(answer.to_vec()).unwrap();
        assert!(answer.contains("42"), "{answer}");
        wait_for_requests_to_end(&registry, STARTING + 1).await;
        assert_eq!(requests_with_status(&registry, "200"), 2.0);
        assert_eq!(open_connections(&registry), None);
        let aborted = registry.sum("http_response_bodies_aborted_total", &[]);
        assert_eq!(aborted, None, "{protocol:?}");
    }
}

#[tokio::test]
async fn tool_call_of_a_client_that_leaves_is_aborted() {
    for protocol in BOTH_PROTOCOLS {
        let (registry, permits) = (Registry::new(), Arc::new(Semaphore::new(0)));
        let server = serve(&registry, &permits).await;
        let session = Session::start(&server, protocol).await;
        let answer = session.call_tool().await;
        wait_until("only the call is in progress", || {
            in_progress(&registry) == Some(1.0)
        })
        .await;
        drop(answer);
        wait_for_requests_to_end(&registry, STARTING + 1).await;
        assert_eq!(aborted_bodies(&registry, "dropped"), 1.0, "{protocol:?}");
        assert_eq!(open_connections(&registry), None);
    }
}

#[tokio::test]
async fn stream_of_server_messages_is_an_open_connection() {
    for protocol in BOTH_PROTOCOLS {
        let (registry, permits) = (Registry::new(), Arc::new(Semaphore::new(0)));
        let server = serve(&registry, &permits).await;
        let session = Session::start(&server, protocol).await;
        let messages = session.send("GET", "text/event-stream", String::new());
        let messages = messages.await;
        assert_eq!(open_connections(&registry), Some(1.0), "{protocol:?}");
        wait_until("no request is in progress", || {
            in_progress(&registry) == Some(0.0)
        })
        .await;
        drop(messages);
        wait_for_requests_to_end(&registry, STARTING + 1).await;
        assert_eq!(open_connections(&registry), Some(0.0));
        let aborted = registry.sum("http_response_bodies_aborted_total", &[]);
        assert_eq!(aborted, None, "{protocol:?}");
    }
}
