//! [`QueryProxy`]: the service.

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

use super::body::{QueryBody, Streamed};
use super::builder::QueryProxyBuilder;
use super::forced::ForcedMatchers;
use super::future::QueryFuture;
use super::problem::{Problem, json};
use super::range_query::{Limits, RangeQuery};
use super::route::Route;
use super::services;
use super::slot::{Slot, Slots};
use super::upstream::{Deadline, Upstream};

/// What of the upstream's head is passed on.
const PASSED_HEADERS: [HeaderName; 4] = [CONTENT_TYPE, CONTENT_ENCODING, VARY, RETRY_AFTER];

/// A Tower service that answers a dashboard's front end from Prometheus, VictoriaMetrics or what speaks their API.
///
/// See the [module](super) for its endpoints, limits and errors. Made by [`QueryProxy::builder`]; a clone
/// shares connections and limits. It needs a tokio runtime with time and I/O, is always ready, and never fails:
/// whatever goes wrong is a response.
#[derive(Clone, Debug)]
pub struct QueryProxy {
    shared: Arc<Shared>,
}

/// What all clones share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) upstream: Upstream,
    pub(super) slots: Slots,
    /// Apart from the queries': how the store is must be told when it is busy, too.
    pub(super) health_slots: Slots,
    pub(super) forced: ForcedMatchers,
    pub(super) limits: Limits,
    pub(super) max_response_bytes: u64,
    pub(super) timeouts: Timeouts,
    pub(super) health_uri: Uri,
    pub(super) services: Services,
    pub(super) mount: String,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) query_range: Duration,
    pub(super) services: Duration,
    pub(super) health: Duration,
}

/// Where service names come from.
#[derive(Debug)]
pub(super) struct Services {
    pub(super) uri: Uri,
    pub(super) label: String,
    pub(super) fallback: Vec<String>,
}

impl QueryProxy {
    /// A proxy to the store with that base URL, such as `http://victoriametrics:8428`, or with a path where the
    /// API lies below one: `http://vmselect:8481/select/0/prometheus`.
    ///
    /// A user and a password in it (`https://user:password@host`) become basic credentials.
    pub fn builder(url: impl AsRef<str>) -> QueryProxyBuilder {
        QueryProxyBuilder::new(url.as_ref())
    }

    /// As [`builder`](Self::builder), with the URL from the environment's `VICTORIAMETRICS_URL`, or
    /// `http://victoriametrics:8428` if that is unset or empty.
    #[must_use]
    pub fn from_env() -> QueryProxyBuilder {
        QueryProxyBuilder::from_env()
    }

    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
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
        let shared = Arc::clone(&self.shared);
        let (request, _) = request.into_parts();
        QueryFuture::new(async move { shared.answer(request).await })
    }
}

impl Shared {
    async fn answer(&self, request: Parts) -> Response<QueryBody> {
        let Some(route) = Route::find(request.uri.path(), &self.mount) else {
            return safe(Problem::not_found().response());
        };
        let endpoint = route.endpoint(&request, &self.mount);
        let response = if request.method == Method::GET {
            self.answer_route(route, &request).await
        } else {
            Err(Problem::method_not_allowed())
        };
        let mut response = safe(response.unwrap_or_else(|problem| problem.response()));
        if let Some(endpoint) = endpoint {
            response.extensions_mut().insert(endpoint);
        }
        response
    }

    async fn answer_route(
        &self,
        route: Route,
        request: &Parts,
    ) -> Result<Response<QueryBody>, Problem> {
        match route {
            Route::QueryRange => self.query_range(request).await,
            Route::Services => Ok(self.services(&request.headers).await),
            Route::Health => Ok(self.health(&request.headers).await),
        }
    }

    async fn query_range(&self, request: &Parts) -> Result<Response<QueryBody>, Problem> {
        let raw = request.uri.query().unwrap_or_default();
        let mut asked = RangeQuery::parse(raw, &self.limits)?;
        let deadline = Deadline::within(self.timeouts.query_range);
        let slot = self.slot(deadline)?;
        if !self.forced.is_empty() {
            let query = std::mem::take(&mut asked.query);
            asked.query = deadline.meet(self.forced.rewrite_aside(query)).await??;
        }
        let uri = self.upstream.address().below(&asked.target()?);
        let uri = uri.ok_or_else(|| Problem::bad_data("the query is too long", "as a URL"))?;
        let answer = self.upstream.get(uri, &request.headers, deadline).await?;
        self.pass(answer, deadline, slot)
    }

    fn slot(&self, deadline: Deadline) -> Result<Slot, Problem> {
        let slot = self.slots.take(deadline.at);
        slot.ok_or_else(|| Problem::busy(self.slots.all()))
    }

    /// The upstream's answer, whatever its status, without what is not the client's business.
    fn pass(
        &self,
        answer: Response<Incoming>,
        deadline: Deadline,
        slot: Slot,
    ) -> Result<Response<QueryBody>, Problem> {
        let (head, incoming) = answer.into_parts();
        if head.status.is_redirection() {
            let detail = format!("it answered {}; redirects are not followed", head.status);
            return Err(Problem::bad_answer("the upstream redirects", detail));
        }
        let most = self.max_response_bytes;
        if incoming.size_hint().lower() > most {
            let detail = format!("{} bytes; at most {most}", incoming.size_hint().lower());
            return Err(Problem::bad_answer("the answer is too large", detail));
        }
        let streamed = Streamed::new(incoming, most, sleep_until(deadline.at), Some(slot));
        let mut response = Response::new(QueryBody::streamed(streamed));
        *response.status_mut() = head.status;
        for name in PASSED_HEADERS {
            if let Some(value) = head.headers.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok(response)
    }

    async fn services(&self, from_client: &HeaderMap) -> Response<QueryBody> {
        let asked = self.ask_for_services(from_client).await;
        let names = asked.unwrap_or_else(|problem| {
            tracing::debug!(
                reason = problem.line(),
                "the list of services is the configured one"
            );
            services::as_json(&self.services.fallback)
        });
        json(StatusCode::OK, names)
    }

    async fn ask_for_services(&self, from_client: &HeaderMap) -> Result<String, Problem> {
        let deadline = Deadline::within(self.timeouts.services);
        let slot = self.slot(deadline)?;
        let uri = self.services.uri.clone();
        let answer = self.upstream.get(uri, from_client, deadline).await?;
        if answer.status() != StatusCode::OK {
            let detail = format!("it answered {}", answer.status());
            return Err(Problem::bad_answer("the store refused", detail));
        }
        let time = sleep_until(deadline.at);
        let body = Streamed::new(answer.into_body(), services::MAX_BYTES, time, Some(slot));
        let wrong = "the store's answer cannot be read";
        let body = body.collect().await;
        let body = body.map_err(|broken| Problem::bad_answer(wrong, broken.to_string()))?;
        let names = services::in_answer(&body, &self.services.label);
        let names = names.ok_or_else(|| Problem::bad_answer(wrong, "it is not a query's"))?;
        Ok(services::as_json(&names))
    }

    async fn health(&self, from_client: &HeaderMap) -> Response<QueryBody> {
        let (status, error) = match self.ask_for_health(from_client).await {
            Ok(StatusCode::OK) => ("healthy", None),
            Ok(other) => ("degraded", Some(format!("the store answered {other}"))),
            Err(problem) => ("unhealthy", Some(problem.line())),
        };
        let error = error.map(|error| format!(r#","error":{}"#, Value::from(error)));
        let error = error.unwrap_or_default();
        json(StatusCode::OK, format!(r#"{{"status":"{status}"{error}}}"#))
    }

    async fn ask_for_health(&self, from_client: &HeaderMap) -> Result<StatusCode, Problem> {
        let deadline = Deadline::within(self.timeouts.health);
        let slot = self.health_slots.wait(deadline.at).await;
        let _slot = slot.ok_or_else(|| Problem::busy(self.health_slots.all()))?;
        let uri = self.health_uri.clone();
        let answer = self.upstream.get(uri, from_client, deadline).await?;
        Ok(answer.status())
    }
}

/// An upstream's error page is shown by nobody as a page of the application's own.
fn safe(mut response: Response<QueryBody>) -> Response<QueryBody> {
    let headers = response.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    let sandbox = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(CONTENT_SECURITY_POLICY, sandbox);
    response
}
