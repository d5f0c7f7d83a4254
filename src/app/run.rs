//! [`RunFuture`]: a future that is an operation.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::operation::Ended;
use super::running::{PanicGuard, Running};

pin_project! {
    /// The future of [`Operation::run`](super::Operation::run).
    #[must_use = "futures do nothing unless they are polled"]
    pub struct RunFuture<Work, Labels, Record>
    where
        Record: FnOnce(&Ended<'_, Labels>),
    {
        #[pin]
        work: Work,
        running: Option<Running<Labels, Record>>,
    }
}

impl<Work, Labels, Record: FnOnce(&Ended<'_, Labels>)> RunFuture<Work, Labels, Record> {
    pub(super) fn new(work: Work, running: Running<Labels, Record>) -> Self {
        let running = Some(running.polled());
        Self { work, running }
    }
}

impl<Work, Labels, Record, T, E> Future for RunFuture<Work, Labels, Record>
where
    Work: Future<Output = Result<T, E>>,
    Record: FnOnce(&Ended<'_, Labels>),
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut guard = PanicGuard {
            running: this.running,
            armed: true,
        };
        let polled = this.work.poll(cx);
        guard.armed = false;
        if let Poll::Ready(result) = &polled
            && let Some(running) = guard.running.take()
        {
            running.finish(result);
        }
        polled
    }
}

impl<Work, Labels, Record: FnOnce(&Ended<'_, Labels>)> fmt::Debug
    for RunFuture<Work, Labels, Record>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunFuture").finish_non_exhaustive()
    }
}
