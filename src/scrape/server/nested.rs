//! [`Nested`]: a service of the application that the metrics server serves besides the metrics page.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower_service::Service;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(super) type NestedBody = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;
type NestedFuture = Pin<Box<dyn Future<Output = Response<NestedBody>> + Send>>;

/// A service with the path below which it is served. Clones share it.
#[derive(Clone)]
pub(super) struct Nested {
    path: String,
    call: Arc<dyn Fn(Request<()>) -> NestedFuture + Send + Sync>,
}

impl Nested {
    pub(super) fn new<S, B>(path: &str, service: S) -> Self
    where
        S: Service<Request<()>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let call = move |request| -> NestedFuture {
            let mut service = service.clone();
            Box::pin(async move {
                let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
                let Ok(response) = service.call(request).await;
                response.map(|body| Box::pin(BoxedErrors(Box::pin(body))) as NestedBody)
            })
        };
        let path = path.trim_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        Self {
            path: format!("{slash}{path}"),
            call: Arc::new(call),
        }
    }

    /// Whether a path is that of the service, or below it.
    pub(super) fn matches(&self, path: &str) -> bool {
        let rest = path.strip_prefix(&self.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    pub(super) fn call(&self, request: Request<()>) -> NestedFuture {
        (self.call)(request)
    }
}

impl fmt::Debug for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Nested").field(&self.path).finish()
    }
}

/// A body whose errors are boxed.
struct BoxedErrors<B>(Pin<Box<B>>);

impl<B: Body<Data = Bytes, Error: Into<BoxError>>> Body for BoxedErrors<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = self.0.as_mut().poll_frame(cx);
        polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
