//! [`Operation`]: what is recorded of something that begins, takes its time and ends in one of some ways.

pub(crate) mod future;
pub(crate) mod guard;
pub(crate) mod outcome;
#[cfg(feature = "stream")]
pub(crate) mod stream;

use std::fmt;

use crate::custom::metric::{Counter, Histogram, InProgress};
use crate::custom::operation::future::OperationFuture;
use crate::custom::operation::guard::OperationGuard;
use crate::custom::operation::outcome::OperationEnd;

/// What is recorded of an operation: in progress, how long it took, how it ended, its errors.
///
/// It says which series move; nothing is recorded before it begins, and everything at once when it ends:
/// [`run`](Self::run) a future, call a function [`in_scope`](Self::in_scope), or
/// [`start`](Self::start) it and keep the guard.
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
///         /// Requests that ended.
///         pub requests_total: Counter<Request>,
///         /// How long requests take.
///         pub request_duration_seconds: Histogram<Method>,
///         /// Requests at work.
///         pub requests_in_progress: InProgress<Method>,
///         /// Errors by their type.
///         pub errors_total: Counter<Failure>,
///     }
/// }
///
/// impl Engine {
///     /// Anything that returns a `Result`, measured under a method's name.
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
/// # How it ends
///
/// | | outcome |
/// |---|---|
/// | the future or function returned `Ok`, the stream gave its last item | [`Success`](Outcome::Success) |
/// | it returned `Err`, an item of the stream was one | [`Error`](Outcome::Error), with the name of the error's type |
/// | the future, the stream or the guard was dropped before | [`Cancelled`](Outcome::Cancelled) |
/// | it panicked | [`Panicked`](Outcome::Panicked), and the panic goes on |
///
/// In every case in progress goes down and the duration is that until then.
///
/// # Labels that are only known later
///
/// `Labels` is whatever the closures need to find the series. What becomes known while the operation runs
/// is set through the guard, which is them:
///
/// ```
/// # use tower_prometheus::{Counter, Histogram, Operation, Registry, catalogue, labels};
/// labels! {
///     pub enum Cache("cache") { Hit = "hit", Miss = "miss" }
/// }
/// catalogue! {
///     pub struct Pages {
///         /// Pages made.
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
    in_progress: Option<InProgress>,
    record: Record,
}

impl Operation<(), fn(&OperationEnd<'_, ()>)> {
    /// An operation whose labels are known.
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
    /// An operation with labels that may change while it runs.
    pub fn with(labels: Labels) -> Self {
        Self {
            labels,
            in_progress: None,
            record: |_| {},
        }
    }
}

/// Sees the result of a future before it is recorded; a function, so that futures of
/// [`run`](Operation::run) have a type that can be named.
type ResultObserver<Labels, Record, T, E> = fn(&mut OperationGuard<Labels, Record>, &Result<T, E>);

impl<Labels, Record: FnOnce(&OperationEnd<'_, Labels>)> Operation<Labels, Record> {
    /// The gauge that is one higher while it runs.
    pub fn in_progress(mut self, gauge: InProgress) -> Self {
        self.in_progress = Some(gauge);
        self
    }

    /// Where its duration is observed, in seconds.
    pub fn duration(
        self,
        histogram: impl FnOnce(&OperationEnd<'_, Labels>) -> Histogram,
    ) -> Operation<Labels, impl FnOnce(&OperationEnd<'_, Labels>)> {
        self.on_end(|end| histogram(end).observe(end.seconds))
    }

    /// Where it is counted.
    pub fn count(
        self,
        counter: impl FnOnce(&OperationEnd<'_, Labels>) -> Counter,
    ) -> Operation<Labels, impl FnOnce(&OperationEnd<'_, Labels>)> {
        self.on_end(|end| counter(end).increment())
    }

    /// Where it is counted if it ends in an error, by the error's type.
    pub fn errors(
        self,
        counter: impl FnOnce(&OperationEnd<'_, Labels>, &'static str) -> Counter,
    ) -> Operation<Labels, impl FnOnce(&OperationEnd<'_, Labels>)> {
        self.on_end(|end| {
            if let Some(error_type) = end.error_type {
                counter(end, error_type).increment();
            }
        })
    }

    /// What else is to be done when it ends, after what was said before.
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

    /// Begins; it ends when the guard says so or is dropped.
    pub fn start(self) -> OperationGuard<Labels, Record> {
        let Self {
            labels,
            in_progress,
            record,
        } = self;
        OperationGuard::new(labels, in_progress.map(InProgress::begin), record)
    }

    /// Begins now, and ends with the future.
    pub fn run<Work, T, E>(
        self,
        work: Work,
    ) -> OperationFuture<Work, Labels, Record, ResultObserver<Labels, Record, T, E>>
    where
        Work: Future<Output = Result<T, E>>,
    {
        self.run_with(work, |_, _| {})
    }

    /// As [`run`](Self::run); `on_result` sees the result before it is recorded, and can set labels, or
    /// [say what failed](OperationGuard::set_error) where an error is an enum of several.
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
    ///         /// Errors by their type.
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
        OperationFuture::new(work, self.start(), on_result)
    }

    /// Begins, and ends with the function, which can set labels.
    ///
    /// # Errors
    ///
    /// Those of the function.
    pub fn in_scope<T, E>(
        self,
        work: impl FnOnce(&mut OperationGuard<Labels, Record>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut running = self.start();
        let result = work(&mut running);
        running.finish(&result);
        result
    }

    /// Begins now, and ends with the stream; `on_item` sees each item, and can set labels or
    /// [stop the clock](OperationGuard::stop_clock).
    ///
    /// An item that is an error makes it an [`Error`](Outcome::Error), whatever comes after.
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
            .field("in_progress", in_progress)
            .finish_non_exhaustive()
    }
}
