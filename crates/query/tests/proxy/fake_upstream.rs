//! [`FakeUpstream`]: an HTTP server with scripted responses that stores the requests.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_prometheus_query::{QueryBody, QueryProxy, QueryProxyBuilder};

use test_support::server::Server;

/// A request as the upstream received it.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedRequest {
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
}

impl ReceivedRequest {
    /// Returns a parameter's value, decoded by another library than the proxy uses.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let pairs = form_urlencoded::parse(query.as_bytes());
        let mut values = pairs.filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.into_owned());
        assert!(values.next().is_none(), "{name} twice in {query}");
        value
    }

    /// Returns the names of all parameters.
    pub(crate) fn parameters(&self) -> Vec<String> {
        let (_, query) = self.target.split_once('?').unwrap_or(("", ""));
        let names = query.split('&').map(|pair| pair.split('=').next().unwrap());
        names.map(str::to_owned).collect()
    }
}

pub(crate) struct FakeUpstream {
    pub(crate) server: Server,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
}

impl FakeUpstream {
    /// Starts an upstream that calls `respond` with the path of each request.
    pub(crate) async fn start<R>(
        respond: impl Fn(&str) -> R + Clone + Send + Sync + 'static,
    ) -> Self
    where
        R: IntoResponse,
    {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&requests);
        let handler = move |request: Request| {
            let target = request.uri().to_string();
            let headers = request.headers().clone();
            received
                .lock()
                .unwrap()
                .push(ReceivedRequest { target, headers });
            std::future::ready(respond(request.uri().path()).into_response())
        };
        let server = Server::start(Router::new().fallback(handler)).await;
        Self { server, requests }
    }

    /// Starts an upstream that responds to every request with this text.
    pub(crate) async fn with_text(text: &'static str) -> Self {
        Self::start(move |_| text).await
    }

    pub(crate) fn proxy(&self) -> QueryProxyBuilder {
        QueryProxy::builder(self.server.url(""))
    }

    pub(crate) fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// Returns the only request. Panics if there was none or more than one.
    #[track_caller]
    pub(crate) fn only_request(&self) -> ReceivedRequest {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }
}

/// The target of a valid range query.
pub(crate) const VALID_QUERY: &str =
    "/query_range?query=up&start=1700000000&end=1700000060&step=15";

/// Returns a response whose body has these chunks and does not end.
pub(crate) fn hanging(chunks: Vec<&'static str>) -> Response {
    use futures_util::StreamExt;
    let chunks = futures_util::stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
    Body::from_stream(chunks.chain(futures_util::stream::pending())).into_response()
}

/// A response with its complete body.
#[derive(Debug)]
pub(crate) struct FullResponse {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl FullResponse {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let json = serde_json::from_str(&self.text);
        json.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that the response is an error of the proxy with exactly its four fields, and returns `detail`.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, kind: &str) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/json");
        let json = self.json();
        let fields: Vec<_> = json.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["detail", "error", "errorType", "status"]);
        assert_eq!(json["status"], "error");
        assert_eq!(json["errorType"], kind, "{self:?}");
        assert!(!json["error"].as_str().unwrap().is_empty());
        json["detail"].as_str().unwrap().to_owned()
    }
}

/// Sends a request and returns the response without reading its body.
pub(crate) async fn send(
    proxy: &QueryProxy,
    request: http::Request<()>,
) -> http::Response<QueryBody> {
    proxy.clone().oneshot(request).await.unwrap()
}

/// Sends a request and reads the response.
pub(crate) async fn send_and_read(proxy: &QueryProxy, request: http::Request<()>) -> FullResponse {
    let (head, body) = send(proxy, request).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    FullResponse {
        status: head.status.as_u16(),
        headers: head.headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
    }
}

pub(crate) async fn get(proxy: &QueryProxy, target: &str) -> FullResponse {
    send_and_read(proxy, http::Request::get(target).body(()).unwrap()).await
}
