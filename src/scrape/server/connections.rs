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
use crate::scrape::server::activity::{Activity, ActivityBody, ServerBody};
use crate::scrape::server::listener::Stream;

pub(super) struct Connections {
    routes: Arc<Routes>,
    permits: Arc<Semaphore>,
    tasks: JoinSet<()>,
    closing: watch::Sender<bool>,
}

/// The metrics handler with the paths and the limits of the server.
pub(super) struct Routes {
    handler: MetricsHandler,
    settings: ServerSettings,
}

/// A permit for one connection. It is `None` only if the semaphore is closed, which never happens.
pub(super) type ConnectionPermit = Option<OwnedSemaphorePermit>;

impl Connections {
    pub(super) fn new(routes: Routes) -> Self {
        let permits = routes.settings.max_connections.min(Semaphore::MAX_PERMITS);
        Self {
            routes: Arc::new(routes),
            permits: Arc::new(Semaphore::new(permits)),
            tasks: JoinSet::new(),
            closing: watch::Sender::new(false),
        }
    }

    /// Waits until one more connection is allowed.
    pub(super) fn permit(&self) -> impl Future<Output = ConnectionPermit> + use<> {
        let permits = Arc::clone(&self.permits);
        async move { permits.acquire_owned().await.ok() }
    }

    pub(super) fn serve(&mut self, stream: Stream, permit: ConnectionPermit) {
        // Remove the results of connections that have ended.
        while self.tasks.try_join_next().is_some() {}
        let routes = Arc::clone(&self.routes);
        let closing = self.closing.subscribe();
        self.tasks.spawn(async move {
            serve_connection(routes, stream, closing).await;
            drop(permit);
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

async fn serve_connection(routes: Arc<Routes>, stream: Stream, mut closing: watch::Receiver<bool>) {
    let idle_timeout = routes.settings.idle_timeout;
    let activity = Activity::start();
    let mut server = auto::Builder::new(TokioExecutor::new());
    // No `header_read_timeout`, because `Activity` also detects incomplete request heads.
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None);
    server.http2().timer(TokioTimer::new());
    let service = TowerToHyperService::new(RouteService {
        routes,
        activity: activity.clone(),
        closing: closing.clone(),
    });
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
    let shuts_down = tokio::select! {
        // Errors of the connection are ignored: clients may disconnect at any time.
        _ = connection.as_mut() => return,
        () = activity.idle(idle_timeout) => false,
        _ = closing.wait_for(|closing| *closing) => true,
    };
    connection.as_mut().graceful_shutdown();
    if shuts_down {
        // Running requests may finish within the shutdown timeout of the server. The idle timeout still
        // applies.
        tokio::select! {
            _ = connection.as_mut() => {}
            () = activity.idle(idle_timeout) => {}
        }
    } else {
        // The graceful shutdown of an idle connection has a limit, because the client may not read.
        const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, connection).await;
    }
}

impl Routes {
    pub(super) fn new(handler: MetricsHandler, settings: ServerSettings) -> Self {
        Self { handler, settings }
    }
}

#[derive(Clone)]
struct RouteService {
    routes: Arc<Routes>,
    activity: Activity,
    closing: watch::Receiver<bool>,
}

impl<B: Send + 'static> Service<Request<B>> for RouteService {
    type Response = Response<ActivityBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let activity = self.activity.clone();
        activity.record();
        let Routes { handler, settings } = &*self.routes;
        let path = request.uri().path();
        let answer = if path == settings.path {
            handler.clone().call(request)
        } else if path == settings.health_path {
            ScrapeFuture::of(text(StatusCode::OK, "ok\n".to_owned()))
        } else if let Some(nested) = settings.nested.iter().find(|nested| nested.matches(path)) {
            let (parts, _) = request.into_parts();
            let answer = nested.call(Request::from_parts(parts, ()));
            let closing = self.closing.clone();
            return Box::pin(async move {
                let body = |body| ActivityBody::new(ServerBody::Nested(body, closing), activity);
                Ok(answer.await.map(body))
            });
        } else {
            ScrapeFuture::of(text(StatusCode::NOT_FOUND, "not found\n".to_owned()))
        };
        let waiting = Some(activity.scrape());
        Box::pin(async move {
            let body = |page| ActivityBody::new(ServerBody::Metrics(page, waiting), activity);
            Ok(answer.await?.map(body))
        })
    }
}
