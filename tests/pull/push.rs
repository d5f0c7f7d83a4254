//! Pages pushed to a real Pushgateway, and to gateways that misbehave.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, Response, StatusCode};
use tower_prometheus::{PushGateway, Registry};

use test_support::pushgateway::Pushgateway;
use test_support::server::Server;
use test_support::skip_without;

fn registry(counter: &'static str) -> Registry {
    let registry = Registry::builder().constant_label("service", "shop");
    let registry = registry.build().unwrap();
    metrics::with_local_recorder(&registry, || metrics::counter!(counter).increment(7));
    registry
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_keeps_replaces_adds_and_deletes() {
    skip_without!(Curl, Pushgateway);
    let real = Pushgateway::start();
    let url = real.url();
    let gateway = PushGateway::new(&format!("{url}/"), "nightly").unwrap();
    let (first, second) = (registry("first_total"), registry("second_total"));
    let line =
        |name: &str| format!("{name}_total{{instance=\"\",job=\"nightly\",service=\"shop\"}} 7");

    gateway.push(&first.handler()).await.unwrap();
    assert_eq!(real.group_contents(), [line("first")]);
    gateway.push_add(&second.handler()).await.unwrap();
    assert_eq!(real.group_contents(), [line("first"), line("second")]);
    gateway.push(&second.handler()).await.unwrap();
    assert_eq!(real.group_contents(), [line("second")]);

    // Collectors are on a pushed page, too; odd values of labels come through.
    let other = PushGateway::new(&url, "a/b c").unwrap();
    let other = other
        .group("path", "/var/tmp")
        .unwrap()
        .group("empty", "")
        .unwrap();
    let other = other.group("word", "größe").unwrap();
    let handler = Registry::new().handler().gauge("pushed", "", || 0.5);
    other.push(&handler).await.unwrap();
    let pushed = real
        .group_contents()
        .into_iter()
        .find(|line| line.starts_with("pushed"));
    assert_eq!(
        pushed.unwrap(),
        "pushed{empty=\"\",instance=\"\",job=\"a/b c\",path=\"/var/tmp\",word=\"größe\"} 0.5"
    );
    other.delete().await.unwrap();
    assert_eq!(real.group_contents(), [line("second")]);
    gateway.delete().await.unwrap();
    assert!(real.group_contents().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gateway_refuses_is_said() {
    skip_without!(Pushgateway);
    let real = Pushgateway::start();
    let url = real.url();
    let gateway = PushGateway::new(&url, "nightly").unwrap();
    gateway
        .push(&registry("first_total").handler())
        .await
        .unwrap();
    // The same name with another type in another group is inconsistent.
    let other = PushGateway::new(&url, "other").unwrap();
    let gauge = Registry::new();
    let handler = gauge.handler().gauge("first_total", "", || 1_u64);
    let error = other.push(&handler).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST), "{error}");
    assert!(
        error.to_string().contains("answers 400 Bad Request: "),
        "{error}"
    );
}

/// A gateway that answers so, and counts.
async fn answering(codes: &'static [u16]) -> (Server, String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(tower::service_fn(move |request: Request<_>| {
        assert_eq!(request.method(), "PUT");
        assert_eq!(
            request.uri().path(),
            "/prefix/metrics/job/nightly/disk@base64/L2Rldi9zZGE"
        );
        assert_eq!(
            request.headers()["content-type"],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        let n = count.fetch_add(1, Ordering::SeqCst);
        drop::<hyper::body::Incoming>(request.into_body());
        let response = Response::builder().status(codes[n.min(codes.len() - 1)]);
        std::future::ready(Ok::<_, std::io::Error>(
            response.body("said so".to_owned()).unwrap(),
        ))
    }))
    .await;
    let url = server.url("/prefix");
    (server, url, asked)
}

async fn push(url: &str, retries: u32) -> Result<(), tower_prometheus::PushError> {
    let gateway = PushGateway::new(url, "nightly").unwrap().retries(retries);
    let gateway = gateway.group("disk", "/dev/sda").unwrap();
    gateway.push(&registry("first_total").handler()).await
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let (_server, url, asked) = answering(&[503, 500, 202]).await;
    push(&url, 2).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3);

    let (_server, url, asked) = answering(&[502]).await;
    let error = push(&url, 2).await.unwrap_err();
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert_eq!(error.status(), Some(StatusCode::BAD_GATEWAY));
    assert!(
        error
            .to_string()
            .ends_with("answers 502 Bad Gateway: said so"),
        "{error}"
    );

    for refusal in [&[400], &[404], &[302]] {
        let (_server, url, asked) = answering(refusal).await;
        push(&url, 2).await.unwrap_err();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_named() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = push(&format!("http://{free}"), 1).await.unwrap_err();
    assert_eq!(error.status(), None);
    assert_eq!(
        error.to_string(),
        format!("push gateway http://{free}/ cannot be reached")
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn a_page_that_failed_is_not_pushed() {
    let (_server, url, asked) = answering(&[202]).await;
    let handler = Registry::new().handler().fail_on_collect_error();
    let handler = handler.collector("errs", |_: &mut tower_prometheus::collect::Samples| {
        Err("no such pool".into())
    });
    let gateway = PushGateway::new(&url, "nightly").unwrap();
    let error = gateway.push(&handler).await.unwrap_err().to_string();
    assert!(
        error.contains("collector \"errs\" failed: no such pool"),
        "{error}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn a_wrong_configuration_is_an_error() {
    for (url, job, reason) in [
        ("localhost:9091", "nightly", "is not an address like"),
        ("http://a b", "nightly", "is not an address"),
        ("ftp://gateway", "nightly", "is not an address like"),
        ("http://gateway?x=1", "nightly", "is not an address like"),
        ("http://gateway", "", "needs a name"),
    ] {
        let error = PushGateway::new(url, job).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let gateway = || PushGateway::new("http://gateway", "nightly").unwrap();
    for label in ["job", "a-b", "__name__", ""] {
        gateway().group(label, "x").unwrap_err();
    }
}
