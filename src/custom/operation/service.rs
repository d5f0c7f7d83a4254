//! [`OperationService`]: starts an operation for each call.

use std::fmt;
use std::task::{Context, Poll};

use tower_service::Service;

use crate::custom::operation::Operation;
use crate::custom::operation::future::{OperationFuture, OutputObserver};
use crate::custom::operation::guard::OperationGuard;
use crate::custom::operation::outcome::OperationEnd;
use crate::lifecycle::panic_guard::PanicGuard;

/// The service of an [`OperationLayer`](crate::custom::OperationLayer): measures each call of its inner service.
///
/// The inner service needs no `Send` or `Clone`. `poll_ready` is forwarded; its errors are not recorded, because no
/// call was made.
#[derive(Clone, Copy)]
pub struct OperationService<S, Start, OnResult = ()> {
    inner: S,
    start: Start,
    on_result: OnResult,
}

impl<S, Start, OnResult> OperationService<S, Start, OnResult> {
    pub(super) fn new(inner: S, start: Start, on_result: OnResult) -> Self {
        Self {
            inner,
            start,
            on_result,
        }
    }

    fn measure<Request, Labels, Record, Observe>(
        &mut self,
        request: Request,
        observe: Observe,
    ) -> OperationFuture<S::Future, Labels, Record, Observe>
    where
        S: Service<Request>,
        Start: Fn(&Request) -> Operation<Labels, Record>,
        Record: FnOnce(&OperationEnd<'_, Labels>),
    {
        let mut running = Some((self.start)(&request).start().polled());
        let guard = PanicGuard::new(&mut running);
        let work = self.inner.call(request);
        guard.defuse();
        OperationFuture::new(work, running, OperationGuard::set_result, observe)
    }
}

impl<S, Start, Request, Labels, Record> Service<Request> for OperationService<S, Start>
where
    S: Service<Request>,
    Start: Fn(&Request) -> Operation<Labels, Record>,
    Record: FnOnce(&OperationEnd<'_, Labels>),
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = OperationFuture<
        S::Future,
        Labels,
        Record,
        OutputObserver<Labels, Record, Result<S::Response, S::Error>>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.measure(request, |_, _| {})
    }
}

impl<S, Start, OnResult, Request, Labels, Record> Service<Request>
    for OperationService<S, Start, OnResult>
where
    S: Service<Request>,
    Start: Fn(&Request) -> Operation<Labels, Record>,
    Record: FnOnce(&OperationEnd<'_, Labels>),
    OnResult: Fn(&mut OperationGuard<Labels, Record>, &Result<S::Response, S::Error>) + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = OperationFuture<S::Future, Labels, Record, OnResult>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let on_result = self.on_result.clone();
        self.measure(request, on_result)
    }
}

impl<S: fmt::Debug, Start, OnResult> fmt::Debug for OperationService<S, Start, OnResult> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
