//! What an application measures besides its requests: a typed catalogue of families.
//!
//! ```
//! use tower_prometheus::{Counter, FloatCounter, Gauge, Histogram, InProgress, Info, Registry, buckets, catalogue, model::families_table, labels};
//!
//! labels! {
//!     /// A closed set of values: an enum. With a label's name it is a set of labels by itself.
//!     pub enum Payment("payment") {
//!         Card = "card",
//!         Cash = "cash",
//!     }
//!
//!     /// A set of labels: closed ones are enums, open ones take any text, up to so many values.
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
//!     /// What the shop measures.
//!     #[prefix = "shop_"]
//!     pub struct Shop {
//!         /// Orders by how they are paid and where they go.
//!         pub orders_total: Counter<Order>,
//!         /// Refunds by how they are paid.
//!         pub refunds_total: Counter<Payment>,
//!         /// Money taken, in dollars.
//!         pub revenue_dollars_total: FloatCounter,
//!         /// How long an order takes.
//!         pub order_duration_seconds: Histogram<Payment> { buckets: buckets::DURATION },
//!         /// Orders being packed.
//!         pub orders_packing: InProgress,
//!         /// Books on the shelves.
//!         pub stock: Gauge { name: "warehouse_stock" },
//!         /// What runs here.
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
//! let packing = shop.orders_packing.begin();
//! assert_eq!(registry.sum("shop_orders_packing", &[]), Some(1.0));
//! drop(packing);
//!
//! // Closed values are there from the start.
//! assert_eq!(registry.sum("shop_refunds_total", &[("payment", "card")]), Some(0.0));
//!
//! // What is defined can be read back.
//! assert!(families_table(&Shop::families()).contains("| `shop_orders_total` | counter |"));
//! # Ok::<(), tower_prometheus::Error>(())
//! ```
//!
//! # Kinds
//!
//! | field | is | recorded with |
//! |---|---|---|
//! | [`Counter`] | a number that only grows | `increment`, `add` |
//! | [`FloatCounter`] | the same, also by fractions | `add` |
//! | [`Gauge`] | a number that is set, raised and lowered | `set`, `add`, `increment`, `decrement` |
//! | [`InProgress`] | a gauge of what has begun and not ended | `begin`, which gives a guard |
//! | [`Histogram`] | samples counted by bucket | `observe`, `observe_duration` |
//! | `Summary` | quantiles of the last ten minutes, with the feature `summary` | `observe`, `observe_duration` |
//! | [`Info`] | labels that do not change, at 1 | `set` |
//!
//! A kind of a set of labels is a family; `with` labels it is one of its series. Both are words that can be
//! copied anywhere: into a task, into a struct, into a `static`.
//!
//! # Labels
//!
//! Closed labels are enums: their series exist at 0 from the start, and finding one is an index into an
//! array. Open labels take any text, up to as many values as they say. A value beyond that is counted as
//! `overflow`, with one warning, and in `metrics_label_overflow_total{family,label}`; so is one of more than
//! 1024 bytes. Where a closed label is beside open ones, all its values exist as soon as the open ones are
//! first seen. Constant labels are the [registry's](crate::RegistryBuilder::constant_label).
//!
//! # Where it records
//!
//! `Shop::on(&registry)` records into that registry: an isolated one in a test, the installed one in a
//! program. The same catalogue twice on one registry is one set of series, and what the macros of the
//! `metrics` crate record under the same name and labels goes into the same. `Shop::on(Sink::recorder(…))`
//! records into any recorder, within [what that can do](crate::Sink); make it once, because bounds of labels
//! are counted anew each time.
//!
//! `Shop::global()` records into the recorder that is installed globally, whenever that happens. Call sites
//! need not know: until there is one, what they record goes nowhere (but an [`Info`] is kept); from then on
//! it is recorded, also by what was copied before. Closed series exist as soon as a
//! [`Registry`](crate::Registry) is installed; in a recorder of another crate, which tells nobody, as soon as
//! anything is recorded. While a thread has a local recorder, that one counts as
//! installed for it; give tests a registry of their own instead.
//!
//! # Several families at once
//!
//! An event that moves several families is a method:
//!
//! ```
//! # use tower_prometheus::{Counter, FloatCounter, Registry, catalogue};
//! catalogue! {
//!     pub struct Shop {
//!         /// Books sold.
//!         pub books_sold_total: Counter,
//!         /// Money taken, in dollars.
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

#[cfg(feature = "stream")]
#[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
pub use self::operation::stream::OperationStream;
pub use self::{
    label_spec::LabelValue,
    labels::{LabelSet, LabelsOf},
    metric::{InProgressGuard, Metric},
    operation::{
        future::OperationFuture,
        guard::OperationGuard,
        outcome::{OperationEnd, Outcome},
    },
};
