//! Helpers that the tests share: servers on loopback, clients that misbehave, scripted bodies, programs, and
//! the sum rule that every test ends with.

pub mod body;
#[cfg(feature = "dashboards")]
pub mod dashboard;
pub mod grpc;
#[cfg(feature = "programs")]
pub mod listening;
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
pub mod warnings;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use tower_prometheus::Registry;

/// Waits until something is so, as long as other tasks need to make it so.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
    waited.unwrap_or_else(|_| panic!("never came true: {what}"));
}

/// Polls until an assertion would hold, and says at the end why it does not.
#[track_caller]
pub fn until<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match attempt() {
            Ok(found) => return found,
            Err(why) => assert!(Instant::now() < end, "{what}: {why}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Says what is different if something is.
pub fn same<T: PartialEq + Debug>(found: &T, expected: &T) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{found:?}, not {expected:?}")),
    }
}

/// One request, and its body reached its end.
#[track_caller]
pub fn assert_completed(registry: &Registry) {
    let aborted = registry.sum("http_response_bodies_aborted_total", &[]);
    assert_eq!(aborted, None);
    assert_settled(registry, 1);
}

/// The promise over any traffic: counts equal calls, gauges are back at 0, the histogram's count equals
/// the total, and an independent parser reads the page.
#[track_caller]
pub fn assert_settled(registry: &Registry, calls: u64) {
    let total = |name| registry.sum(name, &[]).unwrap_or(0.0);
    assert_eq!(total("http_requests_total"), calls as f64, "requests");
    assert_eq!(
        total("http_request_duration_seconds_count"),
        calls as f64,
        "durations"
    );
    assert_eq!(total("http_requests_in_progress"), 0.0, "in progress");
    assert_eq!(total("http_connections_open"), 0.0, "open connections");
    page::assert_readable(&registry.render());
}

/// As [`assert_settled`], once what the server does on its own is done.
pub async fn settle(registry: &Registry, calls: u64) {
    let is_settled = || {
        let total = |name| registry.sum(name, &[]).unwrap_or(0.0);
        total("http_requests_total") == calls as f64
            && total("http_requests_in_progress") == 0.0
            && total("http_connections_open") == 0.0
    };
    eventually("the traffic settles", is_settled).await;
    assert_settled(registry, calls);
}

/// A registry in which that was recorded by the macros, and whose page can be read.
pub fn recorded(record: impl FnOnce()) -> Registry {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, record);
    page::assert_readable(&registry.render());
    registry
}

/// How many requests ended with that status, over all endpoints and methods.
pub fn requests(registry: &Registry, status: &str) -> f64 {
    let requests = registry.sum("http_requests_total", &[("status", status)]);
    requests.unwrap_or(0.0)
}

/// How many bodies were aborted for that reason.
pub fn aborted(registry: &Registry, reason: &str) -> f64 {
    let aborted = registry.sum("http_response_bodies_aborted_total", &[("reason", reason)]);
    aborted.unwrap_or(0.0)
}
