//! Numbers that are asked for when a page is: [`Collector`].
//!
//! What an application counts, it records where it happens. What it *has* (leases, connections, rows in
//! a buffer, whether Redis answers) it is asked for when Prometheus scrapes:
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
//! let handler = metrics
//!     .handler()
//!     // A gauge is one line.
//!     .gauge("active_leases", "Leases not yet returned.", move || leases.active())
//!     // Several families, or one that can fail, are a closure.
//!     .collector("buffer", move |samples: &mut Samples| {
//!         samples.gauge("buffer_size", "Results that wait.").value(buffer.buffered()?);
//!         Ok(())
//!     });
//! ```
//!
//! One that waits is a type with an async method, which is told how long it may take:
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
//! And one that blocks its thread goes into [`Blocking`].
//!
//! # What a scrape does with them
//!
//! All collectors run at once. What they give is written among the families of the registry and lives as
//! long as the page: samples that a collector does not give any more are not there any more. Constant
//! labels of the registry are on them too.
//!
//! A collector that returns an error, panics, hangs beyond its deadline or gives samples that cannot stand on the
//! page costs its own samples, all of them, and nothing else. There is a warning in the log, and the page says
//! it:
//!
//! | family | type | labels | |
//! |---|---|---|---|
//! | `scrape_collector_success` | gauge | `collector` | 1, or 0 if its samples are missing |
//! | `scrape_collector_duration_seconds` | gauge | `collector` | how long it took, or was waited for |
//!
//! [`fail_on_collect_error`](crate::MetricsHandler::fail_on_collect_error) makes such a scrape a 500 with the
//! reasons instead.
//!
//! # Time
//!
//! A scraper says how long it waits (`X-Prometheus-Scrape-Timeout-Seconds`); who does not is taken to wait
//! [10 s](crate::MetricsHandler::scrape_timeout). A collector is dropped 100 ms before that time is up, and
//! told a deadline of 150 ms before, so that it can still answer; of a time-out under 200 ms it is half
//! and three quarters. Keeping time needs a tokio runtime whose timer is on, as it is under
//! `#[tokio::main]`; elsewhere collectors run, and nothing ends one that hangs.
//!
//! # Who runs them
//!
//! Whoever polls the page: no task is spawned. Scrapes at the same moment share one call of each collector,
//! and a call goes on as long as one of them is left. It is never called again while a call is
//! under way, so a scrape that comes meanwhile joins it, and its deadline.

pub(crate) mod blocking;
pub(crate) mod checked;
pub(crate) mod deadline;
pub(crate) mod samples;

pub use self::{
    blocking::Blocking,
    deadline::Deadline,
    samples::{FamilySamples, SampleValue, Samples},
};

use std::future::{Future, ready};
use std::sync::Arc;

/// Why a collector has no samples; the text goes to the log, and into the body of a scrape that fails for it.
///
/// Any error becomes one by `?`, and so does a text: `Err("no such pool".into())`.
pub type CollectError = Box<dyn std::error::Error + Send + Sync>;

/// A source of samples that is read when the page is.
///
/// Closures that take `&mut Samples` are collectors. See the [module](self) for what a scrape does with them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a collector",
    label = "not a collector",
    note = "a collector is a closure `|samples: &mut Samples| {{ …; Ok(()) }}`, `Blocking::new` of one, or a type that implements `Collector`"
)]
pub trait Collector: Send + Sync + 'static {
    /// Gives its samples, in time.
    ///
    /// The future is dropped when the time is up, or when every scraper that waits for it has left; it may run
    /// on any thread. A panic is an error like any other.
    ///
    /// # Errors
    ///
    /// When there is nothing to show: then none of its samples are on the page.
    fn collect(
        &self,
        deadline: Deadline,
        samples: &mut Samples,
    ) -> impl Future<Output = Result<(), CollectError>> + Send;
}

/// A closure that answers at once. One that blocks would hold up the thread that serves the page:
/// [`Blocking`].
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
