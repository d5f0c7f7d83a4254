//! [`OperationFuture`]: a future that is recorded as an operation.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::custom::operation::guard::OperationGuard;
use crate::custom::operation::outcome::OperationEnd;
use crate::lifecycle::panic_guard::PanicGuard;

pin_project! {
    /// The future of an [`Operation`](crate::Operation), and of an [`OperationService`](crate::custom::OperationService).
    ///
    /// If it is dropped before it completes, the outcome is `Cancelled`. If it panics, the outcome is `Panicked`,
    /// and the panic propagates.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct OperationFuture<Work, Labels, Record, OnOutput>
    where
        Work: Future,
        Record: FnOnce(&OperationEnd<'_, Labels>),
    {
        #[pin]
        work: Work,
        // Called before `on_output`, which may change the outcome.
        set_outcome: OutputObserver<Labels, Record, Work::Output>,
        on_output: Option<OnOutput>,
        running: Option<OperationGuard<Labels, Record>>,
    }
}

/// Inspects the output of a future before it is recorded. A function pointer, so that futures without a closure of
/// the application have a type that can be named.
pub(super) type OutputObserver<Labels, Record, Output> =
    fn(&mut OperationGuard<Labels, Record>, &Output);

impl<Work, Labels, Record, OnOutput> OperationFuture<Work, Labels, Record, OnOutput>
where
    Work: Future,
    Record: FnOnce(&OperationEnd<'_, Labels>),
{
    pub(super) fn new(
        work: Work,
        running: Option<OperationGuard<Labels, Record>>,
        set_outcome: OutputObserver<Labels, Record, Work::Output>,
        on_output: OnOutput,
    ) -> Self {
        Self {
            work,
            set_outcome,
            on_output: Some(on_output),
            running,
        }
    }
}

impl<Work, Labels, Record, OnOutput> Future for OperationFuture<Work, Labels, Record, OnOutput>
where
    Work: Future,
    Record: FnOnce(&OperationEnd<'_, Labels>),
    OnOutput: FnOnce(&mut OperationGuard<Labels, Record>, &Work::Output),
{
    type Output = Work::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut guard = PanicGuard::new(this.running);
        let polled = this.work.poll(cx);
        if let (Poll::Ready(output), Some(running)) = (&polled, guard.value().as_mut()) {
            (this.set_outcome)(running, output);
            if let Some(on_output) = this.on_output.take() {
                on_output(running, output);
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

impl<Work, Labels, Record, OnOutput> fmt::Debug for OperationFuture<Work, Labels, Record, OnOutput>
where
    Work: Future,
    Record: FnOnce(&OperationEnd<'_, Labels>),
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationFuture").finish_non_exhaustive()
    }
}
