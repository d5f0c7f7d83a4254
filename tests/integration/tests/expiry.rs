//! A real Prometheus scrapes tenants that come and go. The totals from its raw samples, with a new life of a series
//! after each absence, equal what was recorded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use tower_prometheus::{Counter, Gauge, InProgress, Registry, catalogue, labels};

use test_support::server::Server;
use test_support::skip_without;
use test_support::store::Store;

labels! {
    struct Tenant { tenant: open(100) }
}

catalogue! {
    struct Work {
        /// Total number of jobs.
        jobs_total: Counter<Tenant>,
        /// Number of jobs in progress.
        jobs_in_progress: InProgress<Tenant>,
        /// Length of the queue.
        queue_length: Gauge<Tenant>,
    }
}

const TENANTS: usize = 12;
const IDLE: Duration = Duration::from_secs(3);

/// Records for two minutes if `EXPIRY_SECONDS=120`, for 25 s by default.
fn time_to_record() -> Duration {
    let seconds = std::env::var("EXPIRY_SECONDS").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(25))
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_of_prometheus_over_all_lives_equal_what_was_recorded() {
    skip_without!(Prometheus);
    let registry = Registry::builder().idle_timeout(IDLE).build().unwrap();
    let app = Router::new().route("/metrics", get(registry.handler()));
    let server = Server::start(app).await;
    let target = server.url("").trim_start_matches("http://").to_owned();
    tokio::task::block_in_place(|| {
        let config = format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: work\n    static_configs: [{{ targets: ['{target}'] }}]\n"
        );
        let prometheus = Store::prometheus(&config, &[]);
        assert_eq!(prometheus.wait_for_values("up"), [1.0]);
        let recorded = record(&registry);
        let time = wait_until_all_expired(&prometheus);
        for metric in ["jobs_total", "orders_total"] {
            let lives = lives(&prometheus, metric, time);
            for (tenant, count) in &recorded {
                let (total, lives) = lives[tenant];
                assert_eq!(total, *count as f64, "{metric} of {tenant}");
                assert!(lives > 1, "{metric} of {tenant} has not returned");
            }
        }
        for gauge in ["jobs_in_progress", "queue_length"] {
            let below_0 = format!("count_over_time(({gauge} < 0)[1h:1s]) or vector(0)");
            let counts = prometheus.query(&below_0, Some(time));
            assert!(
                counts.iter().all(|(_, count)| *count == 0.0),
                "{gauge}: {counts:?}"
            );
        }
    });
}

/// Two threads record for tenants that come and go, through the macros and a catalogue. Returns the jobs of each
/// tenant.
fn record(registry: &Registry) -> BTreeMap<String, u64> {
    let work = Work::on(registry).unwrap();
    let started = Instant::now();
    let until = started + time_to_record();
    let of_thread = |thread: usize| {
        let mut recorded = BTreeMap::<String, u64>::new();
        metrics::with_local_recorder(registry, || {
            let held: Vec<_> = (0..TENANTS)
                .map(|tenant| metrics::counter!("orders_total", "tenant" => name(tenant)))
                .collect();
            for i in 0_usize.. {
                if Instant::now() >= until {
                    break;
                }
                // A third of the tenants is there, for 4 s each. Then it is idle for 8 s.
                let third = started.elapsed().as_secs() as usize / 4 % 3;
                let index = third * TENANTS / 3 + (i + thread) % (TENANTS / 3);
                let tenant = name(index);
                let running = work
                    .jobs_in_progress
                    .with(Tenant { tenant: &tenant })
                    .start();
                work.jobs_total.with(Tenant { tenant: &tenant }).increment();
                work.queue_length
                    .with(Tenant { tenant: &tenant })
                    .set((i % 5) as f64);
                match i % 2 {
                    0 => held[index].increment(1),
                    _ => metrics::counter!("orders_total", "tenant" => tenant.clone()).increment(1),
                }
                drop(running);
                *recorded.entry(tenant).or_default() += 1;
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        recorded
    };
    let mut recorded = BTreeMap::<String, u64>::new();
    std::thread::scope(|scope| {
        let threads = [0, 1].map(|thread| scope.spawn(move || of_thread(thread)));
        for thread in threads {
            for (tenant, count) in thread.join().unwrap() {
                *recorded.entry(tenant).or_default() += count;
            }
        }
    });
    recorded
}

fn name(tenant: usize) -> String {
    format!("tenant-{tenant}")
}

/// Waits until Prometheus has seen that all tenants have left. Returns the time.
fn wait_until_all_expired(prometheus: &Store) -> f64 {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.unwrap().as_secs_f64();
        if prometheus.query("{tenant!=\"\"}", Some(now)).is_empty() {
            return now;
        }
        assert!(Instant::now() < deadline, "series are still there");
    }
}

/// The total of each tenant over all its lives, and their number. A life ends where a sample is missing between two
/// scrapes.
fn lives(prometheus: &Store, metric: &str, time: f64) -> BTreeMap<String, (f64, usize)> {
    let at = time.to_string();
    let answer = prometheus.get(
        "/api/v1/query",
        &[("query", &format!("{metric}[1h]")), ("time", &at)],
    );
    let answer = answer.unwrap();
    let series = answer["data"]["result"].as_array().unwrap();
    let scrapes = prometheus.get("/api/v1/query", &[("query", "up[1h]"), ("time", &at)]);
    let scrapes = samples_of(&scrapes.unwrap()["data"]["result"][0]);
    let of = |series: &serde_json::Value| {
        let tenant = series["metric"]["tenant"].as_str().unwrap().to_owned();
        let by_time: BTreeMap<u64, f64> = samples_of(series).into_iter().collect();
        let (mut total, mut lives, mut last) = (0.0, 0, None);
        for (scrape, _) in &scrapes {
            let now = by_time.get(scrape).copied();
            match (last, now) {
                (Some(last), None) => total += last,
                (Some(last), Some(now)) => assert!(now >= last, "{tenant}: from {last} to {now}"),
                (None, Some(_)) => lives += 1,
                (None, None) => {}
            }
            last = now;
        }
        (tenant, (total + last.unwrap_or_default(), lives))
    };
    series.iter().map(of).collect()
}

/// The times in milliseconds and the values of a series.
fn samples_of(series: &serde_json::Value) -> Vec<(u64, f64)> {
    let samples = series["values"].as_array().unwrap().iter();
    samples
        .map(|sample| {
            let time = sample[0].as_f64().unwrap() * 1000.0;
            let value = sample[1].as_str().unwrap().parse().unwrap();
            (time.round() as u64, value)
        })
        .collect()
}
