//! Configuration of the HTTP layer: prefix, names, constant labels, buckets, skipped endpoints, and its errors.

use http::{Request, Response};
use tower::{Layer, Service, service_fn};
use tower_prometheus::{
    Error, HttpMetrics, Registry, Sink,
    http::{Endpoint, HttpMetric, Naming},
};

use test_support::assert_requests_ended;
use test_support::page::samples;
use test_support::service::ok;
use test_support::warnings::Warnings;

async fn send_requests(layer: HttpMetrics, registry: &Registry, count: usize) {
    let mut service = layer.build(registry).unwrap().layer(service_fn(ok));
    for _ in 0..count {
        drop(service.call(Request::new(())).await);
    }
}

#[tokio::test]
async fn metrics_and_labels_can_be_renamed() {
    let registry = Registry::new();
    let naming = Naming::classic()
        .family(HttpMetric::Requests, "hits_total")
        .family(HttpMetric::Duration, "took_seconds")
        .family(HttpMetric::InProgress, "running")
        .method_label("verb")
        .endpoint_label("route")
        .status_label("code");
    let layer = HttpMetrics::server()
        .naming(naming)
        .prefix("shop")
        .constant_label("zone", "eu")
        .duration_buckets([0.5, 60.0]);
    send_requests(layer, &registry, 2).await;
    let samples = samples(&registry.render());
    let samples: Vec<_> = samples
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let labels = r#"route="unmatched",verb="GET",zone="eu""#;
    let sum = format!("shop_took_seconds_sum{{{labels}}}");
    let counted: Vec<_> = samples
        .into_iter()
        .filter(|(name, _)| *name != sum)
        .collect();
    assert_eq!(
        counted,
        [
            (
                r#"shop_hits_total{code="200",route="unmatched",verb="GET",zone="eu"}"#,
                2.0
            ),
            (&*format!("shop_running{{{labels}}}"), 0.0),
            (
                &*format!(r#"shop_took_seconds_bucket{{{labels},le="+Inf"}}"#),
                2.0
            ),
            (
                &*format!(r#"shop_took_seconds_bucket{{{labels},le="0.5"}}"#),
                2.0
            ),
            (
                &*format!(r#"shop_took_seconds_bucket{{{labels},le="60"}}"#),
                2.0
            ),
            (&*format!("shop_took_seconds_count{{{labels}}}"), 2.0),
        ]
    );
}

#[tokio::test]
async fn layers_with_different_prefixes_or_registries_are_independent() {
    let (one, two) = (Registry::new(), Registry::new());
    send_requests(HttpMetrics::server(), &one, 1).await;
    send_requests(HttpMetrics::server().prefix("other"), &one, 2).await;
    send_requests(HttpMetrics::server(), &two, 3).await;
    assert_eq!(one.sum("http_requests_total", &[]), Some(1.0));
    assert_eq!(one.sum("other_http_requests_total", &[]), Some(2.0));
    assert_requests_ended(&one, 1);
    assert_requests_ended(&two, 3);
}

#[tokio::test]
async fn layers_with_the_same_configuration_share_their_series() {
    let registry = Registry::new();
    send_requests(HttpMetrics::server(), &registry, 1).await;
    send_requests(HttpMetrics::server(), &registry, 1).await;
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn layers_with_different_values_of_a_constant_label_share_their_families() {
    let registry = Registry::new();
    for zone in ["eu", "us"] {
        let layer = HttpMetrics::server().constant_label("zone", zone);
        send_requests(layer, &registry, 2).await;
    }
    let requests = |zone| registry.sum("http_requests_total", &[("zone", zone)]);
    assert_eq!((requests("eu"), requests("us")), (Some(2.0), Some(2.0)));
    assert_requests_ended(&registry, 4);
}

#[tokio::test]
async fn skipped_endpoints_are_not_recorded() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .skip(["/health", "/ready"])
        .max_endpoints(1);
    let mut service = layer.build(&registry).unwrap().layer(service_fn(ok));
    for endpoint in ["/health", "/ready", "/healthy"] {
        let mut request = Request::new(());
        request
            .extensions_mut()
            .insert(Endpoint::from_static(endpoint));
        drop(service.call(request).await);
    }
    // Skipped endpoints match as a whole, not as a prefix, and do not count towards `max_endpoints`.
    let healthy = registry.sum("http_requests_total", &[("endpoint", "/healthy")]);
    assert_eq!(healthy, Some(1.0));
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn request_is_skipped_if_the_response_names_a_skipped_endpoint() {
    let registry = Registry::new();
    let service = service_fn(async |_: Request<()>| {
        let mut response = Response::new(String::new());
        response
            .extensions_mut()
            .insert(Endpoint::from_static("/health"));
        Ok::<_, ()>(response)
    });
    let layer = HttpMetrics::server().skip(["/health"]);
    let mut service = layer.build(&registry).unwrap().layer(service);
    drop(service.call(Request::new(())).await);
    assert_requests_ended(&registry, 0);
}

#[test]
fn invalid_settings_are_named_in_the_error() {
    let server = HttpMetrics::server;
    let naming = Naming::classic;
    let cases: [(HttpMetrics, &str); 12] = [
        (
            server().prefix("my-shop"),
            "invalid metric name \"my-shop\"",
        ),
        (server().prefix(""), "invalid metric name \"\""),
        (
            server().constant_label("le", "x"),
            "invalid label name \"le\"",
        ),
        (
            server().constant_label("__a", "x"),
            "invalid label name \"__a\"",
        ),
        (
            server().constant_label("method", "x"),
            "label \"method\" is set twice",
        ),
        (
            server().constant_label("reason", "x"),
            "label \"reason\" is set twice",
        ),
        (
            server().duration_buckets([1.0, 0.5]),
            "duration_buckets: bucket bound 0.5 follows 1",
        ),
        (
            server().duration_buckets([1.0, f64::INFINITY]),
            "+Inf bucket is added automatically",
        ),
        (server().duration_buckets([]), "at least one"),
        (
            server().max_endpoints(0),
            "max_endpoints must be 1 to 1000000, got 0",
        ),
        (
            server().naming(naming().family(HttpMetric::Requests, "a b")),
            "invalid metric name \"a b\"",
        ),
        (
            server().naming(naming().method_label("status")),
            "two labels have the name \"status\"",
        ),
    ];
    for (layer, expected) in cases {
        let error = layer.clone().build(Registry::new()).unwrap_err();
        assert!(error.to_string().contains(expected), "{layer:?}: {error}");
    }
}

#[test]
fn all_errors_of_a_configuration_are_reported_together() {
    let metrics = HttpMetrics::server()
        .prefix("my-shop")
        .max_endpoints(0)
        .duration_buckets([1.0, 0.5]);
    let error = metrics.build(Registry::new()).unwrap_err();
    assert!(!error.is_conflict() && !error.is_already_installed());
    let error = error.to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 3, "{error}");
    for mistake in ["\"my-shop\"", "max_endpoints", "duration_buckets"] {
        let about = |line: &&&str| line.contains(mistake);
        assert_eq!(lines.iter().filter(about).count(), 1, "{mistake}: {error}");
    }
    // Errors of setters are reported too, and `families` returns the same error.
    let metrics = HttpMetrics::server()
        .preregister(http::Method::GET, "/x", [42])
        .https()
        .constant_label("le", "x")
        .constant_label("method", "x");
    let error = metrics.families().unwrap_err().to_string();
    assert_eq!(error.lines().count(), 4, "{error}");
    assert_eq!(
        metrics.build(Registry::new()).unwrap_err().to_string(),
        error
    );

    // All invalid names, and a metric that this layer cannot record.
    let naming = Naming::classic()
        .family(HttpMetric::Requests, "1")
        .endpoint_label("2");
    let error = HttpMetrics::server()
        .naming(naming)
        .max_endpoints(0)
        .measure(HttpMetric::RequestBodySize)
        .build(Registry::new())
        .unwrap_err()
        .to_string();
    assert_eq!(error.lines().count(), 4, "{error}");
    for mistake in ["\"1\"", "\"2\"", "max_endpoints", "RequestBodySize"] {
        assert!(error.contains(mistake), "{mistake}: {error}");
    }
}

#[test]
fn layer_that_conflicts_with_the_registry_is_an_error() {
    let error =
        |registry: &Registry, layer: HttpMetrics| -> Error { layer.build(registry).unwrap_err() };
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::gauge!("http_requests_total").set(1.0);
    });
    let taken = error(&registry, HttpMetrics::server());
    assert!(taken.is_conflict() && !taken.is_already_installed());
    assert!(
        taken.to_string().contains("is taken by another metric"),
        "{taken}"
    );

    let registry = Registry::new();
    HttpMetrics::server().build(&registry).unwrap();
    let buckets = error(&registry, HttpMetrics::server().duration_buckets([1.0]));
    assert!(buckets.is_conflict());
    assert!(
        buckets.to_string().contains("with other buckets"),
        "{buckets}"
    );
    let labels = error(&registry, HttpMetrics::server().constant_label("a", "b"));
    assert!(labels.is_conflict());
    assert!(labels.to_string().contains("with the labels"), "{labels}");

    let constant_status = Registry::builder()
        .constant_label("status", "fine")
        .build()
        .unwrap();
    let constant = error(&constant_status, HttpMetrics::server());
    assert!(
        constant
            .to_string()
            .contains("constant label of the registry"),
        "{constant}"
    );
}

/// Also if axum boxes the service between the layers. Layers on routers that are merged are not nested.
#[tokio::test]
async fn same_layer_applied_twice_causes_one_warning() {
    let warnings_with = async |twice: bool| {
        let warnings = Warnings::capture();
        let registry = Registry::new();
        let inner = axum::Router::new().route("/x", axum::routing::get(async || "x"));
        let inner = inner.layer(registry.http_layer());
        let app = match twice {
            true => inner.layer(registry.http_layer()),
            false => inner.merge(
                axum::Router::new()
                    .route("/y", axum::routing::get(async || "y"))
                    .layer(registry.http_layer()),
            ),
        };
        for path in ["/x", "/y", "/x", "/y"] {
            let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
            drop(tower::ServiceExt::oneshot(app.clone(), request).await);
        }
        warnings.about("counted twice").len()
    };
    assert_eq!(
        (warnings_with(true).await, warnings_with(false).await),
        (1, 0)
    );

    let warnings = Warnings::capture();
    let registry = Registry::new();
    let layer = registry.http_layer();
    drop(
        layer
            .layer(layer.layer(service_fn(ok)))
            .call(Request::new(()))
            .await,
    );
    assert_eq!(warnings.about("counted twice").len(), 1);
    assert_requests_ended(&registry, 2);
    // Nested layers of two registries are correct and cause no warning.
    let other = Registry::new();
    let mut both = other
        .http_layer()
        .layer(Registry::new().http_layer().layer(service_fn(ok)));
    drop(both.call(Request::new(())).await);
    assert_eq!(warnings.about("counted twice").len(), 1);
}

/// The counter exists without a HELP text, because a macro registered it first.
#[tokio::test]
async fn layer_adds_help_to_a_family_that_a_macro_registered() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("http_requests_total", "endpoint" => "/own").increment(5);
    });
    send_requests(HttpMetrics::server(), &registry, 1).await;
    assert!(
        registry
            .render()
            .contains("# HELP http_requests_total Total number of HTTP requests, by final status.")
    );
    assert_eq!(registry.sum("http_requests_total", &[]), Some(6.0));
    let other = HttpMetrics::server()
        .constant_label("a", "b")
        .build(&registry);
    assert!(other.unwrap_err().to_string().contains("with the labels"));
}

#[tokio::test]
async fn unmatched_requests_can_be_skipped() {
    let registry = Registry::new();
    send_requests(HttpMetrics::server().skip(["unmatched"]), &registry, 3).await;
    assert_requests_ended(&registry, 0);
}

#[test]
fn constant_label_of_both_registry_and_layer_is_an_error() {
    let registry = Registry::builder()
        .constant_label("zone", "eu")
        .build()
        .unwrap();
    let error = HttpMetrics::server()
        .constant_label("zone", "us")
        .build(&registry)
        .unwrap_err();
    assert!(
        error.to_string().contains("constant label of the registry"),
        "{error}"
    );
}

#[test]
fn settings_are_checked_also_for_another_recorder() {
    let server = HttpMetrics::server;
    for (layer, expected) in [
        (
            server()
                .naming(Naming::classic().family(HttpMetric::AbortedBodies, "http_requests_total")),
            "two metrics have the name",
        ),
        (
            server().max_endpoints(1_000_001),
            "max_endpoints must be 1 to 1000000, got 1000001",
        ),
    ] {
        // The recorder itself would not report these errors.
        let error = layer
            .build(Sink::recorder(metrics::NoopRecorder))
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn layers_with_different_constant_labels_share_the_overflow_family() {
    let registry = Registry::new();
    HttpMetrics::server().build(&registry).unwrap();
    let other = HttpMetrics::server()
        .prefix("other")
        .constant_label("zone", "eu");
    other.build(&registry).unwrap();
}

#[tokio::test]
async fn existing_help_text_is_kept() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::describe_counter!("http_requests_total", "My requests");
        metrics::counter!("http_requests_total", "endpoint" => "/own").increment(1);
    });
    HttpMetrics::server().build(&registry).unwrap();
    let page = registry.render();
    assert!(
        page.contains("# HELP http_requests_total My requests\n"),
        "{page}"
    );
}

#[test]
fn preregistered_routes_need_listed_values_of_all_labels() {
    let label = || {
        tower_prometheus::http::HttpLabel::from_request("tenant", |request| {
            request.header("x-tenant")
        })
    };
    let layer = |label| {
        let metrics = HttpMetrics::server().preregister(http::Method::GET, "/a", [200]);
        metrics.label(label).build(Registry::new())
    };
    assert!(layer(label().values(["a", "b"])).is_ok());
    for unlisted in [label(), label().max_values(3)] {
        let error = layer(unlisted).unwrap_err().to_string();
        assert!(
            error.contains("preregister: the values of label \"tenant\""),
            "{error}"
        );
    }
}

#[test]
fn prefix_is_separated_by_one_underscore() {
    for prefix in ["shop", "shop_"] {
        let families = HttpMetrics::server().prefix(prefix).families().unwrap();
        assert_eq!(families[0].name, "shop_http_requests_total");
    }
}
