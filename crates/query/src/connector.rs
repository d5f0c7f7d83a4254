//! [`Connector`]: opens connections to the upstream, with TLS if the feature `tls` is on.

use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;

use crate::error::Error;

/// If the upstream does not accept a connection within this time, it is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(feature = "tls")]
pub(crate) type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
pub(crate) type Connector = HttpConnector;

fn http() -> HttpConnector {
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_nodelay(true);
    http.enforce_http(false);
    http
}

/// Returns a connector without TLS, or an error if the upstream's URL is `https`.
#[cfg(not(feature = "tls"))]
pub(crate) fn connector(is_https: bool) -> Result<Connector, Error> {
    if is_https {
        return Err(Error::tls(
            "upstream URL: https needs the feature `tls` of tower-prometheus-query, which is off",
        ));
    }
    Ok(http())
}

/// Returns a connector that trusts the given CA certificates, or the system's if none are given.
#[cfg(feature = "tls")]
pub(crate) fn connector(is_https: bool, ca_certificate: Option<&[u8]>) -> Result<Connector, Error> {
    use std::sync::Arc;

    let roots = match ca_certificate {
        Some(pem) => from_pem(pem)?,
        None if is_https => from_system()?,
        None => rustls::RootCertStore::empty(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::tls("TLS cannot be set up").with_source(error))?
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

    let invalid = || Error::tls("ca_certificate: expected PEM with at least one certificate");
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| invalid().with_source(error))?;
        let added = roots.add(certificate);
        added.map_err(|error| invalid().with_source(error))?;
    }
    if roots.is_empty() {
        Err(invalid())
    } else {
        Ok(roots)
    }
}

#[cfg(feature = "tls")]
fn from_system() -> Result<rustls::RootCertStore, Error> {
    let mut loaded = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    let error = Error::tls(
        "upstream URL: https needs CA certificates and the system has none; set `ca_certificate`",
    );
    Err(match loaded.errors.pop() {
        Some(source) => error.with_source(source),
        None => error,
    })
}
