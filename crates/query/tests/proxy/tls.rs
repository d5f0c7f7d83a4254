//! A store behind TLS.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tower_prometheus::query::{QueryProxy, QueryProxyBuilder};

use crate::store::{GOOD, get};

/// A server that answers every connection once, and the certificate that vouches for it as `localhost`.
async fn store() -> (u16, String, impl Future<Output = ()>) {
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
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    };
    (port, cert.pem(), serve)
}

async fn asked(
    builder: QueryProxyBuilder,
    serve: impl Future<Output = ()>,
) -> crate::store::Answer {
    let proxy = builder.build().unwrap();
    tokio::select! {
        () = serve => unreachable!("it serves for ever"),
        answer = get(&proxy, GOOD) => answer,
    }
}

#[tokio::test]
async fn a_store_that_the_given_authority_vouches_for_is_asked() {
    let (port, certificate, serve) = store().await;
    let proxy = QueryProxy::builder(format!("https://localhost:{port}"));
    let answer = asked(proxy.ca_certificate(certificate), serve).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "secret"));
}

#[tokio::test]
async fn one_that_nobody_vouches_for_is_not() {
    let (port, _, serve) = store().await;
    let (_, another, _) = store().await;
    let proxy = QueryProxy::builder(format!("https://localhost:{port}"));
    let answer = asked(proxy.ca_certificate(another), serve).await;
    let reason = answer.assert_problem(503, "unavailable");
    assert!(reason.contains("certificate"), "{reason}");
}

#[tokio::test]
async fn nor_one_under_another_name() {
    let (port, certificate, serve) = store().await;
    let proxy = QueryProxy::builder(format!("https://127.0.0.1:{port}"));
    let answer = asked(proxy.ca_certificate(certificate), serve).await;
    let reason = answer.assert_problem(503, "unavailable");
    assert!(reason.contains("certificate"), "{reason}");
}

#[test]
fn what_is_no_certificate_is_refused() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "nonsense", broken] {
        let proxy = QueryProxy::builder("https://localhost").ca_certificate(pem);
        let error = proxy.build().unwrap_err().to_string();
        assert!(error.contains("PEM"), "{error}");
    }
}
