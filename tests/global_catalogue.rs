//! A global catalogue before and after `install`. A test binary of its own, because a process has one global recorder.

use std::io;
use std::sync::{Arc, Mutex};

use tower_prometheus::{Counter, Gauge, InProgress, Info, Registry, catalogue, labels};

labels! {
    enum Payment("payment") { Card = "card", Cash = "cash" }
    enum Service("service") { Web = "web" }
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
        /// Books in stock.
        stock: Gauge,
        /// Parcels being packed.
        packing: InProgress,
        /// The running version.
        build_info: Info<Build>,
        /// Cannot be registered: its label is a constant label of the registry.
        refused_total: Counter<Service>,
        /// Log events.
        logged_total: Counter,
    }
}

catalogue! {
    /// Not used before the registry is installed.
    struct Late {
        /// Refunds.
        refunds_total: Counter<Payment>,
    }
}

#[test]
fn global_catalogue_works_before_and_after_install() {
    let shop = Shop::global();
    // Handles that are kept, for example by a task, while the registry is installed.
    let cash = shop.orders_total.with(Payment::Cash);
    let nz = shop.parcels_total.with(Country { country: "NZ" });
    cash.increment();
    nz.increment();
    shop.stock.set(5.0);
    shop.build_info.set(Build { version: "1" });
    let packing = shop.packing.start();

    shop.refused_total.with(Service::Web).increment();

    // The subscriber that gets the error uses the catalogue itself.
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .finish();
    let registry = tracing::subscriber::with_default(subscriber, || {
        let builder = Registry::builder().constant_label("service", "web");
        let registry = builder.install().unwrap();
        shop.refused_total.with(Service::Web).increment();
        registry
    });
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let expected = "shop_refused_total is not recorded: label \"service\" is a constant label";
    assert!(logged.contains(expected), "{logged}");
    assert_eq!(logged.lines().count(), 1, "{logged}");
    assert_eq!(registry.sum("shop_logged_total", &[]), Some(1.0));
    assert_eq!(registry.sum("shop_refused_total", &[]), None);

    // Series are exported as 0 from `install`. Values recorded before are lost, except those of an `Info`.
    let page = registry.render();
    for line in [
        "shop_orders_total{payment=\"card\",service=\"web\"} 0",
        "shop_orders_total{payment=\"cash\",service=\"web\"} 0",
        "shop_stock{service=\"web\"} 0",
        "shop_build_info{service=\"web\",version=\"1\"} 1",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}\n{page}");
    }
    // An operation that started before `install` and ends after it does not decrease the gauge.
    drop(packing);
    assert_eq!(registry.sum("shop_packing", &[]), Some(0.0));

    cash.increment();
    nz.increment();
    Shop::global().orders_total.with(Payment::Cash).increment();
    std::thread::spawn(|| Shop::global().stock.set(7.0))
        .join()
        .unwrap();
    assert_eq!(
        registry.sum("shop_orders_total", &[("payment", "cash")]),
        Some(2.0)
    );
    assert_eq!(
        registry.sum("shop_parcels_total", &[("country", "NZ")]),
        Some(1.0)
    );
    assert_eq!(registry.sum("shop_stock", &[]), Some(7.0));

    // A catalogue that is first used after `install` is registered at once.
    let _ = Late::global();
    assert_eq!(
        registry.sum("refunds_total", &[("payment", "cash")]),
        Some(0.0)
    );
}

/// Keeps log lines, and counts them in the catalogue that they may be about.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Shop::global().logged_total.increment();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
