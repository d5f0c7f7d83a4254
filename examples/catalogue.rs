//! Custom metrics with typed labels: a catalogue, an operation, and a table of the definitions.
//!
//! ```text
//! $ cargo run --release --example catalogue
//! metric families:
//! | family | type | labels | |
//! |---|---|---|---|
//! | `shop_orders_total` | counter | `payment` (card, cash), `status` (success, error, cancelled, panicked) | Total number of orders, by payment and status. |
//! | `shop_order_duration_seconds` | histogram | `payment` (card, cash) | Duration of orders in seconds. |
//! | `shop_orders_in_progress` | gauge |  | Number of orders in progress. |
//! | `shop_errors_total` | counter | `error_type`, `component` | Total number of errors, by type and component. |
//! | `shop_parcels_total` | counter | `country` | Total number of parcels, by country. |
//! | `shop_revenue_dollars_total` | counter |  | Total revenue in dollars. |
//! | `shop_build_info` | info | `version` | Version of the program. |
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
//! after four orders, one of them failed and one cancelled:
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
    /// An enum label. With a label name in parentheses, it is also a label set.
    enum Payment("payment") {
        Card = "card",
        Cash = "cash",
    }

    /// A label set of two enums.
    struct Order {
        payment: Payment,
        status: Outcome,
    }

    /// A free-form label with a limit of one value: the second country is recorded as `overflow`.
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
    /// The metrics of the shop.
    #[prefix = "shop"]
    struct Shop {
        /// Total number of orders, by payment and status.
        orders_total: Counter<Order>,
        /// Duration of orders in seconds.
        order_duration_seconds: Histogram<Payment> { buckets: buckets::DURATION },
        /// Number of orders in progress.
        orders_in_progress: InProgress,
        /// Total number of errors, by type and component.
        errors_total: Counter<Failure>,
        /// Total number of parcels, by country.
        parcels_total: Counter<Parcel>,
        /// Total revenue in dollars.
        revenue_dollars_total: FloatCounter,
        /// Version of the program.
        build_info: Info<Build>,
    }
}

#[derive(Debug)]
struct OutOfStock;

impl Shop {
    /// Runs an order and records it: in progress while it runs, then its duration, status and error.
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

    /// Records a parcel and its revenue.
    fn record_parcel(&self, country: &str, dollars: f64) {
        self.parcels_total.with(Parcel { country }).increment();
        self.revenue_dollars_total.add(dollars);
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    println!("metric families:");
    print!("{}", families_table(&Shop::families()));

    // If the program installs its registry as the global recorder, `Shop::global()` needs no registry.
    let metrics = Registry::new();
    let shop = Shop::on(&metrics)?;
    shop.build_info.set(Build { version: "1.2.0" });
    println!("before the first order:");
    print_samples(&metrics, |line| !line.contains("duration"));

    for (country, dollars) in [("NZ", 12.5), ("FR", 13.0)] {
        let order = shop.order(Payment::Card, async {
            shop.record_parcel(country, dollars);
            Ok::<_, OutOfStock>(())
        });
        order.await.unwrap_or_default();
    }
    let failing = shop.order(Payment::Cash, async { Err::<(), _>(OutOfStock) });
    failing.await.unwrap_or_default();
    // Dropping the future of an operation cancels it.
    tokio::select! {
        biased;
        _ = shop.order(Payment::Card, std::future::pending::<Result<(), OutOfStock>>()) => {}
        () = tokio::task::yield_now() => {}
    }
    println!("after four orders, one of them failed and one cancelled:");
    print_samples(&metrics, |line| {
        let is_count = line.contains("_total") || line.contains("_count");
        is_count && !line.ends_with(" 0")
    });
    Ok(())
}

fn print_samples(metrics: &Registry, is_shown: impl Fn(&str) -> bool) {
    let page = metrics.render();
    page.lines()
        .filter(|line| !line.starts_with('#') && is_shown(line))
        .for_each(|line| println!("{line}"));
}
