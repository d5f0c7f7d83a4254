//! [`Upstream`]: the store, and how it is asked.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

use super::address::Address;
use super::connector::Connector;
use super::problem::Problem;

/// A pool of connections to one store, and what every request to it carries.
#[derive(Debug)]
pub(super) struct Upstream {
    client: legacy::Client<Connector, String>,
    address: Address,
    /// Credentials among them; their values are marked sensitive.
    constant_headers: HeaderMap,
    passed_headers: Vec<HeaderName>,
    is_reachable: AtomicBool,
}

/// When a request must be over, and what to say if it is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(super) fn within(limit: Duration) -> Self {
        let now = Instant::now();
        let at = now.checked_add(limit).unwrap_or(now);
        Self { at, limit }
    }

    /// What comes in time.
    pub(super) async fn meet<T>(self, work: impl Future<Output = T>) -> Result<T, Problem> {
        let met = timeout_at(self.at, work).await;
        met.map_err(|_| Problem::timeout(self.limit))
    }
}

impl Upstream {
    pub(super) fn new(
        connector: Connector,
        address: Address,
        constant_headers: HeaderMap,
        passed_headers: Vec<HeaderName>,
        most_idle: usize,
    ) -> Self {
        let mut client = legacy::Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new());
        client.pool_max_idle_per_host(most_idle);
        Self {
            client: client.build(connector),
            address,
            constant_headers,
            passed_headers,
            is_reachable: AtomicBool::new(true),
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// The head of the store's answer, whatever it is.
    pub(super) async fn get(
        &self,
        uri: Uri,
        from_client: &HeaderMap,
        deadline: Deadline,
    ) -> Result<Response<Incoming>, Problem> {
        let mut request = Request::new(String::new());
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers(from_client);
        let answered = deadline.meet(self.client.request(request)).await;
        let answered = answered.and_then(|answer| answer.map_err(|error| unreachable(&error)));
        self.note(answered.as_ref().err());
        answered
    }

    fn headers(&self, from_client: &HeaderMap) -> HeaderMap {
        let mut headers = self.constant_headers.clone();
        for name in &self.passed_headers {
            for value in from_client.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        headers
    }

    /// Logs when the store goes and when it comes back, not each request in between.
    fn note(&self, problem: Option<&Problem>) {
        let is_reachable = problem.is_none();
        if self.is_reachable.swap(is_reachable, Ordering::Relaxed) == is_reachable {
            return;
        }
        match problem {
            Some(problem) => {
                tracing::warn!(
                    reason = problem.line(),
                    "the query proxy's upstream is away"
                );
            }
            None => tracing::info!("the query proxy's upstream is back"),
        }
    }
}

/// The reason in full: the client's own message only says that it failed.
fn unreachable(error: &legacy::Error) -> Problem {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        reason.push_str(": ");
        reason.push_str(&error.to_string());
        source = error.source();
    }
    Problem::unreachable(reason)
}
