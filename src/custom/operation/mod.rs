//! [`Operation`]: counts, times and tracks an operation, such as a future or a function.

pub(crate) mod future;
pub(crate) mod guard;
pub(crate) mod layer;
pub(crate) mod outcome;
pub(crate) mod service;
#[cfg(feature = "stream")]
pub(crate) mod stream;

use std::fmt;

use crate::custom::labels::NoLabels;
use crate::custom::metric::{Counter, Histogram, InProgress, InProgressGauge};
use crate::custom::operation::future::{OperationFuture, OutputObserver};
use crate::custom::operation::guard::OperationGuard;
use crate::custom::operation::outcome::OperationEnd;

/// The metrics of an operation: the number in progress, durations, outcomes and errors.
///
/// An `Operation` holds the series to record. It records nothing until it is started, in one of these ways:
///
/// | to measure | use |
/// |---|---|
/// | a future of a `Result` | [`run`](Self::run), or [`run_with`](Self::run_with) to inspect the result |
/// | a future of any other type | [`run_infallible`](Self::run_infallible), or [`run_output`](Self::run_output) to inspect the output |
/// | a function | [`in_scope`](Self::in_scope) |
/// | a stream | `stream` (feature `stream`) |
/// | each call of a Tower service | [`OperationLayer`](crate::custom::OperationLayer) |
/// | anything else | [`start`](Self::start), which returns a guard |
///
/// When it starts, the gauge of operations in progress is incremented. Everything else is recorded when it
/// ends.
///
/// ```
/// # use std::io;
/// use tower_prometheus::{Counter, Histogram, InProgress, Operation, custom::Outcome, Registry, catalogue, labels};
///
/// labels! {
///     pub struct Method { method: open(20) }
///     pub struct Request { method: open(20), status: Outcome }
///     pub struct Failure { error_type: open(50), component: open(20) }
/// }
///
/// catalogue! {
///     pub struct Engine {
///         /// Total number of requests, by method and status.
///         pub requests_total: Counter<Request>,
///         /// Duration of requests in seconds.
///         pub request_duration_seconds: Histogram<Method>,
///         /// Number of requests in progress.
///         pub requests_in_progress: InProgress<Method>,
///         /// Total number of errors, by type and component.
///         pub errors_total: Counter<Failure>,
///     }
/// }
///
/// impl Engine {
///     /// Measures a future that returns a `Result`, with the name of a method.
///     pub async fn track<T, E>(
///         self,
///         method: &str,
///         work: impl Future<Output = Result<T, E>>,
///     ) -> Result<T, E> {
///         Operation::new()
///             .in_progress(self.requests_in_progress.with(Method { method }))
///             .duration(|_| self.request_duration_seconds.with(Method { method }))
///             .count(|end| self.requests_total.with(Request { method, status: end.outcome }))
///             .errors(|_, error_type| self.errors_total.with(Failure { error_type, component: method }))
///             .run(work)
///             .await
///     }
/// }
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let registry = Registry::new();
/// let engine = Engine::on(&registry)?;
/// let read = engine.track("read", async { Err::<(), _>(io::Error::other("gone")) }).await;
/// assert!(read.is_err());
/// assert_eq!(registry.sum("requests_total", &[("status", "error")]), Some(1.0));
/// assert_eq!(registry.sum("errors_total", &[("error_type", "Error"), ("component", "read")]), Some(1.0));
/// assert_eq!(registry.sum("requests_in_progress", &[]), Some(0.0));
/// # Ok::<(), tower_prometheus::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Outcomes
///
/// | how the operation ends | outcome |
/// |---|---|
/// | the future or function returns `Ok`; the stream ends without an error | [`Success`](crate::custom::Outcome::Success) |
/// | the future or function returns `Err`; an item of the stream was `Err` | [`Error`](crate::custom::Outcome::Error), with the name of the error's type |
/// | a future without a `Result` completes | [`Success`](crate::custom::Outcome::Success), unless [`run_output`](Self::run_output) sets another |
/// | the future, stream or guard is dropped earlier | [`Cancelled`](crate::custom::Outcome::Cancelled) |
/// | it panics | [`Panicked`](crate::custom::Outcome::Panicked); the panic propagates |
///
/// In each case the gauge of operations in progress is decremented, and the duration ends.
///
/// # Labels that become known later
///
/// `Labels` is any value that the closures need to find the series. While the operation is in progress,
/// change it through the guard, which dereferences to it:
///
/// ```
/// # use tower_prometheus::{Counter, Histogram, Operation, Registry, catalogue, labels};
/// labels! {
///     pub enum Cache("cache") { Hit = "hit", Miss = "miss" }
/// }
/// catalogue! {
///     pub struct Pages {
///         /// Total number of pages, by cache result.
///         pub pages_total: Counter<Cache>,
///     }
/// }
/// # let registry = Registry::new();
/// let pages = Pages::on(&registry)?;
/// let mut page = Operation::with(Cache::Miss)
///     .count(|end| pages.pages_total.with(*end.labels))
///     .start();
/// *page = Cache::Hit;
/// page.success();
/// assert_eq!(registry.sum("pages_total", &[("cache", "hit")]), Some(1.0));
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[must_use = "an operation records nothing until it runs"]
pub struct Operation<Labels, Record> {
    labels: Labels,
    in_progress: Option<InProgressGauge>,
    record: Record,
}

impl Operation<(), fn(&OperationEnd<'_, ()>)> {
    /// Creates an operation whose labels are known at its start. Use [`with`](Self::with) for labels that become
    /// known later.
    pub fn new() -> Self {
        Self::with(())
    }
}

impl Default for Operation<(), fn(&OperationEnd<'_, ()>)> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Labels> Operation<Labels, fn(&OperationEnd<'_, Labels>)> {
    /// Creates an operation with labels that may change while it is in progress.
    ///
    /// `labels` need not be a label set: it is any value that the closures read as `end.labels`, such as a `String`.
    pub fn with(labels: Labels) -> Self {
        Self {
            labels,
            in_progress: None,
            record: |_| {},
        }
    }
}

impl<Labels, Record: FnOnce(&OperationEnd<'_, Labels>)> Operation<Labels, Record> {
    /// Sets the gauge that is incremented while the operation is in progress. Replaces an earlier one.
    pub fn in_progress(mut self, gauge: InProgress<impl NoLabels>) -> Self {
        self.in_progress = Some(gauge.into_gauge());
        self
    }

    /// Adds a histogram that observes the duration, in seconds.
    ///
    /// Operations that fail, panic or are cancelled are observed as well.
    pub fn duration<Series: NoLabels>(
        self,
        histogram: impl FnOnce(&OperationEnd<'_, Labels>) -> Histogram<Series>,
    ) -> Operation<Labels, impl FnOnce(&OperationEnd<'_, Labels>)> {
        self.on_end(|end| histogram(end).observe(end.seconds))
    }

    /// Adds a counter that is incremented when the operation ends, with any outcome.
    pub fn count<Series: NoLabels>(
        self,
        counter: impl FnOnce(&OperationEnd<'_, Labels>) -> Counter<Series>,
    ) -> Operation<Labels, impl FnOnce(&OperationEnd<'_, Labels>)> {
        self.on_end(|end| counter(end).increment())
    }

    /// Adds a counter that is incremented if the outcome is an error. The closure gets the error type.
    ///
    /// The error type is the name of the type without path and parameters: `Error` for `std::io::Error`, `Box` for
    /// a boxed error. [`run_with`](Self::run_with) can set a better one.
    pub fn errors<Series: NoLabels>(
        self,
        counter: impl FnOnce(&OperationEnd<'_, Labels>, &'static str) -> Counter<Series>,
    ) -> Operation<Labels, impl FnOnce(&OperationEnd<'_, Labels>)> {
        self.on_end(|end| {
            if let Some(error_type) = end.error_type {
                counter(end, error_type).increment();
            }
        })
    }

    /// Adds a closure to call when the operation ends, after those added earlier.
    pub fn on_end(
        self,
        record: impl FnOnce(&OperationEnd<'_, Labels>),
    ) -> Operation<Labels, impl FnOnce(&OperationEnd<'_, Labels>)> {
        let Self {
            labels,
            in_progress,
            record: first,
        } = self;
        Operation {
            labels,
            in_progress,
            record: |end: &OperationEnd<'_, Labels>| {
                first(end);
                record(end);
            },
        }
    }

    /// Starts the operation. It ends when the returned guard is consumed or dropped.
    ///
    /// Bind the guard to a variable: `let _ = operation.start()` immediately records the operation as cancelled.
    pub fn start(self) -> OperationGuard<Labels, Record> {
        let Self {
            labels,
            in_progress,
            record,
        } = self;
        OperationGuard::new(labels, in_progress.map(InProgressGauge::start), record)
    }

    /// Starts the operation now, not at the first poll. It ends with the returned future.
    ///
    /// The outcome is that of the `Result`. For a future of another type, see
    /// [`run_infallible`](Self::run_infallible).
    pub fn run<Work, T, E>(
        self,
        work: Work,
    ) -> OperationFuture<Work, Labels, Record, OutputObserver<Labels, Record, Work::Output>>
    where
        Work: Future<Output = Result<T, E>>,
    {
        self.run_with(work, |_, _| {})
    }

    /// Starts the operation like [`run`](Self::run), and calls `on_result` before the result is recorded.
    ///
    /// `on_result` can set labels. If the error is an enum, it can set the error type from the variant with
    /// [`set_error`](OperationGuard::set_error).
    ///
    /// ```
    /// # use tower_prometheus::{Counter, Operation, Registry, catalogue, labels};
    /// # #[derive(Debug)]
    /// enum Failure { Timeout, Refused }
    /// labels! {
    ///     pub struct ByType { error_type: open(20) }
    /// }
    /// catalogue! {
    ///     pub struct Client {
    ///         /// Total number of errors, by type.
    ///         pub errors_total: Counter<ByType>,
    ///     }
    /// }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// # let registry = Registry::new();
    /// let client = Client::on(&registry)?;
    /// let work = async { Err::<(), _>(Failure::Timeout) };
    /// let ended = Operation::new()
    ///     .errors(|_, error_type| client.errors_total.with(ByType { error_type }))
    ///     .run_with(work, |operation, result| match result {
    ///         Err(Failure::Timeout) => operation.set_error("Timeout"),
    ///         Err(Failure::Refused) => operation.set_error("Refused"),
    ///         Ok(()) => {}
    ///     })
    ///     .await;
    /// assert!(ended.is_err());
    /// assert_eq!(registry.sum("errors_total", &[("error_type", "Timeout")]), Some(1.0));
    /// # Ok::<(), tower_prometheus::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_with<Work, T, E, OnResult>(
        self,
        work: Work,
        on_result: OnResult,
    ) -> OperationFuture<Work, Labels, Record, OnResult>
    where
        Work: Future<Output = Result<T, E>>,
        OnResult: FnOnce(&mut OperationGuard<Labels, Record>, &Result<T, E>),
    {
        let running = Some(self.start().polled());
        OperationFuture::new(work, running, OperationGuard::set_result, on_result)
    }

    /// Starts the operation like [`run`](Self::run), for a future that cannot fail.
    ///
    /// If the future completes, the outcome is [`Success`](crate::custom::Outcome::Success). If its output is a
    /// `Result`, use [`run`](Self::run): here, an `Err` counts as success.
    ///
    /// ```
    /// # use tower_prometheus::{Histogram, Operation, Registry, catalogue};
    /// catalogue! {
    ///     pub struct Queue {
    ///         /// Duration of flushes in seconds.
    ///         pub flush_duration_seconds: Histogram,
    ///     }
    /// }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// # let registry = Registry::new();
    /// let queue = Queue::on(&registry)?;
    /// let flushed: usize = Operation::new()
    ///     .duration(|_| queue.flush_duration_seconds)
    ///     .run_infallible(async { 7 })
    ///     .await;
    /// assert_eq!(flushed, 7);
    /// assert_eq!(registry.sum("flush_duration_seconds_count", &[]), Some(1.0));
    /// # Ok::<(), tower_prometheus::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_infallible<Work: Future>(
        self,
        work: Work,
    ) -> OperationFuture<Work, Labels, Record, OutputObserver<Labels, Record, Work::Output>> {
        self.run_output(work, |_, _| {})
    }

    /// Starts the operation like [`run`](Self::run), for a future of any type, and calls `on_output` before the
    /// output is recorded.
    ///
    /// The outcome is [`Success`](crate::custom::Outcome::Success), unless `on_output` sets another with
    /// [`set_outcome`](OperationGuard::set_outcome) or [`set_error`](OperationGuard::set_error).
    ///
    /// ```
    /// # use tower_prometheus::{Counter, Operation, Registry, catalogue, custom::Outcome, labels};
    /// labels! {
    ///     pub struct Ended { outcome: Outcome }
    /// }
    /// catalogue! {
    ///     pub struct Cache {
    ///         /// Total number of look-ups, by outcome.
    ///         pub lookups_total: Counter<Ended>,
    ///     }
    /// }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// # let registry = Registry::new();
    /// let cache = Cache::on(&registry)?;
    /// let found: Option<&str> = Operation::new()
    ///     .count(|end| cache.lookups_total.with(Ended { outcome: end.outcome }))
    ///     .run_output(async { None }, |operation, found| {
    ///         if found.is_none() {
    ///             operation.set_error("missing");
    ///         }
    ///     })
    ///     .await;
    /// assert_eq!(found, None);
    /// assert_eq!(registry.sum("lookups_total", &[("outcome", "error")]), Some(1.0));
    /// # Ok::<(), tower_prometheus::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_output<Work, OnOutput>(
        self,
        work: Work,
        on_output: OnOutput,
    ) -> OperationFuture<Work, Labels, Record, OnOutput>
    where
        Work: Future,
        OnOutput: FnOnce(&mut OperationGuard<Labels, Record>, &Work::Output),
    {
        let running = Some(self.start().polled());
        OperationFuture::new(work, running, OperationGuard::set_success, on_output)
    }

    /// Starts the operation and calls `work`. It ends when `work` returns or panics. `work` can set labels.
    ///
    /// # Errors
    ///
    /// Returns the error of `work`.
    pub fn in_scope<T, E>(
        self,
        work: impl FnOnce(&mut OperationGuard<Labels, Record>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut running = self.start();
        let result = work(&mut running);
        running.finish(&result);
        result
    }

    /// Starts the operation now, not at the first poll. It ends with the returned stream.
    ///
    /// `on_item` is called with each item. It can set labels or [stop the clock](OperationGuard::stop_clock).
    ///
    /// If an item is an error, the outcome is [`Error`](crate::custom::Outcome::Error), whatever follows.
    #[cfg(feature = "stream")]
    pub fn stream<Items, T, E, OnItem>(
        self,
        items: Items,
        on_item: OnItem,
    ) -> stream::OperationStream<Items, Labels, Record, OnItem>
    where
        Items: futures_core::Stream<Item = Result<T, E>>,
        OnItem: FnMut(&mut OperationGuard<Labels, Record>, &Result<T, E>),
    {
        stream::OperationStream::new(items, self.start(), on_item)
    }
}

impl<Labels: fmt::Debug, Record> fmt::Debug for Operation<Labels, Record> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            labels,
            in_progress,
            record: _,
        } = self;
        f.debug_struct("Operation")
            .field("labels", labels)
            .field("in_progress", &in_progress.is_some())
            .finish_non_exhaustive()
    }
}
