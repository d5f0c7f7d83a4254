//! Memory while label values come and go: ten million values, of which ten thousand are there at a time.
//!
//! ```text
//! cargo bench --bench expiry
//! ```

mod support;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::Empty;
use support::timing::is_measuring;
use tower::{Layer, Service, service_fn};
use tower_prometheus::http::HttpLabel;
use tower_prometheus::{Counter, Histogram, HttpMetrics, Registry, catalogue, labels};

/// The values that are there at a time.
const LIVE: usize = 10_000;

labels! {
    struct Tenant { tenant: open(10_000) }
}

catalogue! {
    struct Jobs {
        /// Total number of jobs.
        jobs_total: Counter<Tenant>,
        /// Time in the queue.
        wait_seconds: Histogram<Tenant>,
    }
}

/// Where the values come from.
#[derive(Clone, Copy)]
enum Source {
    Macros,
    Catalogue,
    /// A custom label of an HTTP layer.
    Layer,
}

impl Source {
    const ALL: [(&str, Self); 3] = [
        ("macros", Self::Macros),
        ("a catalogue", Self::Catalogue),
        ("a label of an HTTP layer", Self::Layer),
    ];
}

/// The environment variable with the row that a process measures: each has its own, because allocators keep memory.
const ROW: &str = "EXPIRY_ROW";

fn main() {
    let values = match is_measuring() {
        true => 10_000_000,
        false => 40_000,
    };
    let rows: Vec<_> = Source::ALL
        .into_iter()
        .flat_map(|source| [2, 64].map(|threads| (source, threads)))
        .collect();
    if let Ok(row) = std::env::var(ROW) {
        let row = row.parse().ok().and_then(|row: usize| rows.get(row));
        let &((name, source), threads) = row.expect("the variable has the number of a row");
        let started = Instant::now();
        let memory = come_and_go(source, threads, values);
        let micros = started.elapsed().as_secs_f64() * 1e6 / values as f64;
        let memory = memory.map(|mib| format!("{mib:.0}")).join(" | ");
        println!("| {name} | {threads} | {memory} | {micros:.1} |");
        return;
    }
    println!(
        "Resident memory in MiB after this many values, {LIVE} at a time. Macros and catalogue: each with a counter, and every tenth with a histogram. \
         Layer: each with one request.\n"
    );
    println!("| values of | threads | 10 % | 20 % | 50 % | 100 % | µs per value |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let program = std::env::current_exe().expect("the path of this program is known");
    for row in 0..rows.len() {
        let status = Command::new(&program)
            .args(std::env::args().skip(1))
            .env(ROW, row.to_string())
            .status()
            .expect("this program can be started");
        assert!(status.success(), "{status}");
    }
}

/// Returns the memory after 10, 20, 50 and 100 % of the values.
fn come_and_go(source: Source, threads: usize, values: usize) -> [f64; 4] {
    let registry = Registry::builder()
        .idle_timeout(Duration::from_nanos(1))
        .build()
        .expect("the settings are right");
    let rounds = values / LIVE;
    let (recorded, expired) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let mut recorder = Recorder::new(source, &registry);
            let (recorded, expired) = (&recorded, &expired);
            scope.spawn(move || {
                for round in 0..rounds {
                    for i in (thread..LIVE).step_by(threads) {
                        recorder.record(round * LIVE + i);
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
            assert!(shown.matches("value-").count() >= LIVE, "{shown}");
            assert!(!shown.contains("overflow"), "{shown}");
            for _ in 0..2 {
                let page = registry.render();
                assert!(!page.contains("value-"), "{page}");
            }
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

/// Records the values of one thread.
enum Recorder {
    Macros(Registry),
    Catalogue(Jobs),
    Layer(Box<dyn FnMut(Request<()>) + Send>),
}

impl Recorder {
    fn new(source: Source, registry: &Registry) -> Self {
        match source {
            Source::Macros => Self::Macros(registry.clone()),
            Source::Catalogue => {
                Self::Catalogue(Jobs::on(registry).expect("no other catalogue is registered"))
            }
            Source::Layer => {
                let tenant = HttpLabel::from_request("tenant", tenant).max_values(LIVE);
                let layer = HttpMetrics::server()
                    .label(tenant)
                    .build(registry)
                    .expect("the settings are right");
                let mut service = layer.layer(service_fn(respond));
                Self::Layer(Box::new(move |request| {
                    drop(service.call(request).now_or_never());
                }))
            }
        }
    }

    fn record(&mut self, i: usize) {
        let value = format!("value-{i}");
        match self {
            Self::Macros(registry) => metrics::with_local_recorder(&*registry, || {
                metrics::counter!("jobs_total", "tenant" => value.clone()).increment(1);
                if i.is_multiple_of(10) {
                    metrics::histogram!("wait_seconds", "tenant" => value).record(0.1);
                }
            }),
            Self::Catalogue(jobs) => {
                let tenant = Tenant { tenant: &*value };
                jobs.jobs_total.with(tenant).increment();
                if i.is_multiple_of(10) {
                    jobs.wait_seconds.with(tenant).observe(0.1);
                }
            }
            Self::Layer(call) => {
                let request = Request::get("/").header("x-tenant", value).body(());
                call(request.expect("the value is a header value"));
            }
        }
    }
}

fn tenant(request: tower_prometheus::http::RequestHead<'_>) -> Option<&str> {
    request.header("x-tenant")
}

fn respond(_: Request<()>) -> Ready<Result<Response<Empty<&'static [u8]>>, Infallible>> {
    ready(Ok(Response::new(Empty::new())))
}

/// The resident memory of the process.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    kib.map_or(f64::NAN, |kib: f64| kib / 1024.0)
}
