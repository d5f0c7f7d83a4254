//! Metrics pushed to Prometheus' own Pushgateway. Needs Debian's `prometheus-pushgateway` and `curl`.

use std::process::Command;

use http::StatusCode;
use test_support::page::samples;
use test_support::process::{Running, curl};
use tower_prometheus::Registry;
use tower_prometheus_push::PushGateway;

/// A Pushgateway on a free port that keeps nothing on disk.
struct Pushgateway {
    url: String,
    _process: Running,
}

impl Pushgateway {
    fn start() -> Self {
        // The Pushgateway logs to standard error.
        let program =
            "exec prometheus-pushgateway --persistence.file= --web.listen-address=127.0.0.1:0 2>&1";
        let mut process = Running::start(Command::new("/bin/sh").args(["-c", program]));
        let address = process.printed("msg=\"Listening on\" address=");
        Self {
            url: format!("http://{address}"),
            _process: process,
        }
    }

    /// Returns the pushed samples as the Pushgateway exports them, without its own.
    fn pushed(&self) -> Vec<String> {
        let page = curl(&[&format!("{}/metrics", self.url)]);
        let samples = samples(&page).into_iter();
        let pushed =
            samples.filter(|(name, _)| name.contains("job=") && !name.starts_with("push_"));
        pushed
            .map(|(name, value)| format!("{name} {value}"))
            .collect()
    }
}

fn registry(counter: &'static str) -> Registry {
    let registry = Registry::builder().constant_label("service", "shop");
    let registry = registry.build().unwrap();
    metrics::with_local_recorder(&registry, || metrics::counter!(counter).increment(7));
    registry
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn group_is_replaced_extended_and_deleted() {
    let pushgateway = Pushgateway::start();
    let gateway = PushGateway::new(&format!("{}/", pushgateway.url), "nightly").unwrap();
    let (first, second) = (registry("first_total"), registry("second_total"));
    let line =
        |name: &str| format!("{name}_total{{instance=\"\",job=\"nightly\",service=\"shop\"}} 7");

    gateway.push(&first).await.unwrap();
    assert_eq!(pushgateway.pushed(), [line("first")]);
    gateway.push_add(&second).await.unwrap();
    assert_eq!(pushgateway.pushed(), [line("first"), line("second")]);
    gateway.push(&second.handler()).await.unwrap();
    assert_eq!(pushgateway.pushed(), [line("second")]);

    // Collectors are pushed, too, and grouping labels may have any value.
    let other = PushGateway::new(&pushgateway.url, "a/b c").unwrap();
    let other = other
        .group("path", "/var/tmp")
        .unwrap()
        .group("empty", "")
        .unwrap();
    let other = other.group("word", "größe").unwrap();
    let handler = Registry::new().handler().gauge("pushed", "", || 0.5);
    other.push(&handler).await.unwrap();
    let pushed = pushgateway
        .pushed()
        .into_iter()
        .find(|line| line.starts_with("pushed"));
    assert_eq!(
        pushed.unwrap(),
        "pushed{empty=\"\",instance=\"\",job=\"a/b c\",path=\"/var/tmp\",word=\"größe\"} 0.5"
    );
    other.delete().await.unwrap();
    assert_eq!(pushgateway.pushed(), [line("second")]);
    gateway.delete().await.unwrap();
    assert!(pushgateway.pushed().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejection_has_status_and_reason() {
    let pushgateway = Pushgateway::start();
    let gateway = PushGateway::new(&pushgateway.url, "nightly").unwrap();
    gateway.push(&registry("first_total")).await.unwrap();
    // The same name with another type in another group is inconsistent.
    let other = PushGateway::new(&pushgateway.url, "other").unwrap();
    let handler = Registry::new().handler().gauge("first_total", "", || 1_u64);
    let error = other.push(&handler).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST), "{error}");
    assert!(error.is_rejected());
    assert!(
        error.to_string().contains("answered 400 Bad Request: "),
        "{error}"
    );
}
