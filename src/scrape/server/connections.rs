//! [`Connections`]: the open connections, one task each.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service;

use crate::scrape::handler::{MetricsHandler, ScrapeFuture, text};
use crate::scrape::server::ServerSettings;
use crate::scrape::server::activity::{Activity, ActivityBody};
use crate::scrape::server::listener::Stream;

pub(super) struct Connections {
    pages: Arc<Routes>,
    places: Arc<Semaphore>,
    tasks: JoinSet<()>,
    closing: watch::Sender<bool>,
}

/// The paths of the server.
pub(super) struct Routes {
    handler: MetricsHandler,
    settings: ServerSettings,
}

/// A permit for one connection. It would be `None` only if the semaphore were closed, which never happens.
pub(super) type ConnectionPermit = Option<OwnedSemaphorePermit>;

impl Connections {
    pub(super) fn new(pages: Routes) -> Self {
        let places = pages.settings.max_connections.min(Semaphore::MAX_PERMITS);
        Self {
            pages: Arc::new(pages),
            places: Arc::new(Semaphore::new(places)),
            tasks: JoinSet::new(),
            closing: watch::Sender::new(false),
        }
    }

    /// Waits until one more connection is allowed.
    pub(super) fn place(&self) -> impl Future<Output = ConnectionPermit> + use<> {
        let places = Arc::clone(&self.places);
        async move { places.acquire_owned().await.ok() }
    }

    pub(super) fn serve(&mut self, stream: Stream, place: ConnectionPermit) {
        // Remove the results of connections that have ended.
        while self.tasks.try_join_next().is_some() {}
        let pages = Arc::clone(&self.pages);
        let closing = self.closing.subscribe();
        self.tasks.spawn(async move {
            serve_connection(pages, stream, closing).await;
            drop(place);
        });
    }

    /// Closes idle connections and waits at most `timeout` for the others to finish.
    pub(super) async fn finish(mut self, timeout: Duration) {
        self.closing.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(timeout, all).await.is_err() {
            tracing::warn!(
                "metrics server stopped with {} connections still open after the shutdown_timeout of {timeout:?}",
                self.tasks.len()
            );
        }
    }
}

async fn serve_connection(pages: Arc<Routes>, stream: Stream, mut closing: watch::Receiver<bool>) {
    let idle_timeout = pages.settings.idle_timeout;
    let activity = Activity::start();
    let mut server = auto::Builder::new(TokioExecutor::new());
    // `Activity` detects incomplete request heads instead.
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None);
    server.http2().timer(TokioTimer::new());
    let service = TowerToHyperService::new(PageService {
        pages,
        activity: activity.clone(),
    });
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
    let asked = tokio::select! {
        // Errors of the connection are ignored: clients may disconnect at any time.
        _ = connection.as_mut() => return,
        () = activity.idle(idle_timeout) => false,
        _ = closing.wait_for(|closing| *closing) => true,
    };
    connection.as_mut().graceful_shutdown();
    if asked {
        // Running requests may finish within the shutdown timeout of the server. The idle timeout still
        // applies.
        tokio::select! {
            _ = connection.as_mut() => {}
            () = activity.idle(idle_timeout) => {}
        }
    } else {
        // Time for the graceful shutdown of an idle connection. It is limited because the client may not
        // read.
        const GOODBYE: Duration = Duration::from_secs(1);
        let _ = tokio::time::timeout(GOODBYE, connection).await;
    }
}

impl Routes {
    pub(super) fn new(handler: MetricsHandler, settings: ServerSettings) -> Self {
        Self { handler, settings }
    }
}

#[derive(Clone)]
struct PageService {
    pages: Arc<Routes>,
    activity: Activity,
}

impl<B: Send + 'static> Service<Request<B>> for PageService {
    type Response = Response<ActivityBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let waiting = self.activity.request();
        let Routes { handler, settings } = &*self.pages;
        let path = request.uri().path();
        let answer = if path == settings.path {
            handler.clone().call(request)
        } else if path == settings.health_path {
            ScrapeFuture::of(text(StatusCode::OK, "ok\n".to_owned()))
        } else {
            ScrapeFuture::of(text(StatusCode::NOT_FOUND, "not found\n".to_owned()))
        };
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|page| ActivityBody::new(page, waiting)))
        })
    }
}
