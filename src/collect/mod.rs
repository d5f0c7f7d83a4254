//! Collectors: metrics gathered at scrape time.
//!
//! Counters and histograms are recorded when an event happens. A [`Collector`] reads current values when
//! Prometheus scrapes: active leases, open connections, rows in a buffer, whether Redis answers. Register it
//! with [`Registry::collector`](crate::Registry::collector) or [`Registry::gauge`](crate::Registry::gauge):
//!
//! ```
//! use tower_prometheus::Registry;
//! use tower_prometheus::collect::Samples;
//!
//! # struct Leases;
//! # impl Leases { fn active(&self) -> usize { 3 } fn buffered(&self) -> Result<u64, std::io::Error> { Ok(0) } }
//! # let leases = std::sync::Arc::new(Leases);
//! # let buffer = std::sync::Arc::clone(&leases);
//! let metrics = Registry::new();
//! // A single gauge.
//! metrics.gauge("active_leases", "Number of active leases.", move || leases.active())?;
//! // Several metrics, or metrics whose source can fail.
//! metrics.collector("buffer", move |samples: &mut Samples| {
//!     samples.gauge("buffer_size", "Number of buffered results.").value(buffer.buffered()?);
//!     Ok(())
//! })?;
//! # Ok::<(), tower_prometheus::Error>(())
//! ```
//!
//! For async code, implement [`Collector`]. Its method gets a [`Deadline`]:
//!
//! ```
//! use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};
//!
//! struct RedisCheck;
//! # async fn ping() -> Result<(), std::io::Error> { Ok(()) }
//!
//! impl Collector for RedisCheck {
//!     async fn collect(&self, deadline: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
//!         let pong = tokio::time::timeout_at(deadline.instant(), ping()).await;
//!         let up = pong.is_ok_and(|pong| pong.is_ok());
//!         samples.gauge("redis_up", "Whether Redis answers in time.").value(up);
//!         Ok(())
//!     }
//! }
//! ```
//!
//! Wrap code that blocks its thread in [`Blocking`]. Without it, the code blocks the thread that serves the
//! metrics page, and no timeout can interrupt it. Between collectors, and while their samples are validated, a
//! scrape yields to other tasks after about 0.1 ms.
//!
//! The [recipes](crate::_guide::recipes) are complete collectors for connection pools, queues and the limits of a container,
//! with panels and alerts.
//!
//! # Samples
//!
//! All collectors run concurrently. Their samples are exported together with the metrics of the registry and
//! get its constant labels. Samples are not kept between scrapes: a series disappears when its collector stops
//! returning it.
//!
//! [`Samples`] has a method for each type of metric: counters, gauges, histograms, summaries, infos and state
//! sets.
//!
//! # Shared metrics
//!
//! Several collectors can report the same metric, such as one collector for each database pool. Its type, its unit
//! and its HELP text must be equal in all of them, and each series must be in one of them only: give each collector
//! a value of a label.
//!
//! ```
//! use tower_prometheus::Registry;
//! use tower_prometheus::collect::{CollectError, Samples};
//!
//! # struct Pool; impl Pool { fn size(&self) -> u32 { 1 } }
//! # let (orders, users) = (Pool, Pool);
//! let metrics = Registry::new();
//! for (name, pool) in [("orders", orders), ("users", users)] {
//!     metrics.collector(&format!("pool_{name}"), move |samples: &mut Samples| {
//!         let mut size = samples.gauge("pool_connections", "Number of connections of the pool.");
//!         size.sample(&[("pool", name)], pool.size());
//!         Ok(())
//!     })?;
//! }
//! # Ok::<(), tower_prometheus::Error>(())
//! ```
//!
//! If they differ, or if a series is in both, the collector that was registered later fails. The warning names both.
//! A collector cannot add series to a metric that layers, catalogues or macros record in the registry, because the
//! registry could register the same series at any time: a collector that tries fails, too.
//!
//! # Two registries on one page
//!
//! A [`Registry`](crate::Registry) is a collector, too: see [its documentation](crate::Registry#impl-Collector-for-Registry).
//! The package `tower-prometheus-bridge` has collectors for the registries of the crates `prometheus` and
//! `prometheus-client`.
//!
//! # Limits
//!
//! A collector can have 10,000 series, or as many as
//! [`max_series_per_collector`](crate::RegistryBuilder::max_series_per_collector) sets. If it returns more:
//!
//! - The metrics with the fewest series stay complete. Of the others, the first series in the order of the page stay,
//!   so they do not depend on the order in which the collector adds them.
//! - `scrape_collector_dropped_series` has the number of series that are not exported. The collector succeeds.
//! - One warning is logged for each collector.
//!
//! # Failures
//!
//! A collector that returns an error, panics, times out or returns invalid [`Samples`] loses all its metrics.
//! Other metrics are not affected. A warning is logged, and these metrics show it:
//!
//! | metric | type | labels | value |
//! |---|---|---|---|
//! | `scrape_collector_success` | gauge | `collector` | 1, or 0 if the metrics of the collector are missing |
//! | `scrape_collector_duration_seconds` | gauge | `collector` | run time of the collector, or the time until it timed out |
//! | `scrape_collector_dropped_series` | gauge | `collector` | number of series beyond the [limit](#limits); only of collectors that have more |
//!
//! With [`fail_on_collect_error`](crate::MetricsHandler::fail_on_collect_error), the scrape gets a 500
//! response with the reasons instead.
//!
//! # Timeouts
//!
//! Prometheus sends its scrape timeout in the header `X-Prometheus-Scrape-Timeout-Seconds`. Without the
//! header, [`scrape_timeout`](crate::MetricsHandler::scrape_timeout) applies, 10 s by default.
//!
//! | scrape timeout | [`Deadline`] passed to the collector | the collector is dropped |
//! |---|---|---|
//! | 200 ms or more | 150 ms before the timeout | 100 ms before the timeout |
//! | less than 200 ms | after 1/4 of the timeout | after 1/2 of the timeout |
//!
//! Timeouts need a tokio runtime with an enabled timer, as under `#[tokio::main]`. Without one, collectors
//! run, but one that hangs blocks the scrape until the scraper disconnects.
//!
//! # Concurrent scrapes
//!
//! No task is spawned: collectors run while the response body of a scrape is polled. Concurrent scrapes share
//! one run of each collector. The run is dropped with the last of these scrapes.
//!
//! A collector never runs twice at the same time. A scrape that arrives during a run joins it, with the
//! deadline of that run. If the scrape times out earlier itself, it is served without waiting longer, and
//! the collector counts as failed.

pub(crate) mod blocking;
pub(crate) mod checked;
pub(crate) mod checker;
pub(crate) mod deadline;
pub(crate) mod family_samples;
pub(crate) mod histogram_sample;
pub(crate) mod index_sort;
pub(crate) mod sample_value;
pub(crate) mod sampled;
pub(crate) mod samples;
pub(crate) mod summary_sample;

pub use self::{
    blocking::Blocking,
    deadline::Deadline,
    family_samples::{FamilySamples, StateSetSamples},
    histogram_sample::HistogramSample,
    sample_value::SampleValue,
    samples::Samples,
    summary_sample::SummarySample,
};

use std::future::{Future, ready};
use std::sync::Arc;

/// The error of a [`Collector`].
///
/// It is logged with its sources. If the scrape fails because of it, the message is also part of the response,
/// so it must not contain secrets. `?` converts any error that is `Send` and `Sync`. To return a message, write
/// `Err("no such pool".into())`.
pub type CollectError = Box<dyn std::error::Error + Send + Sync>;

/// A source of metrics that is read at scrape time.
///
/// A collector must not block its thread, because it runs on the thread that serves the metrics page. Wrap
/// blocking code in [`Blocking`].
///
/// Closures that take `&mut Samples` are collectors, and so are an `Arc` of a collector and another
/// [`Registry`](crate::Registry). The
/// [module documentation](self) describes failures, timeouts and concurrent scrapes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a collector",
    label = "not a collector",
    note = "a collector is a closure `|samples: &mut Samples| {{ …; Ok(()) }}`, `Blocking::new` of one, or a type that implements `Collector`"
)]
pub trait Collector: Send + Sync + 'static {
    /// Adds the current metrics to `samples`, before the deadline.
    ///
    /// The future is dropped when it times out, or when the last scrape that waits for it is dropped. It may
    /// be polled on any thread. A panic is handled like an error.
    ///
    /// # Errors
    ///
    /// Returns an error if the metrics cannot be read. None of `samples` is exported then.
    fn collect(
        &self,
        deadline: Deadline,
        samples: &mut Samples,
    ) -> impl Future<Output = Result<(), CollectError>> + Send;
}

/// A closure is a collector without a deadline: it must return without blocking.
///
/// Wrap a closure that blocks in [`Blocking`]. Otherwise it blocks the thread that serves the metrics page, and
/// the scrape timeout does not apply.
impl<F> Collector for F
where
    F: Fn(&mut Samples) -> Result<(), CollectError> + Send + Sync + 'static,
{
    fn collect(
        &self,
        _: Deadline,
        samples: &mut Samples,
    ) -> impl Future<Output = Result<(), CollectError>> + Send {
        ready(self(samples))
    }
}

impl<C: Collector> Collector for Arc<C> {
    fn collect(
        &self,
        deadline: Deadline,
        samples: &mut Samples,
    ) -> impl Future<Output = Result<(), CollectError>> + Send {
        C::collect(self, deadline, samples)
    }
}
