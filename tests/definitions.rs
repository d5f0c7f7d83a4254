//! The definitions that `families` returns equal the metrics page of the layer, with every naming.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt};
use tower_prometheus::{
    GrpcMetrics, HttpMetrics, NativeHistogram, Registry,
    grpc::{GrpcMetric, GrpcType},
    http::{Endpoint, HttpLabel, HttpMetric, Naming},
    model::{FamilyDescription, LabelRole, LabelValues, LayerKind, MetricKind},
    snapshot::Value,
};

type Body = Full<bytes::Bytes>;

/// Adds a route that is exported from start-up.
fn with_route(metrics: HttpMetrics) -> HttpMetrics {
    metrics.preregister(Method::GET, "/users/{id}", [200, 500])
}

/// The metrics page after one request through a layer with this configuration.
async fn page_of(metrics: HttpMetrics, registry: &Registry) -> String {
    let layer = metrics.build(registry).unwrap();
    let service = tower::service_fn(async |request: Request<Body>| {
        assert!(request.extensions().get::<Endpoint>().is_none());
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::from("ada")))
    });
    let request = Request::get("/users/1").body(Body::default()).unwrap();
    let response = layer.layer(service).oneshot(request).await.unwrap();
    response.into_body().collect().await.unwrap();
    registry.render()
}

/// The label names of each family on a page, and the bucket bounds of histograms.
fn families_on(page: &str) -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let mut kinds = BTreeMap::new();
    for line in page.lines() {
        if let Some(about) = line.strip_prefix("# TYPE ") {
            let (name, kind) = about.split_once(' ').unwrap();
            kinds.insert(name.to_owned(), kind.to_owned());
        }
    }
    let mut families: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let is_part = |suffix: &&str| {
            let family = name.strip_suffix(*suffix);
            family.is_some_and(|family| kinds.get(family).is_some_and(|kind| kind == "histogram"))
        };
        let suffix = ["_bucket", "_sum", "_count"].into_iter().find(is_part);
        let family = name.strip_suffix(suffix.unwrap_or_default()).unwrap();
        let labels = line.split_once('{').map_or("", |(_, rest)| rest);
        let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
        let (names, bounds) = families.entry(family.to_owned()).or_default();
        for label in labels.split("\",").filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once("=\"").unwrap();
            match label {
                "le" => bounds.insert(value.trim_end_matches('"').to_owned()),
                label => names.insert(label.to_owned()),
            };
        }
    }
    families
}

#[track_caller]
fn assert_described(described: &[FamilyDescription], page: &str) {
    let exported = families_on(page);
    for (name, (labels, bounds)) in &exported {
        let family = described.iter().find(|family| family.name == *name);
        let family = family.unwrap_or_else(|| panic!("{name} has no definition:\n{page}"));
        let names = family.labels.iter().map(|label| label.name.to_string());
        assert_eq!(names.collect::<BTreeSet<_>>(), *labels, "{name}");
        let expected = family.buckets.iter().map(f64::to_string);
        let expected: BTreeSet<_> = expected.chain(["+Inf".to_owned()]).collect();
        match family.kind {
            MetricKind::Histogram => assert_eq!(*bounds, expected, "{name}"),
            _ => assert!(family.buckets.is_empty() && bounds.is_empty(), "{name}"),
        }
        assert!(
            page.contains(&format!("# HELP {name} {}\n", family.help)),
            "{name}"
        );
    }
    assert!(exported.len() >= 2, "{page}");
}

#[tokio::test]
async fn http_definitions_equal_the_metrics_page() {
    let own = Naming::classic()
        .family(HttpMetric::Requests, "hits_total")
        .method_label("verb")
        .endpoint_label("route")
        .status_label("code");
    let label = HttpLabel::from_request("client", |request| request.header("x-client"));
    // The values of a client's hosts are not known at start-up, so it has no routes.
    let with_routes = [
        HttpMetrics::server(),
        HttpMetrics::server().prefix("shop").naming(own),
        HttpMetrics::server()
            .status_on_durations()
            .measure(HttpMetric::HeadDuration)
            .measure(HttpMetric::ResponseBodySize)
            .duration_buckets([0.1, 1.0]),
        HttpMetrics::server()
            .without(HttpMetric::InProgress)
            .label(label.values(["web", "app"]).on_histograms()),
        HttpMetrics::open_telemetry(),
        HttpMetrics::axum_prometheus(),
    ];
    let configurations = with_routes.map(with_route).into_iter();
    for metrics in configurations.chain([HttpMetrics::client()]) {
        let registry = Registry::new();
        let described = metrics.families().unwrap();
        assert_described(&described, &page_of(metrics, &registry).await);
    }
}

#[tokio::test]
async fn default_bounds_are_those_of_the_registry() {
    let registry = Registry::builder()
        .buckets([0.2, 2.0])
        .constant_label("service", "shop")
        .build()
        .unwrap();
    let metrics = HttpMetrics::server().constant_label("zone", "eu");
    let described = metrics.families_in(&registry).unwrap();
    assert_ne!(described, metrics.families().unwrap());
    // Definitions leave out constant labels.
    let page = page_of(with_route(metrics), &registry).await;
    let page = page
        .replace(",service=\"shop\"", "")
        .replace(",zone=\"eu\"", "");
    assert_described(&described, &page);
}

#[tokio::test]
async fn native_buckets_are_those_of_the_registry() {
    let native_only = NativeHistogram::new(1.1).without_classic_buckets();
    let registry = Registry::builder()
        .native_histograms_for_suffix("_size_bytes", native_only)
        .native_histograms_for("http_request_duration_seconds", 1.1)
        .build()
        .unwrap();
    let metrics = HttpMetrics::server()
        .measure(HttpMetric::HeadDuration)
        .measure(HttpMetric::ResponseBodySize);
    let described = metrics.families_in(&registry).unwrap();
    assert_described(&described, &page_of(with_route(metrics), &registry).await);
    let snapshot = registry.gather().await;
    let mut native = 0;
    for family in snapshot.families() {
        let described = described
            .iter()
            .find(|described| described.name == family.name());
        let described = described.unwrap();
        let series = family.series().next();
        let Some(Value::Histogram(histogram)) = series.map(|series| series.value()) else {
            assert!(!described.native, "{}", described.name);
            continue;
        };
        assert_eq!(
            described.native,
            histogram.native().is_some(),
            "{}",
            described.name
        );
        native += usize::from(described.native);
    }
    assert_eq!(native, 2);
}

#[test]
fn only_handles_of_the_same_registry_are_equal() {
    let registry = Registry::new();
    assert_eq!(registry.clone(), registry);
    assert_ne!(Registry::new(), registry);
}

#[test]
fn grpc_definitions_equal_the_metrics_page() {
    for metrics in [
        GrpcMetrics::server(),
        GrpcMetrics::client()
            .prefix("shop")
            .handling_buckets([0.1, 1.0]),
    ] {
        let registry = Registry::new();
        let described = metrics.families().unwrap();
        let metrics = metrics.method("shop.Orders", "Place", GrpcType::Unary);
        let _layer = metrics.build(&registry).unwrap();
        let page = registry.render();
        assert_described(&described, &page);
        // Every code that a declared method starts with is one of the closed values.
        let labels = described.iter().flat_map(|family| &family.labels);
        let code = labels.into_iter().find(|label| label.name == "grpc_code");
        let Some(LabelValues::Closed(codes)) = code.map(|label| &label.values) else {
            panic!("{described:#?}");
        };
        for code in codes {
            assert!(
                page.contains(&format!("grpc_code=\"{code}\"")),
                "{code}\n{page}"
            );
        }
        assert_eq!(codes.len(), page.matches("grpc_code=").count());
    }
}

#[test]
fn registry_lists_the_layers_that_were_built_with_it_once() {
    let registry = Registry::new();
    assert_eq!(registry.layers(), []);
    let http = HttpMetrics::server().naming(
        Naming::classic()
            .family(HttpMetric::Requests, "hits_total")
            .endpoint_label("path"),
    );
    let grpc = GrpcMetrics::client();
    for _ in 0..2 {
        http.clone().build(&registry).unwrap();
        grpc.clone().build(&registry).unwrap();
    }
    let layers = registry.layers();
    let kinds: Vec<_> = layers.iter().map(|layer| layer.kind).collect();
    assert_eq!(kinds, [LayerKind::HttpServer, LayerKind::GrpcClient]);
    let [ours, calls] = layers.try_into().unwrap();
    assert_eq!(ours.requests, http.family(HttpMetric::Requests).unwrap());
    assert_eq!(ours.durations, http.family(HttpMetric::Duration).unwrap());
    assert_eq!(
        ours.in_progress,
        http.family(HttpMetric::InProgress).unwrap()
    );
    assert_eq!(calls.requests, grpc.family(GrpcMetric::Handled).unwrap());
    assert_eq!(calls.durations, grpc.family(GrpcMetric::Handling).unwrap());
    assert_eq!(
        calls.in_progress,
        grpc.family(GrpcMetric::InProgress).unwrap()
    );
    for (layer, families) in [(ours, http.families()), (calls, grpc.families())] {
        let mut listed: Vec<_> = layer.families().cloned().collect();
        let mut families = families.unwrap();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        families.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(listed, families);
    }
}

#[test]
fn layers_of_a_registry_have_its_native_histograms() {
    let settings = NativeHistogram::new(1.1).without_classic_buckets();
    let registry = Registry::builder().native_histograms(settings);
    let registry = registry.build().unwrap();
    let http = HttpMetrics::server();
    http.clone().build(&registry).unwrap();
    let layers = registry.layers();
    let durations = layers[0].durations.as_ref().unwrap();
    assert!(durations.native && durations.buckets.is_empty());
    let mut listed: Vec<_> = layers[0].families().cloned().collect();
    let mut families = http.families_in(&registry).unwrap();
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    families.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(listed, families);
}

#[test]
fn invalid_configurations_have_no_definitions() {
    let wrong = HttpMetrics::server().duration_buckets([1.0, 0.1]);
    assert!(
        wrong
            .families()
            .unwrap_err()
            .to_string()
            .contains("bounds must be in increasing order")
    );
    assert!(HttpMetrics::server().prefix("9").families().is_err());
    assert!(GrpcMetrics::server().prefix("9").families().is_err());
}

/// The name, role and fallback of each label.
fn labels(family: &FamilyDescription) -> Vec<(&str, LabelRole, Option<&str>)> {
    let labels = family.labels.iter();
    labels
        .map(|label| (&*label.name, label.role, label.fallback.as_deref()))
        .collect()
}

#[test]
fn http_labels_have_roles_and_fallbacks() {
    let http = HttpMetrics::server().label(HttpLabel::from_request("client", |request| {
        request.header("x-client")
    }));
    let family = |family| http.family(family).unwrap().unwrap();
    assert_eq!(
        labels(&family(HttpMetric::Requests)),
        [
            ("method", LabelRole::Method, Some("OTHER")),
            ("endpoint", LabelRole::Endpoint, Some("unmatched")),
            ("client", LabelRole::Custom, Some("")),
            ("status", LabelRole::Status, None),
        ]
    );
    let aborted = family(HttpMetric::AbortedBodies);
    let reason = aborted.label_with_role(LabelRole::Reason).unwrap();
    assert_eq!(
        reason.values,
        LabelValues::Closed(vec!["error".into(), "dropped".into(), "panicked".into()])
    );
    let connections = family(HttpMetric::OpenConnections);
    assert!(
        connections
            .label_with_role(LabelRole::ConnectionKind)
            .is_some()
    );

    let otel = HttpMetrics::open_telemetry()
        .family(HttpMetric::Duration)
        .unwrap()
        .unwrap();
    let role = |role| {
        otel.label_with_role(role)
            .map(|label| (&*label.name, label.fallback.as_deref()))
    };
    assert_eq!(
        role(LabelRole::Method),
        Some(("http_request_method", Some("_OTHER")))
    );
    assert_eq!(role(LabelRole::Endpoint), Some(("http_route", Some(""))));
    assert_eq!(
        role(LabelRole::Status),
        Some(("http_response_status_code", None))
    );
    assert_eq!(role(LabelRole::ErrorType), Some(("error_type", Some(""))));
}

/// Status codes are open; classes are a closed set.
#[test]
fn status_classes_are_listed() {
    let values = |http: HttpMetrics, family| {
        let family = http.family(family).unwrap().unwrap();
        family
            .label_with_role(LabelRole::Status)
            .unwrap()
            .values
            .clone()
    };
    assert_eq!(
        values(HttpMetrics::server(), HttpMetric::Requests),
        LabelValues::Open
    );
    let classes = |others: &[&'static str]| {
        let classes = (1..=9).map(|class| format!("{class}xx").into());
        LabelValues::Closed(
            classes
                .chain(others.iter().map(|other| (*other).into()))
                .collect(),
        )
    };
    let server = HttpMetrics::server().status_classes();
    assert_eq!(
        values(server, HttpMetric::Requests),
        classes(&["error", "cancelled", "panicked"])
    );
    // Under OpenTelemetry's naming, a request without a response has the empty status.
    let otel = HttpMetrics::open_telemetry().status_classes();
    assert_eq!(values(otel, HttpMetric::Duration), classes(&[""]));
}

#[test]
fn single_definitions_equal_those_of_the_list() {
    let http = HttpMetrics::server()
        .without(HttpMetric::InProgress)
        .measure(HttpMetric::HeadDuration);
    let families = http.families().unwrap();
    for family in [
        HttpMetric::Requests,
        HttpMetric::Duration,
        HttpMetric::AbortedBodies,
        HttpMetric::OpenConnections,
        HttpMetric::HeadDuration,
    ] {
        assert!(families.contains(&http.family(family).unwrap().unwrap()));
    }
    // A family that is not recorded has no definition.
    for family in [
        HttpMetric::InProgress,
        HttpMetric::ResponseBodySize,
        HttpMetric::RequestBodySize,
    ] {
        assert_eq!(http.family(family).unwrap(), None);
    }
    assert!(
        HttpMetrics::server()
            .prefix("9")
            .family(HttpMetric::Requests)
            .is_err()
    );

    let grpc = GrpcMetrics::client()
        .prefix("shop")
        .constant_label("zone", "eu");
    let families = grpc.families().unwrap();
    for (metric, name) in [
        (GrpcMetric::Started, "shop_grpc_client_started_total"),
        (GrpcMetric::Handled, "shop_grpc_client_handled_total"),
        (GrpcMetric::Handling, "shop_grpc_client_handling_seconds"),
        (
            GrpcMetric::MessagesReceived,
            "shop_grpc_client_msg_received_total",
        ),
        (GrpcMetric::MessagesSent, "shop_grpc_client_msg_sent_total"),
        (GrpcMetric::InProgress, "shop_grpc_client_in_progress"),
    ] {
        let family = grpc.family(metric).unwrap().unwrap();
        assert_eq!(family.name, name);
        assert!(families.contains(&family));
    }
    assert!(
        GrpcMetrics::server()
            .prefix("9")
            .family(GrpcMetric::Started)
            .is_err()
    );
    assert_eq!(
        labels(&grpc.family(GrpcMetric::Handled).unwrap().unwrap()),
        [
            ("grpc_type", LabelRole::GrpcType, Some("unknown")),
            ("grpc_service", LabelRole::GrpcService, Some("unknown")),
            ("grpc_method", LabelRole::GrpcMethod, Some("unknown")),
            ("grpc_code", LabelRole::GrpcCode, None),
        ]
    );
}
