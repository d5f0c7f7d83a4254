//! [`MetricsServer`]: the page on a port of its own.

mod activity;
mod connections;
mod listener;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use crate::error::Error;
use crate::scrape::handler::MetricsHandler;
use crate::scrape::server::connections::{Connections, Routes};
use crate::scrape::server::listener::Listener;

/// An HTTP server for one page: HTTP/1 and HTTP/2, on TCP or a Unix socket.
///
/// | path | answer |
/// |---|---|
/// | `/metrics` | the page |
/// | `/health` | 200, `ok`, as long as the server runs |
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
/// It is there for scrapers, not for the world, and still holds its own against clients that do not behave: at
/// most [`max_connections`](Self::max_connections) at once, the others wait; one on which for
/// [`idle_timeout`](Self::idle_timeout) no request became whole and nothing of a page was taken is closed.
#[must_use = "nothing is served until `serve`"]
pub struct MetricsServer {
    listener: Listener,
    settings: ServerSettings,
}

#[derive(Clone, Debug)]
struct ServerSettings {
    path: String,
    health_path: String,
    max_connections: usize,
    idle_timeout: Duration,
    shutdown_timeout: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            path: "/metrics".to_owned(),
            health_path: "/health".to_owned(),
            max_connections: 64,
            idle_timeout: Duration::from_secs(75),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl MetricsServer {
    /// Listens on an address: `0.0.0.0:8081`, `[::]:8081`, `localhost:0`. Connections wait until
    /// [`serve`](Self::serve).
    ///
    /// # Errors
    ///
    /// When that address cannot be had, with the reason: the port is taken, it needs other rights, there is no such
    /// host.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn bind(address: impl fmt::Display) -> Result<Self, Error> {
        Ok(Self::of(Listener::tcp(&address.to_string()).await?))
    }

    /// Listens on the port that the environment variable `METRICS_PORT` says, on all addresses, IPv6 and IPv4; or on its
    /// value if that is a whole address. Without that variable, or when it is empty, there is no server.
    ///
    /// # Errors
    ///
    /// When it is neither a port nor an address, and as [`bind`](Self::bind).
    pub async fn from_env() -> Result<Option<Self>, Error> {
        let Some(listener) = Listener::from_env("METRICS_PORT").await? else {
            return Ok(None);
        };
        Ok(Some(Self::of(listener)))
    }

    /// Listens on a Unix socket. One that a process left behind which nobody listens on any more is replaced; the file is
    /// removed when the server ends.
    ///
    /// # Errors
    ///
    /// When somebody listens there, the file is something else than a socket, or it cannot be made.
    #[cfg(unix)]
    pub fn bind_unix(path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        Ok(Self::of(Listener::unix(path.as_ref())?))
    }

    fn of(listener: Listener) -> Self {
        let settings = ServerSettings::default();
        Self { listener, settings }
    }

    /// Where it listens; `None` for a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr()
    }

    /// The path of the page, instead of `/metrics`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.settings.path = path.into();
        self
    }

    /// The path that says that the server runs, instead of `/health`.
    pub fn health_path(mut self, path: impl Into<String>) -> Self {
        self.settings.health_path = path.into();
        self
    }

    /// How many connections are served at once, 64 if not set; more of them wait to be accepted.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections.max(1);
        self
    }

    /// How long a connection is kept on which no request becomes whole and of whose page nothing is taken, 75 s if not
    /// set. A page that waits for its collectors has all their time.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout;
        self
    }

    /// How long [`serve`](Self::serve) lets scrapes finish that are under way at its end, 10 s if not set.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.settings.shutdown_timeout = timeout;
        self
    }

    /// Serves until `shutdown` is ready; then no new connection is accepted, idle ones are closed, and scrapes under way
    /// are finished, as long as [`shutdown_timeout`](Self::shutdown_timeout) allows.
    ///
    /// Nothing that happens to a connection ends the server; when none can be accepted (too many open files) it
    /// warns and tries again. Dropping the future closes everything at once. For a server that never ends,
    /// `shutdown` is [`std::future::pending()`].
    pub async fn serve(self, handler: MetricsHandler, shutdown: impl Future<Output = ()>) {
        let Self { listener, settings } = self;
        let timeout = settings.shutdown_timeout;
        let mut connections = Connections::new(Routes::new(handler, settings));
        let mut shutdown = pin!(shutdown);
        loop {
            let accept = async {
                let place = connections.place().await;
                (place, listener.accept().await)
            };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                (place, accepted) = accept => match accepted {
                    Ok(stream) => connections.serve(stream, place),
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
