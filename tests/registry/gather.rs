//! [`Registry::gather`]: the metrics of the registry and of its collectors as data.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use http::{Request, Response};
use metrics::Unit;
use tower::{Layer, ServiceExt, service_fn};
use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};
use tower_prometheus::http::TraceId;
use tower_prometheus::model::{MetricKind, Number};
use tower_prometheus::snapshot::{FamilySnapshot, SeriesSnapshot, Snapshot, Value};
use tower_prometheus::{
    Counter, FloatCounter, Gauge, Histogram, HttpMetrics, InProgress, Info, Registry, catalogue,
    labels,
};

use test_support::scrape::scrape_text;
use test_support::snapshot::{page_samples, snapshot_samples};

labels! {
    enum Payment("payment") { Card = "card", Cash = "cash" }
    struct Country { country: open(50) }
    struct Build { version: open }
}

catalogue! {
    #[prefix = "shop_"]
    struct Shop {
        /// Orders.
        orders_total: Counter<Payment>,
        /// Parcels.
        parcels_total: Counter<Country>,
        /// Revenue in dollars.
        revenue_dollars_total: FloatCounter,
        /// Books in stock.
        stock: Gauge,
        /// Orders that are being packed.
        packing: InProgress,
        /// Duration of packing in seconds.
        packing_seconds: Histogram<Payment> { buckets: [0.5, 1.0] },
        /// Build.
        build_info: Info<Build>,
    }
}

const HOSTILE: &str = "a \"b\"\\ c\\n\n,d=\"e\"}";

/// Returns a registry with metrics of every kind, and the shop.
fn registry() -> (Registry, Shop) {
    let registry = Registry::builder().constant_label("service", "shop");
    let registry = registry.build().unwrap();
    let shop = Shop::on(&registry).unwrap();
    shop.orders_total.with(Payment::Card).add(3);
    let hostile = Country { country: HOSTILE };
    shop.parcels_total.with(hostile).increment();
    shop.revenue_dollars_total.add(12.5);
    shop.stock.set(-7.25);
    for seconds in [0.25, 0.75, 0.75, 9.0] {
        shop.packing_seconds.with(Payment::Cash).observe(seconds);
    }
    shop.build_info.set(Build { version: "1.2.0" });
    (registry, shop)
}

/// Reports metrics whose names sort before (`alpha_total`) and after (`zeta_…`) those of the registry.
fn collect(samples: &mut Samples) -> Result<(), CollectError> {
    samples
        .gauge("zeta_bytes", "Memory.\n\"All\" of it \\.")
        .unit(Unit::Bytes)
        .sample(&[("type", HOSTILE)], 1.5)
        .sample(&[("type", "rss")], 52_u64);
    samples.counter("alpha_total", "").value(u64::MAX);
    samples.info("zeta_info", "Zeta.", &[("version", "2")]);
    Ok(())
}

fn labels<'a>(series: &SeriesSnapshot<'a>) -> Vec<(&'a str, String)> {
    let labels = series.labels();
    labels.map(|(k, v)| (k, v.into_owned())).collect()
}

/// Returns the only series of a family with this label.
#[track_caller]
fn series<'a>(snapshot: &'a Snapshot, name: &str, label: (&str, &str)) -> SeriesSnapshot<'a> {
    let has = |series: &SeriesSnapshot<'_>| series.labels().any(|(k, v)| (k, &*v) == label);
    let found: Vec<_> = snapshot
        .family(name)
        .unwrap()
        .series()
        .filter(has)
        .collect();
    let [series] = found.try_into().unwrap();
    series
}

/// Returns the value of the only series of a family.
#[track_caller]
fn value<'a>(snapshot: &'a Snapshot, name: &str) -> Value<'a> {
    let family = snapshot.family(name).unwrap();
    assert_eq!(family.len(), 1, "{name}");
    family.series().next().unwrap().value()
}

#[tokio::test]
async fn families_of_the_registry_and_of_collectors_are_sorted_by_name() {
    let (registry, _shop) = registry();
    registry.collector("stats", collect).unwrap();
    let snapshot = registry.gather().await;
    let names: Vec<_> = snapshot.families().map(|family| family.name()).collect();
    assert_eq!(
        names,
        [
            "alpha_total",
            "scrape_collector_duration_seconds",
            "scrape_collector_success",
            "shop_build_info",
            "shop_orders_total",
            "shop_packing",
            "shop_packing_seconds",
            "shop_parcels_total",
            "shop_revenue_dollars_total",
            "shop_stock",
            "zeta_bytes",
            "zeta_info",
        ]
    );
    for name in names {
        let family = snapshot.family(name).unwrap();
        assert_eq!(family.name(), name);
        let labels: Vec<_> = family.series().map(|series| labels(&series)).collect();
        assert!(labels.is_sorted(), "{labels:?}");
        assert_eq!(labels.len(), family.len());
    }
    for name in ["", "a", "shop_orders", "zzz"] {
        assert!(snapshot.family(name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn family_without_series_is_not_in_a_snapshot() {
    let registry = Registry::new();
    let _ = registry.http_layer();
    registry.gauge("absent", "", || None::<u64>).unwrap();
    let snapshot = registry.gather().await;
    let families = snapshot.families().map(|family| family.name().to_owned());
    let own: Vec<_> = families
        .filter(|name| !name.starts_with("scrape_"))
        .collect();
    assert_eq!(own, [""; 0]);
    assert!(snapshot.family("http_requests_total").is_none());
    assert!(snapshot.family("absent").is_none());
}

#[tokio::test]
async fn families_have_kind_help_and_unit() {
    let (registry, _shop) = registry();
    registry.collector("stats", collect).unwrap();
    metrics::with_local_recorder(&registry, || {
        metrics::gauge!("undescribed").set(1.0);
        metrics::describe_gauge!("size_bytes", Unit::Bytes, "Size \\ \"in\"\nbytes.");
        metrics::gauge!("size_bytes").set(1.0);
    });
    let snapshot = registry.gather().await;
    let about = |name| {
        let family = snapshot.family(name).unwrap();
        let help = family.help().map(|help| help.to_string());
        (family.kind(), help.unwrap_or_default(), family.unit())
    };
    use MetricKind::{Counter, Gauge, Histogram, Info};
    for (name, kind, help, unit) in [
        ("alpha_total", Counter, "", None),
        ("shop_orders_total", Counter, "Orders.", None),
        (
            "shop_revenue_dollars_total",
            Counter,
            "Revenue in dollars.",
            None,
        ),
        ("shop_stock", Gauge, "Books in stock.", None),
        ("shop_packing", Gauge, "Orders that are being packed.", None),
        (
            "shop_packing_seconds",
            Histogram,
            "Duration of packing in seconds.",
            Some(Unit::Seconds),
        ),
        ("shop_build_info", Info, "Build.", None),
        (
            "size_bytes",
            Gauge,
            "Size \\ \"in\"\nbytes.",
            Some(Unit::Bytes),
        ),
        ("undescribed", Gauge, "", None),
        (
            "zeta_bytes",
            Gauge,
            "Memory.\n\"All\" of it \\.",
            Some(Unit::Bytes),
        ),
        ("zeta_info", Info, "Zeta.", None),
    ] {
        assert_eq!(about(name), (kind, help.to_owned(), unit), "{name}");
    }
    assert!(snapshot.family("undescribed").unwrap().help().is_none());
    assert!(snapshot.family("alpha_total").unwrap().help().is_none());
}

#[tokio::test]
async fn label_values_are_unescaped_and_labels_are_sorted_with_constant_labels() {
    let (registry, _shop) = registry();
    registry.collector("stats", collect).unwrap();
    let snapshot = registry.gather().await;
    let parcels = snapshot.family("shop_parcels_total").unwrap();
    assert_eq!(
        labels(&parcels.series().next().unwrap()),
        [("country", HOSTILE.to_owned()), ("service", "shop".into())]
    );
    let hostile = series(&snapshot, "zeta_bytes", ("type", HOSTILE));
    assert_eq!(
        labels(&hostile),
        [("service", "shop".into()), ("type", HOSTILE.to_owned())]
    );
    let alpha = snapshot.family("alpha_total").unwrap();
    assert_eq!(
        labels(&alpha.series().next().unwrap()),
        [("service", "shop".to_owned())]
    );
}

/// The label values contain braces, which also delimit labels on the page.
#[tokio::test]
async fn labels_of_a_registry_without_constant_labels_are_complete() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("plain_total").increment(1);
        metrics::counter!("braces_total", "a" => "{x}", "b" => "} ").increment(1);
        metrics::histogram!("braces_seconds", "a" => "{x}", "b" => "} ").record(1.0);
    });
    registry
        .collector("braces", |samples: &mut Samples| {
            let mut braces = samples.gauge("braces", "");
            braces.sample(&[("a", "{x}"), ("b", "} ")], 1_u64);
            samples.gauge("plain", "").value(1_u64);
            Ok(())
        })
        .unwrap();
    let snapshot = registry.gather().await;
    for name in ["braces_total", "braces_seconds", "braces"] {
        let family = snapshot.family(name).unwrap();
        let expected = [("a", "{x}".to_owned()), ("b", "} ".to_owned())];
        assert_eq!(labels(&family.series().next().unwrap()), expected);
    }
    for name in ["plain_total", "plain"] {
        let family = snapshot.family(name).unwrap();
        assert_eq!(labels(&family.series().next().unwrap()), []);
    }
}

#[tokio::test]
async fn integer_counters_are_exact() {
    let (registry, shop) = registry();
    shop.orders_total.with(Payment::Card).add(u64::MAX - 10);
    registry.collector("stats", collect).unwrap();
    let snapshot = registry.gather().await;
    let orders = |payment| series(&snapshot, "shop_orders_total", ("payment", payment)).value();
    // 2^64 - 8: as a floating-point number it would be rounded.
    assert!(matches!(orders("card"), Value::Counter(Number::Integer(n)) if n == u64::MAX - 7));
    assert!(matches!(orders("cash"), Value::Counter(Number::Integer(0))));
    assert!(matches!(
        value(&snapshot, "alpha_total"),
        Value::Counter(Number::Integer(u64::MAX))
    ));
    assert!(matches!(
        value(&snapshot, "shop_revenue_dollars_total"),
        Value::Counter(Number::Float(12.5))
    ));
}

#[tokio::test]
async fn gauges_and_infos_have_their_values() {
    let (registry, shop) = registry();
    let _packing = [shop.packing.start(), shop.packing.start()];
    registry.collector("stats", collect).unwrap();
    let snapshot = registry.gather().await;
    assert!(matches!(
        value(&snapshot, "shop_stock"),
        Value::Gauge(Number::Float(-7.25))
    ));
    assert!(matches!(
        value(&snapshot, "shop_packing"),
        Value::Gauge(Number::Integer(2))
    ));
    assert!(matches!(value(&snapshot, "shop_build_info"), Value::Info));
    assert!(matches!(value(&snapshot, "zeta_info"), Value::Info));
    let zeta = |kind| series(&snapshot, "zeta_bytes", ("type", kind)).value();
    assert!(matches!(zeta("rss"), Value::Gauge(Number::Integer(52))));
    assert!(matches!(zeta(HOSTILE), Value::Gauge(Number::Float(1.5))));
}

#[tokio::test]
async fn histogram_buckets_are_cumulative() {
    let (registry, _shop) = registry();
    let snapshot = registry.gather().await;
    let of = |payment| {
        let series = series(&snapshot, "shop_packing_seconds", ("payment", payment));
        let Value::Histogram(histogram) = series.value() else {
            panic!("{series:?}");
        };
        histogram
    };
    let cash = of("cash");
    let buckets = cash.buckets();
    let buckets: Vec<_> = buckets
        .map(|bucket| (bucket.upper_bound, bucket.cumulative_count, bucket.exemplar))
        .collect();
    assert_eq!(
        buckets,
        [(0.5, 1, None), (1.0, 3, None), (f64::INFINITY, 4, None)]
    );
    assert_eq!((cash.count(), cash.sum()), (4, 10.75));
    let card = of("card");
    assert_eq!((card.count(), card.sum()), (0, 0.0));
    assert!(card.buckets().all(|bucket| bucket.cumulative_count == 0));
    assert_eq!(card.buckets().count(), 3);
}

#[tokio::test]
async fn histogram_buckets_have_exemplars() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .exemplar(TraceId::from_traceparent)
        .build(&registry)
        .unwrap();
    let before = SystemTime::now();
    let service = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(String::new())));
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let request = Request::builder().header("traceparent", traceparent);
    let response = layer.layer(service).oneshot(request.body(()).unwrap());
    drop(response.await);
    let snapshot = registry.gather().await;
    let Value::Histogram(durations) = value(&snapshot, "http_request_duration_seconds") else {
        panic!("{snapshot:?}");
    };
    let mut exemplars = durations.buckets().filter_map(|bucket| {
        let exemplar = bucket.exemplar?;
        assert!(exemplar.value <= bucket.upper_bound);
        Some(exemplar)
    });
    let exemplar = exemplars.next().unwrap();
    assert_eq!(exemplar.trace_id.to_string(), TRACE);
    assert_eq!(exemplar.value, durations.sum());
    assert!(exemplar.timestamp >= before && exemplar.timestamp <= SystemTime::now());
    assert_eq!(exemplars.next(), None);
}

#[cfg(feature = "summary")]
#[tokio::test]
async fn summaries_have_quantiles_count_and_sum() {
    use tower_prometheus::Summary;
    catalogue! {
        struct Batches {
            /// Rows of a batch.
            batch_rows: Summary,
        }
    }
    let registry = Registry::new();
    let batches = Batches::on(&registry).unwrap();
    (1..=100).for_each(|rows| batches.batch_rows.observe(f64::from(rows)));
    let snapshot = registry.gather().await;
    assert_eq!(
        snapshot.family("batch_rows").unwrap().kind(),
        MetricKind::Summary
    );
    let Value::Summary(summary) = value(&snapshot, "batch_rows") else {
        panic!("{snapshot:?}");
    };
    assert_eq!((summary.count, summary.sum), (100, 5050.0));
    let quantiles: Vec<_> = summary.quantiles.iter().map(|(q, _)| *q).collect();
    assert_eq!(quantiles, [0.5, 0.9, 0.95, 0.99]);
    for (quantile, value) in summary.quantiles {
        assert!((value / quantile / 100.0 - 1.0).abs() < 0.03, "{value}");
    }
}

#[tokio::test]
async fn series_of_the_registry_have_a_creation_time() {
    let before = SystemTime::now() - Duration::from_millis(1);
    let (registry, shop) = registry();
    let after = SystemTime::now();
    registry.collector("stats", collect).unwrap();
    let snapshot = registry.gather().await;
    let (mut own, mut collected) = (0, 0);
    for family in snapshot.families() {
        for series in family.series() {
            match series.created() {
                Some(created) => {
                    assert!(created >= before && created <= after, "{series:?}");
                    own += 1;
                }
                None => collected += 1,
            }
        }
    }
    assert_eq!((own, collected), (9, 6));
    // Recording does not change the created time.
    let created =
        |snapshot: &Snapshot| series(snapshot, "shop_orders_total", ("payment", "cash")).created();
    let first = created(&snapshot);
    tokio::time::sleep(Duration::from_millis(5)).await;
    shop.orders_total.with(Payment::Cash).increment();
    assert_eq!(created(&registry.gather().await), first);
}

#[tokio::test]
async fn page_and_snapshot_have_the_same_samples() {
    let (registry, shop) = registry();
    registry.collector("stats", collect).unwrap();
    let _packing = shop.packing.start();
    let service = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(String::new())));
    let measured = registry.http_layer().layer(service);
    drop(measured.oneshot(Request::new(())).await);
    metrics::with_local_recorder(&registry, || {
        metrics::gauge!("nan").set(f64::NAN);
        metrics::gauge!("infinite", "sign" => "-").set(f64::NEG_INFINITY);
        metrics::gauge!("infinite", "sign" => "+").set(f64::INFINITY);
        metrics::gauge!("tiny").set(5e-324);
        metrics::gauge!("zero").set(-0.0);
        metrics::gauge!("large").set(1.5e18);
        metrics::histogram!("odd_names", "a.b" => HOSTILE, "" => "").record(-1e300);
    });
    let comparable = |mut samples: test_support::snapshot::SampleTexts| {
        // The durations of collectors differ from call to call.
        for ((name, _), text) in &mut samples {
            if name == "scrape_collector_duration_seconds" {
                text.clear();
            }
        }
        samples
    };
    let page = comparable(page_samples(&scrape_text(&registry.handler()).await));
    let snapshot = comparable(snapshot_samples(&registry.gather().await));
    assert!(page.len() > 50, "{page:#?}");
    assert_eq!(page, snapshot);
}

#[tokio::test]
async fn snapshot_does_not_change_when_more_is_recorded() {
    let (registry, shop) = registry();
    let snapshot = registry.gather().await;
    let clone = snapshot.clone();
    let before = snapshot_samples(&snapshot);
    shop.orders_total.with(Payment::Card).increment();
    shop.revenue_dollars_total.add(1.0);
    shop.packing_seconds.with(Payment::Cash).observe(0.1);
    metrics::with_local_recorder(&registry, || metrics::counter!("late_total").increment(1));
    assert_eq!(snapshot_samples(&snapshot), before);
    assert_eq!(snapshot_samples(&clone), before);
    // Gauges are read when `value` is called, as the documentation says.
    shop.stock.set(8.0);
    assert!(matches!(
        value(&snapshot, "shop_stock"),
        Value::Gauge(Number::Float(8.0))
    ));
}

/// Polls a future to completion without a runtime. Returns the number of polls and the output.
fn poll_count<T>(future: impl Future<Output = T>) -> (usize, T) {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for polls in 1.. {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return (polls, output);
        }
    }
    unreachable!()
}

const MANY: usize = 100_000;

fn large_registry() -> Registry {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        for i in 0..MANY {
            metrics::counter!("large_total", "i" => i.to_string()).increment(1);
        }
    });
    registry
}

#[test]
fn gathering_many_series_takes_many_polls() {
    let registry = large_registry();
    let (first, snapshot) = poll_count(registry.gather());
    assert_eq!(snapshot.family("large_total").unwrap().len(), MANY);
    // The first gather also sorts 100,000 new series.
    assert!(first > 50, "{first} polls");
    drop(snapshot);
    let (second, snapshot) = poll_count(registry.gather());
    assert_eq!(snapshot.family("large_total").unwrap().len(), MANY);
    assert!(second >= 2, "{second} polls");
    assert!(second < first, "{second} polls after {first}");
}

#[tokio::test]
async fn gathering_yields_to_other_tasks() {
    let registry = large_registry();
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let snapshot = registry.gather().await;
    assert_eq!(
        snapshot
            .families()
            .map(|f: FamilySnapshot<'_>| f.len())
            .sum::<usize>(),
        MANY
    );
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls > 50, "{polls}");
    other.abort();
}

#[tokio::test(start_paused = true)]
async fn hanging_collector_is_omitted_at_the_timeout() {
    struct Hangs;
    impl Collector for Hangs {
        async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
            samples.gauge("hangs", "").value(1_u64);
            std::future::pending().await
        }
    }
    let (registry, _shop) = registry();
    registry.collector("hangs", Hangs).unwrap();
    registry.collector("stats", collect).unwrap();
    for (timeout, gather) in [
        (10.0, registry.gather_within(Duration::from_secs(10))),
        (2.0, registry.gather_within(Duration::from_secs(2))),
    ] {
        let (snapshot, took) = test_support::scrape::measure_time(gather).await;
        assert!(
            (0.9 * timeout..=timeout).contains(&took.as_secs_f64()),
            "{took:?}"
        );
        assert!(snapshot.family("hangs").is_none());
        assert!(snapshot.family("alpha_total").is_some());
        let success =
            |name| series(&snapshot, "scrape_collector_success", ("collector", name)).value();
        assert!(matches!(success("hangs"), Value::Gauge(Number::Integer(0))));
        assert!(matches!(success("stats"), Value::Gauge(Number::Integer(1))));
    }
    // The default timeout is 10 s, as for a scrape.
    let (_, took) = test_support::scrape::measure_time(registry.gather()).await;
    assert!((9.0..=10.0).contains(&took.as_secs_f64()), "{took:?}");
}

#[tokio::test]
async fn render_and_sum_do_not_call_collectors() {
    let (registry, _shop) = registry();
    let without = registry.render();
    registry
        .collector("panics", |_: &mut Samples| panic!("it was called"))
        .unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let read = move || count.fetch_add(1, Ordering::SeqCst);
    registry.gauge("calls", "", read).unwrap();
    assert_eq!(registry.render(), without);
    assert_eq!(registry.sum("calls", &[]), None);
    assert_eq!(registry.sum("scrape_collector_success", &[]), None);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}
