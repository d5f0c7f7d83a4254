//! The connector of the feature `tls`: rustls with ring.

use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{BoxError, Error};

/// Adds TLS with these roots to a connector, for `http` and `https` URLs.
pub(crate) fn https_connector(
    http: HttpConnector,
    roots: RootCertStore,
) -> Result<HttpsConnector<HttpConnector>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::with_source("TLS cannot be set up", error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http))
}

pub(crate) fn roots_from_pem(pem: &[u8]) -> Result<RootCertStore, Error> {
    const WRONG: &str = "CA certificate: must be PEM with at least one certificate";
    let wrong = |error: BoxError| Error::with_source(WRONG, error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| wrong(error.into()))?;
        roots
            .add(certificate)
            .map_err(|error| wrong(error.into()))?;
    }
    if roots.is_empty() {
        return Err(Error::new(WRONG));
    }
    Ok(roots)
}

pub(crate) fn roots_from_system() -> Result<RootCertStore, Error> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        let message = "Pushgateway URL: https:// needs CA certificates, and the system does not have any; install them, or \
                       pass yours with Connector::with_ca_certificate";
        return Err(match loaded.errors.into_iter().next() {
            Some(error) => Error::with_source(message, error),
            None => Error::new(message),
        });
    }
    Ok(roots)
}
