//! [`Connector`]: opens connections to the Pushgateway.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use tower_service::Service;

use crate::error::{BoxError, Error};

/// A custom connector for a [`PushGateway`](crate::PushGateway): over a Unix socket, through a proxy or with your own TLS
/// settings.
///
/// Pass it to [`PushGateway::with_connector`](crate::PushGateway::with_connector). You do not need one for
/// [`PushGateway::new`](crate::PushGateway::new), which creates a connector for the scheme of its URL.
///
/// A connector wraps a Tower service that takes a URL and returns a connection. hyper-util's `HttpConnector`,
/// hyper-rustls' `HttpsConnector` and a `service_fn` are such services:
///
/// ```
/// # #[cfg(unix)]
/// # fn gateway() -> Result<(), tower_prometheus_push::Error> {
/// use hyper_util::rt::TokioIo;
/// use tokio::net::UnixStream;
/// use tower_prometheus_push::{Connector, PushGateway};
///
/// let socket = tower::service_fn(|_: http::Uri| async {
///     UnixStream::connect("/run/pushgateway.sock").await.map(TokioIo::new)
/// });
/// let gateway = PushGateway::with_connector("http://localhost", "nightly", Connector::new(socket))?;
/// # let _ = gateway;
/// # Ok(())
/// # }
/// # #[cfg(unix)]
/// # gateway().unwrap();
/// ```
// `Connector::new` does not require hyper-util's trait `Connection`, because that would make a crate before version 1.0
// part of this API. `forward_proxy` sets the property that the trait would report: whether the connection leads to a proxy.
#[derive(Clone)]
pub struct Connector {
    connect: Arc<Connect>,
    is_forward_proxy: bool,
}

type Connect = dyn Fn(Uri) -> Connecting + Send + Sync;
type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, BoxError>> + Send>>;

impl Connector {
    /// Creates a connector from a service that takes a URL and returns a connection.
    ///
    /// The service receives the Pushgateway's URL without user and password. The connection must use HTTP/1.1: if the
    /// service uses TLS, it must not offer HTTP/2 (ALPN `h2`). An error of the service is retried and is reported as
    /// [`PushError::is_connect`](crate::PushError::is_connect).
    pub fn new<S>(service: S) -> Self
    where
        S: Service<Uri> + Clone + Send + Sync + 'static,
        S::Response: Read + Write + Unpin + Send + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        S::Future: Send + 'static,
    {
        let connect = move |url| -> Connecting {
            let mut service = service.clone();
            Box::pin(async move {
                let ready = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
                ready.map_err(Into::into)?;
                let stream = service.call(url).await.map_err(Into::into)?;
                let stream: Box<dyn Stream> = Box::new(stream);
                Ok(stream)
            })
        };
        Self {
            connect: Arc::new(connect),
            is_forward_proxy: false,
        }
    }

    /// Sends requests for `http://` URLs with the absolute URL in the request line, as HTTP forward proxies expect.
    ///
    /// Call this if the connections lead to a forward proxy. Do not call it if the connector opens a tunnel with `CONNECT`.
    #[must_use]
    pub fn forward_proxy(mut self) -> Self {
        self.is_forward_proxy = true;
        self
    }

    /// Creates a connector for `http://` and `https://` URLs that trusts these CA certificates instead of the system's.
    ///
    /// `pem` contains one or more CA certificates in PEM format.
    ///
    /// # Errors
    ///
    /// Returns an error if `pem` contains no certificate, or one that cannot be parsed.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn with_ca_certificate(pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        let roots = crate::tls::roots_from_pem(pem.as_ref())?;
        crate::tls::https_connector(http_connector(), roots).map(Self::new)
    }

    /// Creates the default connector of [`PushGateway::new`](crate::PushGateway::new).
    pub(crate) fn for_scheme(is_https: bool) -> Result<Self, Error> {
        if !is_https {
            return Ok(Self::new(http_connector()));
        }
        #[cfg(feature = "tls")]
        return crate::tls::https_connector(http_connector(), crate::tls::roots_from_system()?)
            .map(Self::new);
        #[cfg(not(feature = "tls"))]
        Err(Error::new(
            "Pushgateway URL: https:// needs TLS; enable the feature `tls` of tower-prometheus-push, or pass a connector \
             with TLS to PushGateway::with_connector",
        ))
    }

    pub(crate) fn into_service(self) -> ConnectorService {
        ConnectorService(self)
    }
}

/// Returns a connector for TCP. If TLS is added to its connections, it is called with `https` URLs, too.
fn http_connector() -> HttpConnector {
    /// If the Pushgateway does not accept a connection within this time, it cannot be reached.
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_nodelay(true);
    http.enforce_http(false);
    http
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("is_forward_proxy", &self.is_forward_proxy)
            .finish_non_exhaustive()
    }
}

/// A [`Connector`] in the form that hyper-util's client accepts.
#[derive(Clone)]
pub(crate) struct ConnectorService(Connector);

impl Service<Uri> for ConnectorService {
    type Response = GatewayStream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<GatewayStream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = (self.0.connect)(url);
        let is_forward_proxy = self.0.is_forward_proxy;
        Box::pin(async move {
            Ok(GatewayStream {
                stream: connecting.await?,
                is_forward_proxy,
            })
        })
    }
}

trait Stream: Read + Write + Unpin + Send {}

impl<T: Read + Write + Unpin + Send> Stream for T {}

pub(crate) struct GatewayStream {
    stream: Box<dyn Stream>,
    is_forward_proxy: bool,
}

impl Connection for GatewayStream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_forward_proxy)
    }
}

impl Read for GatewayStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for GatewayStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}
