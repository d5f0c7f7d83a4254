//! [`QueryFuture`]: the response future of the proxy.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;

use crate::body::QueryBody;

/// The response future of a [`QueryProxy`](crate::QueryProxy). Dropping it cancels the query.
pub struct QueryFuture {
    inner: Pin<Box<dyn Future<Output = Response<QueryBody>> + Send>>,
}

impl QueryFuture {
    pub(crate) fn new(inner: impl Future<Output = Response<QueryBody>> + Send + 'static) -> Self {
        Self {
            inner: Box::pin(inner),
        }
    }
}

impl Future for QueryFuture {
    type Output = Result<Response<QueryBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for QueryFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryFuture").finish_non_exhaustive()
    }
}
