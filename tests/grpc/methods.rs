//! Method labels: preregistered methods, methods that a response proved to exist, `unknown` and `overflow`. Scanners
//! cannot create series without limit.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, service_fn};
use tower_prometheus::grpc::GrpcRequestBody;
use tower_prometheus::{
    GrpcMetrics, Registry,
    grpc::{GrpcMetricsLayer, GrpcType},
};

use test_support::body::{ScriptedBody, Step};
use test_support::grpc::{handled_calls, wait_for_calls_to_end, with_shop_methods};
use test_support::page::samples;
use test_support::warnings::Warnings;

fn series_count(registry: &Registry) -> usize {
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
async fn preregistered_methods_are_exported_as_0_from_start_up_with_every_code() {
    for side in ["server", "client"] {
        let registry = Registry::new();
        let metrics = match side {
            "server" => GrpcMetrics::server(),
            _ => GrpcMetrics::client(),
        };
        with_shop_methods(metrics).build(&registry).unwrap();
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
        wait_for_calls_to_end(&registry, side, 0).await;
    }
}

/// Calls each path of a service that returns the same response for every path.
async fn call(layer: GrpcMetricsLayer, paths: &[String], content_type: &str, grpc_status: &str) {
    let respond = |_: Request<GrpcRequestBody<Full<Bytes>>>| {
        let response = Response::builder()
            .header("content-type", content_type)
            .header("grpc-status", grpc_status)
            .body(Empty::<Bytes>::new());
        std::future::ready(Ok::<_, Infallible>(response.unwrap()))
    };
    let mut service = layer.layer(service_fn(respond));
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

/// The service responds to any path with `OK`, so every method seems to exist.
#[tokio::test]
async fn methods_beyond_max_methods_are_recorded_as_overflow_with_one_warning() {
    for side in ["server", "client"] {
        let warnings = Warnings::capture();
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
        call(layer, &paths(3000), "application/grpc", "0").await;
        call(
            layer,
            &["/my.Own/Method".to_owned()],
            "application/grpc",
            "0",
        )
        .await;
        call(layer, &paths(1), "application/grpc", "0").await;

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
        wait_for_calls_to_end(&registry, side, 3002).await;
    }
}

#[tokio::test]
async fn with_max_methods_0_only_preregistered_methods_have_their_own_series() {
    let registry = Registry::new();
    let metrics = with_shop_methods(GrpcMetrics::server()).max_methods(0);
    let layer = metrics.build(&registry).unwrap();
    let before = series_count(&registry);
    call(layer, &paths(100), "application/grpc", "16").await;
    call(layer, &paths(50), "application/grpc", "0").await;
    call(
        layer,
        &["/test.Shop/Say".to_owned()],
        "application/grpc",
        "0",
    )
    .await;
    assert_eq!(
        handled_calls(&registry, "unknown", "Unauthenticated"),
        100.0
    );
    assert_eq!(handled_calls(&registry, "overflow", "OK"), 50.0);
    assert_eq!(handled_calls(&registry, "Say", "OK"), 1.0);
    // The series of `unknown` and `overflow`, and the overflow counter.
    assert!(series_count(&registry) - before < 50);
    wait_for_calls_to_end(&registry, "server", 151).await;
}

/// A response with another content type, such as an HTML page, does not prove that the method exists.
#[tokio::test]
async fn only_grpc_responses_register_a_method() {
    let registry = Registry::new();
    call(registry.grpc_layer(), &paths(100), "text/html", "0").await;
    assert_eq!(handled_calls(&registry, "unknown", "OK"), 100.0);
    wait_for_calls_to_end(&registry, "server", 100).await;
}

const MESSAGE: Step = Step::Data("\0\0\0\0\x01x");

/// Calls a new method of a service that responds with this HTTP status, `grpc-status` in the head, and body. Reads the
/// body to its end, and returns the value of the label `grpc_method`.
async fn method_of<const N: usize>(
    http_status: u16,
    grpc_status: Option<&'static str>,
    steps: [Step; N],
) -> &'static str {
    let registry = Registry::new();
    let respond = |_: Request<GrpcRequestBody<Full<Bytes>>>| {
        let response = Response::builder().status(http_status);
        let response = response.header("content-type", "application/grpc");
        let response = match grpc_status {
            Some(code) => response.header("grpc-status", code),
            None => response,
        };
        let response = response.body(ScriptedBody::new(steps.clone())).unwrap();
        std::future::ready(Ok::<_, Infallible>(response))
    };
    let request = Request::post("/my.Own/Method").header("content-type", "application/grpc");
    let request = request.body(Full::default()).unwrap();
    let mut service = registry.grpc_layer().layer(service_fn(respond));
    let body = service.call(request).await.unwrap().into_body();
    let _ = AssertUnwindSafe(body.collect()).catch_unwind().await;
    wait_for_calls_to_end(&registry, "server", 1).await;
    let is = |method: &&str| {
        let labels = [("grpc_method", *method)];
        registry.sum("grpc_server_handled_total", &labels) == Some(1.0)
    };
    ["Method", "unknown"].into_iter().find(is).unwrap()
}

#[tokio::test]
async fn message_proves_a_method_however_the_response_ends() {
    for end in [Step::Error, Step::Panic] {
        assert_eq!(method_of(200, None, [MESSAGE, end]).await, "Method");
    }
    assert_eq!(method_of(200, None, [MESSAGE]).await, "Method");
    // In two pieces, and after a code that is an error.
    let pieces = [Step::Data("\0\0\0"), Step::Data("\0\x01x")];
    assert_eq!(method_of(200, Some("7"), pieces).await, "Method");
}

#[tokio::test]
async fn ok_in_the_head_proves_a_method() {
    assert_eq!(method_of(200, Some("0"), []).await, "Method");
}

#[tokio::test]
async fn response_without_a_whole_message_and_ok_does_not_prove_a_method() {
    for code in 1..=17 {
        let code: &'static str = Box::leak(code.to_string().into());
        assert_eq!(method_of(200, Some(code), []).await, "unknown", "{code}");
    }
    assert_eq!(method_of(200, None, []).await, "unknown");
    for end in [Step::Error, Step::Panic] {
        let incomplete = [Step::Data("\0\0\0\0\x01"), end];
        assert_eq!(method_of(200, None, incomplete).await, "unknown");
    }
    // Not a response of a gRPC service, whatever its body is.
    assert_eq!(method_of(503, None, [MESSAGE]).await, "unknown");
}

#[tokio::test]
async fn malformed_path_is_in_progress_as_unknown_from_its_start() {
    let registry = Registry::new();
    let inner = |_: Request<GrpcRequestBody<Full<Bytes>>>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    };
    let mut service = registry.grpc_layer().layer(service_fn(inner));
    let mut call = |path: &str| {
        let request = Request::post(path).header("content-type", "application/grpc");
        service.call(request.body(Full::default()).unwrap())
    };
    let in_progress = |method| registry.sum("grpc_server_in_progress", &[("grpc_method", method)]);
    let malformed = call("/robots.txt");
    assert_eq!(in_progress("unknown"), Some(1.0));
    // A new method is in progress only once it has a name.
    let new = call("/my.Own/Method");
    assert_eq!(in_progress("unknown"), Some(1.0));
    assert_eq!(in_progress("Method"), None);
    drop((malformed, new));
    wait_for_calls_to_end(&registry, "server", 2).await;
    assert_eq!(handled_calls(&registry, "unknown", "Canceled"), 2.0);
}

/// The first call is in progress while another one proves that the method exists.
#[tokio::test]
async fn failing_call_has_the_name_that_another_call_proved_meanwhile() {
    let registry = Registry::new();
    let inner = |_: Request<GrpcRequestBody<Full<Bytes>>>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    };
    let request = Request::post("/my.Own/Method").header("content-type", "application/grpc");
    let request = request.body(Full::default()).unwrap();
    let first = registry.grpc_layer().layer(service_fn(inner)).call(request);
    call(
        registry.grpc_layer(),
        &["/my.Own/Method".to_owned()],
        "application/grpc",
        "0",
    )
    .await;
    drop(first);
    wait_for_calls_to_end(&registry, "server", 2).await;
    assert_eq!(handled_calls(&registry, "Method", "OK"), 1.0);
    assert_eq!(handled_calls(&registry, "Method", "Canceled"), 1.0);
}

#[tokio::test]
async fn requests_that_are_not_grpc_are_not_recorded() {
    let registry = Registry::new();
    let inner = async |_: Request<GrpcRequestBody<Empty<Bytes>>>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"page"))))
    };
    let layer = with_shop_methods(GrpcMetrics::server())
        .build(&registry)
        .unwrap();
    let mut service = layer.layer(service_fn(inner));
    let before = registry.render();
    for content_type in ["", "application/json", "application/grpc-web+proto"] {
        let request = Request::post("/test.Shop/Say").header("content-type", content_type);
        let request = request.body(Empty::new()).unwrap();
        let body = service.call(request).await.unwrap().into_body();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "page");
    }
    assert_eq!(registry.render(), before);
    wait_for_calls_to_end(&registry, "server", 0).await;
}

#[test]
fn max_methods_holds_with_many_threads() {
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
                runtime.block_on(call(layer, &paths(200), "application/grpc", "0"));
            });
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(wait_for_calls_to_end(&registry, "server", 1600));
    let page = samples(&registry.render());
    let registered = page
        .keys()
        .filter(|name| name.starts_with("grpc_server_started_total{") && name.contains("evil"));
    assert_eq!(registered.count(), 50);
}
