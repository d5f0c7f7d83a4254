//! The same metrics in each library that renders pages.

use std::sync::atomic::AtomicU64;

use metrics::Recorder;
use metrics_exporter_prometheus::PrometheusBuilder;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tower_prometheus::Registry;

/// Upper bounds of the buckets. With `+Inf`, there are twelve buckets.
const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const NAMES: [&str; 3] = ["user", "region", "kind"];

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Counter,
    Histogram,
}

impl Kind {
    pub fn lines(self) -> usize {
        match self {
            Self::Counter => 1,
            Self::Histogram => 14,
        }
    }
}

/// A library with a page of many series, each recorded once.
pub struct Subject {
    pub name: &'static str,
    pub render: Box<dyn Fn() -> String>,
}

/// Returns all libraries, with the same series.
pub fn subjects(kind: Kind, series: usize) -> [Subject; 4] {
    [
        ours(kind, series),
        exporter(kind, series),
        prometheus(kind, series),
        prometheus_client(kind, series),
    ]
}

fn ours(kind: Kind, series: usize) -> Subject {
    let registry = Registry::new();
    record(&registry, kind, series);
    Subject {
        name: "tower-prometheus",
        render: Box::new(move || registry.render()),
    }
}

fn exporter(kind: Kind, series: usize) -> Subject {
    let builder = PrometheusBuilder::new().set_buckets(&BOUNDS);
    let recorder = builder.expect("the bounds are increasing").build_recorder();
    record(&recorder, kind, series);
    let handle = recorder.handle();
    Subject {
        name: "metrics-exporter-prometheus",
        render: Box::new(move || handle.render()),
    }
}

fn record(recorder: &impl Recorder, kind: Kind, series: usize) {
    metrics::with_local_recorder(recorder, || {
        for [user, region, kind_of] in (0..series).map(labels) {
            match kind {
                Kind::Counter => {
                    metrics::counter!("orders_total", "user" => user, "region" => region, "kind" => kind_of)
                        .increment(1);
                }
                Kind::Histogram => {
                    metrics::histogram!("order_seconds", "user" => user, "region" => region, "kind" => kind_of)
                        .record(0.03);
                }
            }
        }
    });
}

fn prometheus(kind: Kind, series: usize) -> Subject {
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, TextEncoder};
    let registry = prometheus::Registry::new();
    let registered = match kind {
        Kind::Counter => {
            let family = IntCounterVec::new(Opts::new("orders_total", "Orders."), &NAMES);
            let family = family.expect("the names are valid");
            (0..series).for_each(|i| family.with_label_values(&labels(i)).inc());
            registry.register(Box::new(family))
        }
        Kind::Histogram => {
            let opts = HistogramOpts::new("order_seconds", "Orders.").buckets(BOUNDS.to_vec());
            let family = HistogramVec::new(opts, &NAMES).expect("the names are valid");
            (0..series).for_each(|i| family.with_label_values(&labels(i)).observe(0.03));
            registry.register(Box::new(family))
        }
    };
    registered.expect("the registry is empty");
    let render = move || TextEncoder::new().encode_to_string(&registry.gather());
    Subject {
        name: "prometheus",
        render: Box::new(move || render().expect("the page can be encoded")),
    }
}

fn prometheus_client(kind: Kind, series: usize) -> Subject {
    let mut registry = prometheus_client::registry::Registry::default();
    let names = |i| NAMES.into_iter().zip(labels(i)).collect::<Vec<_>>();
    match kind {
        Kind::Counter => {
            let family = Family::<Vec<(&str, String)>, Counter<u64, AtomicU64>>::default();
            (0..series).for_each(|i| {
                family.get_or_create(&names(i)).inc();
            });
            registry.register("orders", "Orders", family);
        }
        Kind::Histogram => {
            let new: fn() -> Histogram = || Histogram::new(BOUNDS);
            let family = Family::<Vec<(&str, String)>, Histogram, _>::new_with_constructor(new);
            (0..series).for_each(|i| family.get_or_create(&names(i)).observe(0.03));
            registry.register("order_seconds", "Orders", family);
        }
    }
    let render = move || {
        let mut page = String::new();
        encode(&mut page, &registry).map(|()| page)
    };
    Subject {
        name: "prometheus-client",
        render: Box::new(move || render().expect("writing to a string succeeds")),
    }
}

fn labels(i: usize) -> [String; 3] {
    [format!("user-{i:06}"), "eu".to_owned(), "book".to_owned()]
}
