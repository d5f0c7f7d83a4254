//! A catalogue of the global recorder, before and after there is one. A binary of its own, because there is
//! one a process.

use tower_prometheus::{Counter, Gauge, InProgress, Info, Registry, catalogue, labels};

labels! {
    enum Payment("payment") { Card = "card", Cash = "cash" }
    struct Country { country: open(5) }
    struct Build { version: open }
}

catalogue! {
    #[prefix = "shop_"]
    struct Shop {
        /// Orders.
        orders_total: Counter<Payment>,
        /// Parcels.
        parcels_total: Counter<Country>,
        /// Books.
        stock: Gauge,
        /// Packing.
        packing: InProgress,
        /// What runs.
        build_info: Info<Build>,
        /// What the registry refuses, because it has another family of that name.
        taken: Gauge { name: "taken" },
    }
}

catalogue! {
    /// Nobody has asked for it before the registry was installed.
    struct Late {
        /// Refunds.
        refunds_total: Counter<Payment>,
    }
}

#[test]
fn call_sites_need_not_know_whether_there_is_a_recorder() {
    let shop = Shop::global();
    // Held since before, by a task for example.
    let cash = shop.orders_total.with(Payment::Cash);
    let nz = shop.parcels_total.with(Country { country: "NZ" });
    cash.increment();
    nz.increment();
    shop.stock.set(5.0);
    shop.build_info.set(Build { version: "1" });
    let packing = shop.packing.begin();

    let registry = Registry::builder()
        .constant_label("service", "shop")
        .build()
        .unwrap();
    metrics::with_local_recorder(&registry, || metrics::counter!("taken").increment(1));
    assert_eq!(registry.value("shop_orders_total", &[]), None);

    let registry = Registry::builder()
        .constant_label("service", "web")
        .install()
        .unwrap();
    metrics::counter!("taken").increment(1);
    // There as soon as there is a registry, at 0: what was recorded before went nowhere, but an info is kept.
    let page = registry.render();
    for line in [
        "shop_orders_total{payment=\"card\",service=\"web\"} 0",
        "shop_orders_total{payment=\"cash\",service=\"web\"} 0",
        "shop_stock{service=\"web\"} 0",
        "shop_build_info{service=\"web\",version=\"1\"} 1",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}\n{page}");
    }
    // What began before and ends now does not bring the gauge below 0.
    drop(packing);
    assert_eq!(registry.value("shop_packing", &[]), Some(0.0));

    cash.increment();
    nz.increment();
    Shop::global().orders_total.with(Payment::Cash).increment();
    std::thread::spawn(|| Shop::global().stock.set(7.0))
        .join()
        .unwrap();
    assert_eq!(
        registry.value("shop_orders_total", &[("payment", "cash")]),
        Some(2.0)
    );
    assert_eq!(
        registry.value("shop_parcels_total", &[("country", "NZ")]),
        Some(1.0)
    );
    assert_eq!(registry.value("shop_stock", &[]), Some(7.0));

    // A catalogue that is first asked for now is there at once.
    let _ = Late::global();
    assert_eq!(
        registry.value("refunds_total", &[("payment", "cash")]),
        Some(0.0)
    );
}
