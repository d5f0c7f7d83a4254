//! A shop's own metrics: defined once, recorded from anywhere, read back as a table.
//!
//! ```text
//! $ cargo run --release --example catalogue
//! what there is:
//! | family | type | labels | |
//! |---|---|---|---|
//! | `shop_orders_total` | counter | `payment` (card, cash), `status` (success, error, cancelled, panicked) | Orders that ended. |
//! | `shop_order_duration_seconds` | histogram | `payment` (card, cash) | How long an order takes. |
//! | `shop_orders_in_progress` | gauge |  | Orders at work. |
//! | `shop_errors_total` | counter | `error_type`, `component` | Errors by their type and where they were seen. |
//! | `shop_parcels_total` | counter | `country` | Parcels by where they go. |
//! | `shop_revenue_dollars_total` | counter |  | Money taken, in dollars. |
//! | `shop_build_info` | info | `version` | What runs here. |
//! before the first order:
//! shop_build_info{version="1.2.0"} 1
//! shop_orders_in_progress 0
//! shop_orders_total{payment="card",status="cancelled"} 0
//! shop_orders_total{payment="card",status="error"} 0
//! shop_orders_total{payment="card",status="panicked"} 0
//! shop_orders_total{payment="card",status="success"} 0
//! shop_orders_total{payment="cash",status="cancelled"} 0
//! shop_orders_total{payment="cash",status="error"} 0
//! shop_orders_total{payment="cash",status="panicked"} 0
//! shop_orders_total{payment="cash",status="success"} 0
//! shop_revenue_dollars_total 0
//! after four, one of which nobody waited for:
//! metrics_label_overflow_total{family="shop_parcels_total",label="country"} 1
//! shop_errors_total{component="orders",error_type="OutOfStock"} 1
//! shop_order_duration_seconds_count{payment="card"} 3
//! shop_order_duration_seconds_count{payment="cash"} 1
//! shop_orders_total{payment="card",status="cancelled"} 1
//! shop_orders_total{payment="card",status="success"} 2
//! shop_orders_total{payment="cash",status="error"} 1
//! shop_parcels_total{country="NZ"} 1
//! shop_parcels_total{country="overflow"} 1
//! shop_revenue_dollars_total 25.5
//! ```

use tower_prometheus::{
    Counter, Error, FloatCounter, Histogram, InProgress, Info, Operation, Registry, buckets,
    catalogue, custom::Outcome, labels, model::families_table,
};

labels! {
    /// How an order is paid: a closed set, and a set of labels by itself.
    enum Payment("payment") {
        Card = "card",
        Cash = "cash",
    }

    /// Two closed labels.
    struct Order {
        payment: Payment,
        status: Outcome,
    }

    /// An open label: the first country gets a series, any other is `overflow`.
    struct Parcel {
        country: open(1),
    }

    struct Failure {
        error_type: open(50),
        component: open(20),
    }

    struct Build {
        version: open,
    }
}

catalogue! {
    /// What the shop measures.
    #[prefix = "shop_"]
    struct Shop {
        /// Orders that ended.
        orders_total: Counter<Order>,
        /// How long an order takes.
        order_duration_seconds: Histogram<Payment> { buckets: buckets::DURATION },
        /// Orders at work.
        orders_in_progress: InProgress,
        /// Errors by their type and where they were seen.
        errors_total: Counter<Failure>,
        /// Parcels by where they go.
        parcels_total: Counter<Parcel>,
        /// Money taken, in dollars.
        revenue_dollars_total: FloatCounter,
        /// What runs here.
        build_info: Info<Build>,
    }
}

#[derive(Debug)]
struct OutOfStock;

impl Shop {
    /// Anything that is an order: in progress while it runs, timed, and counted however it ends.
    async fn order<T, E>(
        self,
        payment: Payment,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        Operation::with(payment)
            .in_progress(self.orders_in_progress)
            .duration(|end| self.order_duration_seconds.with(*end.labels))
            .count(|end| {
                let (payment, status) = (*end.labels, end.outcome);
                self.orders_total.with(Order { payment, status })
            })
            .errors(|_, error_type| {
                let component = "orders";
                self.errors_total.with(Failure {
                    error_type,
                    component,
                })
            })
            .run(work)
            .await
    }

    /// One event that moves two families.
    fn sent(&self, country: &str, dollars: f64) {
        self.parcels_total.with(Parcel { country }).increment();
        self.revenue_dollars_total.add(dollars);
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    println!("what there is:");
    print!("{}", families_table(&Shop::families()));

    // A program that installs its registry says `Shop::global()` instead, anywhere.
    let metrics = Registry::new();
    let shop = Shop::on(&metrics)?;
    shop.build_info.set(Build { version: "1.2.0" });
    println!("before the first order:");
    print(&metrics, |line| !line.contains("duration"));

    for (country, dollars) in [("NZ", 12.5), ("FR", 13.0)] {
        let paid = shop.order(Payment::Card, async {
            shop.sent(country, dollars);
            Ok::<_, OutOfStock>(())
        });
        paid.await.unwrap_or_default();
    }
    let failed = shop.order(Payment::Cash, async { Err::<(), _>(OutOfStock) });
    failed.await.unwrap_or_default();
    tokio::select! {
        biased;
        _ = shop.order(Payment::Card, std::future::pending::<Result<(), OutOfStock>>()) => {}
        () = tokio::task::yield_now() => {}
    }
    println!("after four, one of which nobody waited for:");
    print(&metrics, |line| {
        let counts = line.contains("_total") || line.contains("_count");
        counts && !line.ends_with(" 0")
    });
    Ok(())
}

fn print(metrics: &Registry, wanted: impl Fn(&str) -> bool) {
    let page = metrics.render();
    page.lines()
        .filter(|line| !line.starts_with('#') && wanted(line))
        .for_each(|line| println!("{line}"));
}
