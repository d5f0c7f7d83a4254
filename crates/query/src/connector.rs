//! [`Connector`]: connections to the upstream, with TLS where the feature is on.

use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;

use crate::Error;

/// An upstream that does not answer a connection attempt in that time is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(feature = "tls")]
pub(super) type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
pub(super) type Connector = HttpConnector;

fn http() -> HttpConnector {
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_nodelay(true);
    http.enforce_http(false);
    http
}

/// Plain connections, if that is what the upstream's URL asks for.
#[cfg(not(feature = "tls"))]
pub(super) fn connector(is_https: bool) -> Result<Connector, Error> {
    if is_https {
        return Err(Error::new(
            "an https upstream needs the feature `tls` of tower-prometheus",
        ));
    }
    Ok(http())
}

/// Connections that trust the given certificates, or without any the system's.
#[cfg(feature = "tls")]
pub(super) fn connector(is_https: bool, pem: Option<&[u8]>) -> Result<Connector, Error> {
    use std::sync::Arc;

    let roots = match pem {
        Some(pem) => from_pem(pem)?,
        None if is_https => from_system()?,
        None => rustls::RootCertStore::empty(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config);
    Ok(builder
        .https_or_http()
        .enable_http1()
        .wrap_connector(http()))
}

#[cfg(feature = "tls")]
fn from_pem(pem: &[u8]) -> Result<rustls::RootCertStore, Error> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    let wrong = || Error::new("the CA certificate is not PEM with at least one certificate");
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| wrong())?;
        roots.add(certificate).map_err(|_| wrong())?;
    }
    if roots.is_empty() {
        Err(wrong())
    } else {
        Ok(roots)
    }
}

#[cfg(feature = "tls")]
fn from_system() -> Result<rustls::RootCertStore, Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Error::new(
            "the system has no CA certificates for an https upstream; give one with `ca_certificate`",
        ));
    }
    Ok(roots)
}
