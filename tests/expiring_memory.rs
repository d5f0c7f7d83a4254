//! Memory while tenants come and go through a limit. A separate test binary, because it measures the memory of the process.

#![cfg(target_os = "linux")]

use std::convert::Infallible;
use std::future::ready;
use std::sync::Barrier;
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response};
use tower::{Layer, Service, service_fn};
use tower_prometheus::http::HttpLabel;
use tower_prometheus::{HttpMetrics, HttpMetricsLayer, Registry};

/// The limit of the label, and the number of tenants that are there at a time.
const LIMIT: usize = 1000;
const TENANTS: usize = 300_000;

#[test]
fn memory_does_not_grow_with_tenants_that_come_and_go() {
    for threads in [2, 16] {
        let after = memory_of_tenants(threads);
        let (early, late) = (after[1], after[9]);
        assert!(
            late < early + early / 2,
            "{threads} threads, KiB after each tenth of the tenants: {after:?}"
        );
    }
}

/// Returns the resident memory in KiB after each tenth of the tenants.
fn memory_of_tenants(threads: usize) -> Vec<usize> {
    const ROUNDS: usize = TENANTS / LIMIT;
    let registry = Registry::builder().idle_timeout(Duration::from_nanos(1));
    let registry = registry.build().unwrap();
    let tenant = HttpLabel::from_request("tenant", |request| request.header("x-tenant"));
    let metrics = HttpMetrics::server().label(tenant.max_values(LIMIT));
    let layer = metrics.build(&registry).unwrap();
    let (sent, expired) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (layer, sent, expired) = (&layer, &sent, &expired);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let tenants = (thread..LIMIT).step_by(threads);
                    tenants.for_each(|i| send(layer, round * LIMIT + i));
                    sent.wait();
                    expired.wait();
                }
            });
        }
        let mut memory = Vec::new();
        for round in 1..=ROUNDS {
            sent.wait();
            let total = registry.sum("http_requests_total", &[]);
            assert_eq!(total, Some(LIMIT as f64), "round {round}");
            let overflow = registry.sum("metrics_label_overflow_total", &[]);
            assert_eq!(overflow, None, "round {round}");
            // The first page shows the series, they leave with the second, and the third clears their cells.
            for _ in 0..3 {
                let _ = registry.render();
            }
            assert_eq!(registry.sum("http_requests_total", &[]), None);
            if round % (ROUNDS / 10) == 0 {
                memory.push(resident_kib());
            }
            expired.wait();
        }
        memory
    })
}

fn send(layer: &HttpMetricsLayer, tenant: usize) {
    let answer = |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(String::new())));
    let request = Request::get("/").header("x-tenant", format!("tenant-{tenant}"));
    let response = layer
        .layer(service_fn(answer))
        .call(request.body(()).unwrap());
    drop(response.now_or_never().unwrap().unwrap());
}

/// The resident memory of the process.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    kib.unwrap()
}
