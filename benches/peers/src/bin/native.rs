//! Native histograms of three libraries: the time of an observation, the memory of a series and the time to render a page.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{Request, header::ACCEPT};
use http_body::Body;
use metrics::Recorder;
use metrics_exporter_prometheus::{Matcher, NativeHistogramConfig, PrometheusBuilder};
use peers::timing::{Variant, is_measuring, measure, median, nanoseconds, rounds};
use prometheus_client::encoding::{prometheus_protobuf, text};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, NativeHistogramConfig as ClientConfig};
use tower::Service;
use tower_prometheus::{NativeHistogram, Registry};

const FACTOR: f64 = 1.1;
/// The upper bounds of the classic histograms. With `+Inf`, there are twelve buckets.
const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const NAME: &str = "latency_seconds";
/// The number of observations of each series for memory and pages.
const OBSERVATIONS: u64 = 50;

const TEXT: &str = "text/plain; version=0.0.4";
const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// Durations from 1 ms to 1 s, in no order.
fn duration(i: u64) -> f64 {
    0.001 * 1000_f64.powf((i.wrapping_mul(0x9E37_79B9) % 1024) as f64 / 1024.0)
}

fn main() {
    times();
    memory();
    pages();
}

/// A registry of tower-prometheus whose histograms are only native.
fn registry() -> Registry {
    let settings = NativeHistogram::new(FACTOR).without_classic_buckets();
    let builder = Registry::builder().native_histograms(settings);
    builder.build().expect("the factor is valid")
}

fn exporter() -> PrometheusBuilder {
    let config = NativeHistogramConfig::new(FACTOR, 160, 1e-9).expect("the settings are valid");
    let name = Matcher::Full(NAME.to_owned());
    PrometheusBuilder::new().set_native_histogram_for_metric(name, config)
}

fn client_histogram() -> Histogram {
    Histogram::new_native(ClientConfig::new(FACTOR).max_buckets(160))
}

type ClientFamily = Family<Vec<(&'static str, String)>, Histogram, fn() -> Histogram>;

/// Records into a series of a recorder.
fn record(recorder: &impl Recorder, series: usize) {
    metrics::with_local_recorder(recorder, || {
        let histogram = metrics::histogram!(NAME, "series" => series.to_string());
        (0..OBSERVATIONS).for_each(|i| histogram.record(duration(i)));
    });
}

fn record_in_client(family: &ClientFamily, series: usize) {
    let histogram = family.get_or_create(&vec![("series", series.to_string())]);
    (0..OBSERVATIONS).for_each(|i| histogram.observe(duration(i)));
}

fn times() {
    let (rounds, repeat) = rounds();
    let durations: Vec<f64> = (0..1024).map(duration).collect();
    let at = |i: u64| durations[i as usize % durations.len()];
    let handle = |recorder: &dyn Recorder| {
        metrics::with_local_recorder(recorder, || metrics::histogram!(NAME))
    };
    let registry = registry();
    let ours = handle(&registry);
    let client = client_histogram();
    let recorder = exporter().build_recorder();
    let (exporter, page) = (handle(&recorder), recorder.handle());
    let variants = [
        Variant::new("tower-prometheus", |n| {
            (0..n).for_each(|i| ours.record(at(i)));
        }),
        Variant::new("prometheus-client", |n| {
            (0..n).for_each(|i| client.observe(at(i)));
        }),
        Variant::new("metrics-exporter-prometheus", |n| {
            (0..n).for_each(|i| exporter.record(at(i)));
            // The exporter keeps raw samples until this call, so it is part of the cost.
            page.run_upkeep();
        }),
    ];
    let times = [1, 2].map(|threads| measure(&variants, threads, rounds, repeat));
    println!("Time of an observation in ns, on each thread:\n");
    println!("| | 1 thread | 2 threads |");
    println!("|---|---:|---:|");
    for (i, variant) in variants.iter().enumerate() {
        let [one, two] = [times[0][i], times[1][i]];
        println!("| {} | {one:.1} | {two:.1} |", variant.name);
    }
}

fn memory() {
    println!("\nBytes of a series whose observations are from 1 ms to 1 s:\n");
    println!("| | 1 thread | 2 threads | 64 threads |");
    println!("|---|---:|---:|---:|");
    let registry = registry();
    print_held(
        "tower-prometheus",
        |series| record(&registry, series),
        || {},
    );
    let family = ClientFamily::new_with_constructor(client_histogram);
    print_held(
        "prometheus-client",
        |series| record_in_client(&family, series),
        || {},
    );
    let recorder = exporter().build_recorder();
    let upkeep = || recorder.handle().run_upkeep();
    print_held(
        "metrics-exporter-prometheus",
        |series| record(&recorder, series),
        upkeep,
    );
}

/// Prints the bytes per series after one thread has recorded, after a second one has, and for 64 threads.
fn print_held(name: &str, record: impl Fn(usize) + Sync, upkeep: impl Fn() + Sync) {
    let series = if is_measuring() { 10_000 } else { 100 };
    let record_all = || {
        let measured = allocation_counter::measure(|| {
            for series in 0..series {
                record(series);
                upkeep_every(series, &upkeep);
            }
            upkeep();
        });
        measured.bytes_current as f64 / series as f64
    };
    let one = record_all();
    // The first thread is still running, so the second has its own shard.
    let more = std::thread::scope(|scope| {
        let second = scope.spawn(record_all);
        second.join().expect("recording does not panic")
    });
    // Each further thread needs as much as the second.
    let (two, sixty_four) = (one + more, one + 63.0 * more);
    println!("| {name} | {one:.0} | {two:.0} | {sixty_four:.0} |");
}

/// The exporter keeps raw samples until its upkeep, which a server runs every few seconds.
fn upkeep_every(series: usize, upkeep: impl Fn()) {
    if series.is_multiple_of(1000) {
        upkeep();
    }
}

fn pages() {
    let sizes = match is_measuring() {
        true => [1000, 10_000],
        false => [10, 100],
    };
    println!("\nTime to render a page, in ns per series, and its size in bytes per series:\n");
    let [small, large] = sizes;
    println!("| | {small} series, ns | {large} series, ns | bytes |");
    println!("|---|---:|---:|---:|");
    let print = |name: &str, render: &dyn Fn(usize) -> Box<dyn Fn() -> usize>| {
        let measured = sizes.map(|series| measure_page(series, &*render(series)));
        let [(small, _), (large, bytes)] = measured;
        println!("| {name} | {small:.0} | {large:.0} | {bytes:.0} |");
    };
    print("tower-prometheus, native, protobuf", &|series| {
        our_page(registry(), series, PROTOBUF)
    });
    print(
        "tower-prometheus, 12 classic buckets, protobuf",
        &|series| our_page(Registry::new(), series, PROTOBUF),
    );
    print("tower-prometheus, 12 classic buckets, text", &|series| {
        our_page(Registry::new(), series, TEXT)
    });
    print("prometheus-client, native, protobuf", &|series| {
        let registry = client_registry(client_histogram, series);
        Box::new(move || {
            let page = prometheus_protobuf::encode_to_vec(&registry);
            page.expect("the page can be encoded").len()
        })
    });
    print("prometheus-client, 12 classic buckets, text", &|series| {
        let registry = client_registry(|| Histogram::new(BOUNDS), series);
        Box::new(move || {
            let mut page = String::new();
            text::encode(&mut page, &registry).expect("writing to a string succeeds");
            page.len()
        })
    });
}

/// Returns nanoseconds and bytes per series.
fn measure_page(series: usize, render: &dyn Fn() -> usize) -> (f64, f64) {
    let rounds = if is_measuring() { 21 } else { 1 };
    let mut bytes = 0;
    let times = (0..rounds)
        .map(|_| nanoseconds(|| bytes = render()))
        .collect();
    (median(times) / series as f64, bytes as f64 / series as f64)
}

fn our_page(registry: Registry, series: usize, accept: &'static str) -> Box<dyn Fn() -> usize> {
    (0..series).for_each(|series| record(&registry, series));
    Box::new(move || {
        let request = Request::get("/metrics").header(ACCEPT, accept).body(());
        let request = request.expect("the request is valid");
        let cx = &mut Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(response)) = pin!(registry.handler().call(request)).poll(cx) else {
            panic!("the response head is always ready");
        };
        let format = accept.split(';').next().unwrap_or_default();
        let content_type = response.headers()["content-type"].to_str();
        assert!(content_type.is_ok_and(|kind| kind.starts_with(format)));
        let (mut body, mut bytes) = (pin!(response.into_body()), 0);
        loop {
            match body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    bytes += frame.data_ref().map_or(0, |data| data.len())
                }
                Poll::Ready(_) => return bytes,
                // The page yields to other tasks, of which there are none.
                Poll::Pending => {}
            }
        }
    })
}

fn client_registry(new: fn() -> Histogram, series: usize) -> prometheus_client::registry::Registry {
    let family = ClientFamily::new_with_constructor(new);
    (0..series).for_each(|series| record_in_client(&family, series));
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register(NAME, "Latency", family);
    registry
}
