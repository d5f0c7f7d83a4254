//! What a scraper sees of label values that come and go: the same input with tower-prometheus and with
//! metrics-exporter-prometheus, both with an idle timeout.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml --bin expiry
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{Counter, Recorder, counter, gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_util::MetricKindMask;
use tower_prometheus::Registry;

const IDLE: Duration = Duration::from_millis(20);
const TENANTS: usize = 30;
const ROUNDS: usize = 30;

fn main() {
    println!(
        "| | recorded | seen by the scraper | gauge of 1 connection that is idle, then closed |"
    );
    println!("|---|---:|---:|---:|");
    let registry = Registry::builder().idle_timeout(IDLE).build();
    let registry = registry.expect("the settings are right");
    print_row("tower-prometheus", &registry, &|| registry.render());

    let builder = PrometheusBuilder::new().idle_timeout(MetricKindMask::ALL, Some(IDLE));
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    print_row("metrics-exporter-prometheus", &recorder, &|| {
        handle.render()
    });
}

fn print_row(name: &str, recorder: &(impl Recorder + Sync), render: &(impl Fn() -> String + Sync)) {
    for (handles, is_held) in [("fresh handles", false), ("kept handles", true)] {
        let (recorded, seen) = come_and_go(recorder, render, is_held);
        let gauge = match is_held {
            true => idle_connection(recorder, render),
            false => String::new(),
        };
        println!("| {name}, {handles} | {recorded} | {seen} | {gauge} |");
    }
}

/// Two threads record for tenants that come and go, while another one scrapes. Returns what was recorded, and the total
/// over all lives of all series.
fn come_and_go(
    recorder: &(impl Recorder + Sync),
    render: &(impl Fn() -> String + Sync),
    is_held: bool,
) -> (u64, f64) {
    let metric = if is_held { "kept_total" } else { "fresh_total" };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let mut scraper = Scraper::default();
            while !done.load(Ordering::Acquire) {
                scraper.scrape(&render(), metric);
                std::thread::sleep(IDLE / 4);
            }
            scraper.scrape(&render(), metric);
            scraper.total()
        });
        let threads =
            [0, 1].map(|thread| scope.spawn(move || record(recorder, metric, thread, is_held)));
        let recorded = threads.map(|thread| thread.join().expect("recording does not panic"));
        done.store(true, Ordering::Release);
        let seen = scraper.join().expect("scraping does not panic");
        (recorded.iter().sum(), seen)
    })
}

fn record(recorder: &impl Recorder, metric: &'static str, thread: usize, is_held: bool) -> u64 {
    with_local_recorder(recorder, || {
        let counter = |tenant: usize| counter!(metric, "tenant" => format!("{thread}-{tenant}"));
        let held: Vec<Counter> = (0..TENANTS).map(counter).collect();
        let mut recorded = 0;
        for round in 0..ROUNDS {
            // A third of the tenants is there for 50 ms.
            for tenant in (round % 3..TENANTS).step_by(3).cycle().take(5_000) {
                match is_held {
                    true => held[tenant].increment(1),
                    false => counter(tenant).increment(1),
                }
                recorded += 1;
                std::thread::sleep(Duration::from_micros(10));
            }
        }
        recorded
    })
}

/// The gauge of a connection that opens, is idle for longer than the timeout, and closes.
fn idle_connection(recorder: &impl Recorder, render: &impl Fn() -> String) -> String {
    with_local_recorder(recorder, || {
        gauge!("connections_open").increment(1.0);
        for _ in 0..5 {
            let _ = render();
            std::thread::sleep(IDLE);
        }
        gauge!("connections_open").decrement(1.0);
        let page = render();
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix("connections_open "));
        line.unwrap_or("missing").to_owned()
    })
}

/// Adds up the lives of all series of a metric. A life ends where the series is missing on a page, or falls.
#[derive(Default)]
struct Scraper {
    last: BTreeMap<String, f64>,
    ended: f64,
}

impl Scraper {
    fn scrape(&mut self, page: &str, metric: &str) {
        let lines = page.lines().filter(|line| line.starts_with(metric));
        let samples = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        let now: BTreeMap<String, f64> = samples.collect();
        for (name, value) in &self.last {
            if now.get(name).is_none_or(|later| later < value) {
                self.ended += value;
            }
        }
        self.last = now;
    }

    fn total(&self) -> f64 {
        self.ended + self.last.values().sum::<f64>()
    }
}
