//! [`Upstream`]: sends requests to the upstream.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::base_url::BaseUrl;
use crate::connector::Connector;
use crate::deadline::Deadline;
use crate::error_response::{ErrorResponse, ErrorType};
use crate::headers::UpstreamHeaders;

/// A client for a server with Prometheus' HTTP API, with a connection pool.
#[derive(Debug)]
pub(crate) struct Upstream {
    client: legacy::Client<Connector, String>,
    base_url: BaseUrl,
    headers: UpstreamHeaders,
    /// Whether the upstream responds. Only changes are logged.
    is_responding: AtomicBool,
}

/// The purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A query whose response is forwarded to the client, compressed if the client accepts it.
    ForwardedQuery,
    /// A query whose response the proxy reads.
    OwnQuery,
    Health,
}

impl Upstream {
    pub(crate) fn new(
        connector: Connector,
        base_url: BaseUrl,
        headers: UpstreamHeaders,
        max_idle: usize,
    ) -> Self {
        let mut client = legacy::Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new());
        client.pool_max_idle_per_host(max_idle);
        Self {
            client: client.build(connector),
            base_url,
            headers,
            is_responding: AtomicBool::new(true),
        }
    }

    pub(crate) fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// Sends a GET request and returns the response, with any status.
    pub(crate) async fn get(
        &self,
        uri: Uri,
        from_client: &HeaderMap,
        purpose: Purpose,
        deadline: Deadline,
    ) -> Result<Response<Incoming>, ErrorResponse> {
        let mut request = Request::new(String::new());
        *request.uri_mut() = uri;
        let mut headers = self.headers.for_request(from_client);
        if purpose != Purpose::ForwardedQuery {
            // The proxy does not decompress responses.
            headers.remove(ACCEPT_ENCODING);
        }
        *request.headers_mut() = headers;
        let sent = self.client.request(request);
        let response = deadline.timeout("the upstream timed out", sent).await;
        let response = response.and_then(|sent| sent.map_err(|error| unreachable(&error)));
        self.log_change(response.as_ref().err(), purpose);
        response
    }

    /// Logs when the upstream stops responding or responds again, not every failed request.
    fn log_change(&self, error: Option<&ErrorResponse>, purpose: Purpose) {
        let is_timeout = error.is_some_and(|error| error.error_type() == ErrorType::Timeout);
        // A query can be slow although the upstream works.
        if is_timeout && purpose != Purpose::Health {
            return;
        }
        let is_responding = error.is_none();
        if self.is_responding.swap(is_responding, Ordering::Relaxed) == is_responding {
            return;
        }
        match error {
            Some(error) if is_timeout => {
                tracing::warn!(
                    reason = error.summary(),
                    "query proxy: the upstream does not respond in time"
                );
            }
            Some(error) => {
                tracing::warn!(
                    reason = error.summary(),
                    "query proxy: the upstream is unreachable"
                );
            }
            None => tracing::info!("query proxy: the upstream responds again"),
        }
    }
}

/// Returns an error response with the messages of all sources, because that of `legacy::Error` does not say why the
/// request failed.
fn unreachable(error: &legacy::Error) -> ErrorResponse {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        reason.push_str(": ");
        reason.push_str(&error.to_string());
        source = error.source();
    }
    ErrorResponse::unavailable("the upstream is unreachable", reason)
}
