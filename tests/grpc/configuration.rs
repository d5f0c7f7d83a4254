//! Configuration of the gRPC layers: prefix, constant labels, buckets, preregistered methods, and its errors.

use std::convert::Infallible;

use http::{Request, Response};
use tower::{Layer, Service, service_fn};
use tower_prometheus::grpc::GrpcRequestBody;
use tower_prometheus::http::HttpLabel;
use tower_prometheus::{
    Error, GrpcMetrics, Registry, Sink,
    grpc::{GrpcMetricsLayer, GrpcType},
};

use test_support::grpc::with_shop_methods;
use test_support::page::assert_valid_text;
use test_support::warnings::Warnings;

async fn call(layer: GrpcMetricsLayer) {
    let inner = async |_: Request<GrpcRequestBody<String>>| {
        let response = Response::builder().header("grpc-status", "0");
        Ok::<_, Infallible>(response.body(String::new()).unwrap())
    };
    let request = Request::post("/test.Shop/Say").header("content-type", "application/grpc");
    let request = request.body(String::new()).unwrap();
    layer.layer(service_fn(inner)).call(request).await.unwrap();
}

#[tokio::test]
async fn prefix_labels_and_buckets_belong_to_the_layer() {
    let registry = Registry::new();
    let layer = with_shop_methods(GrpcMetrics::server())
        .prefix("shop")
        .constant_label("zone", "eu")
        .handling_buckets([0.5, 60.0])
        .build(&registry)
        .unwrap();
    call(layer).await;
    let page = registry.render();
    let labels = r#"grpc_method="Say",grpc_service="test.Shop",grpc_type="unary",zone="eu""#;
    for line in [
        format!("shop_grpc_server_started_total{{{labels}}} 1"),
        format!("shop_grpc_server_handling_seconds_bucket{{{labels},le=\"0.5\"}} 1"),
        format!("shop_grpc_server_in_progress{{{labels}}} 0"),
    ] {
        assert!(page.contains(&line), "{line}\n{page}");
    }
    assert!(!page.contains("le=\"0.25\""), "{page}");
    assert_valid_text(&page);
}

#[test]
fn every_metric_has_a_help_text() {
    let registry = Registry::new();
    for metrics in [GrpcMetrics::server(), GrpcMetrics::client()] {
        with_shop_methods(metrics).build(&registry).unwrap();
    }
    let page = registry.render();
    for side in ["server", "client"] {
        for family in [
            "started_total",
            "handled_total",
            "handling_seconds",
            "msg_received_total",
            "msg_sent_total",
            "in_progress",
        ] {
            let help = format!("# HELP grpc_{side}_{family} ");
            assert!(page.contains(&help), "{help}\n{page}");
        }
    }
    assert_valid_text(&page);
}

/// They share only `metrics_label_overflow_total`.
#[tokio::test]
async fn http_and_grpc_layers_of_servers_and_clients_can_share_a_registry() {
    let registry = Registry::new();
    let layers = [registry.grpc_layer(), registry.grpc_client_layer()];
    let _ = registry.http_layer();
    for layer in layers {
        call(layer).await;
    }
    assert_eq!(registry.sum("grpc_client_started_total", &[]), Some(1.0));
    assert_eq!(registry.sum("grpc_server_started_total", &[]), Some(1.0));
    assert_valid_text(&registry.render());
}

#[tokio::test]
async fn layers_with_the_same_configuration_share_their_series() {
    let registry = Registry::new();
    call(registry.grpc_layer()).await;
    call(registry.grpc_layer()).await;
    assert_eq!(registry.sum("grpc_server_started_total", &[]), Some(2.0));
    assert_valid_text(&registry.render());
}

#[test]
fn invalid_settings_are_named_in_the_error() {
    fn error(metrics: GrpcMetrics) -> String {
        let layer: Result<_, Error> = metrics.build(Registry::new());
        layer.unwrap_err().to_string()
    }
    let server = GrpcMetrics::server;
    assert!(error(server().prefix("1st")).contains("1st"));
    assert!(error(server().constant_label("grpc_type", "x")).contains("grpc_type"));
    assert!(error(server().constant_label("le", "x")).contains("le"));
    assert!(error(server().handling_buckets([2.0, 1.0])).contains("handling_buckets"));
    assert!(error(server().max_methods(2_000_000)).contains("max_methods"));
    for (service, method) in [("", "M"), ("s.S", ""), ("s.S", "M/N")] {
        let invalid = server().method(service, method, GrpcType::Unary);
        assert!(
            error(invalid).contains("cannot be preregistered"),
            "{service}/{method}"
        );
    }
    let twice =
        server()
            .method("s.S", "M", GrpcType::Unary)
            .method("s.S", "M", GrpcType::BidiStream);
    assert!(error(twice).contains("Unary and as BidiStream"));
    let same_twice =
        server()
            .method("s.S", "M", GrpcType::Unary)
            .method("s.S", "M", GrpcType::Unary);
    assert!(same_twice.build(Registry::new()).is_ok());
}

#[test]
fn conflict_with_the_registry_names_the_metric_or_label() {
    let registry = Registry::new();
    let _ = registry.grpc_layer();
    let with_zone = GrpcMetrics::server().constant_label("zone", "eu");
    let error = with_zone.build(&registry).unwrap_err().to_string();
    assert!(error.contains("grpc_server_started_total"), "{error}");

    let labelled = Registry::builder().constant_label("grpc_code", "x");
    let error = GrpcMetrics::server().build(labelled.build().unwrap());
    assert!(error.unwrap_err().to_string().contains("grpc_code"));
}

#[test]
#[should_panic(expected = "grpc_server_started_total")]
fn default_layer_panics_if_it_conflicts_with_the_registry() {
    let registry = Registry::new();
    let with_zone = GrpcMetrics::server().constant_label("zone", "eu");
    with_zone.build(&registry).unwrap();
    let _ = registry.grpc_layer();
}

#[tokio::test]
async fn layer_records_to_any_recorder() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let sink = Sink::recorder(registry.clone());
    let layer = with_shop_methods(GrpcMetrics::server())
        .handling_buckets([1.0])
        .message_size_buckets([64.0])
        .build(sink)
        .unwrap();
    call(layer).await;
    assert_eq!(warnings.about("handling_buckets is ignored").len(), 1);
    assert_eq!(warnings.about("message_size_buckets is ignored").len(), 1);
    let labels = [("grpc_method", "Say"), ("grpc_code", "OK")];
    let handled = registry.sum("grpc_server_handled_total", &labels);
    assert_eq!(handled, Some(1.0));
    assert_eq!(registry.sum("grpc_server_in_progress", &[]), Some(0.0));
    assert_valid_text(&registry.render());
}

#[cfg(feature = "grpc-descriptor")]
mod descriptor {
    use prost::Message;
    use prost_types::{
        FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
    };

    use super::*;

    fn method(name: &str, client_streaming: bool, server_streaming: bool) -> MethodDescriptorProto {
        MethodDescriptorProto {
            name: Some(name.to_owned()),
            client_streaming: Some(client_streaming),
            server_streaming: Some(server_streaming),
            ..Default::default()
        }
    }

    fn descriptor_set(package: Option<&str>) -> Vec<u8> {
        let service = ServiceDescriptorProto {
            name: Some("Shop".to_owned()),
            method: vec![
                method("Say", false, false),
                method("Collect", true, false),
                method("List", false, true),
                method("Chat", true, true),
            ],
            ..Default::default()
        };
        let file = FileDescriptorProto {
            package: package.map(str::to_owned),
            service: vec![service],
            ..Default::default()
        };
        FileDescriptorSet { file: vec![file] }.encode_to_vec()
    }

    #[test]
    fn methods_of_a_descriptor_set_are_preregistered() {
        let (by_hand, described) = (Registry::new(), Registry::new());
        with_shop_methods(GrpcMetrics::server())
            .build(&by_hand)
            .unwrap();
        let metrics = GrpcMetrics::server().file_descriptor_set(&descriptor_set(Some("test")));
        metrics.build(&described).unwrap();
        assert_eq!(described.render(), by_hand.render());
        assert_valid_text(&described.render());

        let registry = Registry::new();
        let metrics = GrpcMetrics::server().file_descriptor_set(&descriptor_set(None));
        metrics.build(&registry).unwrap();
        let labels = [("grpc_service", "Shop"), ("grpc_type", "bidi_stream")];
        assert_eq!(
            registry.sum("grpc_server_started_total", &labels),
            Some(0.0)
        );
    }

    #[test]
    fn invalid_descriptor_set_is_an_error() {
        let metrics = GrpcMetrics::server().file_descriptor_set(b"nonsense");
        let error = metrics.build(Registry::new()).unwrap_err().to_string();
        assert!(error.starts_with("file_descriptor_set: "), "{error}");
    }
}

#[test]
fn configuration_error_lists_all_mistakes() {
    let error = GrpcMetrics::server()
        .prefix("a b")
        .constant_label("grpc_code", "x")
        .handling_buckets([2.0, 1.0])
        .max_methods(1_000_001)
        .method("", "Say", GrpcType::Unary)
        .build(Registry::new())
        .unwrap_err()
        .to_string();
    assert_eq!(error.lines().count(), 5, "{error}");
    for mistake in ["a b", "grpc_code", "handling_buckets", "1000001", "Say"] {
        assert!(error.contains(mistake), "{mistake}: {error}");
    }
}

#[test]
fn label_of_the_outcome_is_an_error() {
    let label = HttpLabel::from_outcome("result", |_| Some("ok"));
    let error = GrpcMetrics::server().label(label).build(Registry::new());
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with(r#"label "result": from_outcome"#),
        "{error}"
    );
}

#[tokio::test]
async fn layer_that_is_off_passes_calls_through() {
    let registry = Registry::new();
    let layer = GrpcMetrics::server()
        .enabled(false)
        .method("shop.Orders", "Place", GrpcType::Unary)
        .build(&registry)
        .unwrap();
    call(layer).await;
    assert_eq!(registry.render(), Registry::new().render());
}
