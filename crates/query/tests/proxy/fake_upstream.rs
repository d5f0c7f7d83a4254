//! [`FakeUpstream`]: an HTTP server that answers as told and keeps the requests.

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
    /// A parameter's value, decoded by a parser other than the proxy's.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let pairs = form_urlencoded::parse(query.as_bytes());
        let mut values = pairs.filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.into_owned());
        assert!(values.next().is_none(), "{name} twice in {query}");
        value
    }

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
    /// Starts an upstream that answers every request with the result of a function of its path.
    pub(crate) async fn start<R>(answer: impl Fn(&str) -> R + Clone + Send + Sync + 'static) -> Self
    where
        R: IntoResponse,
    {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&requests);
        let answer = move |request: Request| {
            let target = request.uri().to_string();
            let headers = request.headers().clone();
            received
                .lock()
                .unwrap()
                .push(ReceivedRequest { target, headers });
            std::future::ready(answer(request.uri().path()).into_response())
        };
        let server = Server::start(Router::new().fallback(answer)).await;
        Self { server, requests }
    }

    /// Starts an upstream that answers every request with this text.
    pub(crate) async fn answering(text: &'static str) -> Self {
        Self::start(move |_| text).await
    }

    pub(crate) fn proxy(&self) -> QueryProxyBuilder {
        QueryProxy::builder(self.server.url(""))
    }

    pub(crate) fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// Returns the request, if there was exactly one.
    #[track_caller]
    pub(crate) fn only_request(&self) -> ReceivedRequest {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }
}

/// A valid range query.
pub(crate) const GOOD: &str = "/query_range?query=up&start=1700000000&end=1700000060&step=15";

/// A response whose body has these pieces and never ends.
pub(crate) fn hanging(pieces: Vec<&'static str>) -> Response {
    use futures_util::StreamExt;
    let pieces = futures_util::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    Body::from_stream(pieces.chain(futures_util::stream::pending())).into_response()
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let json = serde_json::from_str(&self.text);
        json.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that it is an error of the proxy with exactly the four fields, and returns `detail`.
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

pub(crate) async fn head(
    proxy: &QueryProxy,
    request: http::Request<()>,
) -> http::Response<QueryBody> {
    proxy.clone().oneshot(request).await.unwrap()
}

pub(crate) async fn ask(proxy: &QueryProxy, request: http::Request<()>) -> Answer {
    let (head, body) = head(proxy, request).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
    }
}

pub(crate) async fn get(proxy: &QueryProxy, target: &str) -> Answer {
    ask(proxy, http::Request::get(target).body(()).unwrap()).await
}
