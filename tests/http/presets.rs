//! The preset for OpenTelemetry's semantic conventions. That for axum-prometheus:
//! `tests/integration/tests/axum_prometheus.rs`.

use http::{Request, Response, Version};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_prometheus::{HttpMetrics, Registry, http::Endpoint};

use test_support::page::{assert_valid_text, samples};

async fn respond(request: Request<()>) -> Result<Response<String>, &'static str> {
    match request.uri().path() {
        "/error" => Err("no"),
        "/503" => Ok(Response::builder().status(503).body(String::new()).unwrap()),
        _ => Ok(Response::new("hello".to_owned())),
    }
}

#[tokio::test]
async fn open_telemetry_has_the_names_labels_and_buckets_of_the_conventions() {
    let registry = Registry::new();
    let layer = HttpMetrics::open_telemetry()
        .https()
        .build(&registry)
        .unwrap();
    let mut service = layer.layer(service_fn(respond));
    for (method, uri, version, endpoint) in [
        ("GET", "/ok", Version::HTTP_2, Some("/{page}")),
        ("GET", "http://host/503", Version::HTTP_11, Some("/{page}")),
        ("HACK", "/error", Version::HTTP_11, None),
    ] {
        let mut request = Request::builder().method(method).uri(uri).version(version);
        if let Some(endpoint) = endpoint {
            request = request.extension(Endpoint::from_static(endpoint));
        }
        if let Ok(response) = service.call(request.body(()).unwrap()).await {
            http_body_util::BodyExt::collect(response.into_body())
                .await
                .unwrap();
        }
    }
    let page = registry.render();
    assert_valid_text(&page);
    let samples = samples(&page);
    for labels in [
        // `error_type` is empty without an error, the status if it is 5xx, and `error` without a response.
        r#"error_type="",http_request_method="GET",http_response_status_code="200",http_route="/{page}",network_protocol_version="2",url_scheme="https""#,
        r#"error_type="503",http_request_method="GET",http_response_status_code="503",http_route="/{page}",network_protocol_version="1.1",url_scheme="http""#,
        r#"error_type="error",http_request_method="_OTHER",http_response_status_code="",http_route="",network_protocol_version="1.1",url_scheme="https""#,
    ] {
        let count = format!("http_server_request_duration_seconds_count{{{labels}}}");
        assert_eq!(samples.get(&count), Some(&1.0), "{page}");
    }
    for active in [
        r#"http_server_active_requests{http_request_method="GET",url_scheme="http"}"#,
        r#"http_server_active_requests{http_request_method="GET",url_scheme="https"}"#,
        r#"http_server_active_requests{http_request_method="_OTHER",url_scheme="https"}"#,
    ] {
        assert_eq!(samples.get(active), Some(&0.0), "{page}");
    }
    let le = |le| registry.sum("http_server_request_duration_seconds_bucket", &[("le", le)]);
    for bound in ["0.075", "0.75", "7.5", "10", "+Inf"] {
        assert_eq!(le(bound), Some(3.0), "{bound}");
    }
    let sizes = registry.sum("http_server_response_body_size_bytes_sum", &[]);
    assert_eq!(sizes, Some(5.0));
    assert!(!page.contains("requests_total"), "{page}");
}

#[tokio::test]
async fn scheme_is_http_by_default_and_overflow_if_unknown() {
    let registry = Registry::new();
    let layer = HttpMetrics::open_telemetry().build(&registry).unwrap();
    for uri in ["/ok", "https://host/ok", "gopher://host/ok"] {
        let request = Request::get(uri).body(()).unwrap();
        drop(layer.layer(service_fn(respond)).oneshot(request).await);
    }
    let requests = |scheme| {
        registry.sum(
            "http_server_request_duration_seconds_count",
            &[("url_scheme", scheme)],
        )
    };
    assert_eq!(requests("http"), Some(1.0));
    assert_eq!(requests("https"), Some(1.0));
    // A client can send any scheme, so unknown ones are recorded as `overflow`.
    assert_eq!(requests("overflow"), Some(1.0));
    assert!(!registry.render().contains("gopher"));
}

#[tokio::test]
async fn layers_with_the_same_preset_share_their_series() {
    let registry = Registry::new();
    for _ in 0..2 {
        let layer = HttpMetrics::open_telemetry().build(&registry).unwrap();
        drop(
            layer
                .layer(service_fn(respond))
                .oneshot(Request::new(()))
                .await,
        );
    }
    let requests = registry.sum("http_server_request_duration_seconds_count", &[]);
    assert_eq!(requests, Some(2.0));
}

/// By the semantic conventions, 4xx is an error for a client and none for a server.
#[tokio::test]
async fn open_telemetry_error_type_of_a_response_depends_on_the_side() {
    for (metrics, name, of_404) in [
        (
            HttpMetrics::open_telemetry(),
            "http_server_request_duration_seconds_count",
            "",
        ),
        (
            HttpMetrics::open_telemetry_client(),
            "http_client_request_duration_seconds_count",
            "404",
        ),
    ] {
        for (code, error_type) in [(200, ""), (404, of_404), (503, "503")] {
            let registry = Registry::new();
            let layer = metrics.clone().build(&registry).unwrap();
            let respond = service_fn(move |_: Request<()>| {
                let response = Response::builder().status(code).body(String::new());
                std::future::ready(Ok::<_, ()>(response.unwrap()))
            });
            drop(layer.layer(respond).oneshot(Request::new(())).await);
            let sum = registry.sum(name, &[("error_type", error_type)]);
            assert_eq!(sum, Some(1.0), "{name} {code}");
        }
    }
}
