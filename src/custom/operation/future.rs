//! [`OperationFuture`]: a future that is recorded as an operation.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::custom::operation::guard::OperationGuard;
use crate::custom::operation::outcome::OperationEnd;
use crate::lifecycle::panic_guard::PanicGuard;

pin_project! {
    /// The future of [`Operation::run`](super::Operation::run) and
    /// [`run_with`](super::Operation::run_with).
    ///
    /// If it is dropped before it completes, the outcome is `Cancelled`. If it panics, the outcome is `Panicked`,
    /// and the panic propagates.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct OperationFuture<Work, Labels, Record, OnResult>
    where
        Record: FnOnce(&OperationEnd<'_, Labels>),
    {
        #[pin]
        work: Work,
        on_result: Option<OnResult>,
        running: Option<OperationGuard<Labels, Record>>,
    }
}

impl<Work, Labels, Record, OnResult> OperationFuture<Work, Labels, Record, OnResult>
where
    Record: FnOnce(&OperationEnd<'_, Labels>),
{
    pub(super) fn new(
        work: Work,
        running: OperationGuard<Labels, Record>,
        on_result: OnResult,
    ) -> Self {
        Self {
            work,
            on_result: Some(on_result),
            running: Some(running.polled()),
        }
    }
}

impl<Work, Labels, Record, OnResult, T, E> Future
    for OperationFuture<Work, Labels, Record, OnResult>
where
    Work: Future<Output = Result<T, E>>,
    Record: FnOnce(&OperationEnd<'_, Labels>),
    OnResult: FnOnce(&mut OperationGuard<Labels, Record>, &Result<T, E>),
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut guard = PanicGuard::new(this.running);
        let polled = this.work.poll(cx);
        if let (Poll::Ready(result), Some(running)) = (&polled, guard.value().as_mut()) {
            running.set_result(result);
            if let Some(on_result) = this.on_result.take() {
                on_result(running, result);
            }
        }
        guard.defuse();
        if polled.is_ready() {
            // Dropping the guard records the outcome that was set.
            *this.running = None;
        }
        polled
    }
}

impl<Work, Labels, Record, OnResult> fmt::Debug for OperationFuture<Work, Labels, Record, OnResult>
where
    Record: FnOnce(&OperationEnd<'_, Labels>),
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationFuture").finish_non_exhaustive()
    }
}
