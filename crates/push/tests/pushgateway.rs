//! Pushes to a real Pushgateway. Needs the Debian packages `prometheus-pushgateway` and `curl`.

use http::StatusCode;
use test_support::pushgateway::Pushgateway;
use test_support::skip_without;
use tower_prometheus::Registry;
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
