//! [`QueryProxy`]: the Tower service.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{
    CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::sleep_until;
use tower_service::Service;

use crate::body::{QueryBody, UpstreamBody};
use crate::concurrency::{ConcurrencyLimit, ConcurrencyPermit, TimedPermit};
use crate::deadline::Deadline;
use crate::error_response::{ErrorResponse, json_response};
use crate::forced_matchers::ForcedMatchers;
use crate::future::QueryFuture;
use crate::range_query::{QueryLimits, RangeQuery};
use crate::route::Route;
use crate::services::{MAX_RESPONSE_BYTES, ServicesQuery};
use crate::upstream::{Purpose, Upstream};

/// The headers of the upstream's response that are forwarded to the client.
const RESPONSE_HEADERS: [HeaderName; 4] = [CONTENT_TYPE, CONTENT_ENCODING, VARY, RETRY_AFTER];

/// A Tower service that forwards range queries to Prometheus, VictoriaMetrics or a server with the same HTTP API.
///
/// The [crate documentation](crate) lists endpoints, limits and errors. Create a proxy with [`QueryProxy::builder`] or
/// [`QueryProxy::from_env`]. Clones share connections and limits.
///
/// The service is always ready and never returns an error: every failure is a response. Dropping the future or the
/// response body cancels the query. Request bodies are ignored. Outside of a Tokio runtime with time and I/O enabled, the
/// future panics.
///
/// ```
/// # fn proxy() -> Result<(), tower_prometheus_query::Error> {
/// use tower_prometheus_query::QueryProxy;
///
/// let proxy = QueryProxy::builder("http://prometheus:9090").build()?;
/// # let _ = proxy;
/// # Ok(())
/// # }
/// # proxy().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct QueryProxy {
    state: Arc<ProxyState>,
}

/// The state shared by all clones.
#[derive(Debug)]
pub(crate) struct ProxyState {
    pub(crate) upstream: Upstream,
    pub(crate) query_concurrency: ConcurrencyLimit,
    /// Separate from `query_concurrency`, so that a busy upstream is not reported as unhealthy.
    pub(crate) health_concurrency: ConcurrencyLimit,
    pub(crate) forced: ForcedMatchers,
    pub(crate) limits: QueryLimits,
    pub(crate) max_response_bytes: u64,
    pub(crate) timeouts: Timeouts,
    pub(crate) health_uri: Uri,
    pub(crate) services: ServicesQuery,
    pub(crate) mount: String,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) query_range: Duration,
    pub(crate) services: Duration,
    pub(crate) health: Duration,
}

impl QueryProxy {
    pub(crate) fn new(state: ProxyState) -> Self {
        Self {
            state: Arc::new(state),
        }
    }
}

impl<ReqBody> Service<Request<ReqBody>> for QueryProxy {
    type Response = Response<QueryBody>;
    type Error = Infallible;
    type Future = QueryFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> QueryFuture {
        let state = Arc::clone(&self.state);
        let (request, _) = request.into_parts();
        QueryFuture::new(async move { state.respond(request).await })
    }
}

impl ProxyState {
    async fn respond(&self, request: Parts) -> Response<QueryBody> {
        let Some(route) = Route::find(request.uri.path(), &self.mount) else {
            return with_security_headers(ErrorResponse::not_found().into_response());
        };
        let endpoint = route.endpoint(&request, &self.mount);
        let response = if request.method == Method::GET {
            self.respond_to(route, &request).await
        } else {
            Err(ErrorResponse::method_not_allowed())
        };
        let response = response.unwrap_or_else(ErrorResponse::into_response);
        let mut response = with_security_headers(response);
        if let Some(endpoint) = endpoint {
            response.extensions_mut().insert(endpoint);
        }
        response
    }

    async fn respond_to(
        &self,
        route: Route,
        request: &Parts,
    ) -> Result<Response<QueryBody>, ErrorResponse> {
        match route {
            Route::QueryRange => self.query_range(request).await,
            Route::Services => Ok(self.services(&request.headers).await),
            Route::Health => Ok(self.health(&request.headers).await),
        }
    }

    async fn query_range(&self, request: &Parts) -> Result<Response<QueryBody>, ErrorResponse> {
        let parameters = request.uri.query().unwrap_or_default();
        let mut range_query = RangeQuery::parse(parameters, &self.limits)?;
        let deadline = Deadline::after(self.timeouts.query_range);
        let mut permit = self.query_permit()?;
        if !self.forced.is_empty() {
            let query = std::mem::take(&mut range_query.query);
            let rewritten = self.forced.rewrite_on_thread(query, permit);
            let error = "the forced labels were not added in time";
            (range_query.query, permit) = deadline.timeout(error, rewritten).await??;
        }
        let permit = permit.until(deadline.at);
        let uri = self.upstream.base_url().join(&range_query.target()?);
        let uri = uri.ok_or_else(|| {
            ErrorResponse::bad_data("query too long", "it does not fit into a URL")
        })?;
        let (headers, purpose) = (&request.headers, Purpose::ForwardedQuery);
        let response = self.upstream.get(uri, headers, purpose, deadline).await?;
        self.forward(response, deadline, permit)
    }

    fn query_permit(&self) -> Result<ConcurrencyPermit, ErrorResponse> {
        let permit = self.query_concurrency.try_acquire();
        permit.ok_or_else(|| ErrorResponse::too_many_queries(self.query_concurrency.max()))
    }

    /// Forwards the upstream's response with its status, but only some of its headers.
    fn forward(
        &self,
        response: Response<Incoming>,
        deadline: Deadline,
        permit: TimedPermit,
    ) -> Result<Response<QueryBody>, ErrorResponse> {
        let (head, incoming) = response.into_parts();
        if head.status.is_redirection() {
            let detail = format!("it answered {}; redirects are not followed", head.status);
            return Err(ErrorResponse::bad_gateway("the upstream redirects", detail));
        }
        let max = self.max_response_bytes;
        let announced = incoming.size_hint().lower();
        if announced > max {
            let detail = format!("{announced} bytes; at most {max}");
            return Err(ErrorResponse::bad_gateway("response too large", detail));
        }
        let body = UpstreamBody::new(incoming, max, sleep_until(deadline.at), permit);
        let mut response = Response::new(QueryBody::upstream(body));
        *response.status_mut() = head.status;
        for name in RESPONSE_HEADERS {
            for value in head.headers.get_all(&name) {
                response.headers_mut().append(&name, value.clone());
            }
        }
        Ok(response)
    }

    async fn services(&self, from_client: &HeaderMap) -> Response<QueryBody> {
        let names = self.query_services(from_client).await;
        self.services.log_change(names.as_ref().err());
        let names = names.unwrap_or_else(|_| self.services.fallback());
        json_response(StatusCode::OK, names)
    }

    async fn query_services(&self, from_client: &HeaderMap) -> Result<String, ErrorResponse> {
        let deadline = Deadline::after(self.timeouts.services);
        let permit = self.query_permit()?.until(deadline.at);
        let (uri, purpose) = (self.services.uri.clone(), Purpose::OwnQuery);
        let response = self
            .upstream
            .get(uri, from_client, purpose, deadline)
            .await?;
        if response.status() != StatusCode::OK {
            let detail = format!("it answered {}", response.status());
            return Err(ErrorResponse::bad_gateway("the query failed", detail));
        }
        let deadline = sleep_until(deadline.at);
        let body = UpstreamBody::new(response.into_body(), MAX_RESPONSE_BYTES, deadline, permit);
        let invalid = "invalid response of the upstream";
        let body = body.collect().await;
        let body = body.map_err(|error| ErrorResponse::bad_gateway(invalid, error.to_string()))?;
        let names = self.services.names(&body);
        names.ok_or_else(|| ErrorResponse::bad_gateway(invalid, "it is not a query result"))
    }

    async fn health(&self, from_client: &HeaderMap) -> Response<QueryBody> {
        let (status, error) = match self.query_health(from_client).await {
            Ok(StatusCode::OK) => ("healthy", None),
            Ok(other) => ("degraded", Some(format!("the upstream answered {other}"))),
            Err(error) => ("unhealthy", Some(error.summary())),
        };
        let error = error.map(|error| format!(r#","error":{}"#, Value::from(error)));
        let error = error.unwrap_or_default();
        json_response(StatusCode::OK, format!(r#"{{"status":"{status}"{error}}}"#))
    }

    async fn query_health(&self, from_client: &HeaderMap) -> Result<StatusCode, ErrorResponse> {
        let deadline = Deadline::after(self.timeouts.health);
        let limit = &self.health_concurrency;
        let permit = limit.acquire(deadline.at).await;
        let permit = permit.ok_or_else(|| ErrorResponse::too_many_queries(limit.max()))?;
        let _permit = permit.until(deadline.at);
        let (uri, purpose) = (self.health_uri.clone(), Purpose::Health);
        let response = self
            .upstream
            .get(uri, from_client, purpose, deadline)
            .await?;
        Ok(response.status())
    }
}

/// Adds headers that stop a browser from rendering the upstream's response as a page of the application.
fn with_security_headers(mut response: Response<QueryBody>) -> Response<QueryBody> {
    let headers = response.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    let sandbox = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(CONTENT_SECURITY_POLICY, sandbox);
    response
}
