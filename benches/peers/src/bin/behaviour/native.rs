//! Native histograms of libraries, not of layers.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use metrics_exporter_prometheus::{Distribution, NativeHistogramConfig};
use prometheus_client::encoding::prometheus_protobuf;
use prometheus_client::metrics::histogram::{Histogram, NativeHistogramConfig as ClientConfig};
use tower_prometheus::{NativeHistogram, Registry, snapshot::Value};

/// A native histogram as it is exported.
struct Exported {
    schema: i32,
    count: u64,
    sum: f64,
}

/// What a library exports if it gets these values.
type Library = (&'static str, fn(f64, &[f64]) -> Exported);

const LIBRARIES: [Library; 3] = [
    ("tower-prometheus", ours),
    ("metrics-exporter-prometheus", exporter),
    ("prometheus-client", client),
];

pub fn print_table() {
    println!("| | {} |", LIBRARIES.map(|(name, _)| name).join(" | "));
    println!("|---|{}", "---|".repeat(LIBRARIES.len()));
    let growth = LIBRARIES.map(|(_, export)| {
        let schema = export(1.3, &[1.0]).schema;
        format!("{:.2}", 2_f64.powf(2_f64.powi(-schema)))
    });
    println!(
        "| growth of the buckets with factor 1.3 | {} |",
        growth.join(" | ")
    );
    let nan = LIBRARIES.map(|(_, export)| {
        let Exported { count, sum, .. } = export(1.1, &[1.0, f64::NAN]);
        format!("count {count}, sum {sum}")
    });
    println!("| after 1 and NaN | {} |\n", nan.join(" | "));
}

fn ours(factor: f64, values: &[f64]) -> Exported {
    let settings = NativeHistogram::new(factor).without_classic_buckets();
    let registry = Registry::builder().native_histograms(settings).build();
    let registry = registry.expect("the factor is valid");
    metrics::with_local_recorder(&registry, || {
        let histogram = metrics::histogram!("latency_seconds");
        values.iter().for_each(|value| histogram.record(*value));
    });
    let mut gather = pin!(registry.gather());
    let snapshot = loop {
        let cx = &mut Context::from_waker(Waker::noop());
        if let Poll::Ready(snapshot) = gather.as_mut().poll(cx) {
            break snapshot;
        }
    };
    let mut families = snapshot.families();
    let family = families.find(|family| family.name() == "latency_seconds");
    let series = family.and_then(|family| family.series().next());
    let Some(Value::Histogram(histogram)) = series.map(|series| series.value()) else {
        panic!("the histogram is exported");
    };
    let native = histogram.native().expect("the histogram is native");
    Exported {
        schema: native.schema().into(),
        count: histogram.count(),
        sum: histogram.sum(),
    }
}

/// From the `Debug` output, because the protobuf format of the library needs protoc at build time.
fn exporter(factor: f64, values: &[f64]) -> Exported {
    let config = NativeHistogramConfig::new(factor, 160, 1e-9).expect("the settings are valid");
    let mut distribution = Distribution::new_native_histogram(config);
    let now = quanta::Instant::now();
    let samples: Vec<_> = values.iter().map(|value| (*value, now)).collect();
    distribution.record_samples(&samples);
    let debug = format!("{distribution:?}");
    let field = |name: &str| -> u64 {
        let (_, value) = debug
            .split_once(&format!(" {name}: "))
            .expect("the field is shown");
        let value = value
            .split([',', ' '])
            .next()
            .and_then(|value| value.parse().ok());
        value.expect("the field is a number")
    };
    Exported {
        schema: field("schema") as i32,
        count: field("count"),
        sum: f64::from_bits(field("sum")),
    }
}

fn client(factor: f64, values: &[f64]) -> Exported {
    let histogram = Histogram::new_native(ClientConfig::new(factor));
    values.iter().for_each(|value| histogram.observe(*value));
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register("latency_seconds", "Latency", histogram);
    let families = prometheus_protobuf::encode(&registry).expect("the page can be encoded");
    let histogram = families[0].metric[0].histogram.as_ref();
    let histogram = histogram.expect("the metric is a histogram");
    Exported {
        schema: histogram.schema,
        count: histogram.sample_count,
        sum: histogram.sample_sum,
    }
}
