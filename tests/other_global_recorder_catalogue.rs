//! A global catalogue on the recorder of another crate. A test binary of its own, because a process has one global
//! recorder.

use test_support::warnings::Warnings;
use tower_prometheus::{Counter, Histogram, Info, Registry, catalogue, labels};

labels! {
    enum Payment("payment") { Card = "card", Cash = "cash" }
    struct Build { version: open }
}

catalogue! {
    struct Shop {
        /// Orders.
        orders_total: Counter<Payment>,
        /// Refunds.
        refunds_total: Counter<Payment>,
        /// The running version.
        build_info: Info<Build>,
        /// Duration of orders in seconds.
        order_seconds: Histogram { buckets: [1.0] },
    }
}

#[test]
fn global_catalogue_registers_all_metrics_at_the_first_call_after_another_recorder_is_installed() {
    let warnings = Warnings::capture();
    let shop = Shop::global();
    let cash = shop.orders_total.with(Payment::Cash);
    cash.increment();
    shop.build_info.set(Build { version: "1" });

    // A registry that is installed without `install` counts as a recorder of another crate.
    let other = Registry::new();
    metrics::set_global_recorder(other.clone()).unwrap();
    cash.add(2);
    let orders = |payment| other.sum("orders_total", &[("payment", payment)]);
    assert_eq!((orders("cash"), orders("card")), (Some(2.0), Some(0.0)));
    // The first call registered the other families.
    assert_eq!(
        other.sum("refunds_total", &[("payment", "card")]),
        Some(0.0)
    );
    assert_eq!(other.sum("build_info", &[("version", "1")]), Some(1.0));
    // The other recorder has its own buckets.
    let expected = "order_seconds: the buckets [1.0] are ignored";
    assert_eq!(warnings.about(expected).len(), 1);
}
