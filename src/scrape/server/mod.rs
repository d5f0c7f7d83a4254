//! [`MetricsServer`]: the metrics page on a separate port.

mod activity;
mod connections;
mod listener;
mod nested;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::error::Error;
use crate::scrape::handler::MetricsHandler;
use crate::scrape::server::connections::{Connections, Routes};
use crate::scrape::server::listener::Listener;
use crate::scrape::server::nested::Nested;

/// An HTTP server for the metrics page: HTTP/1 and HTTP/2, on TCP or a Unix socket.
///
/// Do not expose the server to the public internet: it has neither authentication nor TLS, and clients that hold
/// all connections open keep other scrapers waiting. The [securing guide](crate::_guide::securing) shows how to serve the
/// page with a token or TLS.
///
/// | path | response |
/// |---|---|
/// | `/metrics` | the metrics page |
/// | `/health` | 200 with the body `ok`, as long as the server runs |
/// | below a path of [`nest_service`](Self::nest_service) | the response of the nested service |
/// | any other | 404 |
///
/// ```no_run
/// # async fn run(shutdown: impl Future<Output = ()>) -> Result<(), tower_prometheus::Error> {
/// use tower_prometheus::{scrape::MetricsServer, Registry};
///
/// let metrics = Registry::builder().install()?;
/// let server = MetricsServer::bind("0.0.0.0:8081").await?;
/// server.serve(metrics.handler(), shutdown).await;
/// # Ok(())
/// # }
/// ```
///
/// # Limits
///
/// Limits for clients that misbehave:
///
/// | setting | default | effect |
/// |---|---|---|
/// | [`max_connections`](Self::max_connections) | 64 | further connections wait to be accepted |
/// | [`idle_timeout`](Self::idle_timeout) | 75 s | connections without progress for this long are closed |
/// | [`shutdown_timeout`](Self::shutdown_timeout) | 10 s | connections whose scrapes run longer after the shutdown are closed |
///
/// # Shutdown
///
/// To have the last requests scraped, end the application's server first, wait a little longer than one scrape
/// interval, and then complete `shutdown`. Every scraper then starts one more scrape, and running scrapes may finish.
/// If a single scrape may fail, wait for two intervals. The [shutdown guide](crate::_guide::shutdown) has a complete
/// program.
///
/// - A metrics page on the application's own port cannot be scraped once the application's server has stopped accepting
///   connections. Requests that end after the last scrape are then missing. Use a `MetricsServer` instead.
/// - axum's `with_graceful_shutdown` waits until all responses have ended. An event stream that never ends keeps it
///   waiting: limit the time after the signal, for example with `tokio::select!` of the server and of a future that
///   waits for the signal and then sleeps.
/// - [`serve`](Self::serve) polls `shutdown`, so `shutdown` can run the application's server, as here.
/// - The process must have the time for all these steps before it is killed (Kubernetes:
///   `terminationGracePeriodSeconds`).
///
/// `app` is, for example, `axum::serve(listener, router).with_graceful_shutdown(signal)`, with its result ignored:
///
/// ```no_run
/// # use tower_prometheus::{Error, Registry};
/// # async fn run(app: impl Future<Output = ()>, metrics: Registry) -> Result<(), Error> {
/// use std::time::Duration;
/// use tower_prometheus::scrape::MetricsServer;
///
/// let server = MetricsServer::bind("0.0.0.0:8081").await?;
/// let shutdown = async {
///     app.await; // runs until its graceful shutdown is complete
///     tokio::time::sleep(Duration::from_secs(20)).await; // a scrape interval of 15 s, and a margin
/// };
/// server.serve(metrics.handler(), shutdown).await;
/// # Ok(())
/// # }
/// ```
#[must_use = "a server does nothing until `serve` is called"]
pub struct MetricsServer {
    listener: Listener,
    settings: ServerSettings,
}

#[derive(Clone, Debug)]
struct ServerSettings {
    path: String,
    health_path: String,
    nested: Vec<Nested>,
    max_connections: usize,
    idle_timeout: Duration,
    shutdown_timeout: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            path: "/metrics".to_owned(),
            health_path: "/health".to_owned(),
            nested: Vec::new(),
            max_connections: 64,
            idle_timeout: Duration::from_secs(75),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl MetricsServer {
    /// Listens on a TCP address, such as `0.0.0.0:8081`, `[::]:8081` or `localhost:0`.
    ///
    /// With port 0, the system chooses a port; [`local_addr`](Self::local_addr) returns it. Connections wait until
    /// [`serve`](Self::serve) is called.
    ///
    /// # Errors
    ///
    /// Returns an error with the cause ([`Error::io_error`]) if the server cannot listen on the address: the port is
    /// in use ([`Error::is_address_in_use`]), the process lacks the permission, or the host is unknown.
    ///
    /// # Panics
    ///
    /// Panics if called outside a tokio runtime.
    pub async fn bind(address: impl fmt::Display) -> Result<Self, Error> {
        Ok(Self::of(Listener::tcp(&address.to_string()).await?))
    }

    /// Listens on the port or the address in the environment variable `METRICS_PORT`.
    ///
    /// | `METRICS_PORT` | the server listens on |
    /// |---|---|
    /// | a port, `8081` or `:8081` | this port of all IPv6 and IPv4 addresses, whatever the system's default; without IPv6, of all IPv4 addresses |
    /// | an IP address or a host name, with a port: `127.0.0.1:8081`, `localhost:8081` | this address |
    /// | unset or empty | nothing: the result is `None` |
    /// | a URL of Kubernetes, `tcp://10.96.0.1:8080` | nothing: the result is `None`, and a warning is logged |
    ///
    /// Kubernetes sets `METRICS_PORT` to such a URL in the pods of a namespace that has a Service called `metrics`,
    /// unless the pod sets the variable itself or has `enableServiceLinks: false`.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is none of these, and the errors of [`bind`](Self::bind).
    ///
    /// # Panics
    ///
    /// Panics if the variable is set and this is called outside a tokio runtime.
    pub async fn from_env() -> Result<Option<Self>, Error> {
        let Some(listener) = Listener::from_env("METRICS_PORT").await? else {
            return Ok(None);
        };
        Ok(Some(Self::of(listener)))
    }

    /// Listens on a Unix socket.
    ///
    /// If a process left the socket file behind when it ended, the file is replaced. The file is removed when the
    /// server ends or is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if a process listens on the socket, if the file exists and is not a socket,
    /// or if it cannot be created.
    ///
    /// # Panics
    ///
    /// Panics if called outside a tokio runtime.
    #[cfg(unix)]
    pub fn bind_unix(path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        Ok(Self::of(Listener::unix(path.as_ref())?))
    }

    fn of(listener: Listener) -> Self {
        let settings = ServerSettings::default();
        Self { listener, settings }
    }

    /// Returns the local address; `None` for a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr()
    }

    /// Sets the path of the metrics page; `/metrics` by default.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.settings.path = path.into();
        self
    }

    /// Sets the path of the health check; `/health` by default.
    pub fn health_path(mut self, path: impl Into<String>) -> Self {
        self.settings.health_path = path.into();
        self
    }

    /// Serves `path`, and paths below it, with another service, such as the live page of `tower-prometheus-live`.
    /// A slash at the start or at the end of `path` may be left out.
    ///
    /// The service gets the whole path and no request body. The metrics page and the health check take precedence; of
    /// several services, the first that matches. At shutdown, responses without a known length end at their next frame;
    /// others may finish within the [`shutdown_timeout`](Self::shutdown_timeout).
    ///
    /// An open stream counts towards [`max_connections`](Self::max_connections): allow more connections than viewers,
    /// so that scrapes are served. If the service does not respond within [`idle_timeout`](Self::idle_timeout), or its
    /// response body sends nothing for this time, the connection is closed. A stream that may be silent for longer must
    /// send something in between, such as a comment of an event stream.
    pub fn nest_service<S, B>(mut self, path: &str, service: S) -> Self
    where
        S: Service<Request<()>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + 'static,
    {
        let nested = Nested::new(path, service);
        self.settings.nested.push(nested);
        self
    }

    /// Sets the maximum number of connections served at a time; 64 by default.
    ///
    /// Further connections wait to be accepted, so clients that hold all connections open keep other scrapers
    /// waiting, until the [`idle_timeout`](Self::idle_timeout) closes idle connections. 0 is raised to 1.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections.max(1);
        self
    }

    /// Sets the time after which a connection without progress is closed; 75 s by default.
    ///
    /// A connection makes progress when a complete request arrives, or when the client reads a part of a
    /// response. While a response waits for collectors, the connection is not closed. While it waits for a service of
    /// [`nest_service`](Self::nest_service), it is.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout;
        self
    }

    /// Sets how long [`serve`](Self::serve) waits for running scrapes at shutdown; 10 s by default.
    ///
    /// The connections of scrapes that take longer are closed, and a warning is logged.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.settings.shutdown_timeout = timeout;
        self
    }

    /// Serves the metrics page until `shutdown` completes. It polls `shutdown`, which does not have to be spawned.
    ///
    /// Then no further connections are accepted, idle ones are closed, and running scrapes may finish
    /// within [`shutdown_timeout`](Self::shutdown_timeout). For a server that never ends, pass
    /// [`std::future::pending()`].
    ///
    /// Errors of connections do not end the server. If it cannot accept connections, for example because too many
    /// files are open, it logs a warning and retries after 1 s.
    ///
    /// Dropping the future closes all connections immediately.
    pub async fn serve(self, handler: MetricsHandler, shutdown: impl Future<Output = ()>) {
        let Self { listener, settings } = self;
        let timeout = settings.shutdown_timeout;
        let mut connections = Connections::new(Routes::new(handler, settings));
        let mut shutdown = pin!(shutdown);
        loop {
            let accept = async {
                let permit = connections.permit().await;
                (permit, listener.accept().await)
            };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                (permit, accepted) = accept => match accepted {
                    Ok(stream) => connections.serve(stream, permit),
                    Err(error) => {
                        let pause = listener::pause_after(&error);
                        tokio::select! {
                            biased;
                            () = &mut shutdown => break,
                            () = pause => {}
                        }
                    }
                }
            }
        }
        drop(listener);
        connections.finish(timeout).await;
    }
}

impl fmt::Debug for MetricsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsServer")
            .field("listener", &self.listener)
            .field("settings", &self.settings)
            .finish()
    }
}
