//! Names of metrics and labels, forms of status codes, and metrics that are turned on or off.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, service_fn};
use tower_prometheus::grpc::{CodeFormat, GrpcMetric, GrpcNaming, GrpcRequestBody, GrpcType};
use tower_prometheus::{GrpcMetrics, Registry};

use test_support::page::assert_valid_text;

/// Calls a path; the service responds with this code in the head. Returns the metrics page.
async fn page_after_call(metrics: GrpcMetrics, path: &str, code: &'static str) -> String {
    let registry = Registry::new();
    let layer = metrics.build(&registry).unwrap();
    let respond = async |_: Request<GrpcRequestBody<Full<Bytes>>>| {
        let response = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", code);
        Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
    };
    let request = Request::post(path).header("content-type", "application/grpc");
    let request = request.body(Full::default()).unwrap();
    let mut service = layer.layer(service_fn(respond));
    let body = service.call(request).await.unwrap().into_body();
    body.collect().await.unwrap();
    let page = registry.render();
    assert_valid_text(&page);
    page
}

/// The names of the metrics on a page, from their TYPE lines.
fn families(page: &str) -> Vec<&str> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = types.filter_map(|line| line.split(' ').next());
    names.filter(|name| !name.starts_with("metrics_")).collect()
}

fn assert_has(page: &str, line: &str) {
    assert!(page.lines().any(|found| found == line), "{line}\n{page}");
}

#[tokio::test]
async fn go_grpc_middleware_is_the_default_naming() {
    let named = GrpcMetrics::server().naming(GrpcNaming::go_grpc_middleware());
    let page = page_after_call(GrpcMetrics::server(), "/shop.Orders/Place", "0").await;
    let of_calls = |page: &str| {
        let lines = page.lines().filter(|line| !line.contains("seconds"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let same = page_after_call(named, "/shop.Orders/Place", "0").await;
    assert_eq!(of_calls(&page), of_calls(&same));
    let mut names = families(&page);
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "grpc_server_handled_total",
            "grpc_server_handling_seconds",
            "grpc_server_in_progress",
            "grpc_server_msg_received_total",
            "grpc_server_msg_sent_total",
            "grpc_server_started_total",
        ]
    );
    let labels = r#"grpc_method="Place",grpc_service="shop.Orders",grpc_type="unknown""#;
    assert_has(
        &page,
        &format!("grpc_server_handled_total{{grpc_code=\"OK\",{labels}}} 1"),
    );
}

#[tokio::test]
async fn open_telemetry_has_the_duration_with_method_code_and_error_type() {
    let metrics =
        || GrpcMetrics::open_telemetry_server().method("shop.Orders", "Place", GrpcType::Unary);
    let page = page_after_call(metrics(), "/shop.Orders/Place", "13").await;
    assert_eq!(families(&page), ["rpc_server_call_duration_seconds"]);
    let count = |error_type, method, code| {
        format!(
            "rpc_server_call_duration_seconds_count{{error_type=\"{error_type}\",rpc_method=\"{method}\",\
             rpc_response_status_code=\"{code}\",rpc_system_name=\"grpc\"}} 1"
        )
    };
    assert_has(&page, &count("INTERNAL", "shop.Orders/Place", "INTERNAL"));
    assert!(
        page.contains("le=\"0.075\"") && page.contains("le=\"7.5\""),
        "{page}"
    );
    // A server did not fail if the client's request is wrong. For a client, the call failed.
    let page = page_after_call(metrics(), "/shop.Orders/Place", "5").await;
    assert_has(&page, &count("", "shop.Orders/Place", "NOT_FOUND"));
    let client = GrpcMetrics::open_telemetry_client();
    let page = page_after_call(client, "/shop.Orders/Place", "5").await;
    let failed = count("NOT_FOUND", "shop.Orders/Place", "NOT_FOUND");
    assert_has(&page, &failed.replace("server", "client"));
    let page = page_after_call(metrics(), "/shop.Orders/Invented", "16").await;
    assert_has(&page, &count("", "_OTHER", "UNAUTHENTICATED"));
}

#[tokio::test]
async fn metrics_and_labels_can_be_renamed() {
    let naming = GrpcNaming::go_grpc_middleware()
        .family(GrpcMetric::Handled, "grpc_responses_total")
        .without_type_label()
        .full_method_label("endpoint")
        .code_label("status")
        .codes(CodeFormat::Number);
    let page = page_after_call(
        GrpcMetrics::client().naming(naming),
        "/shop.Orders/Place",
        "5",
    )
    .await;
    assert_has(
        &page,
        r#"grpc_responses_total{endpoint="shop.Orders/Place",status="5"} 1"#,
    );
    assert_has(
        &page,
        r#"grpc_client_started_total{endpoint="shop.Orders/Place"} 1"#,
    );

    let naming = GrpcNaming::open_telemetry()
        .type_label("kind")
        .method_labels("service", "rpc");
    let metrics = GrpcMetrics::client().naming(naming).prefix("my");
    let page = page_after_call(metrics, "/shop.Orders/Place", "0").await;
    assert_has(
        &page,
        r#"my_rpc_client_calls_started_total{kind="_OTHER",rpc="Place",service="shop.Orders"} 1"#,
    );
}

#[tokio::test]
async fn every_code_has_four_forms() {
    for (number, forms) in [
        ("0", ["OK", "OK", "ok", "0"]),
        ("1", ["Canceled", "CANCELLED", "cancelled", "1"]),
        ("5", ["NotFound", "NOT_FOUND", "not_found", "5"]),
        (
            "16",
            [
                "Unauthenticated",
                "UNAUTHENTICATED",
                "unauthenticated",
                "16",
            ],
        ),
    ] {
        let formats = [
            CodeFormat::PascalCase,
            CodeFormat::UpperCase,
            CodeFormat::LowerCase,
            CodeFormat::Number,
        ];
        for (format, form) in formats.into_iter().zip(forms) {
            let metrics =
                GrpcMetrics::client().naming(GrpcNaming::go_grpc_middleware().codes(format));
            let page = page_after_call(metrics, "/shop.Orders/Place", number).await;
            assert!(
                page.contains(&format!("grpc_code=\"{form}\"")),
                "{form}\n{page}"
            );
        }
    }
}

#[tokio::test]
async fn metrics_can_be_turned_off() {
    let all = [
        GrpcMetric::Started,
        GrpcMetric::Handled,
        GrpcMetric::Handling,
        GrpcMetric::MessagesReceived,
        GrpcMetric::MessagesSent,
        GrpcMetric::InProgress,
        GrpcMetric::ReceivedMessageSize,
        GrpcMetric::SentMessageSize,
    ];
    for only in all {
        let metrics = all
            .into_iter()
            .fold(GrpcMetrics::client(), GrpcMetrics::without);
        let metrics = metrics.measure(only);
        let described = metrics.family(only).unwrap().unwrap();
        let page = page_after_call(metrics, "/shop.Orders/Place", "0").await;
        assert_eq!(families(&page), [described.name.as_str()], "{only:?}");
    }
}

/// The default is the code on the number of calls only, because each code adds a series per bucket.
#[tokio::test]
async fn durations_have_the_code_if_configured() {
    let metrics = GrpcMetrics::client().code_on_durations();
    let page = page_after_call(metrics, "/shop.Orders/Place", "5").await;
    let labels = r#"grpc_code="NotFound",grpc_method="Place",grpc_service="shop.Orders",grpc_type="unknown""#;
    assert_has(
        &page,
        &format!("grpc_client_handling_seconds_count{{{labels}}} 1"),
    );
}

#[test]
fn invalid_and_repeated_names_are_errors() {
    let error = |naming: GrpcNaming| {
        let metrics = GrpcMetrics::server().naming(naming);
        metrics.build(Registry::new()).unwrap_err().to_string()
    };
    let naming = GrpcNaming::go_grpc_middleware;
    let repeated = naming().family(GrpcMetric::Started, "grpc_server_handled_total");
    assert!(error(repeated).contains("two metrics have the name \"grpc_server_handled_total\""));
    assert!(error(naming().family(GrpcMetric::Started, "a b")).contains("\"a b\""));
    assert!(
        error(naming().code_label("grpc_type")).contains("two labels have the name \"grpc_type\"")
    );
    assert!(error(naming().full_method_label("1st")).contains("\"1st\""));
}
