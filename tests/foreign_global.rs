//! Someone else's recorder is the global one. A binary of its own, because there is one a process.

use tower_prometheus::{HttpMetrics, Registry, Sink};

#[test]
fn a_foreign_global_recorder_is_found_and_not_replaced() {
    // Any recorder that `metrics` did not make will do; one of our own registries, installed by hand.
    let foreign = Registry::new();
    metrics::set_global_recorder(foreign.clone()).unwrap();

    let error = Registry::builder().install().unwrap_err();
    assert!(error.is_already_installed() && !error.is_conflict());
    let error = error.to_string();
    assert!(
        error.contains("another global recorder is already installed"),
        "{error}"
    );
    assert!(Registry::global().is_none());

    use tower::{Layer, ServiceExt};
    let layer = HttpMetrics::server()
        .build(Sink::global().unwrap())
        .unwrap();
    let ok = tower::service_fn(async |_: http::Request<()>| {
        Ok::<_, ()>(http::Response::new(String::new()))
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    drop(runtime.block_on(layer.layer(ok).oneshot(http::Request::new(()))));
    assert_eq!(foreign.sum("http_requests_total", &[]), Some(1.0));
    let help = "# HELP http_requests_total Total number of HTTP requests, by final status.";
    assert!(foreign.render().contains(help));
}
