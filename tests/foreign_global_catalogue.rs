//! A catalogue of the global recorder, which is someone else's. A binary of its own, because there is one a
//! process.

use tower_prometheus::{Counter, Info, Registry, catalogue, labels};

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
        /// What runs.
        build_info: Info<Build>,
    }
}

#[test]
fn a_foreign_global_recorder_is_found_by_the_first_call_after_it() {
    let shop = Shop::global();
    let cash = shop.orders_total.with(Payment::Cash);
    cash.increment();
    shop.build_info.set(Build { version: "1" });

    // Any recorder that `metrics` did not make will do; one of our own registries, installed by hand.
    let foreign = Registry::new();
    metrics::set_global_recorder(foreign.clone()).unwrap();
    cash.add(2);
    let orders = |payment| foreign.sum("orders_total", &[("payment", payment)]);
    assert_eq!((orders("cash"), orders("card")), (Some(2.0), Some(0.0)));
    // The first call told the other families.
    assert_eq!(
        foreign.sum("refunds_total", &[("payment", "card")]),
        Some(0.0)
    );
    assert_eq!(foreign.sum("build_info", &[("version", "1")]), Some(1.0));
}
