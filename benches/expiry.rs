//! Memory while label values come and go: ten million values, of which ten thousand are there at a time. Of macros, and of
//! an HTTP layer whose label has a limit of that number.
//!
//! ```text
//! cargo bench --bench expiry
//! ```

mod support;

use std::sync::Barrier;
use std::time::{Duration, Instant};

use http::Request;
use support::service::{Hello, send_request};
use support::timing::is_measuring;
use tower::Layer;
use tower_prometheus::http::HttpLabel;
use tower_prometheus::{HttpMetrics, HttpMetricsLayer, Registry};

/// The values that are there at a time.
const LIVE: usize = 10_000;

fn main() {
    let values = match is_measuring() {
        true => 10_000_000,
        false => 40_000,
    };
    println!(
        "Resident memory in MiB after this many values, {LIVE} at a time, each with a counter, and every tenth with a histogram:\n"
    );
    println!("| | threads | 10 % | 20 % | 50 % | 100 % | µs per value |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for threads in [2, 64] {
        for kind in [Kind::Macros, Kind::HttpLayer] {
            let started = Instant::now();
            let memory = come_and_go(kind, threads, values);
            let micros = started.elapsed().as_secs_f64() * 1e6 / values as f64;
            let memory = memory.map(|mib| format!("{mib:.0}")).join(" | ");
            println!("| {kind:?} | {threads} | {memory} | {micros:.1} |");
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Macros,
    HttpLayer,
}

/// A layer with a label for tenants.
fn layer_of(registry: &Registry) -> HttpMetricsLayer {
    let tenant = HttpLabel::from_request("tenant", |request| request.header("x-tenant"));
    let metrics = HttpMetrics::server().label(tenant.on_histograms().max_values(LIVE));
    metrics.build(registry).expect("the settings are right")
}

/// Returns the memory after 10, 20, 50 and 100 % of the values.
fn come_and_go(kind: Kind, threads: usize, values: usize) -> [f64; 4] {
    let registry = Registry::builder()
        .idle_timeout(Duration::from_nanos(1))
        .build()
        .expect("the settings are right");
    let layer = layer_of(&registry);
    let rounds = values / LIVE;
    let (recorded, expired) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (registry, layer, recorded, expired) = (&registry, &layer, &recorded, &expired);
            scope.spawn(move || {
                for round in 0..rounds {
                    let values = (thread..LIVE).step_by(threads);
                    let values = values.map(|i| round * LIVE + i);
                    match kind {
                        Kind::Macros => metrics::with_local_recorder(registry, || record(values)),
                        Kind::HttpLayer => send(layer, values),
                    }
                    recorded.wait();
                    expired.wait();
                }
            });
        }
        let mut memory = Vec::new();
        for round in 1..=rounds {
            recorded.wait();
            // The first page shows the values, they leave with the second, and the third clears their cells.
            let shown = registry.render();
            assert!(
                shown.lines().count() > LIVE,
                "{} lines",
                shown.lines().count()
            );
            assert!(!registry.render().contains("tenant=\""));
            assert!(!registry.render().contains("tenant=\""));
            let overflow = registry.sum("metrics_label_overflow_total", &[]);
            assert_eq!(overflow, None, "the limit is that of the values");
            if [10, 20, 50, 100]
                .map(|percent| rounds * percent / 100)
                .contains(&round)
            {
                memory.push(resident_mib());
            }
            expired.wait();
        }
        memory.try_into().unwrap_or_default()
    })
}

fn record(values: impl Iterator<Item = usize>) {
    for i in values {
        let value = format!("value-{i}");
        metrics::counter!("jobs_total", "tenant" => value.clone()).increment(1);
        if i % 10 == 0 {
            metrics::histogram!("wait_seconds", "tenant" => value).record(0.1);
        }
    }
}

fn send(layer: &HttpMetricsLayer, values: impl Iterator<Item = usize>) {
    let service = layer.layer(Hello);
    for i in values {
        let request = Request::get("/").header("x-tenant", format!("value-{i}"));
        send_request(&service, request.body(()).unwrap_or_default());
    }
}

/// The resident memory of the process.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    kib.map_or(f64::NAN, |kib: f64| kib / 1024.0)
}
