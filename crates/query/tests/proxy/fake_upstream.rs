//! A stand-in for the store: a real server that notes what it is asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_prometheus::query::{QueryBody, QueryProxy, QueryProxyBuilder};

use test_support::server::Server;

/// One request as the store saw it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
}

impl Asked {
    /// A parameter's value, decoded by the crate that browsers' forms are read with.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let url = format!("http://store/?{query}");
        let url: reqwest::Url = url.parse().unwrap();
        let mut values = url.query_pairs().filter(|(key, _)| key == name);
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

pub(crate) struct Store {
    pub(crate) server: Server,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Store {
    /// Answers every request with what the function makes of its path.
    pub(crate) async fn start<R>(answer: impl Fn(&str) -> R + Clone + Send + Sync + 'static) -> Self
    where
        R: IntoResponse,
    {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        let answer = move |request: Request| {
            let target = request.uri().to_string();
            let headers = request.headers().clone();
            notes.lock().unwrap().push(Asked { target, headers });
            std::future::ready(answer(request.uri().path()).into_response())
        };
        let server = Server::start(Router::new().fallback(answer)).await;
        Self { server, asked }
    }

    /// A store in which every query has this answer.
    pub(crate) async fn saying(text: &'static str) -> Self {
        Self::start(move |_| text).await
    }

    pub(crate) fn proxy(&self) -> QueryProxyBuilder {
        QueryProxy::builder(self.server.url(""))
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The only request there was.
    #[track_caller]
    pub(crate) fn asked_once(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }
}

/// A good range query.
pub(crate) const GOOD: &str = "/query_range?query=up&start=1700000000&end=1700000060&step=15";

/// A body that gives these pieces, and then nothing more for ever.
pub(crate) fn hanging(pieces: Vec<&'static str>) -> Response {
    use futures_util::StreamExt;
    let pieces = futures_util::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    Body::from_stream(pieces.chain(futures_util::stream::pending())).into_response()
}

/// An answer read to its end.
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

    /// The proxy's own error: all four fields, and only they.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, kind: &str) -> String {
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
