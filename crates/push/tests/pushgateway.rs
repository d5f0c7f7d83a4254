//! Pushes to a real Pushgateway. Needs the Debian packages `prometheus-pushgateway` and `curl`.

use http::StatusCode;
use test_support::pushgateway::Pushgateway;
use test_support::skip_without;
use tower_prometheus::Registry;
#[cfg(feature = "tls")]
use tower_prometheus_push::Connector;
use tower_prometheus_push::PushGateway;

fn registry(counter: &'static str) -> Registry {
    let registry = Registry::builder().constant_label("service", "shop");
    let registry = registry.build().unwrap();
    metrics::with_local_recorder(&registry, || metrics::counter!(counter).increment(7));
    registry
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn group_is_replaced_extended_and_deleted() {
    skip_without!(Curl, Pushgateway);
    let pushgateway = Pushgateway::start();
    let gateway = PushGateway::new(&format!("{}/", pushgateway.url()), "nightly").unwrap();
    let (first, second) = (registry("first_total"), registry("second_total"));
    let line =
        |name: &str| format!("{name}_total{{instance=\"\",job=\"nightly\",service=\"shop\"}} 7");

    gateway.push(&first).await.unwrap();
    assert_eq!(pushgateway.group_contents(), [line("first")]);
    gateway.push_add(&second).await.unwrap();
    assert_eq!(
        pushgateway.group_contents(),
        [line("first"), line("second")]
    );
    gateway.push(&second.handler()).await.unwrap();
    assert_eq!(pushgateway.group_contents(), [line("second")]);

    // Metrics of collectors are pushed as well, and grouping labels can have any value.
    let other = PushGateway::new(&pushgateway.url(), "a/b c").unwrap();
    let other = other
        .group("path", "/var/tmp")
        .unwrap()
        .group("empty", "")
        .unwrap();
    let other = other.group("word", "größe").unwrap();
    let collecting = Registry::new();
    collecting.gauge("pushed", "", || 0.5).unwrap();
    other.push(&collecting).await.unwrap();
    let pushed = pushgateway
        .group_contents()
        .into_iter()
        .find(|line| line.starts_with("pushed"));
    assert_eq!(
        pushed.unwrap(),
        "pushed{empty=\"\",instance=\"\",job=\"a/b c\",path=\"/var/tmp\",word=\"größe\"} 0.5"
    );
    other.delete().await.unwrap();
    assert_eq!(pushgateway.group_contents(), [line("second")]);
    gateway.delete().await.unwrap();
    assert!(pushgateway.group_contents().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_push_returns_status_and_reason() {
    skip_without!(Curl, Pushgateway);
    let pushgateway = Pushgateway::start();
    let gateway = PushGateway::new(&pushgateway.url(), "nightly").unwrap();
    gateway.push(&registry("first_total")).await.unwrap();
    // The Pushgateway rejects a metric that has another type in another group.
    let other = PushGateway::new(&pushgateway.url(), "other").unwrap();
    let gauge = Registry::new();
    gauge.gauge("first_total", "", || 1_u64).unwrap();
    let error = other.push(&gauge).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST), "{error}");
    assert!(error.is_rejected());
    assert!(
        error.to_string().contains("answered 400 Bad Request: "),
        "{error}"
    );
}

#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateway_with_tls_and_basic_auth_needs_its_certificate_and_password() {
    skip_without!(Curl, Pushgateway);
    let generate = || rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (own, other) = (generate(), generate());
    let (user, password) = (Pushgateway::USER, Pushgateway::PASSWORD);
    let pushgateway = Pushgateway::start_secured(&own.cert.pem(), &own.signing_key.serialize_pem());
    let address = pushgateway.address();
    let client = |userinfo: &str, certificate: &rcgen::Certificate| {
        let connector = Connector::with_ca_certificate(certificate.pem()).unwrap();
        let url = format!("https://{userinfo}{address}");
        let client = PushGateway::with_connector(&url, "nightly", connector);
        client.unwrap().retries(0)
    };
    let (first, second) = (registry("first_total"), registry("second_total"));
    let line =
        |name: &str| format!("{name}_total{{instance=\"\",job=\"nightly\",service=\"shop\"}} 7");

    let in_url = client(&format!("{user}:{password}@"), &own.cert);
    let set = client("", &own.cert).basic_auth(user, password).unwrap();
    in_url.push(&first).await.unwrap();
    set.push_add(&second).await.unwrap();
    let both = [line("first"), line("second")];
    assert_eq!(pushgateway.group_contents(), both);

    for rejected in [
        client("", &own.cert),
        client(&format!("{user}:wrong@"), &own.cert),
        client("", &own.cert).bearer_token(password).unwrap(),
    ] {
        let error = rejected.push(&second).await.unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED), "{error}");
        rejected.delete().await.unwrap_err();
    }
    let untrusting = client("", &other.cert).basic_auth(user, password);
    let error = untrusting.unwrap().push(&second).await.unwrap_err();
    assert!(error.is_connect(), "{error}");
    let without_tls = PushGateway::new(&format!("http://{user}:{password}@{address}"), "nightly");
    let error = without_tls.unwrap().push(&second).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST), "{error}");
    assert_eq!(pushgateway.group_contents(), both);

    set.delete().await.unwrap();
    assert!(pushgateway.group_contents().is_empty());
}
