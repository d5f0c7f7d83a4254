//! Families of a catalogue: on a registry, on a recorder of another crate, and what is refused.

use tower_prometheus::{
    Counter, FloatCounter, Gauge, Histogram, InProgress, Info, Registry, Sink, Unit, catalogue,
    labels,
    model::{LabelValues, MetricKind, families_table},
};

use test_support::page::{assert_open_metrics, assert_readable, open_metrics, samples};
use test_support::warnings::{Warnings, with_counted_warnings};

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
        /// How long packing takes.
        pub packing_seconds: Histogram<Payment>,
        /// Parcels.
        pub deliveries_total: Counter<Delivery>,
        /// What runs.
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
fn closed_labels_exist_from_the_start_and_open_ones_when_they_are_seen() {
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

    // All closed values beside an open one, as soon as it is first seen, before anything is counted.
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
fn each_series_is_moved_by_its_own_labels() {
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
fn all_kinds_record() {
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
    let (one, _other) = (cash.begin(), cash.begin());
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
    assert_readable(&page);
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

    let page = open_metrics(&registry);
    assert_open_metrics(&page);
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
fn too_many_values_are_one_overflow_with_one_warning() {
    let registry = Registry::new();
    let shop = Shop::on(&registry).unwrap();
    let warnings = Warnings::catch();
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
    let overflown = || registry.sum("metrics_label_overflow_total", &labels);
    assert_eq!(overflown(), Some(99.0));
    let expected = "shop_orders_total: label \"country\" reached its limit of 2 values";
    assert_eq!(warnings.about(expected).len(), 1);
    assert_eq!(warnings.about("country").len(), 1);

    // Of several labels each has a bound of its own.
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
    assert_readable(&registry.render());

    // Another catalogue of the same registry does not begin again.
    let again = Shop::on(&registry).unwrap();
    again.orders_total.with(order("new")).increment();
    assert_eq!(
        registry.sum("shop_orders_total", &[("country", "new")]),
        None
    );
}

#[test]
fn many_threads_do_not_go_beyond_the_bound() {
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
    // Two values and the overflow, with four combinations of closed ones each.
    assert_eq!(lines.count(), 3 * 4);
}

#[test]
fn twice_on_one_registry_is_one_set_of_series_and_so_are_macros() {
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
    assert_readable(&registry.render());
}

#[test]
fn conflicting_definitions_are_refused_by_name() {
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

/// Methods and constants may have the name of a field: they are not those of the macro.
#[test]
fn a_catalogue_has_no_items_with_the_names_of_its_fields() {
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
fn a_catalogue_of_a_registry_and_the_global_one_have_the_same_type() {
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
fn an_info_keeps_what_it_was_first_set_to() {
    let registry = Registry::new();
    let shop = Shop::on(&registry).unwrap();
    let warnings = Warnings::catch();
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

/// Any recorder of the `metrics` crate will do: here one of ours that is not known to be ours.
#[test]
fn on_a_foreign_recorder_it_goes_through_its_handles() {
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
    let packing = shop.packing.with(Payment::Card).begin();
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
    // A counter of that facade is whole.
    assert!(
        page.contains("# TYPE shop_revenue_dollars_total gauge\n"),
        "{page}"
    );
}

#[cfg(feature = "exporter")]
#[test]
fn on_the_exporters_recorder_the_page_tells_the_same() {
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

/// Who listens to warnings may record something in turn, even in the family that warned.
#[test]
fn a_subscriber_that_records_in_the_same_registry_does_no_harm() {
    let registry = Registry::new();
    let shop = Shop::on(&registry).unwrap();
    with_counted_warnings(&registry, || {
        for i in 0..10 {
            shop.orders_total.with(order(&i.to_string())).increment();
        }
    });
    assert!(registry.sum("log_events", &[]).unwrap() >= 1.0);
}

#[test]
fn families_can_be_read_back() {
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
fn handles_go_anywhere_and_say_what_they_are() {
    fn anywhere<T: Send + Sync + Copy + std::fmt::Debug + 'static>(_: T) {}
    let registry = Registry::new();
    let shop = Shop::on(&registry).unwrap();
    anywhere(shop);
    let cash = shop.refunds_total.with(Payment::Cash);
    anywhere(cash);
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

/// OpenMetrics takes `_total`, `_info` and `_created` for parts of one family: names that would meet stay
/// whole, and the page can be read.
#[test]
fn short_names_do_not_meet() {
    labels! {
        pub struct Version { version: open }
    }
    catalogue! {
        pub struct Jobs {
            /// Jobs done.
            pub jobs_total: Counter,
            /// What runs them.
            pub jobs_info: Info<Version>,
            /// Orders.
            pub orders_total: Counter,
            /// Orders made by hand.
            pub orders_created_total: Counter,
            /// How long a try takes.
            pub try_seconds_info: Info<Version> { unit: &Unit::Seconds },
        }
    }
    let registry = Registry::new();
    let jobs = Jobs::on(&registry).unwrap();
    jobs.jobs_info.set(Version { version: "1" });
    jobs.try_seconds_info.set(Version { version: "1" });
    assert_readable(&registry.render());
    let page = open_metrics(&registry);
    assert_open_metrics(&page);
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
