//! `https` upstreams.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tower_prometheus_query::{QueryProxy, QueryProxyBuilder};

use crate::fake_upstream::{VALID_QUERY, get};

/// Returns the port of a server for `localhost`, its self-signed certificate, and its accept loop.
async fn upstream() -> (u16, String, impl Future<Output = ()>) {
    let names = vec!["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let _ = stream.read(&mut [0; 4096]).await;
            let response =
                b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret";
            let _ = stream.write_all(response).await;
            let _ = stream.shutdown().await;
        }
    };
    (port, cert.pem(), serve)
}

async fn response(
    builder: QueryProxyBuilder,
    serve: impl Future<Output = ()>,
) -> crate::fake_upstream::FullResponse {
    let proxy = builder.build().unwrap();
    tokio::select! {
        () = serve => unreachable!("the accept loop does not end"),
        response = get(&proxy, VALID_QUERY) => response,
    }
}

#[tokio::test]
async fn upstream_with_a_trusted_certificate_is_used() {
    let (port, certificate, serve) = upstream().await;
    let proxy = QueryProxy::builder(format!("https://localhost:{port}"));
    let response = response(proxy.ca_certificate(certificate), serve).await;
    assert_eq!((response.status, response.text.as_str()), (200, "secret"));
}

#[tokio::test]
async fn untrusted_certificate_is_rejected() {
    let (port, _, serve) = upstream().await;
    let (_, another, _) = upstream().await;
    let proxy = QueryProxy::builder(format!("https://localhost:{port}"));
    let response = response(proxy.ca_certificate(another), serve).await;
    let reason = response.assert_error(503, "unavailable");
    assert!(reason.contains("certificate"), "{reason}");
}

#[tokio::test]
async fn certificate_for_another_name_is_rejected() {
    let (port, certificate, serve) = upstream().await;
    let proxy = QueryProxy::builder(format!("https://127.0.0.1:{port}"));
    let response = response(proxy.ca_certificate(certificate), serve).await;
    let reason = response.assert_error(503, "unavailable");
    assert!(reason.contains("certificate"), "{reason}");
}

#[test]
fn invalid_ca_certificate_is_rejected() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "nonsense", broken] {
        let proxy = QueryProxy::builder("https://localhost").ca_certificate(pem);
        let error = proxy.build().unwrap_err();
        assert!(error.is_tls());
        assert!(error.to_string().contains("PEM"), "{error}");
    }
}
