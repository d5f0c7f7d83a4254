//! `securing.md`: each way to protect the metrics page, over real sockets and with a real Prometheus.

#[path = "../../../../docs/guide/securing.rs"]
#[expect(dead_code, reason = "the program has a `main`")]
mod program;
#[path = "../../../../docs/guide/securing_tls.rs"]
mod tls;

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::routing::get;
use axum_server::tls_rustls::RustlsConfig;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use test_support::listening::ReservedAddress;
use test_support::page::{assert_valid_text, samples};
use test_support::process::{RunningProgram, curl, program as start_of};
use test_support::skip_without;
use test_support::store::{Directory, Store};
use tokio::sync::oneshot;
use tower_prometheus::{Registry, scrape::MetricsServer};

use crate::page::{SECURING, block};
use program::{Credentials, app, metrics_port};

const TOKEN: &str = "1f8b03c5d1e94b6c";

/// The program of the page on a free port, with its URL. The secret is in a file that ends with a line feed.
fn start(secret: &str, user: Option<&str>) -> (RunningProgram, Directory, String) {
    let directory = Directory::new();
    let file = directory.write("secret", &format!("{secret}\n"));
    let mut command = start_of(env!("CARGO_BIN_EXE_securing"));
    command
        .env("METRICS_SECRET_FILE", file)
        .env_remove("METRICS_USER");
    if let Some(user) = user {
        command.env("METRICS_USER", user);
    }
    let mut running = RunningProgram::start(&mut command);
    let url = running.read_line_after("listening on ");
    (running, directory, url)
}

/// The status, and the header `WWW-Authenticate`.
fn status(url: &str, header: &str) -> String {
    let format = "%{http_code} %header{www-authenticate}";
    curl(&["-o", "/dev/null", "-w", format, "-H", header, url])
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

#[test]
fn scrapes_without_the_right_token_are_rejected_and_counted() {
    skip_without!(Curl);
    let (_running, _secret, url) = start(TOKEN, None);
    let metrics = format!("{url}/metrics");
    let rejected = [
        "X-None: x".to_owned(),
        "Authorization: Bearer".to_owned(),
        format!("Authorization: {TOKEN}"),
        format!("Authorization: Basic {TOKEN}"),
        bearer("wrong"),
        bearer(&TOKEN[1..]),
        bearer(&format!("{TOKEN}0")),
        bearer(&TOKEN.to_uppercase()),
        bearer("gr\u{f6}\u{df}e"),
    ];
    for header in &rejected {
        assert_eq!(status(&metrics, header), "401 Bearer", "{header}");
    }
    // The routes of the application need no token.
    assert_eq!(curl(&[&format!("{url}/users/7")]), "ada");
    for scheme in ["Bearer", "bearer"] {
        let header = format!("Authorization: {scheme} {TOKEN}");
        let page = curl(&["-H", &header, &metrics]);
        assert_valid_text(&page);
        let samples = samples(&page);
        let requests = |endpoint: &str, status: u16| {
            let labels = format!("endpoint=\"{endpoint}\",method=\"GET\",status=\"{status}\"");
            samples
                .get(&format!("http_requests_total{{{labels}}}"))
                .copied()
        };
        assert_eq!(requests("/metrics", 401), Some(rejected.len() as f64));
        assert_eq!(requests("/metrics", 200), None);
        assert_eq!(requests("/users/{id}", 200), Some(1.0));
    }
}

#[test]
fn scrapes_without_the_right_password_are_rejected() {
    skip_without!(Curl);
    let (_running, _secret, url) = start("p\u{e4}ss:word", Some("prometheus"));
    let metrics = format!("{url}/metrics");
    let challenge = "401 Basic realm=\"metrics\", charset=\"UTF-8\"";
    assert_eq!(status(&metrics, "X-None: x"), challenge);
    assert_eq!(status(&metrics, &bearer("p\u{e4}ss:word")), challenge);
    let with = |user: &str| {
        curl(&[
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-u",
            user,
            &metrics,
        ])
    };
    for wrong in [
        "prometheus:p\u{e4}ss",
        "Prometheus:p\u{e4}ss:word",
        "prometheus:",
    ] {
        assert_eq!(with(wrong), "401", "{wrong}");
    }
    assert_eq!(with("prometheus:p\u{e4}ss:word"), "200");
}

/// With an empty token, a request without a token would be right.
#[test]
fn empty_secret_is_an_error_at_start() {
    for secret in ["", " \n"] {
        let directory = Directory::new();
        let file = directory.write("secret", secret);
        let log = directory.0.join("log");
        let mut command = start_of(env!("CARGO_BIN_EXE_securing"));
        command
            .env("METRICS_SECRET_FILE", &file)
            .stderr(File::create(&log).unwrap());
        assert!(
            !RunningProgram::start(&mut command)
                .wait_for_exit()
                .success()
        );
        let error = std::fs::read_to_string(log).unwrap();
        let expected = format!("{} contains no secret", file.display());
        assert!(error.contains(&expected), "{error}");
    }
}

/// Serves the application in this process. Returns its address.
async fn serve(registry: &Registry) -> SocketAddr {
    let app = app(registry, Credentials::bearer(TOKEN));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

/// Runs a blocking function on another thread, while servers run on this one.
async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn rejected_scrape_runs_no_collector() {
    skip_without!(Curl);
    let registry = Registry::new();
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let gauge = move || counted.fetch_add(1, Ordering::Relaxed);
    registry
        .gauge("expensive", "An expensive query.", gauge)
        .unwrap();
    let url = format!("http://{}/metrics", serve(&registry).await);
    let rejected = url.clone();
    assert_eq!(
        blocking(move || status(&rejected, "X-None: x")).await,
        "401 Bearer"
    );
    assert_eq!(runs.load(Ordering::Relaxed), 0);
    assert_eq!(blocking(move || status(&url, &bearer(TOKEN))).await, "200 ");
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

/// The addresses of the page's table: the metrics are only where the server listens.
#[tokio::test]
async fn separate_port_is_reached_only_on_its_own_address() {
    skip_without!(Curl);
    let registry = Registry::new();
    registry
        .gauge("good", "Whether the page is served.", || 1_u64)
        .unwrap();
    let server = MetricsServer::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let everywhere = MetricsServer::bind("0.0.0.0:0").await.unwrap();
    let everywhere_port = everywhere.local_addr().unwrap().port();
    tokio::spawn(server.serve(registry.handler(), std::future::pending()));
    tokio::spawn(everywhere.serve(registry.handler(), std::future::pending()));
    let is_reached = |host: &'static str, port: u16| {
        blocking(move || {
            let address = SocketAddr::new(host.parse().unwrap(), port);
            std::net::TcpStream::connect(address)
                .is_ok_and(|_| curl(&[&format!("http://{address}/metrics")]).contains("\ngood 1\n"))
        })
    };
    assert!(is_reached("127.0.0.1", port).await);
    assert!(is_reached("127.0.0.2", everywhere_port).await);
    assert!(!is_reached("127.0.0.2", port).await);
}

/// Makes Prometheus scrape every second a target in place of the page's.
fn prometheus(config: &str, target: SocketAddr, files: &[(&str, &str)]) -> Store {
    let shown = ["shop.example:3000", "shop.example:8443"];
    assert!(shown.iter().any(|shown| config.contains(shown)), "{config}");
    let mut config = config.to_owned();
    for shown in shown {
        config = config.replace(shown, &target.to_string());
    }
    Store::prometheus(
        &format!("global: {{ scrape_interval: 1s }}\n{config}\n"),
        files,
    )
}

/// Waits until scrapes of a job fail for this reason.
///
/// On a busy machine, another scrape may time out.
fn wait_for_error(prometheus: &Store, job: &str, reason: &str) {
    prometheus.wait_for_response("/api/v1/targets", &[], |response| {
        let targets = response["data"]["activeTargets"].as_array();
        let of_job = |target: &&serde_json::Value| target["labels"]["job"] == job;
        let target = targets.into_iter().flatten().find(of_job);
        let error = target.and_then(|target| target["lastError"].as_str());
        error.is_some_and(|error| error.contains(reason))
    });
}

#[test]
fn prometheus_scrapes_with_the_token() {
    skip_without!(Curl, Prometheus);
    let (_running, _secret, url) = start(TOKEN, None);
    let address = url.trim_start_matches("http://").parse().unwrap();
    curl(&[&format!("{url}/users/7")]);
    let config = block(
        SECURING,
        "yaml",
        "credentials_file: shop-token\n    static_configs:\n      - targets: ['shop.example:3000']",
    );
    let directory = Directory::new();
    let token = directory.write("shop-token", "wrong");
    let config = config.replace("shop-token", token.to_str().unwrap());
    let store = prometheus(&config, address, &[]);
    let rejected = "server returned HTTP status 401 Unauthorized";
    wait_for_error(&store, "shop", rejected);
    // Prometheus reads the file at each scrape.
    directory.write("shop-token", &format!("{TOKEN}\n"));
    assert_eq!(
        store.wait_for_values("http_requests_total{status=\"200\"}"),
        [1.0]
    );
    assert_eq!(store.wait_for_values("up == 1"), [1.0]);
}

#[test]
fn prometheus_scrapes_with_the_password() {
    skip_without!(Curl, Prometheus);
    let (_running, _secret, url) = start("secret", Some("prometheus"));
    let address = url.trim_start_matches("http://").parse().unwrap();
    let config = block(SECURING, "yaml", "basic_auth:");
    let store = prometheus(config, address, &[("shop-password", "secret\n")]);
    assert_eq!(store.wait_for_values("up == 1"), [1.0]);
}

/// A CA, and a certificate of it for 127.0.0.1 and localhost, in PEM.
struct Certificates {
    ca: String,
    certificate: String,
    key: String,
}

impl Certificates {
    fn new() -> Self {
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.distinguished_name
            .push(DnType::CommonName, "CA of the shop");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let key = KeyPair::generate().unwrap();
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(ca, ca_key);
        let certificate =
            CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &issuer).unwrap();
        Self {
            ca: ca_certificate.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// Serves the application over TLS in this process. Returns its address and the CA.
fn serve_over_tls(registry: &Registry) -> (SocketAddr, String) {
    let certificates = Certificates::new();
    let directory = Directory::new();
    let certificate = directory.write("cert.pem", &certificates.certificate);
    let key = directory.write("key.pem", &certificates.key);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let app = app(registry, Credentials::bearer(TOKEN));
    tokio::spawn(async move {
        let _directory = directory;
        let config = RustlsConfig::from_pem_file(certificate, key).await.unwrap();
        tls::serve_tls(listener, app, config, std::future::pending()).await
    });
    (address, certificates.ca)
}

#[tokio::test]
async fn prometheus_scrapes_with_the_token_over_tls() {
    skip_without!(Curl, Prometheus);
    let registry = Registry::new();
    let (address, ca) = serve_over_tls(&registry);
    let config = block(SECURING, "yaml", "scheme: https");
    let up = move || {
        let store = prometheus(config, address, &[("ca.pem", &ca), ("shop-token", TOKEN)]);
        store.wait_for_values("up == 1")
    };
    assert_eq!(blocking(up).await, [1.0]);
    // Rejected scrapes would be counted.
    assert_eq!(registry.sum("http_requests_total", &[]), None);
}

/// A separate port with TLS: only the metrics page, and the health check, which needs no token. The server ends after `stop`.
#[tokio::test]
async fn separate_port_can_have_tls() {
    skip_without!(Curl);
    let registry = Registry::new();
    registry
        .gauge("good", "Whether the page is served.", || 1_u64)
        .unwrap();
    let certificates = Certificates::new();
    let directory = Directory::new();
    let certificate = directory.write("cert.pem", &certificates.certificate);
    let key = directory.write("key.pem", &certificates.key);
    let ca = directory.write("ca.pem", &certificates.ca);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let health = format!("{url}/health");
    let page = metrics_port(registry.handler(), Credentials::bearer(TOKEN));
    let config = RustlsConfig::from_pem_file(certificate, key).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let server = tokio::spawn(tls::serve_tls(listener, page, config.clone(), stopped));
    blocking(move || {
        let ca = ca.to_str().unwrap();
        let metrics = format!("{url}/metrics");
        let page = curl(&["--cacert", ca, "-H", &bearer(TOKEN), &metrics]);
        assert!(page.contains("\ngood 1\n"), "{page}");
        let code = ["--cacert", ca, "-o", "/dev/null", "-w", "%{http_code}"];
        assert_eq!(curl(&[&code[..], &[&metrics]].concat()), "401");
        for (path, status) in [("/health", "200"), ("/users/7", "404")] {
            let other = format!("{url}{path}");
            assert_eq!(curl(&[&code[..], &[&other]].concat()), status, "{path}");
        }
    })
    .await;
    let renewed = Certificates::new();
    let pem = |text: String| text.into_bytes();
    let (certificate, key) = (pem(renewed.certificate), pem(renewed.key));
    config.reload_from_pem(certificate, key).await.unwrap();
    let ca = directory.write("renewed.pem", &renewed.ca);
    blocking(move || curl(&["--cacert", ca.to_str().unwrap(), &health])).await;
    drop(stop);
    server.await.unwrap().unwrap();
}

/// Each row of the page's table of errors, provoked.
#[tokio::test]
async fn failed_scrapes_have_the_documented_reasons() {
    skip_without!(Curl, Prometheus);
    let registry = Registry::new();
    let (tls, ca) = serve_over_tls(&registry);
    let plain = serve(&registry).await;
    let closed = ReservedAddress::new();
    let ca_file = "tls_config: { ca_file: ca.pem }";
    let jobs = [
        (
            "token",
            format!("scheme: https, {ca_file}"),
            tls.to_string(),
        ),
        ("authority", "scheme: https".to_owned(), tls.to_string()),
        (
            "name",
            "scheme: https, tls_config: { ca_file: ca.pem, server_name: other.example }".to_owned(),
            tls.to_string(),
        ),
        (
            "not-tls",
            format!("scheme: https, {ca_file}"),
            plain.to_string(),
        ),
        ("not-plain", String::new(), tls.to_string()),
        ("closed", String::new(), closed.get().to_string()),
    ];
    let mut config = "global: { scrape_interval: 1s }\nscrape_configs:\n".to_owned();
    for (job, settings, target) in &jobs {
        let comma = if settings.is_empty() { "" } else { ", " };
        config += &format!(
            "  - {{ job_name: {job}{comma}{settings}, static_configs: [{{ targets: ['{target}'] }}] }}\n"
        );
    }
    blocking(move || {
        let store = Store::prometheus(&config, &[("ca.pem", &ca)]);
        for (job, reason) in [
            ("token", "server returned HTTP status 401 Unauthorized"),
            ("authority", "x509: certificate signed by unknown authority"),
            ("name", "x509: certificate is valid for"),
            ("not-tls", "http: server gave HTTP response to HTTPS client"),
            ("not-plain", "malformed HTTP response"),
            ("closed", "connection refused"),
        ] {
            wait_for_error(&store, job, reason);
            assert!(SECURING.contains(reason), "{reason}");
        }
    })
    .await;
}

/// The settings of the page's table.
#[tokio::test]
async fn mutual_tls_admits_scrapers_with_a_certificate_of_their_ca() {
    skip_without!(Curl, Prometheus);
    let registry = Registry::new();
    let (server, scrapers, strangers) = (
        Certificates::new(),
        Certificates::new(),
        Certificates::new(),
    );
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(scrapers.ca.as_bytes()).unwrap())
        .unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
        .build()
        .unwrap();
    let certificate = CertificateDer::from_pem_slice(server.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = RustlsConfig::from_config(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let page = Router::new().route("/metrics", get(registry.handler()));
    let server_task = axum_server::from_tcp_rustls(listener, config).unwrap();
    tokio::spawn(server_task.serve(page.into_make_service()));

    let mut jobs = "global: { scrape_interval: 1s }\nscrape_configs:\n".to_owned();
    for (job, certificate) in [
        ("scraper", "cert_file: scraper.pem, key_file: scraper.key"),
        (
            "stranger",
            "cert_file: stranger.pem, key_file: stranger.key",
        ),
        ("without", ""),
    ] {
        jobs += &format!(
            "  - {{ job_name: {job}, scheme: https, tls_config: {{ ca_file: ca.pem, {certificate} }}, static_configs: [{{ targets: ['{address}'] }}] }}\n"
        );
    }
    blocking(move || {
        let store = Store::prometheus(
            &jobs,
            &[
                ("ca.pem", &server.ca),
                ("scraper.pem", &scrapers.certificate),
                ("scraper.key", &scrapers.key),
                ("stranger.pem", &strangers.certificate),
                ("stranger.key", &strangers.key),
            ],
        );
        assert_eq!(store.wait_for_values("up{job=\"scraper\"} == 1"), [1.0]);
        for job in ["stranger", "without"] {
            wait_for_error(&store, job, "tls: ");
        }
    })
    .await;
}
