//! What a layer says of its families is what its page shows, under every naming.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt};
use tower_prometheus::{
    Endpoint, Family, FamilyDescription, FamilyKind, GrpcMetrics, GrpcType, HttpMetrics, Label,
    LabelValues, Naming, Registry,
};

type Body = Full<bytes::Bytes>;

/// One request, to a layer of this configuration: the page then has every family that it measures at once.
async fn page_of(metrics: HttpMetrics, registry: &Registry) -> String {
    let layer = metrics
        .declare(Method::GET, "/users/{id}", [200, 500])
        .layer(registry)
        .unwrap();
    let service = tower::service_fn(async |request: Request<Body>| {
        assert!(request.extensions().get::<Endpoint>().is_none());
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::from("ada")))
    });
    let request = Request::get("/users/1").body(Body::default()).unwrap();
    let response = layer.layer(service).oneshot(request).await.unwrap();
    response.into_body().collect().await.unwrap();
    registry.render()
}

/// The label names of each family on a page, and the bounds of histograms.
fn shown(page: &str) -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
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
    let shown = shown(page);
    for (name, (labels, bounds)) in &shown {
        let family = described.iter().find(|family| family.name == *name);
        let family = family.unwrap_or_else(|| panic!("{name} is not described:\n{page}"));
        let names = family.labels.iter().map(|label| label.name.to_string());
        assert_eq!(names.collect::<BTreeSet<_>>(), *labels, "{name}");
        let expected = family.buckets.iter().map(f64::to_string);
        let expected: BTreeSet<_> = expected.chain(["+Inf".to_owned()]).collect();
        match family.kind {
            FamilyKind::Histogram => assert_eq!(*bounds, expected, "{name}"),
            _ => assert!(family.buckets.is_empty() && bounds.is_empty(), "{name}"),
        }
        assert!(
            page.contains(&format!("# HELP {name} {}\n", family.help)),
            "{name}"
        );
    }
    assert!(shown.len() >= 2, "{page}");
}

#[tokio::test]
async fn a_description_is_what_the_page_shows() {
    let own = Naming::classic()
        .family(Family::Requests, "hits_total")
        .method_label("verb")
        .endpoint_label("route")
        .status_label("code");
    let label = Label::from_request("client", |request| request.header("x-client"));
    let configurations = [
        HttpMetrics::server(),
        HttpMetrics::server().prefix("shop").naming(own),
        HttpMetrics::server()
            .status_on_durations()
            .measure(Family::HeadDuration)
            .measure(Family::ResponseBodySize)
            .duration_buckets([0.1, 1.0]),
        HttpMetrics::server()
            .without(Family::InProgress)
            .label(label.values(["web", "app"]).on_durations()),
        HttpMetrics::client(),
        HttpMetrics::open_telemetry(),
        HttpMetrics::axum_prometheus(),
    ];
    for metrics in configurations {
        let registry = Registry::new();
        let described = metrics.families().unwrap();
        assert_described(&described, &page_of(metrics, &registry).await);
    }
}

#[tokio::test]
async fn bounds_that_are_left_to_the_registry_are_asked_of_it() {
    let registry = Registry::builder()
        .buckets([0.2, 2.0])
        .constant_label("service", "shop")
        .build()
        .unwrap();
    let metrics = HttpMetrics::server().constant_label("zone", "eu");
    let described = metrics.families_in(&registry).unwrap();
    assert_ne!(described, metrics.families().unwrap());
    // Constant labels are no part of a description.
    let page = page_of(metrics, &registry).await;
    let page = page
        .replace(",service=\"shop\"", "")
        .replace(",zone=\"eu\"", "");
    assert_described(&described, &page);
}

#[test]
fn a_grpc_description_is_what_the_page_shows() {
    for metrics in [
        GrpcMetrics::server(),
        GrpcMetrics::client()
            .prefix("shop")
            .handling_buckets([0.1, 1.0]),
    ] {
        let registry = Registry::new();
        let described = metrics.families().unwrap();
        let metrics = metrics.method("shop.Orders", "Place", GrpcType::Unary);
        let _layer = metrics.layer(&registry).unwrap();
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
fn a_configuration_that_cannot_be_has_no_families() {
    let wrong = HttpMetrics::server().duration_buckets([1.0, 0.1]);
    assert!(
        wrong
            .families()
            .unwrap_err()
            .to_string()
            .contains("must rise")
    );
    assert!(HttpMetrics::server().prefix("9").families().is_err());
    assert!(GrpcMetrics::server().prefix("9").families().is_err());
}
