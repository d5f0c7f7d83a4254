//! The cost of many endpoints: requests to known endpoints, first requests to new ones, and requests during scrapes of
//! 100,000 series.
//!
//! ```text
//! cargo bench --bench scale --features exporter,quanta
//! ```

mod support;

use http_body_util::BodyExt;
use support::floor::{Floor, counted, table};
use support::page::{Encoding, scrape, start_scrape};
use support::series::{Kind, record};
use support::service::{Hello, send, send_to};
use support::timing::{Variant, during, is_measuring, measure, median, nanoseconds, quantile};
use tower::Layer;
use tower_prometheus::{
    HttpMetrics, MetricsHandler, Registry,
    http::{Endpoint, HttpMetricsService},
};

fn main() {
    many_endpoints();
    first_requests();
    during_scrapes_on_one_thread();
}

/// Requests to 1 to 1000 endpoints in turn.
fn many_endpoints() {
    const COUNTS: [usize; 4] = [1, 10, 100, 1000];
    let (rounds, repeat) = match is_measuring() {
        true => (31, 20_000),
        false => (1, 2000),
    };
    let names: Vec<&'static str> = (0..1000)
        .map(|i| &*format!("/shops/{i}/orders/{{id}}").leak())
        .collect();
    let table = table(&names);
    let floor = Floor {
        inner: Hello,
        table,
    };
    let registry = Registry::new();
    let ours = registry.http_layer().layer(Hello);

    let in_turn = |count: usize, n: u64| names[..count].iter().cycle().take(n as usize);
    let (ours, in_turn) = (&ours, &in_turn);
    let variants: Vec<_> = COUNTS
        .into_iter()
        .flat_map(|count| {
            [
                Variant::new("bare service", move |n| {
                    in_turn(count, n).for_each(|name| send(&Hello, name));
                }),
                Variant::new("hand-written floor", move |n| {
                    in_turn(count, n).for_each(|name| send(&floor, name));
                }),
                Variant::new("tower-prometheus", move |n| {
                    in_turn(count, n).for_each(|name| send(ours, name));
                }),
            ]
        })
        .collect();
    let times = measure(&variants, 1, rounds, repeat);

    let requests = (rounds as u64 + 1) * repeat * COUNTS.len() as u64;
    assert_eq!(counted(table), requests);
    let total = registry.sum("http_requests_total", &[]);
    assert_eq!(total, Some(requests as f64));

    println!("Time of a request in ns, and time added to the bare service:\n");
    println!(
        "| endpoints | bare service | floor | tower-prometheus | relative to 1 endpoint | added, relative to the floor |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for (count, times_of) in COUNTS.iter().zip(times.chunks(3)) {
        let [bare, floor, ours] = times_of else {
            continue;
        };
        println!(
            "| {count} | {bare:.0} | {floor:.0} | {ours:.0} | {:.2} | {:.2} |",
            ours / times[2],
            (ours - bare) / (floor - bare),
        );
    }
}

/// The number of other series on the page.
const SERIES: usize = 100_000;

fn series() -> usize {
    match is_measuring() {
        true => SERIES,
        false => 1000,
    }
}

/// The latencies of one kind of request, in ns, by round.
#[derive(Default)]
struct Latencies {
    rounds: Vec<Vec<f64>>,
}

impl Latencies {
    fn push(&mut self, round: Vec<f64>) {
        self.rounds.push(round);
    }

    /// Prints the median over all rounds of each quantile, and the number of requests that took longer than 1 ms.
    fn print(&self, name: &str) {
        const TOO_LONG: f64 = 1e6;
        let at = |q| {
            median(
                self.rounds
                    .iter()
                    .map(|round| quantile(round.clone(), q))
                    .collect(),
            ) / 1e3
        };
        let all = || self.rounds.iter().flatten();
        let over = all().filter(|time| **time > TOO_LONG).count();
        println!(
            "| {name} | {:.1} | {:.1} | {:.1} | {:.0} | {over} of {} |",
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
            all().count(),
        );
    }
}

/// A service that receives requests to new endpoints, and the handler for its scrapes.
struct Subject {
    service: HttpMetricsService<Hello>,
    handler: MetricsHandler,
    next: u32,
    first: Latencies,
    known: Latencies,
}

impl Subject {
    fn ours(max_endpoints: usize) -> (Self, Registry) {
        let registry = Registry::new();
        record(&registry, Kind::Counter, series());
        let layer = HttpMetrics::server()
            .max_endpoints(max_endpoints)
            .build(&registry);
        let service = layer.expect("the configuration is valid").layer(Hello);
        (Self::new(service, registry.handler()), registry)
    }

    fn new(service: HttpMetricsService<Hello>, handler: MetricsHandler) -> Self {
        scrape(&handler, Encoding::Identity);
        send(&service, "/known");
        Self {
            service,
            handler,
            next: 0,
            first: Latencies::default(),
            known: Latencies::default(),
        }
    }

    /// Sends first requests to new endpoints. After each, sends requests to a known endpoint, whose latencies show the
    /// noise of the machine.
    fn round(&mut self, endpoints: u32) {
        let (mut first, mut known) = (Vec::new(), Vec::new());
        for _ in 0..endpoints {
            let endpoint = Endpoint::new(format!("/shops/{}/orders/{{id}}", self.next));
            self.next += 1;
            first.push(nanoseconds(|| send_to(&self.service, endpoint)));
            known.push(nanoseconds(|| send(&self.service, "/known")));
            (0..20).for_each(|_| send(&self.service, "/known"));
        }
        self.first.push(first);
        self.known.push(known);
    }

    fn round_during_scrapes(&mut self, endpoints: u32, encoding: Encoding) {
        let handler = self.handler.clone();
        during(
            || {
                scrape(&handler, encoding);
            },
            || self.round(endpoints),
        );
    }
}

fn first_requests() {
    let (rounds, endpoints) = match is_measuring() {
        true => (11, 2000),
        false => (1, 100),
    };
    let all = (rounds * endpoints) as usize;
    let (mut idle, idle_registry) = Subject::ours(all);
    let (mut busy, busy_registry) = Subject::ours(all);
    #[cfg(feature = "exporter")]
    let mut exporter = {
        let exporter = support::exporter::exporter(all);
        record(&exporter.recorder, Kind::Counter, series());
        Subject::new(exporter.service, MetricsHandler::new(exporter.handle))
    };
    for _ in 0..rounds {
        idle.round(endpoints);
        busy.round_during_scrapes(endpoints, Encoding::Gzip);
        #[cfg(feature = "exporter")]
        exporter.round_during_scrapes(endpoints, Encoding::Gzip);
    }
    for registry in [idle_registry, busy_registry] {
        let requests = f64::from(rounds * endpoints * 22 + 1);
        assert_eq!(registry.sum("http_requests_total", &[]), Some(requests));
    }

    println!(
        "\nFirst requests to new endpoints, us: median of the rounds; scrapes are of {SERIES} series in a loop\n"
    );
    println!("| | p50 | p99 | p99.9 | longest | over 1 ms |");
    println!("|---|---:|---:|---:|---:|---:|");
    idle.first.print("first request");
    busy.first.print("… during scrapes");
    #[cfg(feature = "exporter")]
    exporter
        .first
        .print("… during scrapes, into the exporter's recorder");
    idle.known.print("known endpoint");
    busy.known.print("… during scrapes");
}

/// Requests on a runtime with one thread, which also renders the page, with gzip.
fn during_scrapes_on_one_thread() {
    let requests = match is_measuring() {
        true => 20_000,
        false => 100,
    };
    let (subject, _registry) = Subject::ours(1);
    let Subject {
        service, handler, ..
    } = &subject;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let waits = runtime.expect("the runtime starts").block_on(async {
        let scraper = async {
            loop {
                let page = start_scrape(handler, Encoding::Gzip).into_body();
                let _ = page.collect().await;
                tokio::task::yield_now().await;
            }
        };
        let client = async {
            let mut waits = Vec::with_capacity(requests);
            for _ in 0..requests {
                let start = std::time::Instant::now();
                tokio::task::yield_now().await;
                send(service, "/known");
                waits.push(start.elapsed().as_nanos() as f64);
            }
            waits
        };
        tokio::select! {
            waits = client => waits,
            () = scraper => Vec::new(),
        }
    });
    let mut latencies = Latencies::default();
    latencies.push(waits);
    println!(
        "\nRequests on a single thread that also scrapes {SERIES} series in a loop with gzip, us:\n"
    );
    println!("| | p50 | p99 | p99.9 | longest | over 1 ms |");
    println!("|---|---:|---:|---:|---:|---:|");
    latencies.print("time from ready to response");
}
