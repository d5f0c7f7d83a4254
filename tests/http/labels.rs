//! Custom labels, status labels, metrics that are switched off, and preregistered routes.

use std::future::ready;

use http::{Method, Request, Response};
use tower::{Layer, Service, service_fn};
use tower_prometheus::{
    HttpMetrics, HttpMetricsLayer, Registry,
    http::{Endpoint, HttpLabel, HttpMetric},
};

use test_support::assert_requests_ended;
use test_support::body::ScriptedBody;
use test_support::page::samples;
use test_support::warnings::Warnings;

/// Sends a request for `/x` through the layer. The response has the status of `x-code` and the header `x-cache` of the
/// request.
async fn send(layer: HttpMetricsLayer, headers: &[(&str, &str)]) {
    let service = service_fn(|request: Request<()>| {
        let header = |name: &str| request.headers().get(name).cloned();
        let mut response = Response::new(String::new());
        if let Some(code) = header("x-code") {
            *response.status_mut() = code.to_str().unwrap().parse().unwrap();
        }
        if let Some(cache) = header("x-cache") {
            response.headers_mut().insert("x-cache", cache);
        }
        ready(Ok::<_, ()>(response))
    });
    let mut request = Request::get("/").extension(Endpoint::from_static("/x"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    drop(layer.layer(service).call(request.body(()).unwrap()).await);
}

fn requests(registry: &Registry, labels: &[(&str, &str)]) -> f64 {
    registry.sum("http_requests_total", labels).unwrap_or(0.0)
}

#[tokio::test]
async fn label_values_come_from_the_request_or_the_response() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .label(HttpLabel::from_request("client", |request| {
            request.header("x-client")
        }))
        .label(HttpLabel::from_response("cache", |response| {
            response.header("x-cache")
        }))
        .label(
            HttpLabel::from_request("both", |request| request.header("x-client"))
                .or_from_response(|response| response.header("x-cache")),
        )
        .build(&registry)
        .unwrap();
    send(layer, &[("x-client", "ios"), ("x-cache", "hit")]).await;
    send(layer, &[("x-client", "ios")]).await;
    send(layer, &[]).await;
    let labelled = |client, cache, both| {
        requests(
            &registry,
            &[("client", client), ("cache", cache), ("both", both)],
        )
    };
    assert_eq!(labelled("ios", "hit", "hit"), 1.0);
    assert_eq!(labelled("ios", "", "ios"), 1.0);
    assert_eq!(labelled("", "", ""), 1.0);
    // By default, custom labels are on the counter only.
    let durations = registry.sum("http_request_duration_seconds_count", &[("client", "ios")]);
    assert_eq!(durations, None);
    assert_requests_ended(&registry, 3);
}

/// The label value is unknown when the request starts, so the layer finds the series by method and endpoint.
#[tokio::test]
async fn request_with_a_label_from_the_response_is_in_progress_from_its_start() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .label(HttpLabel::from_response("cache", |response| {
            response.header("x-cache")
        }))
        .build(&registry)
        .unwrap();
    // Registration of the first one is deferred, because it could be a scrape.
    for expected in [None, Some(1.0), Some(1.0)] {
        let mut service = layer.layer(service_fn(|_: Request<()>| {
            let now = registry.sum("http_requests_in_progress", &[("endpoint", "/x")]);
            assert_eq!(now, expected);
            let response = Response::builder().header("x-cache", "hit");
            ready(response.body(String::new()))
        }));
        let request = Request::get("/").extension(Endpoint::from_static("/x"));
        drop(service.call(request.body(()).unwrap()).await);
    }
    assert_eq!(requests(&registry, &[("cache", "hit")]), 3.0);
    assert_requests_ended(&registry, 3);
}

#[tokio::test]
async fn label_is_on_durations_with_on_histograms() {
    let registry = Registry::new();
    let client = HttpLabel::from_request("client", |request| request.header("x-client"));
    let layer = HttpMetrics::server()
        .label(client.on_histograms())
        .build(&registry)
        .unwrap();
    send(layer, &[("x-client", "ios")]).await;
    send(layer, &[]).await;
    let durations =
        |client| registry.sum("http_request_duration_seconds_count", &[("client", client)]);
    assert_eq!((durations("ios"), durations("")), (Some(1.0), Some(1.0)));
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn values_that_are_not_listed_or_beyond_max_values_are_recorded_as_overflow() {
    for (is_listed, label) in [
        (
            true,
            HttpLabel::from_request("client", |r| r.header("x-client")).values(["ios", "web"]),
        ),
        (
            false,
            HttpLabel::from_request("client", |r| r.header("x-client")).max_values(2),
        ),
    ] {
        let warnings = Warnings::capture();
        let registry = Registry::new();
        let layer = HttpMetrics::server().label(label).build(&registry).unwrap();
        for client in ["ios", "web", "curl", "ios", "bot1", "bot2"] {
            send(layer, &[("x-client", client)]).await;
        }
        let of = |client| requests(&registry, &[("client", client)]);
        assert_eq!(
            [of("ios"), of("web"), of("curl"), of("overflow")],
            [2.0, 1.0, 0.0, 3.0],
            "is listed: {is_listed}"
        );
        let labels = [("family", "http_requests_total"), ("label", "client")];
        let overflowed = registry.sum("metrics_label_overflow_total", &labels);
        assert_eq!(overflowed, Some(3.0));
        let expected = match is_listed {
            true => "label \"client\" got a value that is not one of its 2 listed values",
            false => "label \"client\" reached its limit of 2 values",
        };
        assert_eq!(warnings.about(expected).len(), 1);
        assert_eq!(warnings.about("overflow").len(), 1);
        assert_requests_ended(&registry, 6);
    }
}

/// The list has a duplicate and the empty value, which is that of a request without the header. Neither leaves room for
/// a value that is not listed.
#[tokio::test]
async fn duplicate_and_empty_listed_values_do_not_admit_other_values() {
    let registry = Registry::new();
    let label = HttpLabel::from_request("client", |request| request.header("x-client"));
    let label = label.values(["ios", "", "ios", "web"]);
    let layer = HttpMetrics::server().label(label).build(&registry).unwrap();
    for client in ["ios", "web", "curl", "wget"] {
        send(layer, &[("x-client", client)]).await;
    }
    assert_eq!(requests(&registry, &[("client", "overflow")]), 2.0);
    assert_requests_ended(&registry, 4);
}

/// Label values are kept until the process ends, so their length is limited too.
#[tokio::test]
async fn very_long_label_value_is_recorded_as_overflow() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let label = HttpLabel::from_request("client", |request| request.header("x-client"));
    let layer = HttpMetrics::server().label(label).build(&registry).unwrap();
    send(layer, &[("x-client", &"x".repeat(100_000))]).await;
    send(layer, &[("x-client", "short")]).await;
    assert_eq!(requests(&registry, &[("client", "overflow")]), 1.0);
    assert_eq!(requests(&registry, &[("client", "short")]), 1.0);
    assert!(registry.render().len() < 10_000);
    let expected = "label \"client\" got a value longer than 1024 bytes";
    assert_eq!(warnings.about(expected).len(), 1);
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn overflow_is_counted_for_another_family_if_the_request_counter_is_off() {
    let registry = Registry::new();
    let label = HttpLabel::from_request("client", |r| r.header("x-client")).values(["ios"]);
    let layer = HttpMetrics::server()
        .without(HttpMetric::Requests)
        .label(label.on_histograms());
    send(layer.build(&registry).unwrap(), &[("x-client", "curl")]).await;
    let labels = [
        ("family", "http_request_duration_seconds"),
        ("label", "client"),
    ];
    assert_eq!(
        registry.sum("metrics_label_overflow_total", &labels),
        Some(1.0)
    );
}

/// The layer calls the exemplar function before the request is in progress.
#[tokio::test]
async fn panic_of_an_exemplar_function_leaves_no_request_in_progress() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .exemplar(|request| match request.header("x-client") {
            Some(_) => panic!("in the exemplar function"),
            None => None,
        })
        .build(&registry)
        .unwrap();
    send(layer, &[]).await;
    let service = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(String::new())));
    let request = Request::get("/")
        .header("x-client", "x")
        .extension(Endpoint::from_static("/x"));
    let request = request.body(()).unwrap();
    let mut service = layer.layer(service);
    let call = std::panic::AssertUnwindSafe(|| drop(service.call(request)));
    assert!(std::panic::catch_unwind(call).is_err());
    assert_requests_ended(&registry, 1);
}

/// A request for a preregistered route counts as a match, although its series exist already.
#[tokio::test]
async fn unmatched_requests_after_a_preregistered_route_cause_no_missing_route_warning() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let layer = HttpMetrics::server().preregister(Method::GET, "/x", [200]);
    let layer = layer.build(&registry).unwrap();
    send(layer, &[]).await;
    for _ in 0..30 {
        let fallback = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(String::new())));
        drop(layer.layer(fallback).call(Request::new(())).await);
    }
    assert_eq!(warnings.about("EndpointLayer").len(), 0);
}

#[tokio::test]
async fn header_that_is_not_text_is_an_empty_label_value() {
    let registry = Registry::new();
    let label = HttpLabel::from_request("client", |request| request.header("x-client"));
    let layer = HttpMetrics::server().label(label).build(&registry).unwrap();
    let service = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(String::new())));
    let not_text = http::HeaderValue::from_bytes(b"\xff\xfe").unwrap();
    let request = Request::get("/")
        .header("x-client", not_text)
        .body(())
        .unwrap();
    drop(layer.layer(service).call(request).await);
    assert_eq!(requests(&registry, &[("client", "")]), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn status_classes_group_status_codes() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .status_classes()
        .build(&registry)
        .unwrap();
    for code in ["200", "204", "404", "503", "599", "700"] {
        send(layer, &[("x-code", code)]).await;
    }
    let of = |status| requests(&registry, &[("status", status)]);
    assert_eq!(
        [of("2xx"), of("4xx"), of("5xx"), of("7xx")],
        [2.0, 1.0, 2.0, 1.0]
    );
    assert_requests_ended(&registry, 6);
}

#[tokio::test]
async fn status_on_durations_adds_the_status_to_the_histogram() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .status_on_durations()
        .build(&registry)
        .unwrap();
    for code in ["200", "200", "503"] {
        send(layer, &[("x-code", code)]).await;
    }
    let of = |status| registry.sum("http_request_duration_seconds_count", &[("status", status)]);
    assert_eq!((of("200"), of("503")), (Some(2.0), Some(1.0)));
    assert_requests_ended(&registry, 3);
}

#[tokio::test]
async fn label_is_read_from_every_request_also_after_requests_without_a_value() {
    let registry = Registry::new();
    let client = HttpLabel::from_request("client", |request| request.header("x-client"));
    let layer = HttpMetrics::server()
        .label(client)
        .build(&registry)
        .unwrap();
    for headers in [&[][..], &[], &[("x-client", "ios")]] {
        send(layer, headers).await;
    }
    assert_eq!(requests(&registry, &[("client", "")]), 2.0);
    assert_eq!(requests(&registry, &[("client", "ios")]), 1.0);
    assert_requests_ended(&registry, 3);
}

#[tokio::test]
async fn each_metric_can_be_switched_off() {
    let families = [
        (HttpMetric::Requests, "http_requests_total"),
        (HttpMetric::Duration, "http_request_duration_seconds"),
        (HttpMetric::InProgress, "http_requests_in_progress"),
        (
            HttpMetric::AbortedBodies,
            "http_response_bodies_aborted_total",
        ),
        (HttpMetric::OpenConnections, "http_connections_open"),
    ];
    for (off, _) in families {
        let registry = Registry::new();
        let layer = HttpMetrics::server().without(off).build(&registry).unwrap();
        // Causes one aborted body and one open connection.
        for content_type in ["text/plain", "text/event-stream"] {
            let service = service_fn(async |_: Request<()>| {
                let response = Response::builder().header("content-type", content_type);
                Ok::<_, ()>(response.body(ScriptedBody::stream(&["x"])).unwrap())
            });
            drop(layer.layer(service).call(Request::new(())).await);
        }
        let page = registry.render();
        for (family, name) in families {
            let is_shown = page.contains(&format!("# TYPE {name} "));
            assert_eq!(
                is_shown,
                family != off,
                "{family:?} without {off:?}:\n{page}"
            );
        }
    }
}

#[tokio::test]
async fn preregistered_routes_are_exported_as_0_from_start_up() {
    let registry = Registry::new();
    let label = HttpLabel::from_response("cache", |response| response.header("x-cache"));
    let layer = HttpMetrics::server()
        .label(label.values(["hit", "miss"]))
        .preregister(Method::GET, "/x", [200, 503])
        .preregister(Method::POST, "/orders", [201])
        .build(&registry)
        .unwrap();
    let page = samples(&registry.render());
    let preregistered: Vec<_> = page
        .iter()
        .filter(|(name, _)| name.starts_with("http_requests_total"))
        .map(|(name, value)| (name.split_once('{').unwrap().1, *value))
        .collect();
    assert_eq!(
        preregistered,
        [
            (
                r#"cache="hit",endpoint="/orders",method="POST",status="201"}"#,
                0.0
            ),
            (
                r#"cache="hit",endpoint="/x",method="GET",status="200"}"#,
                0.0
            ),
            (
                r#"cache="hit",endpoint="/x",method="GET",status="503"}"#,
                0.0
            ),
            (
                r#"cache="miss",endpoint="/orders",method="POST",status="201"}"#,
                0.0
            ),
            (
                r#"cache="miss",endpoint="/x",method="GET",status="200"}"#,
                0.0
            ),
            (
                r#"cache="miss",endpoint="/x",method="GET",status="503"}"#,
                0.0
            ),
        ]
    );
    for endpoint in ["/x", "/orders"] {
        let labels = [("endpoint", endpoint)];
        assert_eq!(
            registry.sum("http_requests_in_progress", &labels),
            Some(0.0)
        );
        let durations = registry.sum("http_request_duration_seconds_count", &labels);
        assert_eq!(durations, Some(0.0));
    }
    send(layer, &[("x-cache", "hit")]).await;
    assert_eq!(
        requests(&registry, &[("cache", "hit"), ("status", "200")]),
        1.0
    );
    assert_requests_ended(&registry, 1);
}

#[test]
fn invalid_labels_and_routes_are_named_in_the_error() {
    let label = |name: &str| HttpLabel::from_request(name, |_| None);
    let server = HttpMetrics::server;
    let nine = (0..9).fold(server(), |layer, i| layer.label(label(&format!("l{i}"))));
    let wide = |i| label(&format!("w{i}")).values((0..200).map(|value| value.to_string()));
    let cases = [
        (
            server().label(label("method")),
            "label \"method\" is set twice",
        ),
        (server().label(label("le")), "invalid label name \"le\""),
        (
            server().label(label("a")).label(label("a")),
            "label \"a\" is set twice",
        ),
        (
            server().label(label("a").max_values(0)),
            "max_values of label \"a\" must be 1 to 10000, got 0",
        ),
        (
            server().label(label("a").values([""; 0])),
            "number of values of label \"a\" must be 1 to 10000, got 0",
        ),
        (nine, "too many custom labels: at most 8 are allowed, got 9"),
        (
            server().preregister(Method::GET, "/x", [42]),
            "preregister: status codes must be 100 to 999, got 42",
        ),
        (
            server()
                .max_endpoints(1)
                .preregister(Method::GET, "/x", [])
                .preregister(Method::GET, "/y", []),
            "max_endpoints must be at least the number of preregistered endpoints, 2, got 1",
        ),
        (
            server()
                .label(wide(1))
                .label(wide(2))
                .preregister(Method::GET, "/x", [200]),
            "got 40000",
        ),
        (
            server().size_buckets([2.0, 1.0]),
            "size_buckets: bucket bound 1 follows 2",
        ),
        (
            server().route_patterns(["/a/{b", "/c"]),
            "route pattern \"/a/{b\"",
        ),
        (
            server().route_patterns(["/{a}", "/{b}"]),
            "route pattern \"/{b}\"",
        ),
        (
            server().https(),
            "https: only for HttpMetrics::open_telemetry()",
        ),
        (
            server().measure(HttpMetric::RequestBodySize),
            "with_request_body",
        ),
    ];
    for (layer, expected) in cases {
        let error = layer.clone().build(Registry::new()).unwrap_err();
        assert!(error.to_string().contains(expected), "{layer:?}: {error}");
    }
}

#[tokio::test]
async fn host_is_the_same_from_the_uri_and_the_header_and_ignores_case() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .label(HttpLabel::host("host").on_everything())
        .label(HttpLabel::port("port").on_everything())
        .build(&registry)
        .unwrap();
    let send = async |uri: &str, host: Option<&str>| {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let service = layer.layer(service_fn(test_support::service::ok));
        drop(service.clone().call(request.body(()).unwrap()).await);
    };
    for (uri, host, labels) in [
        (
            "http://Tenant-A.example:80/",
            None,
            ("tenant-a.example", "80"),
        ),
        ("/", Some("tenant-a.EXAMPLE:80"), ("tenant-a.example", "80")),
        ("/", Some("tenant-a.example"), ("tenant-a.example", "")),
        (
            "http://user:secret@b.example/",
            Some("c.example"),
            ("b.example", ""),
        ),
        ("/", Some("[::1]:8080"), ("[::1]", "8080")),
        ("/", Some("[::1]"), ("[::1]", "")),
        ("/", Some("d.example:port"), ("d.example", "")),
        ("/", Some(":80"), ("", "80")),
        ("/", None, ("", "")),
    ] {
        let (name, port) = labels;
        let labels = [("host", name), ("port", port)];
        let before = requests(&registry, &labels);
        send(uri, host).await;
        assert_eq!(requests(&registry, &labels), before + 1.0, "{uri} {host:?}");
        let in_progress = registry.sum("http_requests_in_progress", &labels);
        assert_eq!(in_progress, Some(0.0), "{uri} {host:?}");
    }
    assert_requests_ended(&registry, 9);
}

#[tokio::test]
async fn labels_that_see_the_outcome_are_read_when_the_request_ends() {
    use http_body_util::BodyExt;
    use test_support::body::Step;

    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .label(HttpLabel::from_outcome("checksum", |outcome| {
            outcome.trailer("x-checksum")
        }))
        .label(
            HttpLabel::from_outcome("result", |outcome| {
                Some(if outcome.is_aborted() {
                    "aborted"
                } else if outcome.is_complete() {
                    "complete"
                } else {
                    "none"
                })
            })
            .on_histograms(),
        )
        .build(&registry)
        .unwrap();
    for (steps, checksum, result) in [
        (vec![Step::Data("a"), Step::Trailers], "1", "complete"),
        (vec![Step::Data("a")], "", "complete"),
        (vec![Step::Error], "", "aborted"),
        (vec![Step::Hang], "", "aborted"),
    ] {
        let labels = [("checksum", checksum), ("result", result)];
        let before = requests(&registry, &labels);
        let body = ScriptedBody::new(steps.clone());
        let mut response = Some(Response::new(body));
        let respond = move |_: Request<()>| ready(Ok::<_, ()>(response.take().unwrap()));
        let response = layer
            .layer(service_fn(respond))
            .call(Request::new(()))
            .await;
        let mut body = Box::pin(response.unwrap().into_body());
        if !matches!(steps[..], [Step::Hang]) {
            while body.frame().await.is_some_and(|frame| frame.is_ok()) {}
        }
        drop(body);
        assert_eq!(requests(&registry, &labels), before + 1.0, "{steps:?}");
    }
    let fail = service_fn(|_: Request<()>| ready(Err::<Response<String>, _>(())));
    drop(layer.layer(fail).call(Request::new(())).await);
    let failed = [("result", "none"), ("status", "error")];
    assert_eq!(requests(&registry, &failed), 1.0);
    let durations = "http_request_duration_seconds_count";
    assert_eq!(
        registry.sum(durations, &[("result", "complete")]),
        Some(2.0)
    );
    assert_requests_ended(&registry, 5);
}

#[tokio::test]
async fn layers_whose_closures_are_created_again_share_their_limit() {
    fn layer(registry: &Registry, prefix: Option<&'static str>) -> HttpMetricsLayer {
        let plain = HttpLabel::from_request("client", |request| request.header("x-client"));
        let label = match prefix {
            None => plain,
            Some(_) => HttpLabel::from_request("client", move |request| {
                request.header("x-client").or(prefix)
            }),
        };
        let metrics = HttpMetrics::server().label(label.max_values(1));
        metrics.build(registry).unwrap()
    }
    for (capture, ios) in [(None, 0.0), (Some("none"), 1.0)] {
        let registry = Registry::new();
        send(layer(&registry, capture), &[("x-client", "web")]).await;
        send(layer(&registry, capture), &[("x-client", "ios")]).await;
        // A closure that captures a value cannot be compared: each layer has its own limit.
        assert_eq!(requests(&registry, &[("client", "ios")]), ios);
        assert_eq!(requests(&registry, &[("client", "overflow")]), 1.0 - ios);
    }
}

#[test]
fn layers_with_closures_that_cannot_be_compared_are_warned_of_and_limited() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let build = |i: u32| {
        let metrics = HttpMetrics::server().endpoint_fn(move |_| (i > 5000).then_some("/x"));
        metrics.build(&registry)
    };
    for i in 0..1024 {
        assert!(build(i).is_ok());
    }
    assert_eq!(warnings.about("more than 16 metrics layers").len(), 1);
    let error = build(1024).unwrap_err().to_string();
    assert!(error.contains("already has 1024 metrics layers"), "{error}");
    // Configurations that can be compared share a table.
    let registry = Registry::new();
    assert!((0..2000).all(|_| HttpMetrics::server().build(&registry).is_ok()));
}

#[test]
fn label_that_no_metric_has_is_an_error() {
    let label = || HttpLabel::from_request("client", |request| request.header("x-client"));
    let error = HttpMetrics::open_telemetry()
        .label(label())
        .build(Registry::new());
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with(r#"label "client" is on no metric"#),
        "{error}"
    );
    let on_histograms = HttpMetrics::open_telemetry().label(label().on_histograms());
    assert!(on_histograms.build(Registry::new()).is_ok());
}

#[tokio::test]
async fn trailers_of_a_body_of_known_length_are_read() {
    use http_body_util::BodyExt;
    use test_support::body::Step;

    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .label(HttpLabel::from_outcome("checksum", |outcome| {
            outcome.trailer("x-checksum")
        }))
        .build(&registry)
        .unwrap();
    // A server may read the trailers, or stop after the last byte and drop the body.
    for (reads_trailers, checksum) in [(true, "1"), (false, "")] {
        let mut body = ScriptedBody::new([Step::Data("a"), Step::Trailers]);
        body.exact_size = Some(1);
        let mut response = Some(Response::new(body));
        let respond = move |_: Request<()>| ready(Ok::<_, ()>(response.take().unwrap()));
        let response = layer
            .layer(service_fn(respond))
            .call(Request::new(()))
            .await;
        let mut body = Box::pin(response.unwrap().into_body());
        body.frame().await.unwrap().unwrap();
        if reads_trailers {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        assert_eq!(requests(&registry, &[("checksum", checksum)]), 1.0);
    }
    assert_eq!(test_support::aborted_bodies(&registry, "dropped"), 0.0);
    assert_requests_ended(&registry, 2);
}

/// Trailers may follow the last byte, also if the body reports the end of its stream.
#[tokio::test]
async fn request_with_a_label_of_the_outcome_ends_after_the_last_byte() {
    use http_body_util::BodyExt;
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .label(HttpLabel::from_outcome("result", |outcome| {
            outcome.is_complete().then_some("complete")
        }))
        .build(&registry)
        .unwrap();
    for reads_end in [true, false] {
        let mut response = Some(Response::new(ScriptedBody::full("a")));
        let respond = move |_: Request<()>| ready(Ok::<_, ()>(response.take().unwrap()));
        let mut service = layer.layer(service_fn(respond));
        let response = service.call(Request::new(())).await;
        let mut body = Box::pin(response.unwrap().into_body());
        let counted = requests(&registry, &[("result", "complete")]);
        body.frame().await.unwrap().unwrap();
        assert!(http_body::Body::is_end_stream(&body));
        assert_eq!(requests(&registry, &[("result", "complete")]), counted);
        if reads_end {
            assert!(body.frame().await.is_none());
            assert_eq!(
                requests(&registry, &[("result", "complete")]),
                counted + 1.0
            );
        }
        drop(body);
        assert_eq!(
            requests(&registry, &[("result", "complete")]),
            counted + 1.0
        );
    }
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn outcome_function_that_panics_loses_only_its_label() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .label(HttpLabel::from_outcome("broken", |_| panic!("no label")))
        .build(&registry)
        .unwrap();
    send(layer, &[]).await;
    // While the thread unwinds, a second panic would abort the process.
    let service = layer.layer(service_fn(
        |_: Request<()>| -> std::future::Ready<Result<Response<String>, ()>> {
            panic!("the handler panicked")
        },
    ));
    let call =
        std::panic::AssertUnwindSafe(async move { service.clone().call(Request::new(())).await });
    assert!(futures_util::FutureExt::catch_unwind(call).await.is_err());
    assert_eq!(requests(&registry, &[("broken", "")]), 2.0);
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn values_that_are_not_listed_overflow_also_if_listed_values_repeat() {
    let registry = Registry::new();
    let hosts = HttpLabel::host("host").values(["Shop.example", "shop.example", &"x".repeat(2000)]);
    let layer = HttpMetrics::server().label(hosts).build(&registry).unwrap();
    for host in ["SHOP.example", "evil.test"] {
        send(layer, &[("host", host)]).await;
    }
    assert_eq!(requests(&registry, &[("host", "shop.example")]), 1.0);
    assert_eq!(requests(&registry, &[("host", "overflow")]), 1.0);
}

#[test]
fn bytes_of_responses_have_no_label_of_the_outcome() {
    let label = HttpLabel::from_outcome("result", |_| Some("ok")).on_histograms();
    let metrics = HttpMetrics::server()
        .measure(HttpMetric::ResponseBytes)
        .label(label);
    let has_label = |metric| {
        let family = metrics.family(metric).unwrap().unwrap();
        family.labels.iter().any(|label| label.name == "result")
    };
    assert!(!has_label(HttpMetric::ResponseBytes));
    assert!(has_label(HttpMetric::Duration));
}

#[test]
fn routes_times_label_values_are_limited() {
    let values: Vec<_> = (0..101).map(|i| i.to_string()).collect();
    let label = HttpLabel::from_request("client", |request| request.header("x-client"));
    let metrics = HttpMetrics::server().label(label.values(values));
    let metrics = (0..100).fold(metrics, |metrics, i| {
        metrics.preregister(Method::GET, format!("/{i}"), [200])
    });
    let error = metrics.build(Registry::new()).unwrap_err().to_string();
    assert!(
        error.contains("got 10100: 100 routes, and 101 combinations"),
        "{error}"
    );
}
