//! Custom labels of gRPC layers.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, service_fn};
use tower_prometheus::grpc::{GrpcMetric, GrpcMetricsLayer, GrpcRequestBody, GrpcType};
use tower_prometheus::http::HttpLabel;
use tower_prometheus::{GrpcMetrics, Registry};

use test_support::grpc::wait_for_calls_to_end;
use test_support::page::assert_valid_text;
use test_support::render_until_gone;
use test_support::warnings::Warnings;

fn tenant() -> HttpLabel {
    HttpLabel::from_request("tenant", |request| request.header("x-tenant"))
}

fn server_with(label: HttpLabel) -> GrpcMetrics {
    let metrics = GrpcMetrics::server().method("shop.Orders", "Place", GrpcType::Unary);
    metrics.label(label)
}

fn request(tenant: &str) -> Request<Full<Bytes>> {
    let request = Request::post("/shop.Orders/Place")
        .header("content-type", "application/grpc")
        .header("x-tenant", tenant);
    request.body(Full::default()).unwrap()
}

/// Calls the method; the response has the header `x-cache: hit`.
async fn call(layer: GrpcMetricsLayer, tenant: &str) {
    let respond = async |_: Request<GrpcRequestBody<Full<Bytes>>>| {
        let response = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "0")
            .header("x-cache", "hit");
        Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
    };
    let mut service = layer.layer(service_fn(respond));
    let body = service.call(request(tenant)).await.unwrap().into_body();
    body.collect().await.unwrap();
}

fn handled(registry: &Registry, labels: &[(&str, &str)]) -> Option<f64> {
    registry.sum("grpc_server_handled_total", labels)
}

#[tokio::test]
async fn calls_have_the_value_of_their_request() {
    let registry = Registry::new();
    let layer = server_with(tenant()).build(&registry).unwrap();
    for tenant in ["a", "b", "a", ""] {
        call(layer, tenant).await;
    }
    wait_for_calls_to_end(&registry, "server", 4).await;
    for (tenant, calls) in [("a", 2.0), ("b", 1.0), ("", 1.0)] {
        let labels = [
            ("tenant", tenant),
            ("grpc_method", "Place"),
            ("grpc_code", "OK"),
        ];
        assert_eq!(handled(&registry, &labels), Some(calls), "{tenant:?}");
    }
    // Only the number of calls has the label by default.
    let durations = registry.sum("grpc_server_handling_seconds_count", &[("tenant", "a")]);
    assert_eq!(durations, None);
    assert_eq!(
        registry.sum("grpc_server_started_total", &[("tenant", "a")]),
        None
    );
    assert_valid_text(&registry.render());
}

#[tokio::test]
async fn durations_have_the_label_if_it_is_on_histograms() {
    let registry = Registry::new();
    let layer = server_with(tenant().on_histograms())
        .build(&registry)
        .unwrap();
    for tenant in ["a", "b", "a"] {
        call(layer, tenant).await;
    }
    wait_for_calls_to_end(&registry, "server", 3).await;
    let durations =
        |tenant| registry.sum("grpc_server_handling_seconds_count", &[("tenant", tenant)]);
    assert_eq!((durations("a"), durations("b")), (Some(2.0), Some(1.0)));
}

#[tokio::test]
async fn value_of_the_response_head_replaces_that_of_the_request() {
    let registry = Registry::new();
    let label = HttpLabel::from_request("cache", |_| Some("none"))
        .or_from_response(|response| response.header("x-cache"));
    let layer = server_with(label).build(&registry).unwrap();
    call(layer, "a").await;
    // A call without a response.
    let pending = |_: Request<GrpcRequestBody<Full<Bytes>>>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    };
    drop(layer.layer(service_fn(pending)).call(request("a")));
    wait_for_calls_to_end(&registry, "server", 2).await;
    let hit = [("cache", "hit"), ("grpc_code", "OK")];
    assert_eq!(handled(&registry, &hit), Some(1.0));
    let none = [("cache", "none"), ("grpc_code", "Canceled")];
    assert_eq!(handled(&registry, &none), Some(1.0));
}

#[tokio::test]
async fn values_beyond_max_values_are_overflow_with_one_warning() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let layer = server_with(tenant().max_values(2))
        .build(&registry)
        .unwrap();
    for tenant in ["a", "b", "c", "d", "a"] {
        call(layer, tenant).await;
    }
    wait_for_calls_to_end(&registry, "server", 5).await;
    assert_eq!(handled(&registry, &[("tenant", "a")]), Some(2.0));
    assert_eq!(handled(&registry, &[("tenant", "overflow")]), Some(2.0));
    let labels = [("family", "grpc_server_handled_total"), ("label", "tenant")];
    let overflowed = registry.sum("metrics_label_overflow_total", &labels);
    assert_eq!(overflowed, Some(2.0));
    let warned = warnings.about("label \"tenant\" reached its limit of 2 values");
    assert_eq!(warned.len(), 1);
}

#[tokio::test]
async fn methods_are_preregistered_with_all_listed_values() {
    let registry = Registry::new();
    let region = HttpLabel::from_request("region", |_| None).values(["eu", "us"]);
    let layer = server_with(tenant().values(["a", "b"])).label(region);
    let layer = layer.build(&registry).unwrap();
    for tenant in ["a", "b"] {
        for region in ["eu", "us"] {
            let labels = [
                ("tenant", tenant),
                ("region", region),
                ("grpc_code", "NotFound"),
            ];
            assert_eq!(handled(&registry, &labels), Some(0.0));
        }
    }
    call(layer, "c").await;
    wait_for_calls_to_end(&registry, "server", 1).await;
    assert_eq!(handled(&registry, &[("tenant", "overflow")]), Some(1.0));
}

/// The method is known, so that calls without authentication have its name.
#[tokio::test]
async fn method_with_unlisted_values_is_preregistered_without_them() {
    let registry = Registry::new();
    let layer = server_with(tenant())
        .max_methods(0)
        .build(&registry)
        .unwrap();
    assert_eq!(
        registry.sum("grpc_server_started_total", &[("grpc_method", "Place")]),
        Some(0.0)
    );
    assert_eq!(handled(&registry, &[]), None);
    call(layer, "a").await;
    assert_eq!(
        handled(&registry, &[("grpc_method", "Place"), ("tenant", "a")]),
        Some(1.0)
    );
}

#[test]
fn invalid_labels_are_errors() {
    let error = |metrics: GrpcMetrics| metrics.build(Registry::new()).unwrap_err().to_string();
    let named = |name: &str| HttpLabel::from_request(name, |_| None);
    assert!(error(server_with(named("grpc_code"))).contains("grpc_code"));
    assert!(error(server_with(named("a b"))).contains("a b"));
    assert!(error(server_with(tenant().max_values(0))).contains("max_values of label \"tenant\""));
    let nine = (0..9).fold(GrpcMetrics::server(), |metrics, i| {
        metrics.label(named(&format!("l{i}")))
    });
    assert!(error(nine).contains("at most 8"));
    let values = || (0..101).map(|i| i.to_string());
    let many = server_with(named("one").values(values())).label(named("two").values(values()));
    assert!(error(many).contains("10201"));
}

#[tokio::test]
async fn all_metrics_have_the_label_if_it_is_on_everything() {
    let registry = Registry::new();
    let layer = server_with(tenant().on_everything())
        .measure(GrpcMetric::SentMessageSize)
        .build(&registry)
        .unwrap();
    call(layer, "a").await;
    wait_for_calls_to_end(&registry, "server", 1).await;
    for name in [
        "grpc_server_started_total",
        "grpc_server_in_progress",
        "grpc_server_handled_total",
        "grpc_server_handling_seconds_count",
        "grpc_server_msg_sent_total",
        "grpc_server_msg_size_sent_bytes_count",
    ] {
        assert!(registry.sum(name, &[("tenant", "a")]).is_some(), "{name}");
    }
    let started = registry.sum("grpc_server_started_total", &[("tenant", "a")]);
    assert_eq!(started, Some(1.0));
    let response = HttpLabel::from_response("cache", |response| response.header("x-cache"));
    let error = server_with(response.on_everything()).build(&registry);
    assert!(error.unwrap_err().to_string().contains("on_everything"));
}

#[test]
fn label_that_no_metric_has_is_an_error() {
    let error = GrpcMetrics::open_telemetry_server()
        .label(tenant())
        .build(Registry::new());
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with(r#"label "tenant" is on no metric"#),
        "{error}"
    );
    let on_histograms = GrpcMetrics::open_telemetry_server().label(tenant().on_histograms());
    assert!(on_histograms.build(Registry::new()).is_ok());
}

#[tokio::test]
async fn series_of_open_values_and_learned_methods_expire_and_return_from_0() {
    let registry = Registry::builder().idle_timeout(Duration::from_millis(1));
    let registry = registry.build().unwrap();
    let layer = server_with(tenant()).build(&registry).unwrap();
    let learning = GrpcMetrics::server()
        .prefix("learning")
        .build(&registry)
        .unwrap();
    let learned = [("grpc_method", "Place")];
    for _ in 0..3 {
        call(layer, "a").await;
        call(layer, "").await;
        call(learning, "a").await;
        assert_eq!(
            handled(&registry, &[("tenant", "a"), ("grpc_code", "OK")]),
            Some(1.0)
        );
        let learned = registry.sum("learning_grpc_server_handled_total", &learned);
        assert_eq!(learned, Some(1.0));
        let page = render_until_gone(&registry, "tenant=\"a\"");
        assert!(
            page.contains("tenant=\"\""),
            "a preregistered method:\n{page}"
        );
        let _ = render_until_gone(&registry, "learning_grpc_server_handled_total{");
    }
    assert_eq!(
        handled(&registry, &[("tenant", ""), ("grpc_code", "OK")]),
        Some(3.0)
    );
}
