//! What calls are labelled as: declared, learned, unknown, overflow; never what a scanner likes.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, service_fn};
use tower_prometheus::grpc::GrpcRequestBody;
use tower_prometheus::{
    GrpcMetrics, Registry,
    grpc::{GrpcMetricsLayer, GrpcType},
};

use test_support::grpc::{declared, handled, settle};
use test_support::page::samples;
use test_support::warnings::Warnings;

fn series(registry: &Registry) -> usize {
    samples(&registry.render()).len()
}

const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

#[tokio::test]
async fn declared_methods_start_at_0_with_every_code() {
    for side in ["server", "client"] {
        let registry = Registry::new();
        let metrics = match side {
            "server" => GrpcMetrics::server(),
            _ => GrpcMetrics::client(),
        };
        declared(metrics).build(&registry).unwrap();
        let kinds = [
            ("Say", "unary"),
            ("Collect", "client_stream"),
            ("List", "server_stream"),
            ("Chat", "bidi_stream"),
        ];
        for (method, kind) in kinds {
            let labels = [
                ("grpc_type", kind),
                ("grpc_service", "test.Shop"),
                ("grpc_method", method),
            ];
            let families = [
                "started_total",
                "msg_received_total",
                "msg_sent_total",
                "in_progress",
                "handling_seconds_count",
            ];
            for family in families {
                let family = format!("grpc_{side}_{family}");
                assert_eq!(registry.sum(&family, &labels), Some(0.0), "{family}");
            }
            for code in CODES {
                let labels = [labels[0], labels[1], labels[2], ("grpc_code", code)];
                let handled = registry.sum(&format!("grpc_{side}_handled_total"), &labels);
                assert_eq!(handled, Some(0.0), "{method} {code}");
            }
        }
        settle(&registry, side, 0).await;
    }
}

/// A service that answers every path with the same.
async fn drive(layer: GrpcMetricsLayer, paths: &[String], content_type: &str, answer: &str) {
    let answer = |_: Request<GrpcRequestBody<Full<Bytes>>>| {
        let response = Response::builder()
            .header("content-type", content_type)
            .header("grpc-status", answer)
            .body(Empty::<Bytes>::new());
        std::future::ready(Ok::<_, Infallible>(response.unwrap()))
    };
    let mut service = layer.layer(service_fn(answer));
    for path in paths {
        let request = Request::post(path.as_str())
            .header("content-type", "application/grpc")
            .body(Full::default());
        let response = service.call(request.unwrap()).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
}

fn paths(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("/evil.S{i}/M{i}")).collect()
}

/// Something inside answers any path, as gRPC does: then the cap holds.
#[tokio::test]
async fn methods_beyond_the_cap_are_overflow_with_one_warning() {
    for side in ["server", "client"] {
        let warnings = Warnings::catch();
        let registry = Registry::new();
        let metrics = match side {
            "server" => GrpcMetrics::server(),
            _ => GrpcMetrics::client(),
        };
        let layer = metrics
            .max_methods(10)
            .method("my.Own", "Method", GrpcType::Unary)
            .build(&registry)
            .unwrap();
        drive(layer, &paths(3000), "application/grpc", "16").await;
        drive(
            layer,
            &["/my.Own/Method".to_owned()],
            "application/grpc",
            "0",
        )
        .await;
        drive(layer, &paths(1), "application/grpc", "0").await;

        let started = |method| {
            let family = format!("grpc_{side}_started_total");
            registry.sum(&family, &[("grpc_method", method)])
        };
        assert_eq!(started("M0"), Some(2.0));
        assert_eq!(started("M9"), Some(1.0));
        assert_eq!(started("M10"), None);
        assert_eq!(started("Method"), Some(1.0));
        assert_eq!(started("overflow"), Some(2990.0));
        let family = format!("grpc_{side}_handled_total");
        let labels = [("family", family.as_str()), ("label", "grpc_method")];
        let overflowed = registry.sum("metrics_label_overflow_total", &labels);
        assert_eq!(overflowed, Some(2990.0));
        // Ten methods and the preregistered one.
        let expected = format!("{family}: label \"grpc_method\" reached its limit of 11 values");
        assert_eq!(warnings.about(&expected).len(), 1);
        assert_eq!(warnings.about("overflow").len(), 1);
        settle(&registry, side, 3002).await;
    }
}

#[tokio::test]
async fn with_a_cap_of_0_only_declared_methods_have_names() {
    let registry = Registry::new();
    let metrics = declared(GrpcMetrics::server()).max_methods(0);
    let layer = metrics.build(&registry).unwrap();
    let before = series(&registry);
    drive(layer, &paths(100), "application/grpc", "16").await;
    drive(
        layer,
        &["/test.Shop/Say".to_owned()],
        "application/grpc",
        "0",
    )
    .await;
    assert_eq!(handled(&registry, "overflow", "Unauthenticated"), 100.0);
    assert_eq!(handled(&registry, "Say", "OK"), 1.0);
    // One set for the overflow, and its own counter.
    assert!(series(&registry) - before < 25);
    settle(&registry, "server", 101).await;
}

/// A page for every path is not gRPC's answer: it proves no method.
#[tokio::test]
async fn only_answers_of_grpc_teach_a_method() {
    let registry = Registry::new();
    drive(registry.grpc_layer(), &paths(100), "text/html", "0").await;
    assert_eq!(handled(&registry, "unknown", "OK"), 100.0);
    settle(&registry, "server", 100).await;
}

#[tokio::test]
async fn what_is_not_grpc_passes_unmeasured() {
    let registry = Registry::new();
    let inner = async |_: Request<GrpcRequestBody<Empty<Bytes>>>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"page"))))
    };
    let layer = declared(GrpcMetrics::server()).build(&registry).unwrap();
    let mut service = layer.layer(service_fn(inner));
    let before = registry.render();
    for content_type in ["", "application/json", "application/grpc-web+proto"] {
        let request = Request::post("/test.Shop/Say").header("content-type", content_type);
        let request = request.body(Empty::new()).unwrap();
        let body = service.call(request).await.unwrap().into_body();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "page");
    }
    assert_eq!(registry.render(), before);
    settle(&registry, "server", 0).await;
}

#[test]
fn many_threads_agree_on_what_is_known() {
    let registry = Registry::new();
    let layer = GrpcMetrics::server()
        .max_methods(50)
        .build(&registry)
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                runtime.block_on(drive(layer, &paths(200), "application/grpc", "0"));
            });
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(settle(&registry, "server", 1600));
    let page = samples(&registry.render());
    let learned = page
        .keys()
        .filter(|name| name.starts_with("grpc_server_started_total{") && name.contains("evil"));
    assert_eq!(learned.count(), 50);
}
