//! Layers whose metrics and labels have other names than the default ones.

use std::io;

use axum::Router;
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use serde_json::json;
use test_support::browser::Browser;
use test_support::server::Server;
use test_support::skip_without;
use tower::{Layer, ServiceExt, service_fn};
use tower_prometheus::grpc::{CodeFormat, GrpcMetric, GrpcNaming, GrpcType};
use tower_prometheus::http::{ErrorKind, HttpMetric, Naming};
use tower_prometheus::{GrpcMetrics, HttpMetrics, Registry};

fn http() -> HttpMetrics {
    let naming = Naming::classic()
        .family(HttpMetric::Requests, "hits_total")
        .family(HttpMetric::Duration, "hit_seconds")
        .family(HttpMetric::InProgress, "hits_now")
        .method_label("verb")
        .endpoint_label("path")
        .status_label("code");
    HttpMetrics::server().naming(naming)
}

fn grpc() -> GrpcMetrics {
    let naming = GrpcNaming::go_grpc_middleware()
        .family(GrpcMetric::Handled, "calls_total")
        .family(GrpcMetric::Handling, "call_seconds")
        .method_labels("svc", "rpc")
        .code_label("result")
        .codes(CodeFormat::Number);
    GrpcMetrics::server().naming(naming)
}

/// A service with both layers, three HTTP requests and preregistered gRPC methods.
async fn start(metrics: &Registry) -> Server {
    let app = Router::new()
        .route("/users/{id}", get(async || "ada"))
        .route("/fail", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .nest_service("/live", tower_prometheus_live::page(metrics))
        .layer(http().build(metrics).unwrap());
    let calls = grpc().method("shop.Orders", "Place", GrpcType::Unary);
    calls.build(metrics).unwrap();
    let server = Server::start(app).await;
    for path in ["/users/1", "/users/2", "/fail"] {
        server.get(path).await;
    }
    server
}

/// The query that `Copy PromQL` in a card's menu copies.
fn copied_query(browser: &Browser, card: &str) -> String {
    browser.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }");
    browser.run("window.copied = undefined");
    browser.run(&format!(
        "[...document.querySelectorAll('[data-card={card:?}] .menu-items button')]\
         .find((button) => button.textContent === 'Copy PromQL').click()"
    ));
    browser.wait_until("window.copied");
    let query = browser.run("return window.copied");
    query.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_a_response_are_errors_with_names_of_open_telemetry() {
    skip_without!(Chromium, Chromedriver);
    let metrics = Registry::new();
    let server = Server::start(tower_prometheus_live::page(&metrics)).await;
    let layer = HttpMetrics::open_telemetry_client()
        .with_error_kind(|error: &io::Error| ErrorKind::of(error))
        .build(&metrics);
    let fail = async |_: Request<String>| {
        Err::<Response<String>, _>(io::Error::from(io::ErrorKind::TimedOut))
    };
    let client = layer.unwrap().layer(service_fn(fail));
    let browser = Browser::start();
    browser.open(&server.url("/"));
    browser.wait_until("document.getElementById('status')?.dataset.state === 'live'");
    for _ in 0..3 {
        let request = Request::get("http://shop.example/users/1").body(String::new());
        client.clone().oneshot(request.unwrap()).await.unwrap_err();
    }
    browser.wait_until("document.querySelector('[data-row] .is-error')?.textContent === '100 %'");
    browser.wait_until(
        "document.querySelector('[data-card=Requests] .legend .name')?.textContent === 'timeout'",
    );
    let requests = "http_client_request_duration_seconds_count";
    assert_eq!(
        copied_query(&browser, "Errors"),
        format!(
            "sum(rate({requests}{{error_type!~\"|cancelled|4..\"}}[1m])) / sum(rate({requests}[1m]))"
        )
    );
    browser.assert_clean(&server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_charts_work_with_renamed_metrics_and_labels() {
    skip_without!(Chromium, Chromedriver);
    let metrics = Registry::new();
    let server = start(&metrics).await;
    let browser = Browser::start();
    browser.open(&server.url("/live"));
    for (row, total) in [
        ("GET /users/{id}", "2"),
        ("GET /fail", "1"),
        ("shop.Orders/Place", "0"),
    ] {
        let cell = format!("[data-row={row:?}] td:nth-of-type(7)");
        browser.wait_until(&format!(
            "document.querySelector({cell:?})?.textContent === {total:?}"
        ));
    }
    assert_eq!(browser.count("[data-row]"), 3);
    let titles =
        "return [...document.querySelectorAll('.layer-title')].map((title) => title.textContent)";
    assert_eq!(browser.run(titles), json!(["HTTP server", "gRPC server"]));
    browser.wait_until(
        "[...document.querySelector('[data-card=Requests]').querySelectorAll('.legend .name')]\
         .map((name) => name.textContent).join() === '200,503'",
    );
    browser.wait_until(
        "document.querySelector('[data-row=\"GET /fail\"] .is-error').textContent === '100 %'",
    );

    browser.click("[data-row='GET /fail'] a");
    for card in [
        "Requests",
        "Errors",
        "Latency",
        "Latency distribution",
        "In progress",
    ] {
        browser.wait_until(&format!(
            "document.querySelector('[data-card={card:?}] canvas')"
        ));
    }
    let query = |card: &str| copied_query(&browser, card);
    let labels = "path=\"/fail\",verb=\"GET\"";
    assert_eq!(
        query("Requests"),
        format!("sum by (code) (rate(hits_total{{{labels}}}[1m]))")
    );
    assert_eq!(
        query("Errors"),
        format!(
            "sum(rate(hits_total{{{labels},code=~\"5.*|error|panicked\"}}[1m])) / sum(rate(hits_total{{{labels}}}[1m]))"
        )
    );
    assert_eq!(
        query("Latency"),
        format!("histogram_quantile(0.95, sum by (le) (rate(hit_seconds_bucket{{{labels}}}[1m])))")
    );
    assert_eq!(query("In progress"), format!("sum(hits_now{{{labels}}})"));
    browser.assert_clean(&server.url("/"));
}
