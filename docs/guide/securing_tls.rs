use std::io;
use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;

/// Serves a router over TLS until `stop` completes. Responses that are being sent then have 10 s to end.
pub async fn serve_tls(
    listener: TcpListener,
    app: Router,
    tls: RustlsConfig,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let handle = Handle::new();
    let server = axum_server::from_tcp_rustls(listener, tls)?
        .handle(handle.clone())
        .serve(app.into_make_service());
    let shutdown = async {
        stop.await;
        handle.graceful_shutdown(Some(Duration::from_secs(10)));
    };
    tokio::join!(server, shutdown).0
}
