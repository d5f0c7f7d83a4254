use std::io;
use std::net::TcpListener;
use std::path::Path;

use axum::Router;
use axum_server::tls_rustls::RustlsConfig;

/// Serves a router over TLS. `cert` contains the certificate of the server and, after it, those of intermediate CAs.
pub async fn serve_tls(
    listener: TcpListener,
    app: Router,
    cert: &Path,
    key: &Path,
) -> io::Result<()> {
    let tls = RustlsConfig::from_pem_file(cert, key).await?;
    axum_server::from_tcp_rustls(listener, tls)?
        .serve(app.into_make_service())
        .await
}
