//! [`OperationStream`]: a stream that is recorded as an operation.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::custom::operation::guard::OperationGuard;
use crate::custom::operation::outcome::OperationEnd;
use crate::custom::operation::outcome::Outcome;
use crate::lifecycle::panic_guard::PanicGuard;

pin_project! {
    /// The stream of [`Operation::stream`](super::Operation::stream).
    ///
    /// If it is dropped before its end, the outcome is `Error` if an item was an error, otherwise `Cancelled`.
    #[must_use = "streams do nothing unless they are polled"]
    pub struct OperationStream<Items, Labels, Record, OnItem>
    where
        Record: FnOnce(&OperationEnd<'_, Labels>),
    {
        #[pin]
        items: Items,
        on_item: OnItem,
        failed: bool,
        running: Option<OperationGuard<Labels, Record>>,
    }
}

impl<Items, Labels, Record, OnItem> OperationStream<Items, Labels, Record, OnItem>
where
    Record: FnOnce(&OperationEnd<'_, Labels>),
{
    pub(super) fn new(
        items: Items,
        running: OperationGuard<Labels, Record>,
        on_item: OnItem,
    ) -> Self {
        Self {
            items,
            on_item,
            failed: false,
            running: Some(running.polled()),
        }
    }
}

impl<Items, Labels, Record, OnItem, T, E> Stream for OperationStream<Items, Labels, Record, OnItem>
where
    Items: Stream<Item = Result<T, E>>,
    Record: FnOnce(&OperationEnd<'_, Labels>),
    OnItem: FnMut(&mut OperationGuard<Labels, Record>, &Result<T, E>),
{
    type Item = Result<T, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let mut guard = PanicGuard::new(this.running);
        let polled = this.items.poll_next(cx);
        if let (Poll::Ready(Some(item)), Some(running)) = (&polled, guard.value().as_mut()) {
            if item.is_err() {
                running.set_result(item);
                *this.failed = true;
            }
            (this.on_item)(running, item);
        }
        guard.defuse();
        if let Poll::Ready(None) = &polled
            && let Some(mut running) = this.running.take()
            && !*this.failed
        {
            running.set_outcome(Outcome::Success);
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<Items, Labels, Record, OnItem> fmt::Debug for OperationStream<Items, Labels, Record, OnItem>
where
    Record: FnOnce(&OperationEnd<'_, Labels>),
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationStream").finish_non_exhaustive()
    }
}
