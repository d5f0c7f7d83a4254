//! [`RunFuture`]: a future that is an operation.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::operation::Ended;
use super::running::Running;
use crate::watch::Watch;

pin_project! {
    /// The future of [`Operation::run`](super::Operation::run) and
    /// [`run_with`](super::Operation::run_with).
    #[must_use = "futures do nothing unless they are polled"]
    pub struct RunFuture<Work, Labels, Record, OnResult>
    where
        Record: FnOnce(&Ended<'_, Labels>),
    {
        #[pin]
        work: Work,
        on_result: Option<OnResult>,
        running: Option<Running<Labels, Record>>,
    }
}

impl<Work, Labels, Record, OnResult> RunFuture<Work, Labels, Record, OnResult>
where
    Record: FnOnce(&Ended<'_, Labels>),
{
    pub(super) fn new(work: Work, running: Running<Labels, Record>, on_result: OnResult) -> Self {
        Self {
            work,
            on_result: Some(on_result),
            running: Some(running.polled()),
        }
    }
}

impl<Work, Labels, Record, OnResult, T, E> Future for RunFuture<Work, Labels, Record, OnResult>
where
    Work: Future<Output = Result<T, E>>,
    Record: FnOnce(&Ended<'_, Labels>),
    OnResult: FnOnce(&mut Running<Labels, Record>, &Result<T, E>),
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut watch = Watch::over(this.running);
        let polled = this.work.poll(cx);
        if let (Poll::Ready(result), Some(running)) = (&polled, watch.watched().as_mut()) {
            running.set_result(result);
            if let Some(on_result) = this.on_result.take() {
                on_result(running, result);
            }
        }
        watch.returned();
        if polled.is_ready() {
            // Dropped, it is recorded as it was told.
            *this.running = None;
        }
        polled
    }
}

impl<Work, Labels, Record, OnResult> fmt::Debug for RunFuture<Work, Labels, Record, OnResult>
where
    Record: FnOnce(&Ended<'_, Labels>),
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunFuture").finish_non_exhaustive()
    }
}
