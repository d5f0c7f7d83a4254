//! Metrics of a catalogue: on a registry, on a recorder of another crate, and conflicting definitions.

use futures_util::FutureExt;
use tower_prometheus::{
    Counter, FloatCounter, Gauge, Histogram, InProgress, Info, Registry, Sink, Unit, catalogue,
    labels,
    model::{LabelValues, MetricKind, families_table},
};

use test_support::page::{
    assert_valid_open_metrics, assert_valid_text, render_open_metrics, samples,
};
use test_support::warnings::{Warnings, count_warnings_in};

labels! {
    pub enum Payment("payment") { Card = "card", Cash = "cash" }
    pub struct Order { payment: Payment, gift: bool, country: open(2) }
    pub struct Delivery { country: open(2), by: open(1) }
    pub struct Build { version: open, debug: bool }
}

catalogue! {
    /// The metrics of a shop.
    #[prefix = "shop_"]
    pub struct Shop {
        /// Orders, as they
        /// are made | paid.
        ///
        /// This is for readers of the source.
        pub orders_total: Counter<Order>,
        /// Refunds.
        pub refunds_total: Counter<Payment>,
        /// Money taken.
        pub revenue_dollars_total: FloatCounter<Payment>,
        /// Books on the shelves.
        pub stock: Gauge,
        /// Orders being packed.
        pub packing: InProgress<Payment>,
        /// Duration of packing in seconds.
        pub packing_seconds: Histogram<Payment>,
        /// Parcels.
        pub deliveries_total: Counter<Delivery>,
        /// Version of the program.
        pub build_info: Info<Build>,
    }
}

fn order(country: &str) -> Order<&str> {
    Order {
        payment: Payment::Card,
        gift: false,
        country,
    }
}

#[test]
fn enum_labels_are_exported_as_0_from_start_up_and_free_form_labels_once_used() {
    let registry = Registry::new();
    let shop = Shop::on(&registry).unwrap();
    let page = registry.render();
    for line in [
        "shop_refunds_total{payment=\"card\"} 0",
        "shop_refunds_total{payment=\"cash\"} 0",
        "shop_revenue_dollars_total{payment=\"cash\"} 0",
        "shop_stock 0",
        "shop_packing{payment=\"card\"} 0",
        "shop_packing_seconds_bucket{payment=\"cash\",le=\"0.005\"} 0",
        "shop_packing_seconds_sum{payment=\"cash\"} 0",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}\n{page}");
    }
    assert!(
        !page.contains("shop_orders_total") && !page.contains("build_info"),
        "{page}"
    );

    // The first use of a free-form value exports it with every value of the enum labels, all as 0.
    let _ = shop.orders_total.with(order("NZ"));
    let orders = samples(&registry.render()).into_iter();
    let orders: Vec<_> = orders
        .filter(|(name, _)| name.starts_with("shop_orders"))
        .collect();
    let expected = ["false", "true"].iter().flat_map(|gift| {
        ["card", "cash"].map(|payment| {
            let labels = format!("country=\"NZ\",gift=\"{gift}\",payment=\"{payment}\"");
            (format!("shop_orders_total{{{labels}}}"), 0.0)
        })
    });
    assert_eq!(orders, expected.collect::<Vec<_>>());
}

#[test]
fn each_combination_of_label_values_has_its_own_series() {
    let registry = Registry::new();
    let shop = Shop::on(&registry).unwrap();
    let mut n = 0;
    for payment in Payment::ALL {
        for gift in [false, true] {
            for country in ["NZ", "AU"] {
                n += 1;
                shop.orders_total
                    .with(Order {
                        payment: *payment,
                        gift,
                        country,
                    })
                    .add(n);
            }
        }
    }
    n = 0;
    for payment in ["card", "cash"] {
        for gift in ["false", "true"] {
            for country in ["NZ", "AU"] {
                n += 1;
                let labels = [("payment", payment), ("gift", gift), ("country", country)];
                assert_eq!(registry.sum("shop_orders_total", &labels), Some(n as f64));
            }
        }
    }
}

#[test]
fn every_metric_type_records_its_values() {
    let registry = Registry::builder()
        .constant_label("service", "web")
        .build()
        .unwrap();
    let shop = Shop::on(&registry).unwrap();
    shop.refunds_total.with(Payment::Cash).increment();
    shop.refunds_total.with(Payment::Cash).add(2);
    for dollars in [0.1, 0.2, -5.0, f64::NAN, f64::INFINITY] {
        shop.revenue_dollars_total.with(Payment::Card).add(dollars);
    }
    shop.stock.set(7.0);
    shop.stock.increment();
    shop.stock.add(-2.5);
    shop.stock.decrement();
    let cash = shop.packing.with(Payment::Cash);
    let (one, _other) = (cash.start(), cash.start());
    drop(one);
    shop.packing_seconds.with(Payment::Card).observe(0.3);
    shop.packing_seconds
        .with(Payment::Card)
        .observe_duration(std::time::Duration::from_millis(4));
    shop.packing_seconds.with(Payment::Card).observe(f64::NAN);
    shop.build_info.set(Build {
        version: "1",
        debug: true,
    });

    let page = registry.render();
    assert_valid_text(&page);
    for (line, value) in [
        ("shop_refunds_total{payment=\"cash\",service=\"web\"}", 3.0),
        (
            "shop_revenue_dollars_total{payment=\"card\",service=\"web\"}",
            0.1 + 0.2,
        ),
        ("shop_stock{service=\"web\"}", 4.5),
        ("shop_packing{payment=\"cash\",service=\"web\"}", 1.0),
        (
            "shop_packing_seconds_bucket{payment=\"card\",service=\"web\",le=\"0.005\"}",
            1.0,
        ),
        (
            "shop_packing_seconds_count{payment=\"card\",service=\"web\"}",
            2.0,
        ),
        (
            "shop_build_info{debug=\"true\",service=\"web\",version=\"1\"}",
            1.0,
        ),
    ] {
        assert_eq!(samples(&page).get(line), Some(&value), "{line}\n{page}");
    }
    assert_eq!(
        registry.sum("shop_revenue_dollars_total", &[("payment", "card")]),
        Some(0.1 + 0.2)
    );
    assert_eq!(
        registry.sum("shop_build_info", &[("version", "1")]),
        Some(1.0)
    );

    let page = render_open_metrics(&registry);
    assert_valid_open_metrics(&page);
    for line in [
        "# TYPE shop_build info",
        "shop_build_info{debug=\"true\",service=\"web\",version=\"1\"} 1",
        "# TYPE shop_revenue_dollars counter",
        "# UNIT shop_packing_seconds seconds",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}\n{page}");
    }
}

#[test]
fn values_beyond_the_limit_are_recorded_as_overflow_with_one_warning() {
    let registry = Registry::new();
    let shop = Shop::on(&registry).unwrap();
    let warnings = Warnings::capture();
    for i in 0..100 {
        shop.orders_total.with(order(&i.to_string())).increment();
    }
    shop.orders_total.with(order("1")).increment();
    shop.orders_total.with(order(&"x".repeat(2000))).increment();
    let count = |country| registry.sum("shop_orders_total", &[("country", country)]);
    assert_eq!(
        (count("0"), count("1"), count("2")),
        (Some(1.0), Some(2.0), None)
    );
    assert_eq!(count("overflow"), Some(99.0));
    let labels = [("family", "shop_orders_total"), ("label", "country")];
    let overflowed = || registry.sum("metrics_label_overflow_total", &labels);
    assert_eq!(overflowed(), Some(99.0));
    let expected = "shop_orders_total: label \"country\" reached its limit of 2 values";
    assert_eq!(warnings.about(expected).len(), 1);
    assert_eq!(warnings.about("country").len(), 1);

    // Each free-form label has its own limit.
    for (country, by) in [
        ("NZ", "ship"),
        ("AU", "ship"),
        ("NZ", "air"),
        ("FR", "ship"),
        ("FR", "air"),
    ] {
        shop.deliveries_total
            .with(Delivery { country, by })
            .increment();
    }
    let count =
        |country, by| registry.sum("shop_deliveries_total", &[("country", country), ("by", by)]);
    assert_eq!(count("NZ", "ship"), Some(1.0));
    assert_eq!(count("AU", "ship"), Some(1.0));
    assert_eq!(count("NZ", "overflow"), Some(1.0));
    assert_eq!(count("overflow", "ship"), Some(1.0));
    assert_eq!(count("overflow", "overflow"), Some(1.0));
    assert_valid_text(&registry.render());

    // A second catalogue on the same registry shares the limit.
    let again = Shop::on(&registry).unwrap();
    again.orders_total.with(order("new")).increment();
    assert_eq!(
        registry.sum("shop_orders_total", &[("country", "new")]),
        None
    );
}

#[test]
fn label_limit_holds_across_threads() {
    let registry = Registry::new();
    let shop = Shop::on(&registry).unwrap();
    let barrier = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                for i in 0..100 {
                    shop.orders_total
                        .with(order(&format!("{thread}-{i}")))
                        .increment();
                }
            });
        }
    });
    assert_eq!(registry.sum("shop_orders_total", &[]), Some(800.0));
    let page = registry.render();
    let lines = page.lines().filter(|l| l.starts_with("shop_orders_total"));
    // Two values and `overflow`, each with the four combinations of the other labels.
    assert_eq!(lines.count(), 3 * 4);
}

#[test]
fn catalogues_and_macros_on_one_registry_share_their_series() {
    let registry = Registry::new();
    for _ in 0..2 {
        let shop = Shop::on(&registry).unwrap();
        shop.refunds_total.with(Payment::Card).increment();
    }
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("shop_refunds_total", "payment" => "card").increment(1);
    });
    assert_eq!(
        registry.sum("shop_refunds_total", &[("payment", "card")]),
        Some(3.0)
    );
    assert_valid_text(&registry.render());
}

#[test]
fn conflicting_definition_is_an_error_that_names_the_metric() {
    mod other {
        use super::{Counter, Gauge, Histogram, Payment};
        tower_prometheus::labels! {
            pub enum Wrong("payment") { Card = "card", Gold = "gold" }
            pub struct Many { country: open(3), by: open(1) }
        }
        tower_prometheus::catalogue! {
            pub struct Kind {
                /// A gauge.
                pub refunds: Gauge<Payment> { name: "shop_refunds_total", unconventional: true },
            }
        }
        tower_prometheus::catalogue! {
            pub struct Labels {
                /// Without labels.
                pub shop_refunds_total: Counter,
            }
        }
        tower_prometheus::catalogue! {
            pub struct Values {
                /// With other values.
                pub shop_refunds_total: Counter<Wrong>,
            }
        }
        tower_prometheus::catalogue! {
            pub struct Bound {
                /// With another bound.
                pub shop_deliveries_total: Counter<Many>,
            }
        }
        tower_prometheus::catalogue! {
            pub struct Buckets {
                /// With other buckets.
                pub shop_packing_seconds: Histogram<Payment> { buckets: [1.0] },
            }
        }
    }
    let registry = Registry::new();
    Shop::on(&registry).unwrap();
    let errors = [
        (
            other::Kind::on(&registry).err(),
            "gauge \"shop_refunds_total\" cannot be registered",
        ),
        (
            other::Labels::on(&registry).err(),
            "already registered with the labels [\"payment\"]",
        ),
        (
            other::Values::on(&registry).err(),
            "with other label values: label \"payment\" has the values",
        ),
        (
            other::Bound::on(&registry).err(),
            "with other label values: label \"country\" has `open(2)`, now `open(3)`",
        ),
        (
            other::Buckets::on(&registry).err(),
            "already registered with other buckets",
        ),
    ];
    for (error, expected) in errors {
        let error = error.expect(expected);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.is_conflict(), "{error}");
    }
    let constant = Registry::builder()
        .constant_label("payment", "x")
        .build()
        .unwrap();
    let error = Shop::on(&constant).unwrap_err().to_string();
    assert!(
        error.contains("label \"payment\" is a constant label of the registry"),
        "{error}"
    );
    assert!(error.contains("shop_orders_total"), "{error}");
}

/// The macro defines no methods or constants with the name of a field, so the application may.
#[test]
fn methods_and_constants_may_have_the_name_of_a_field() {
    catalogue! {
        pub struct Books {
            /// Books sold.
            pub sold_total: Counter,
            /// Revenue in dollars.
            pub revenue_dollars_total: FloatCounter,
        }
    }
    impl Books {
        #[expect(non_upper_case_globals, reason = "the name of a field")]
        const revenue_dollars_total: f64 = 12.5;

        fn sold_total(&self, books: u64) {
            self.sold_total.add(books);
            self.revenue_dollars_total
                .add(books as f64 * Self::revenue_dollars_total);
        }
    }
    let registry = Registry::new();
    Books::on(&registry).unwrap().sold_total(2);
    assert_eq!(registry.sum("sold_total", &[]), Some(2.0));
    assert_eq!(registry.sum("revenue_dollars_total", &[]), Some(25.0));
}

#[test]
fn global_catalogue_has_the_same_type_as_one_of_a_registry() {
    fn refund(shop: Shop) {
        shop.refunds_total.with(Payment::Card).increment();
    }
    let registry = Registry::new();
    for shop in [Shop::on(&registry).unwrap(), Shop::global()] {
        refund(shop);
    }
    // The global catalogue records nothing: no recorder is installed.
    assert_eq!(registry.sum("shop_refunds_total", &[]), Some(1.0));
}

#[test]
fn info_keeps_its_first_values_and_warns_about_others() {
    let registry = Registry::new();
    let shop = Shop::on(&registry).unwrap();
    let warnings = Warnings::capture();
    for _ in 0..2 {
        shop.build_info.set(Build {
            version: "1",
            debug: false,
        });
    }
    assert!(warnings.about("shop_build_info").is_empty());
    shop.build_info.set(Build {
        version: "2",
        debug: false,
    });
    let expected = "shop_build_info: the labels are already set to {debug=\"false\",version=\"1\"} and \
                    cannot be changed; {debug=\"false\",version=\"2\"} is ignored";
    assert_eq!(warnings.about(expected).len(), 1);
    assert_eq!(warnings.about("shop_build_info").len(), 1);
    assert_eq!(registry.sum("shop_build_info", &[]), Some(1.0));
    assert_eq!(registry.sum("shop_build_info", &[("version", "2")]), None);
}

/// Any recorder of the `metrics` crate works. Here a `Registry` is passed as one.
#[test]
fn catalogue_records_into_any_metrics_recorder() {
    let foreign = Registry::new();
    let shop = Shop::on(Sink::recorder(foreign.clone())).unwrap();
    shop.orders_total.with(order("NZ")).add(2);
    for i in 0..5 {
        shop.orders_total.with(order(&i.to_string())).increment();
    }
    shop.revenue_dollars_total.with(Payment::Card).add(0.5);
    shop.stock.set(3.0);
    shop.stock.decrement();
    shop.packing_seconds.with(Payment::Card).observe(0.3);
    shop.build_info.set(Build {
        version: "1",
        debug: false,
    });
    let packing = shop.packing.with(Payment::Card).start();
    let value = |name| foreign.sum(name, &[]);
    assert_eq!(value("shop_packing"), Some(1.0));
    drop(packing);
    assert_eq!(value("shop_packing"), Some(0.0));
    assert_eq!(
        foreign.sum("shop_orders_total", &[("country", "NZ")]),
        Some(2.0)
    );
    assert_eq!(
        foreign.sum("shop_orders_total", &[("country", "overflow")]),
        Some(4.0)
    );
    assert_eq!(value("metrics_label_overflow_total"), Some(4.0));
    assert_eq!(value("shop_revenue_dollars_total"), Some(0.5));
    assert_eq!(value("shop_stock"), Some(2.0));
    assert_eq!(value("shop_packing_seconds_sum"), Some(0.3));
    assert_eq!(value("shop_build_info"), Some(1.0));
    let page = foreign.render();
    assert!(
        page.contains("# HELP shop_stock Books on the shelves.\n"),
        "{page}"
    );
    // Counters of the `metrics` crate are integers, so a `FloatCounter` becomes a gauge.
    assert!(
        page.contains("# TYPE shop_revenue_dollars_total gauge\n"),
        "{page}"
    );
}

#[cfg(feature = "exporter")]
#[test]
fn catalogue_records_into_the_recorder_of_metrics_exporter_prometheus() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new()
        .set_buckets(&[0.005, 1.0])
        .unwrap()
        .build_recorder();
    let handle = recorder.handle();
    let shop = Shop::on(Sink::recorder(recorder)).unwrap();
    shop.refunds_total.with(Payment::Cash).add(2);
    shop.revenue_dollars_total.with(Payment::Card).add(0.25);
    let page = samples(&handle.render());
    assert_eq!(page["shop_refunds_total{payment=\"cash\"}"], 2.0);
    assert_eq!(page["shop_refunds_total{payment=\"card\"}"], 0.0);
    assert_eq!(page["shop_revenue_dollars_total{payment=\"card\"}"], 0.25);
}

/// A subscriber may record metrics while it handles a warning of the same registry.
#[test]
fn subscriber_may_record_in_the_registry_that_warns() {
    let registry = Registry::new();
    let shop = Shop::on(&registry).unwrap();
    count_warnings_in(&registry, || {
        for i in 0..10 {
            shop.orders_total.with(order(&i.to_string())).increment();
        }
    });
    assert!(registry.sum("log_events", &[]).unwrap() >= 1.0);
}

#[test]
fn families_returns_the_definitions() {
    let families = Shop::families();
    let orders = &families[0];
    assert_eq!(orders.name, "shop_orders_total");
    assert_eq!(orders.kind, MetricKind::Counter);
    assert_eq!(orders.help, "Orders, as they are made | paid.");
    let labels: Vec<_> = orders.labels.iter().map(|label| &*label.name).collect();
    assert_eq!(labels, ["payment", "gift", "country"]);
    assert_eq!(
        orders.labels[0].values,
        LabelValues::Closed(vec!["card".into(), "cash".into()])
    );
    assert_eq!(orders.labels[2].values, LabelValues::Open);
    let seconds = families
        .iter()
        .find(|family| family.name == "shop_packing_seconds")
        .unwrap();
    assert_eq!(seconds.unit, Some(Unit::Seconds));
    assert_eq!(seconds.buckets, tower_prometheus::buckets::DEFAULT);
    let kinds: Vec<_> = families.iter().map(|family| family.kind.as_str()).collect();
    let expected = [
        "counter",
        "counter",
        "counter",
        "gauge",
        "gauge",
        "histogram",
        "counter",
        "info",
    ];
    assert_eq!(kinds, expected);

    let table = families_table(&families[..2]);
    assert_eq!(
        table,
        "| family | type | labels | |\n\
         |---|---|---|---|\n\
         | `shop_orders_total` | counter | `payment` (card, cash), `gift` (false, true), `country` | Orders, as they are made \\| paid. |\n\
         | `shop_refunds_total` | counter | `payment` (card, cash) | Refunds. |\n"
    );
}

#[test]
fn handles_are_copy_send_and_sync_and_their_debug_output_names_the_series() {
    fn assert_copy_send_sync<T: Send + Sync + Copy + std::fmt::Debug + 'static>(_: T) {}
    let registry = Registry::new();
    let shop = Shop::on(&registry).unwrap();
    assert_copy_send_sync(shop);
    let cash = shop.refunds_total.with(Payment::Cash);
    assert_copy_send_sync(cash);
    assert_eq!(
        format!("{cash:?}"),
        "Counter shop_refunds_total{\"payment\": \"cash\"}"
    );
    assert_eq!(
        format!("{:?}", shop.orders_total),
        "Counter shop_orders_total"
    );
    std::thread::spawn(move || cash.increment()).join().unwrap();
    assert_eq!(
        registry.sum("shop_refunds_total", &[("payment", "cash")]),
        Some(1.0)
    );
}

/// OpenMetrics treats `_total`, `_info` and `_created` as suffixes of one family. If two names would become the
/// same without their suffix, one keeps it.
#[test]
fn names_that_open_metrics_shortens_stay_distinct() {
    labels! {
        pub struct Version { version: open }
    }
    catalogue! {
        pub struct Jobs {
            /// Jobs done.
            pub jobs_total: Counter,
            /// Version of the worker.
            pub jobs_info: Info<Version>,
            /// Orders.
            pub orders_total: Counter,
            /// Orders made by hand.
            pub orders_created_total: Counter,
            /// Duration of an attempt.
            pub try_seconds_info: Info<Version> { unit: &Unit::Seconds },
        }
    }
    let registry = Registry::new();
    let jobs = Jobs::on(&registry).unwrap();
    jobs.jobs_info.set(Version { version: "1" });
    jobs.try_seconds_info.set(Version { version: "1" });
    assert_valid_text(&registry.render());
    let page = render_open_metrics(&registry);
    assert_valid_open_metrics(&page);
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    assert_eq!(
        types.collect::<Vec<_>>(),
        [
            "jobs_info gauge",
            "jobs counter",
            "orders_created_total unknown",
            "orders counter",
            "try_seconds info",
        ]
    );
    assert!(!page.contains("# UNIT"), "{page}");
}

catalogue! {
    #[prefix = "bare"]
    pub struct Prefixed {
        /// Orders.
        pub orders_total: Counter,
    }
}

/// The same rule as for `HttpMetrics::prefix`.
#[test]
fn prefix_is_separated_by_one_underscore() {
    assert_eq!(Prefixed::families()[0].name, "bare_orders_total");
}

labels! {
    pub struct Queue { queue: open(2) }
    pub struct Place { queue: open(2), shard: bool }
}

catalogue! {
    pub struct Queues {
        /// Jobs in a queue.
        pub queue_length: Gauge<Queue>,
        /// Free places in a queue.
        pub queue_free: Gauge<Place>,
        /// Connections of a queue.
        pub queue_connections: InProgress<Queue>,
    }
}

#[test]
fn gauge_beyond_the_limit_is_not_set_and_counts_as_overflow_with_one_warning() {
    let registry = Registry::new();
    let queues = Queues::on(&registry).unwrap();
    let warnings = Warnings::capture();
    for (i, queue) in ["a", "b", "c", "d", "c"].into_iter().enumerate() {
        queues.queue_length.with(Queue { queue }).set(i as f64);
        let shard = i % 2 == 0;
        queues.queue_free.with(Place { queue, shard }).set(i as f64);
    }
    let long = "x".repeat(2000);
    queues.queue_length.with(Queue { queue: &*long }).set(9.0);
    let value = |name, queue| registry.sum(name, &[("queue", queue)]);
    assert_eq!(value("queue_length", "a"), Some(0.0));
    assert_eq!(value("queue_length", "b"), Some(1.0));
    // No series has the value of another queue, nor a 0 that no queue has.
    let page = registry.render();
    assert!(!page.contains("queue=\"overflow\""), "{page}");
    assert_valid_text(&page);
    for (family, overflowed) in [("queue_length", 4.0), ("queue_free", 3.0)] {
        let labels = [("family", family), ("label", "queue")];
        let counted = registry.sum("metrics_label_overflow_total", &labels);
        assert_eq!(counted, Some(overflowed), "{family}");
    }
    let expected = "queue_length: label \"queue\" reached its limit of 2 values; new values are ignored by `set` and \
                    recorded as \"overflow\" by `add`; raise the limit of `open` in `labels!`";
    assert_eq!(warnings.about(expected).len(), 1);
    assert_eq!(warnings.about("queue_length").len(), 1);
    // A series that exists is still set.
    queues.queue_length.with(Queue { queue: "b" }).set(7.0);
    assert_eq!(value("queue_length", "b"), Some(7.0));
}

#[test]
fn sum_of_a_gauge_that_is_only_changed_stays_right_beyond_the_limit() {
    let registry = Registry::new();
    let queues = Queues::on(&registry).unwrap();
    let lengths = ["a", "b", "c", "d"].map(|queue| queues.queue_length.with(Queue { queue }));
    for length in &lengths {
        length.increment();
        length.add(2.5);
    }
    lengths[3].decrement();
    let value = |queue| registry.sum("queue_length", &[("queue", queue)]);
    assert_eq!(value("overflow"), Some(2.0 * 3.5 - 1.0));
    assert_eq!(registry.sum("queue_length", &[]), Some(4.0 * 3.5 - 1.0));
    // `set` does not overwrite the changes.
    lengths[3].set(100.0);
    assert_eq!(value("overflow"), Some(6.0));

    // Operations in progress cannot be set, so those of several queues can be in one series.
    let started = ["a", "b", "c", "d"].map(|queue| {
        let connections = queues.queue_connections.with(Queue { queue });
        connections.start()
    });
    let overflow = || registry.sum("queue_connections", &[("queue", "overflow")]);
    assert_eq!(overflow(), Some(2.0));
    drop(started);
    assert_eq!(overflow(), Some(0.0));
}

#[test]
fn unconventional_counter_and_info_need_no_suffix() {
    labels! {
        pub struct Revision { revision: open }
    }
    catalogue! {
        #[prefix = "old"]
        pub struct Old {
            /// Hits.
            pub hits: Counter<Payment> { unconventional: true },
            /// Seconds of work.
            pub work: FloatCounter { name: "busy_count", unconventional: true },
            /// The build.
            pub build: Info<Revision> { unconventional: true },
            /// Requests.
            pub requests_total: Counter { unconventional: true },
        }
    }
    let registry = Registry::new();
    let old = Old::on(&registry).unwrap();
    old.hits.with(Payment::Cash).add(3);
    old.work.add(0.5);
    old.build.set(Revision { revision: "7" });
    let page = registry.render();
    assert_valid_text(&page);
    for line in [
        "# TYPE old_hits counter",
        "old_hits{payment=\"cash\"} 3",
        "# TYPE busy_count counter",
        "busy_count 0.5",
        "# TYPE old_build gauge",
        "old_build{revision=\"7\"} 1",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}\n{page}");
    }
    let page = render_open_metrics(&registry);
    assert_valid_open_metrics(&page);
    for line in [
        "# TYPE old_hits unknown",
        "old_hits{payment=\"cash\"} 3",
        "# TYPE old_build gauge",
        "# TYPE old_requests counter",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}\n{page}");
    }
    let kinds = Old::families().into_iter().map(|family| family.kind);
    let expected = [
        MetricKind::Counter,
        MetricKind::Counter,
        MetricKind::Info,
        MetricKind::Counter,
    ];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
}

#[test]
fn buckets_that_another_recorder_ignores_cause_a_warning() {
    catalogue! {
        pub struct Timed {
            /// Duration in seconds, with the default buckets.
            pub usual_seconds: Histogram,
            /// Duration in seconds, with other buckets.
            pub own_seconds: Histogram<Payment> { buckets: [0.5, 2.0] },
            /// A gauge.
            pub level: Gauge,
        }
    }
    let warnings = Warnings::capture();
    Timed::on(Registry::new()).unwrap();
    assert_eq!(warnings.about("buckets").len(), 0);
    let timed = Timed::on(Sink::recorder(metrics::NoopRecorder)).unwrap();
    timed.own_seconds.with(Payment::Card).observe(1.0);
    let expected = "own_seconds: the buckets [0.5, 2.0] are ignored: this recorder sets its own buckets; configure \
                    them in the recorder, with `RegistryBuilder::buckets_for` if it passes metrics on to a `Registry`";
    assert_eq!(warnings.about(expected).len(), 1);
    assert_eq!(warnings.about("buckets").len(), 1);
}

#[test]
fn one_sink_serves_a_catalogue_and_a_layer() {
    let registry = Registry::new();
    let sink = Sink::from(&registry);
    let shop = Shop::on(&sink).unwrap();
    let _layer = tower_prometheus::HttpMetrics::server()
        .build(&sink)
        .unwrap();
    shop.stock.set(2.0);
    assert_eq!(registry.sum("shop_stock", &[]), Some(2.0));
}

/// The compiler checks this with any lifetime in place of the `'static` of a label set's default type.
#[test]
fn futures_that_record_borrowed_label_values_are_send() {
    labels! { pub struct Tenant { tenant: open(10) } }
    catalogue! {
        pub struct Jobs {
            /// Total number of jobs.
            pub jobs_total: Counter<Tenant>,
            /// Number of jobs in progress.
            pub jobs_in_progress: InProgress<Tenant>,
        }
    }
    async fn work(jobs: Jobs, tenant: &str) {
        let series = jobs.jobs_total.with(Tenant { tenant });
        let _running = jobs.jobs_in_progress.with(Tenant { tenant }).start();
        std::future::ready(()).await;
        series.increment();
        jobs.jobs_total.with(Tenant { tenant }).increment();
    }
    let registry = Registry::new();
    let jobs = Jobs::on(&registry).unwrap();
    let future: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
        let tenant = String::from("acme");
        work(jobs, &tenant).await;
    });
    assert!(future.now_or_never().is_some());
    assert_eq!(registry.sum("jobs_total", &[("tenant", "acme")]), Some(2.0));
}
