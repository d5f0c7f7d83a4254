//! [`OperationLayer`]: measures each call of a Tower service as an operation.

use std::fmt;

use tower_layer::Layer;

use crate::custom::operation::Operation;
use crate::custom::operation::guard::OperationGuard;
use crate::custom::operation::outcome::OperationEnd;
use crate::custom::operation::service::OperationService;

/// A Tower layer that measures each call of a service as an [`Operation`].
///
/// The service can take any request, return any response and fail with any error: a queue worker, a database
/// client, a protocol over TCP. For HTTP, use an [`HttpMetricsLayer`](crate::HttpMetricsLayer), which also measures
/// response bodies; for gRPC, a [`GrpcMetricsLayer`](crate::grpc::GrpcMetricsLayer).
///
/// ```
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
/// use tower_prometheus::custom::{OperationLayer, Outcome};
/// use tower_prometheus::{Counter, Histogram, InProgress, Operation, Registry, catalogue, labels};
///
/// labels! {
///     pub enum Kind("kind") { Email = "email", Report = "report" }
///     pub struct Ended { kind: Kind, outcome: Outcome }
/// }
///
/// catalogue! {
///     pub struct Jobs {
///         /// Total number of jobs, by kind and outcome.
///         pub jobs_total: Counter<Ended>,
///         /// Duration of jobs in seconds.
///         pub job_duration_seconds: Histogram<Kind>,
///         /// Number of jobs in progress.
///         pub jobs_in_progress: InProgress<Kind>,
///     }
/// }
///
/// struct Job { kind: Kind, to: &'static str }
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let registry = Registry::new();
/// let jobs = Jobs::on(&registry)?;
/// let mut worker = ServiceBuilder::new()
///     .layer(OperationLayer::new(move |job: &Job| {
///         let kind = job.kind;
///         Operation::new()
///             .in_progress(jobs.jobs_in_progress.with(kind))
///             .duration(move |_| jobs.job_duration_seconds.with(kind))
///             .count(move |end| jobs.jobs_total.with(Ended { kind, outcome: end.outcome }))
///     }))
///     .service(service_fn(async |job: Job| match job.to {
///         "" => Err("no recipient"),
///         to => Ok(format!("sent to {to}")),
///     }));
///
/// worker.ready().await?.call(Job { kind: Kind::Email, to: "ada" }).await?;
/// let failed = worker.ready().await?.call(Job { kind: Kind::Email, to: "" }).await;
/// assert_eq!(failed, Err("no recipient"));
/// assert_eq!(registry.sum("jobs_total", &[("outcome", "success")]), Some(1.0));
/// assert_eq!(registry.sum("jobs_total", &[("outcome", "error")]), Some(1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # How calls end
///
/// A call starts when `call` of the returned service runs, before that of the inner service. It ends exactly once:
///
/// | how the call ends | outcome |
/// |---|---|
/// | the future returns `Ok` | [`Success`](crate::custom::Outcome::Success), unless [`on_result`](Self::on_result) sets another |
/// | the future returns `Err` | [`Error`](crate::custom::Outcome::Error), with the name of the error's type, unless [`on_result`](Self::on_result) sets another |
/// | the future is dropped earlier | [`Cancelled`](crate::custom::Outcome::Cancelled) |
/// | the inner service panics, in `call` or while its future is polled | [`Panicked`](crate::custom::Outcome::Panicked); the panic propagates |
/// | `poll_ready` returns an error | not recorded: no call was made |
///
/// `poll_ready` is forwarded, so backpressure works as without the layer. The time until the service is ready is not
/// measured.
///
/// # Layer order
///
/// | tower's layer | outside of this layer | inside |
/// |---|---|---|
/// | `TimeoutLayer` | an expired call is `cancelled` | `error` |
/// | `RetryLayer` | each attempt is a call | all attempts are one call |
/// | `BufferLayer` | the time in the queue is not measured; a call is `cancelled` if its caller gives up before it ends | the time in the queue is measured |
/// | `ConcurrencyLimitLayer` | waiting callers are not measured | the same: they wait in `poll_ready` |
/// | `LoadShedLayer` | rejected calls are not measured | rejected calls are `error` |
///
/// # Keeping the service in a struct
///
/// The type of the closures cannot be written down. Make the struct generic over the service, or box it with
/// `tower::util::BoxCloneService`, which allocates once per call.
///
/// # jsonrpsee
///
/// jsonrpsee's HTTP middleware takes an [`HttpMetricsLayer`](crate::HttpMetricsLayer):
/// `set_http_middleware(ServiceBuilder::new().layer(layer))`. A batch of calls, or a WebSocket with all its calls, is
/// one HTTP request, and errors of calls have the status 200. So measure calls in jsonrpsee's RPC middleware. It is not
/// a Tower service, but an [`Operation`] fits into it:
///
// Compiled and tested in `examples/integrations`, which depends on jsonrpsee.
#[cfg_attr(not(doctest), doc = "```")]
#[cfg_attr(not(doctest), doc = include_str!("../../../docs/guide/jsonrpsee.rs"))]
#[cfg_attr(not(doctest), doc = "```")]
///
/// The call of a subscription ends when the subscription is accepted or rejected. Notifications are not measured,
/// because jsonrpsee does not run a method for them.
#[derive(Clone, Copy)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct OperationLayer<Start, OnResult = ()> {
    start: Start,
    on_result: OnResult,
}

impl<Start> OperationLayer<Start> {
    /// Creates the layer. `start` gets each request and returns the operation to start.
    ///
    /// `start` runs in `call`, before the inner service. To use parts of the request at the end of the operation,
    /// copy them into the closures of the operation, or into its labels with [`Operation::with`], which can own a value:
    ///
    /// ```
    /// # use tower_prometheus::custom::OperationLayer;
    /// # use tower_prometheus::{Counter, Operation, Registry, catalogue, labels};
    /// # labels! { pub struct Queue { queue: open(20) } }
    /// # catalogue! {
    /// #     pub struct Jobs {
    /// #         /// Total number of jobs, by queue.
    /// #         pub jobs_total: Counter<Queue>,
    /// #     }
    /// # }
    /// struct Job { queue: String }
    ///
    /// # let jobs = Jobs::on(&Registry::new())?;
    /// let layer = OperationLayer::new(move |job: &Job| {
    ///     Operation::with(job.queue.clone())
    ///         .count(move |end| jobs.jobs_total.with(Queue { queue: end.labels.as_str() }))
    /// });
    /// # let _ = layer;
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    pub fn new<Request, Labels, Record>(start: Start) -> Self
    where
        Start: Fn(&Request) -> Operation<Labels, Record>,
        Record: FnOnce(&OperationEnd<'_, Labels>),
    {
        Self {
            start,
            on_result: (),
        }
    }

    /// Sets a closure that is called with each result before it is recorded.
    ///
    /// It can set labels, the error type, and the outcome, for example if a response reports an error. It does not run
    /// for calls that are cancelled or panic.
    ///
    /// ```
    /// # use tower_prometheus::custom::{OperationLayer, Outcome};
    /// # use tower_prometheus::{Counter, Operation, Registry, catalogue, labels};
    /// # labels! { pub struct Ended { outcome: Outcome } }
    /// # catalogue! {
    /// #     pub struct Cache {
    /// #         /// Total number of commands, by outcome.
    /// #         pub commands_total: Counter<Ended>,
    /// #     }
    /// # }
    /// enum Reply { Value(String), Error(String) }
    ///
    /// # let cache = Cache::on(&Registry::new())?;
    /// let layer = OperationLayer::new(move |_command: &String| {
    ///     Operation::new().count(move |end| cache.commands_total.with(Ended { outcome: end.outcome }))
    /// })
    /// .on_result(|operation, result: &Result<Reply, std::io::Error>| {
    ///     if let Ok(Reply::Error(_)) = result {
    ///         operation.set_error("reply");
    ///     }
    /// });
    /// # let _ = (layer, Reply::Value(String::new()));
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    pub fn on_result<Request, Labels, Record, Response, Error, OnResult>(
        self,
        on_result: OnResult,
    ) -> OperationLayer<Start, OnResult>
    where
        Start: Fn(&Request) -> Operation<Labels, Record>,
        Record: FnOnce(&OperationEnd<'_, Labels>),
        OnResult: Fn(&mut OperationGuard<Labels, Record>, &Result<Response, Error>) + Clone,
    {
        OperationLayer {
            start: self.start,
            on_result,
        }
    }
}

impl<S, Start: Clone, OnResult: Clone> Layer<S> for OperationLayer<Start, OnResult> {
    type Service = OperationService<S, Start, OnResult>;

    fn layer(&self, inner: S) -> Self::Service {
        OperationService::new(inner, self.start.clone(), self.on_result.clone())
    }
}

impl<Start, OnResult> fmt::Debug for OperationLayer<Start, OnResult> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationLayer").finish_non_exhaustive()
    }
}
