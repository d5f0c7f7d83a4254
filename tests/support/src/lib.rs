//! Helpers that the tests share: servers and clients on loopback, scripted bodies, programs, metrics pages, and
//! [`assert_requests_ended`], which checks the promise that almost every test of the HTTP layer ends with.

pub mod body;
#[cfg(feature = "browser")]
pub mod browser;
pub mod child_test;
#[cfg(feature = "dashboards")]
pub mod dashboard;
pub mod grpc;
#[cfg(feature = "programs")]
pub mod listening;
pub mod lives;
pub mod negotiation;
pub mod page;
#[cfg(feature = "programs")]
pub mod process;
#[cfg(feature = "programs")]
pub mod pushgateway;
#[cfg(all(feature = "programs", unix))]
pub mod redis;
#[cfg(feature = "dashboards")]
pub mod rules;
pub mod scrape;
#[cfg(feature = "server")]
pub mod server;
pub mod service;
pub mod snapshot;
#[cfg(feature = "programs")]
pub mod store;
#[cfg(feature = "programs")]
pub mod system;
pub mod tools;
pub mod urls;
pub mod warnings;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use tower_prometheus::Registry;

/// Yields to other tasks until the condition is true. Panics after 20 s.
pub async fn wait_until(description: &str, mut condition: impl FnMut() -> bool) {
    const TIMEOUT: Duration = Duration::from_secs(20);
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(TIMEOUT, wait).await;
    waited.unwrap_or_else(|_| panic!("timed out after {TIMEOUT:?} waiting until {description}"));
}

/// Renders pages until one does not contain `text`, and returns it. Panics after 20 s.
#[must_use]
pub fn render_until_gone(registry: &Registry, text: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let page = registry.render();
        if !page.contains(text) {
            return page;
        }
        assert!(
            Instant::now() < deadline,
            "{text:?} is still on the page:\n{page}"
        );
        std::thread::yield_now();
    }
}

/// Calls a function every 100 ms until it returns `Ok`. After 60 s, panics with the last error.
#[track_caller]
pub fn retry_until_ok<T>(description: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    const TIMEOUT: Duration = Duration::from_secs(60);
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match attempt() {
            Ok(found) => return found,
            Err(error) => assert!(
                Instant::now() < deadline,
                "{description}: timed out after {TIMEOUT:?}: {error}"
            ),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// `assert_eq!` as a `Result`, for [`retry_until_ok`].
pub fn check_equal<T: PartialEq + Debug>(actual: &T, expected: &T) -> Result<(), String> {
    match actual == expected {
        true => Ok(()),
        false => Err(format!("expected {expected:?}, got {actual:?}")),
    }
}

/// [`assert_requests_ended`] for one request whose response body was not aborted.
#[track_caller]
pub fn assert_one_request_completed(registry: &Registry) {
    let aborted = registry.sum("http_response_bodies_aborted_total", &[]);
    assert_eq!(aborted, None, "aborted response bodies");
    assert_requests_ended(registry, 1);
}

/// Asserts that this many requests were counted once each, and none is still in progress.
///
/// That is: the counter and the count of the duration histogram are `requests`, the gauges of requests in progress
/// and open connections are 0, and the metrics page is valid.
#[track_caller]
pub fn assert_requests_ended(registry: &Registry, requests: u64) {
    let total = |name| registry.sum(name, &[]).unwrap_or(0.0);
    assert_eq!(total("http_requests_total"), requests as f64, "requests");
    assert_eq!(
        total("http_request_duration_seconds_count"),
        requests as f64,
        "durations"
    );
    assert_eq!(total("http_requests_in_progress"), 0.0, "in progress");
    assert_eq!(total("http_connections_open"), 0.0, "open connections");
    page::assert_valid_text(&registry.render());
}

/// [`assert_requests_ended`], after waiting for the tasks of a server, in which requests end.
pub async fn wait_for_requests_to_end(registry: &Registry, requests: u64) {
    let have_ended = || {
        let total = |name| registry.sum(name, &[]).unwrap_or(0.0);
        total("http_requests_total") == requests as f64
            && total("http_requests_in_progress") == 0.0
            && total("http_connections_open") == 0.0
    };
    wait_until("all requests have ended", have_ended).await;
    assert_requests_ended(registry, requests);
}

/// Returns a new registry with the metrics that the macros of `metrics` record in a function.
///
/// Asserts that its metrics page is valid.
pub fn registry_with(record: impl FnOnce()) -> Registry {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, record);
    page::assert_valid_text(&registry.render());
    registry
}

/// The number of requests that ended with a status, over all endpoints and methods.
pub fn requests_with_status(registry: &Registry, status: &str) -> f64 {
    let requests = registry.sum("http_requests_total", &[("status", status)]);
    requests.unwrap_or(0.0)
}

/// The number of response bodies that were aborted for a reason.
pub fn aborted_bodies(registry: &Registry, reason: &str) -> f64 {
    let aborted = registry.sum("http_response_bodies_aborted_total", &[("reason", reason)]);
    aborted.unwrap_or(0.0)
}
