//! `https://` URLs, with and without the feature `tls`.

use std::sync::Arc;

use http::Uri;
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower_prometheus_push::{Connector, PushError, PushGateway};

use crate::registry;

/// A gateway with TLS that accepts every push, and its certificate for `localhost`.
struct TlsGateway {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    certificate: CertificateDer<'static>,
    #[cfg_attr(
        not(feature = "tls"),
        expect(dead_code, reason = "read by the feature's tests")
    )]
    pem: String,
}

impl TlsGateway {
    async fn start() -> Self {
        let names = vec!["localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let certificate = cert.der().clone();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate,
            pem: cert.pem(),
        }
    }

    fn url(&self, host: &str) -> String {
        let port = self.listener.local_addr().unwrap().port();
        format!("https://{host}:{port}")
    }

    /// Accepts connections and responds with 202, forever.
    async fn serve(&self) {
        loop {
            let (stream, _) = self.listener.accept().await.unwrap();
            let Ok(mut stream) = self.acceptor.accept(stream).await else {
                continue;
            };
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    }

    async fn push(&self, client: PushGateway) -> Result<(), PushError> {
        let (client, registry) = (client.retries(0), registry());
        tokio::select! {
            () = self.serve() => unreachable!("the accept loop does not end"),
            result = client.push(&registry) => result,
        }
    }
}

#[tokio::test]
async fn https_works_with_a_custom_tls_connector() {
    let gateway = TlsGateway::start().await;
    let mut roots = RootCertStore::empty();
    roots.add(gateway.certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = TlsConnector::from(Arc::new(config));
    let connector = Connector::new(tower::service_fn(move |url: Uri| {
        let tls = tls.clone();
        async move {
            let (host, port) = (url.host().unwrap().to_owned(), url.port_u16().unwrap());
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            let stream = tls
                .connect(ServerName::try_from(host).unwrap(), stream)
                .await?;
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    }));
    let client = PushGateway::with_connector(&gateway.url("localhost"), "nightly", connector);
    gateway.push(client.unwrap()).await.unwrap();
}

#[cfg(not(feature = "tls"))]
#[test]
fn https_without_the_feature_tls_is_an_error() {
    let error = PushGateway::new("https://gateway", "nightly").unwrap_err();
    let message = error.to_string();
    assert!(message.contains("enable the feature `tls`"), "{message}");
    assert!(message.contains("PushGateway::with_connector"), "{message}");
}

#[cfg(feature = "tls")]
mod with_feature_tls {
    use std::process::Command;

    use super::{Connector, PushGateway, TlsGateway};
    use crate::chain;

    fn client(gateway: &TlsGateway, host: &str, pem: &str) -> PushGateway {
        let connector = Connector::with_ca_certificate(pem).unwrap();
        PushGateway::with_connector(&gateway.url(host), "nightly", connector).unwrap()
    }

    #[tokio::test]
    async fn trusted_certificate_is_accepted() {
        let gateway = TlsGateway::start().await;
        let client = client(&gateway, "localhost", &gateway.pem);
        gateway.push(client).await.unwrap();
    }

    #[tokio::test]
    async fn untrusted_certificate_is_rejected() {
        let (gateway, other) = (TlsGateway::start().await, TlsGateway::start().await);
        let client = client(&gateway, "localhost", &other.pem);
        let error = gateway.push(client).await.unwrap_err();
        assert!(error.is_connect());
        assert!(chain(&error).contains("certificate"), "{error:?}");
    }

    #[tokio::test]
    async fn certificate_for_another_name_is_rejected() {
        let gateway = TlsGateway::start().await;
        let client = client(&gateway, "127.0.0.1", &gateway.pem);
        let error = gateway.push(client).await.unwrap_err();
        assert!(error.is_connect());
        assert!(chain(&error).contains("certificate"), "{error:?}");
    }

    #[test]
    fn invalid_ca_certificate_is_an_error() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in ["", "nonsense", broken] {
            let error = Connector::with_ca_certificate(pem).unwrap_err();
            assert!(error.to_string().contains("PEM"), "{error}");
        }
    }

    /// Runs this test in a child process with `SSL_CERT_FILE`, which replaces the system's certificates. A process cannot
    /// set its own environment variables without `unsafe`.
    #[tokio::test]
    async fn new_trusts_system_certificates() {
        const URL: &str = "PUSH_TO";
        if let Ok(url) = std::env::var(URL) {
            let client = PushGateway::new(&url, "nightly").unwrap().retries(0);
            return client.push(&crate::registry()).await.unwrap();
        }
        let gateway = TlsGateway::start().await;
        let name = format!("tower-prometheus-push-{}.pem", std::process::id());
        let file = std::env::temp_dir().join(name);
        let run_in_child = |pem: &str, url: &str| {
            std::fs::write(&file, pem).unwrap();
            let mut command = Command::new(std::env::current_exe().unwrap());
            command
                .args([
                    "--exact",
                    "https::with_feature_tls::new_trusts_system_certificates",
                ])
                .env("SSL_CERT_FILE", &file)
                .env_remove("SSL_CERT_DIR")
                .env(URL, url);
            tokio::task::spawn_blocking(move || command.output().unwrap())
        };
        let serve = gateway.serve();
        let check = async {
            let trusted = run_in_child(&gateway.pem, &gateway.url("localhost"))
                .await
                .unwrap();
            let output = String::from_utf8_lossy(&trusted.stdout);
            assert!(trusted.status.success(), "{output}");
            assert!(output.contains("1 passed"), "{output}");
            let other = TlsGateway::start().await;
            let untrusted = run_in_child(&other.pem, &gateway.url("localhost"))
                .await
                .unwrap();
            assert!(!untrusted.status.success());
            let no_certificates = run_in_child("", &gateway.url("localhost")).await.unwrap();
            let output = format!("{no_certificates:?}");
            assert!(output.contains("needs CA certificates"), "{output}");
        };
        tokio::select! {
            () = serve => unreachable!("the accept loop does not end"),
            () = check => (),
        }
        std::fs::remove_file(&file).unwrap();
    }
}
