//! Memory while label values come and go: ten million values, of which ten thousand are there at a time.
//!
//! ```text
//! cargo bench --bench expiry
//! ```

mod support;

use std::sync::Barrier;
use std::time::{Duration, Instant};

use support::timing::is_measuring;
use tower_prometheus::Registry;

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
    println!("| threads | 10 % | 20 % | 50 % | 100 % | µs per value |");
    println!("|---:|---:|---:|---:|---:|---:|");
    for threads in [2, 64] {
        let started = Instant::now();
        let memory = come_and_go(threads, values);
        let micros = started.elapsed().as_secs_f64() * 1e6 / values as f64;
        let memory = memory.map(|mib| format!("{mib:.0}")).join(" | ");
        println!("| {threads} | {memory} | {micros:.1} |");
    }
}

/// Returns the memory after 10, 20, 50 and 100 % of the values.
fn come_and_go(threads: usize, values: usize) -> [f64; 4] {
    let registry = Registry::builder()
        .idle_timeout(Duration::from_nanos(1))
        .build()
        .expect("the settings are right");
    let rounds = values / LIVE;
    let (recorded, expired) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (registry, recorded, expired) = (&registry, &recorded, &expired);
            scope.spawn(move || {
                for round in 0..rounds {
                    metrics::with_local_recorder(registry, || record(round, thread, threads));
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
            assert_eq!(registry.render(), "");
            assert_eq!(registry.render(), "");
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

/// Records the values of one round that belong to a thread.
fn record(round: usize, thread: usize, threads: usize) {
    for i in (thread..LIVE).step_by(threads) {
        let value = format!("value-{}", round * LIVE + i);
        metrics::counter!("jobs_total", "tenant" => value.clone()).increment(1);
        if i % 10 == 0 {
            metrics::histogram!("wait_seconds", "tenant" => value).record(0.1);
        }
    }
}

/// The resident memory of the process.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    kib.map_or(f64::NAN, |kib: f64| kib / 1024.0)
}
