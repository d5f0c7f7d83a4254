//! [`Listener`]: the TCP or Unix socket that accepts connections.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use crate::error::Error;

#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixSocket),
}

/// A Unix socket. Dropping it removes its file.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl Listener {
    pub(super) async fn tcp(address: &str) -> Result<Self, Error> {
        let listener = TcpListener::bind(address).await;
        listener
            .map(Self::Tcp)
            .map_err(|error| refused(address, error))
    }

    /// Listens on the address in an environment variable. Returns `None` if the variable is unset, empty or
    /// set by Kubernetes.
    pub(super) async fn from_env(variable: &str) -> Result<Option<Self>, Error> {
        let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let value = value.to_string_lossy();
        if is_kubernetes_service(&value) {
            tracing::warn!(
                "{variable} is ignored: {value:?} is what Kubernetes sets for a Service of that name; \
                 set {variable} in the container to a port such as 8081, or set enableServiceLinks: false in the pod"
            );
            return Ok(None);
        }
        let named = |error: Error| error.within(variable);
        Self::port_or_address(&value).await.map(Some).map_err(named)
    }

    async fn port_or_address(text: &str) -> Result<Self, Error> {
        if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse() {
            Self::all_addresses(port).await
        } else if is_address(text) {
            Self::tcp(text).await
        } else {
            Err(Error::new(format!(
                "must be a port such as 8081 or an address such as 127.0.0.1:8081 or localhost:8081, got {text:?}"
            )))
        }
    }

    /// Listens on all IPv6 and IPv4 addresses; on all IPv4 addresses if the system has no IPv6.
    async fn all_addresses(port: u16) -> Result<Self, Error> {
        match dual_stack(port) {
            Ok(listener) => Ok(Self::Tcp(listener)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                Err(refused(&format!("[::]:{port}"), error))
            }
            Err(_) => Self::tcp(&format!("0.0.0.0:{port}")).await,
        }
    }

    #[cfg(unix)]
    pub(super) fn unix(path: &Path) -> Result<Self, Error> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
                std::fs::remove_file(path).and_then(|()| UnixListener::bind(path))
            }
            listener => listener,
        };
        let path = path.to_owned();
        match listener {
            Ok(listener) => Ok(Self::Unix(UnixSocket { listener, path })),
            Err(error) => Err(refused(&path.display().to_string(), error)),
        }
    }

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // A page is written in slices. Each is sent immediately, without Nagle's algorithm.
                let _ = stream.set_nodelay(true);
                Ok(Stream::Tcp(stream))
            }
            #[cfg(unix)]
            Self::Unix(socket) => Ok(Stream::Unix(socket.listener.accept().await?.0)),
        }
    }
}

/// Listens on all IPv6 and IPv4 addresses. tokio leaves it to the system whether a listener on `::` accepts IPv4, such
/// as by `net.ipv6.bindv6only` of Linux.
fn dual_stack(port: u16) -> io::Result<TcpListener> {
    /// The default of tokio.
    const BACKLOG: i32 = 1024;
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    // A server that is restarted can listen while connections of the last one are in TIME_WAIT.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    let address: SocketAddr = (Ipv6Addr::UNSPECIFIED, port).into();
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Whether this is the value that Kubernetes gives to `METRICS_PORT` in the pods of a namespace that has a Service
/// called `metrics`, such as `tcp://10.96.0.1:8080`.
fn is_kubernetes_service(value: &str) -> bool {
    let protocols = ["tcp://", "udp://", "sctp://"];
    protocols.iter().any(|protocol| value.starts_with(protocol))
}

/// Whether this is an IP address or a host name, with a port.
fn is_address(text: &str) -> bool {
    let is_host = |host: &str| !host.is_empty() && !host.contains([':', '/']);
    let host_and_port = text.rsplit_once(':');
    text.parse::<SocketAddr>().is_ok()
        || host_and_port.is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok())
}

/// Whether the file is a socket without a listener, which a process left behind when it ended.
#[cfg(unix)]
fn is_stale(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    is_socket
        && std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn refused(address: &str, error: io::Error) -> Error {
    let message = format!("metrics server cannot listen on {address}: {error}");
    Error::new(message).with_source(error)
}

/// Waits before the next `accept` after an error: for 1 s, or not at all if the error concerns only one
/// connection.
pub(super) async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    const PAUSE: Duration = Duration::from_secs(1);
    // These errors concern one connection, which is closed. Any other error, such as too many open files, would
    // repeat immediately.
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    ) {
        tracing::warn!("metrics server cannot accept connections, retrying in 1 s: {error}");
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(unix)]
impl Drop for UnixSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// An accepted connection.
pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
