//! The global recorder is that of another crate. A test binary of its own, because a process has one global recorder.

use tower_prometheus::{HttpMetrics, Registry, Sink};

#[test]
fn install_fails_and_layers_can_record_to_the_global_recorder_of_another_crate() {
    // A registry that is installed without `install` counts as a recorder of another crate.
    let other = Registry::new();
    metrics::set_global_recorder(other.clone()).unwrap();

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
    assert_eq!(other.sum("http_requests_total", &[]), Some(1.0));
    let help = "# HELP http_requests_total Total number of HTTP requests, by final status.";
    assert!(other.render().contains(help));
}
