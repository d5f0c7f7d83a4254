//! The recipe for reqwest, over sockets: responses are those of reqwest, and each request is counted once.

#[path = "../../../docs/guide/reqwest.rs"]
mod measured_client;

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{get, post};
use test_support::wait_until;
use tower_prometheus::Registry;

use measured_client::MeasuredClient;

fn client() -> (Registry, MeasuredClient) {
    let registry = Registry::new();
    let metrics = registry.http_client_layer();
    let reqwest = reqwest::Client::new();
    (registry, MeasuredClient { reqwest, metrics })
}

/// Starts a server and returns its URL.
async fn serve() -> String {
    let app = Router::new()
        .route("/users/{id}", get(async || r#"{"name": "ada"}"#))
        .route("/echo", post(async |body: String| body))
        .route("/old", get(async || Redirect::permanent("/users/1")))
        .route("/missing", get(async || (StatusCode::NOT_FOUND, "no")))
        .route("/hang", get(std::future::pending::<()>));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    format!("http://{address}")
}

/// Asserts that `requests` have ended, one of them with this endpoint and status, and that none is in progress.
#[track_caller]
fn assert_ended(registry: &Registry, requests: f64, endpoint: &str, status: &str) {
    let sum = |name, labels: &[(&str, &str)]| registry.sum(name, labels).unwrap_or(0.0);
    assert_eq!(sum("http_client_requests_total", &[]), requests);
    assert_eq!(
        sum("http_client_request_duration_seconds_count", &[]),
        requests
    );
    assert_eq!(sum("http_client_requests_in_progress", &[]), 0.0);
    let labels = [("endpoint", endpoint), ("status", status)];
    assert_eq!(sum("http_client_requests_total", &labels), 1.0);
}

#[tokio::test]
async fn response_of_a_measured_request_can_be_read_as_json_text_and_bytes() {
    let (registry, client) = client();
    let server = serve().await;
    let user = client.reqwest.get(format!("{server}/users/7"));
    let user = client.send("/users/{id}", user).await.unwrap();
    assert_eq!(user.url().path(), "/users/7");
    let in_progress = registry.sum("http_client_requests_in_progress", &[]);
    assert_eq!(in_progress, Some(1.0), "until the body is read");
    let user: std::collections::HashMap<String, String> = user.json().await.unwrap();
    assert_eq!(user["name"], "ada");
    assert_ended(&registry, 1.0, "/users/{id}", "200");

    let echo = client.reqwest.post(format!("{server}/echo")).body("hello");
    let echo = client.send("/echo", echo).await.unwrap();
    assert_eq!(echo.text().await.unwrap(), "hello");
    assert_ended(&registry, 2.0, "/echo", "200");

    let missing = client.reqwest.get(format!("{server}/missing"));
    let missing = client.send("/missing", missing).await.unwrap();
    let error = missing.error_for_status_ref().unwrap_err();
    assert_eq!(error.url().unwrap().path(), "/missing");
    assert_eq!(missing.bytes().await.unwrap(), "no");
    assert_ended(&registry, 3.0, "/missing", "404");
}

/// reqwest follows redirects inside the measured service.
#[tokio::test]
async fn redirected_request_is_counted_once_and_its_response_has_the_final_url() {
    let (registry, client) = client();
    let server = serve().await;
    let old = client.reqwest.get(format!("{server}/old"));
    let user = client.send("/old", old).await.unwrap();
    assert_eq!(user.url().as_str(), format!("{server}/users/1"));
    user.bytes().await.unwrap();
    assert_ended(&registry, 1.0, "/old", "200");
}

#[tokio::test]
async fn timeout_of_a_request_is_kept_and_counted_as_an_error() {
    let (registry, client) = client();
    let hang = client.reqwest.get(format!("{}/hang", serve().await));
    let hang = hang.timeout(Duration::from_millis(1));
    let error = client.send("/hang", hang).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_ended(&registry, 1.0, "/hang", "error");
}

#[tokio::test]
async fn dropped_request_is_cancelled_and_dropped_response_is_an_aborted_body() {
    let (registry, client) = client();
    let server = serve().await;
    let hang = client.send("/hang", client.reqwest.get(format!("{server}/hang")));
    tokio::select! {
        _ = hang => panic!("the server never answers"),
        () = wait_until("the request has started", || {
            registry.sum("http_client_requests_in_progress", &[]) == Some(1.0)
        }) => {}
    }
    assert_ended(&registry, 1.0, "/hang", "cancelled");

    let user = client.reqwest.get(format!("{server}/users/7"));
    drop(client.send("/users/{id}", user).await.unwrap());
    assert_ended(&registry, 2.0, "/users/{id}", "200");
    let aborted = registry.sum("http_client_response_bodies_aborted_total", &[]);
    assert_eq!(aborted, Some(1.0));
}
