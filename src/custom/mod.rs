//! Custom metrics with typed labels, defined in a catalogue.
//!
//! | to | use |
//! |---|---|
//! | define metrics | [`catalogue!`](crate::catalogue!) |
//! | define labels | [`labels!`](crate::labels!) |
//! | count, time and track an operation | [`Operation`](crate::Operation) |
//! | measure each call of a Tower service that is not HTTP | [`OperationLayer`] |
//! | record without a definition | the macros of the `metrics` crate, with a [`Registry`](crate::Registry) as the recorder |
//!
//! ```
//! use tower_prometheus::model::families_table;
//! use tower_prometheus::{
//!     Counter, FloatCounter, Gauge, Histogram, InProgress, Info, Registry, buckets, catalogue, labels,
//! };
//!
//! labels! {
//!     /// A closed label: an enum. With a label name, it is also a set of one label.
//!     pub enum Payment("payment") {
//!         Card = "card",
//!         Cash = "cash",
//!     }
//!
//!     /// A set of labels: closed ones are enums, open ones take any string, up to a number of values.
//!     pub struct Order {
//!         payment: Payment,
//!         country: open(50),
//!     }
//!
//!     pub struct Build {
//!         version: open,
//!     }
//! }
//!
//! catalogue! {
//!     /// The metrics of the shop.
//!     #[prefix = "shop"]
//!     pub struct Shop {
//!         /// Total number of orders, by payment and country.
//!         pub orders_total: Counter<Order>,
//!         /// Total number of refunds, by payment.
//!         pub refunds_total: Counter<Payment>,
//!         /// Total revenue in dollars.
//!         pub revenue_dollars_total: FloatCounter,
//!         /// Duration of orders in seconds.
//!         pub order_duration_seconds: Histogram<Payment> { buckets: buckets::DURATION },
//!         /// Number of orders being packed.
//!         pub orders_packing: InProgress,
//!         /// Number of books in stock.
//!         pub stock: Gauge { name: "warehouse_stock" },
//!         /// Version of the program.
//!         pub build_info: Info<Build>,
//!     }
//! }
//!
//! let registry = Registry::new();
//! let shop = Shop::on(&registry)?;
//!
//! shop.orders_total.with(Order { payment: Payment::Card, country: "NZ" }).increment();
//! shop.refunds_total.with(Payment::Cash).add(2);
//! shop.revenue_dollars_total.add(12.5);
//! shop.order_duration_seconds.with(Payment::Card).observe(0.25);
//! shop.stock.set(1200.0);
//! shop.build_info.set(Build { version: env!("CARGO_PKG_VERSION") });
//! let packing = shop.orders_packing.start();
//! assert_eq!(registry.sum("shop_orders_packing", &[]), Some(1.0));
//! drop(packing);
//!
//! // Series of closed labels are exported as 0 from start-up.
//! assert_eq!(registry.sum("shop_refunds_total", &[("payment", "card")]), Some(0.0));
//!
//! // The definitions can be read.
//! assert!(families_table(&Shop::families()).contains("| `shop_orders_total` | counter |"));
//! # Ok::<(), tower_prometheus::Error>(())
//! ```
//!
//! # Metric types
//!
//! | type | description | methods |
//! |---|---|---|
//! | [`Counter`](crate::Counter) | an integer that only increases | `increment`, `add` |
//! | [`FloatCounter`](crate::FloatCounter) | a counter that also increases by fractions | `add` |
//! | [`Gauge`](crate::Gauge) | a number that increases and decreases | `set`, `add`, `increment`, `decrement` |
//! | [`InProgress`](crate::InProgress) | a gauge of operations in progress | `start`, which returns a guard |
//! | [`Histogram`](crate::Histogram) | observations counted in buckets | `observe`, `observe_duration` |
//! | `Summary` | quantiles of the last 8 to 10 minutes (feature `summary`) | `observe`, `observe_duration` |
//! | [`Info`](crate::Info) | a gauge with the value 1 whose labels do not change | `set` |
//! | [`StateSet`](crate::StateSet) | which one of several states something is in | `set` |
//!
//! `Counter<Order>` is a metric with the labels of `Order`. Its method `with` takes label values and returns one series.
//! All of these types can be kept in tasks, structs and statics:
//!
//! | type | what it is | |
//! |---|---|---|
//! | `Counter<Order>` | a metric, as in the catalogue | `Copy` |
//! | `Counter` | a metric without labels, or a series whose labels are all closed | `Copy` |
//! | [`Counter<Owned>`](Owned) | a series with an open label | `Clone`; keeps the memory of the series while it exists |
//!
//! # Labels
//!
//! | label | defined as | values | series exported |
//! |---|---|---|---|
//! | closed | an enum, or `bool` | those of the enum | as 0 from start-up |
//! | open | `open(50)`, or `open` for 1000 | any string; beyond 50 values, or if longer than 1024 bytes, `overflow` | when `with` is first called with the value, until it [expires](crate::RegistryBuilder::idle_timeout) or is removed |
//!
//! If a metric has both, the series of all closed values are exported once a combination of open values is
//! first used. Looking up a series with closed labels only is an index into an array. Other series are looked up by a hash
//! of their open values, in a table of the calling thread: keep a series that you record often.
//!
//! The first value beyond the limit of a label logs a warning. Each call of `with` with such a value increments
//! `metrics_label_overflow_total{family,label}`. `set` of a [`Gauge`](crate::Gauge) is then ignored, because several
//! series would overwrite each other. For the same reason, a [`StateSet`](crate::StateSet) never exports `overflow`.
//!
//! Constant labels are set on the [registry](crate::RegistryBuilder::constant_label).
//!
//! # Registry or global recorder
//!
//! | to record into | use |
//! |---|---|
//! | a registry: your program's, or one per test | `Shop::on(&registry)` |
//! | another recorder | `Shop::on(Sink::recorder(…))`, within [what it supports](crate::Sink) |
//! | the global recorder, which may be installed later | `Shop::global()` |
//!
//! A catalogue that is created twice on one registry has the same series. The macros of the `metrics` crate
//! record into the same series, if name and labels are equal. On another recorder, create a catalogue once:
//! each one counts the values of open labels, and starts state sets, separately.
//!
//! With `Shop::global()`, nothing is recorded until a recorder is installed, except that an
//! [`Info`](crate::Info) is kept. Afterwards everything is recorded, also by copies made earlier. Closed
//! series are exported as soon as a [`Registry`](crate::Registry) is installed. In a recorder of another crate,
//! they are registered with the first recording, because installing it does not notify this crate.
//!
//! If no registry was installed with [`RegistryBuilder::install`](crate::RegistryBuilder::install), the local recorder of
//! a thread counts as the installed one. `Shop::global()` is one catalogue per process, and each of its series belongs
//! to the recorder that is current when the series is registered, and stays there:
//!
//! | series | registered |
//! |---|---|
//! | with closed labels only, or without labels | all at once, when the catalogue first finds a recorder |
//! | with open labels | when a combination of open values is first used |
//!
//! So in tests, use one registry per test instead.
//!
//! # Several metrics per event
//!
//! If an event changes several metrics, write a method:
//!
//! ```
//! # use tower_prometheus::{Counter, FloatCounter, Registry, catalogue};
//! catalogue! {
//!     pub struct Shop {
//!         /// Total number of books sold.
//!         pub books_sold_total: Counter,
//!         /// Total revenue in dollars.
//!         pub revenue_dollars_total: FloatCounter,
//!     }
//! }
//!
//! impl Shop {
//!     pub fn sold(&self, books: u64, dollars: f64) {
//!         self.books_sold_total.add(books);
//!         self.revenue_dollars_total.add(dollars);
//!     }
//! }
//!
//! let registry = Registry::new();
//! Shop::on(&registry)?.sold(2, 31.5);
//! assert_eq!(registry.sum("revenue_dollars_total", &[]), Some(31.5));
//! # Ok::<(), tower_prometheus::Error>(())
//! ```

mod catalogue;
pub(crate) mod checks;
#[doc(hidden)]
pub mod definition;
pub(crate) mod destination;
pub(crate) mod family;
pub(crate) mod info;
pub(crate) mod label_spec;
pub(crate) mod labels;
pub(crate) mod metric;
pub(crate) mod node;
pub(crate) mod operation;
pub(crate) mod series;
pub(crate) mod state_set;

#[cfg(feature = "stream")]
#[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
pub use self::operation::stream::OperationStream;
pub use self::{
    label_spec::LabelValue,
    labels::{LabelSet, LabelsOf, NoLabels, Owned},
    metric::{InProgressGuard, Metric, SeriesGuard},
    operation::{
        future::OperationFuture,
        guard::OperationGuard,
        layer::OperationLayer,
        outcome::{OperationEnd, Outcome},
        service::OperationService,
    },
};
