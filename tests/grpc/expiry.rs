//! Learned methods and values of open labels whose series expire: their places under the limits are free again, and no
//! call is lost.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::sync::oneshot;
use tower::{Layer, Service, service_fn};
use tower_prometheus::grpc::{GrpcMetric, GrpcMetricsLayer, GrpcRequestBody, GrpcType};
use tower_prometheus::http::HttpLabel;
use tower_prometheus::{GrpcMetrics, Registry};

use test_support::body::{ScriptedBody, Step};
use test_support::page::samples;
use test_support::render_until_gone;

const MESSAGE: &str = "\0\0\0\0\x01x";

fn expiring() -> Registry {
    let registry = Registry::builder().idle_timeout(Duration::from_millis(1));
    registry.build().unwrap()
}

fn metrics_of(side: &str) -> GrpcMetrics {
    match side {
        "server" => GrpcMetrics::server(),
        _ => GrpcMetrics::client(),
    }
}

/// A call to `method`, or of a tenant: `tenant/method`.
fn request(method: &str) -> Request<ScriptedBody> {
    let (tenant, method) = method.split_once('/').unwrap_or(("", method));
    let request = Request::post(format!("/shop.Orders/{method}"))
        .header("content-type", "application/grpc")
        .header("x-tenant", tenant);
    let body = ScriptedBody::new([Step::Data(MESSAGE)]);
    request.body(body).unwrap()
}

fn tenant() -> HttpLabel {
    HttpLabel::from_request("tenant", |request| request.header("x-tenant"))
}

/// A response with this code in its head, and a message if it is `OK`.
fn response(grpc_status: &str) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", grpc_status);
    let body = if grpc_status == "0" { MESSAGE } else { "" };
    response.body(Full::new(body.into())).unwrap()
}

/// Starts a call. Its response body has not been read.
fn start(layer: GrpcMetricsLayer, method: &str) -> impl http_body::Body + Unpin + use<> {
    let respond = async |request: Request<GrpcRequestBody<ScriptedBody>>| {
        request.into_body().collect().await.unwrap();
        Ok::<_, Infallible>(response("0"))
    };
    let mut service = layer.layer(service_fn(respond));
    let response = service.call(request(method)).now_or_never();
    response.unwrap().unwrap().into_body()
}

fn call(layer: GrpcMetricsLayer, method: &str) {
    let read = start(layer, method).collect().now_or_never();
    assert!(read.unwrap().is_ok());
}

/// A call whose service reads the request, and responds, when it gets the response.
struct PendingCall {
    response: oneshot::Sender<Response<Full<Bytes>>>,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl PendingCall {
    fn start(layer: GrpcMetricsLayer, method: &str) -> Self {
        let (sender, receiver) = oneshot::channel();
        let mut receiver = Some(receiver);
        let respond = move |request: Request<GrpcRequestBody<ScriptedBody>>| {
            let receiver = receiver.take().unwrap();
            async {
                let response = receiver.await.unwrap();
                request.into_body().collect().await.unwrap();
                Ok::<_, Infallible>(response)
            }
        };
        let response = layer.layer(service_fn(respond)).call(request(method));
        let mut future = Box::pin(async {
            let body = response.await.unwrap().into_body();
            body.collect().await.unwrap();
        });
        assert!((&mut future).now_or_never().is_none());
        Self {
            response: sender,
            future,
        }
    }

    fn end(self, grpc_status: &str) {
        self.response.send(response(grpc_status)).unwrap();
        self.future.now_or_never().unwrap();
    }
}

/// The value of a metric of a method.
fn value(registry: &Registry, metric: &str, method: &str) -> Option<f64> {
    registry.sum(metric, &[("grpc_method", method)])
}

#[test]
fn method_beyond_max_methods_gets_its_name_after_another_has_expired() {
    for side in ["server", "client"] {
        let registry = expiring();
        let layer = metrics_of(side).max_methods(1).build(&registry).unwrap();
        let handled = |method| value(&registry, &format!("grpc_{side}_handled_total"), method);
        for methods in [["A", "B"], ["B", "A"], ["A", "B"]] {
            let [known, beyond] = methods;
            call(layer, known);
            call(layer, beyond);
            assert_eq!(handled(known), Some(1.0), "{known} of a {side}");
            assert_eq!(handled(beyond), None, "{beyond} of a {side}");
            let _ = render_until_gone(&registry, &format!("\"{known}\""));
        }
        assert_eq!(handled("overflow"), Some(3.0), "never expires");
    }
}

#[test]
fn preregistered_methods_never_expire() {
    let registry = expiring();
    let metrics = GrpcMetrics::server().max_methods(1);
    let metrics = metrics.method("shop.Orders", "Place", GrpcType::Unary);
    let layer = metrics.build(&registry).unwrap();
    for calls in 1..4 {
        call(layer, "Place");
        call(layer, "Other");
        let page = render_until_gone(&registry, "\"Other\"");
        assert!(page.contains("\"Place\""), "{page}");
        let handled = value(&registry, "grpc_server_handled_total", "Place");
        assert_eq!(handled, Some(f64::from(calls)));
    }
}

#[test]
fn method_of_two_layers_gives_back_its_place_in_both() {
    let registry = expiring();
    let layers = [1, 2].map(|methods| {
        let metrics = GrpcMetrics::client().max_methods(methods);
        metrics.build(&registry).unwrap()
    });
    for _ in 0..3 {
        for method in ["A", "B"] {
            for layer in layers {
                call(layer, method);
            }
            let handled = value(&registry, "grpc_client_handled_total", method);
            assert_eq!(handled, Some(2.0), "{method}");
            let _ = render_until_gone(&registry, &format!("\"{method}\""));
        }
    }
}

#[test]
fn call_in_progress_keeps_its_method() {
    let registry = expiring();
    let layer = GrpcMetrics::client().max_methods(1);
    let layer = layer.build(&registry).unwrap();
    let pending = PendingCall::start(layer, "A");
    let _ = render_until_gone(&registry, "grpc_client_started_total{");
    call(layer, "B");
    let get = |metric: &str, method| value(&registry, &format!("grpc_client_{metric}"), method);
    assert_eq!(get("handled_total", "B"), None, "the place is taken");
    assert_eq!(get("in_progress", "A"), Some(1.0));
    pending.end("0");
    assert_eq!(get("in_progress", "A"), Some(0.0));
    assert_eq!(get("handled_total", "A"), Some(1.0));
    let _ = render_until_gone(&registry, "\"A\"");
    call(layer, "B");
    assert_eq!(get("handled_total", "B"), Some(1.0));
}

/// Without the gauge of calls in progress, the series of a call that lasts expire before it ends.
#[test]
fn end_of_a_call_whose_method_is_forgotten_is_recorded_in_the_series_of_the_method() {
    for method_is_known_again in [false, true] {
        let registry = expiring();
        let layer = GrpcMetrics::client().max_methods(2);
        let layer = layer.without(GrpcMetric::InProgress);
        let layer = layer.build(&registry).unwrap();
        let get = |metric: &str, method| value(&registry, &format!("grpc_client_{metric}"), method);
        let pending = PendingCall::start(layer, "A");
        assert_eq!(get("started_total", "A"), Some(1.0));
        let _ = render_until_gone(&registry, "\"A\"");
        let before = if method_is_known_again {
            call(layer, "A");
            1.0
        } else {
            0.0
        };
        call(layer, "B");
        pending.end("0");
        for (metric, n) in [
            ("handled_total", 1.0),
            ("handling_seconds_count", 1.0),
            ("msg_sent_total", 1.0),
            ("msg_received_total", 1.0),
        ] {
            assert_eq!(get(metric, "A"), Some(before + n), "{metric}");
            assert_eq!(get(metric, "B"), Some(1.0), "{metric}");
            assert_eq!(get(metric, "overflow"), None, "{metric}");
        }
        for method in ["A", "B"] {
            let _ = render_until_gone(&registry, &format!("\"{method}\""));
        }
        for method in ["C", "D"] {
            call(layer, method);
            assert_eq!(get("handled_total", method), Some(1.0), "{method}");
        }
    }
}

#[test]
fn deferred_call_gets_the_name_that_its_method_has_when_it_ends() {
    let registry = expiring();
    let layer = GrpcMetrics::server().max_methods(1);
    let layer = layer.build(&registry).unwrap();
    let get = |metric: &str, method| value(&registry, &format!("grpc_server_{metric}"), method);
    let [found, failed, other] = ["A", "A", "B"].map(|method| PendingCall::start(layer, method));
    call(layer, "A");
    let _ = render_until_gone(&registry, "\"A\"");
    failed.end("5");
    assert_eq!(get("handled_total", "unknown"), Some(1.0), "forgotten");
    found.end("0");
    for metric in [
        "started_total",
        "handled_total",
        "msg_received_total",
        "msg_sent_total",
    ] {
        assert_eq!(get(metric, "A"), Some(1.0), "{metric}");
    }
    assert_eq!(get("in_progress", "A"), Some(0.0));
    other.end("0");
    assert_eq!(get("handled_total", "overflow"), Some(1.0));
    assert_eq!(get("in_progress", "overflow"), Some(0.0));
}

#[test]
fn value_of_an_open_label_gets_its_place_after_another_has_expired() {
    for label in [tenant(), tenant().on_histograms(), tenant().on_everything()] {
        for method in ["Place", "Learned"] {
            let registry = expiring();
            let metrics = GrpcMetrics::server().max_methods(1);
            let metrics = metrics.method("shop.Orders", "Place", GrpcType::Unary);
            let metrics = metrics.label(label.clone().max_values(1));
            let layer = metrics.build(&registry).unwrap();
            let handled = |tenant| {
                let labels = [("tenant", tenant), ("grpc_method", method)];
                registry.sum("grpc_server_handled_total", &labels)
            };
            let mut without = 0.0;
            for tenants in [["a", "b"], ["b", "a"], ["a", "b"]] {
                let [known, beyond] = tenants;
                call(layer, &format!("{known}/{method}"));
                call(layer, &format!("{beyond}/{method}"));
                assert_eq!(handled(known), Some(1.0), "{known} of {method}");
                assert_eq!(handled(beyond), None, "{beyond} of {method}");
                assert_eq!(handled("overflow"), Some(1.0), "{method}");
                // Other series of the method are still recorded.
                let is_shown = |page: String| {
                    let mut tenants = [known, "overflow"].into_iter();
                    tenants.any(|tenant| page.contains(&format!("tenant=\"{tenant}\"")))
                };
                let deadline = Instant::now() + Duration::from_secs(20);
                while is_shown(registry.render()) {
                    call(layer, &format!("/{method}"));
                    without += 1.0;
                    assert!(Instant::now() < deadline, "{known} of {method}");
                }
            }
            let overflow = [("family", "grpc_server_handled_total"), ("label", "tenant")];
            let overflow = registry.sum("metrics_label_overflow_total", &overflow);
            assert_eq!(overflow, Some(3.0));
            if method == "Place" {
                assert_eq!(handled(""), Some(without), "it is preregistered");
            }
        }
    }
}

#[test]
fn preregistered_methods_with_open_labels_need_no_place_of_a_learned_method() {
    let registry = expiring();
    let metrics = GrpcMetrics::client().max_methods(1).label(tenant());
    let metrics = metrics.method("shop.Orders", "Place", GrpcType::Unary);
    let layer = metrics.build(&registry).unwrap();
    for method in ["a/Learned", "a/Beyond", "a/Place", "b/Place"] {
        call(layer, method);
    }
    let handled = |method| value(&registry, "grpc_client_handled_total", method);
    assert_eq!(handled("Learned"), Some(1.0));
    assert_eq!(handled("Place"), Some(2.0));
    assert_eq!(handled("overflow"), Some(1.0));
    let place = [
        ("grpc_method", "Place"),
        ("grpc_type", "unary"),
        ("tenant", "a"),
    ];
    let place = registry.sum("grpc_client_handled_total", &place);
    assert_eq!(place, Some(1.0));
}

/// The method is unknown at first, and the tenant has expired meanwhile.
#[test]
fn deferred_call_keeps_its_open_labels() {
    let registry = expiring();
    let label = tenant().on_everything().max_values(1);
    let metrics = GrpcMetrics::server().max_methods(1).label(label);
    let layer = metrics.build(&registry).unwrap();
    let calls = ["a/A", "a/A", "/A"].map(|method| PendingCall::start(layer, method));
    call(layer, "a/A");
    let _ = render_until_gone(&registry, "\"A\"");
    let [found, failed, without] = calls;
    failed.end("5");
    found.end("0");
    without.end("0");
    for metric in ["started_total", "handled_total", "msg_received_total"] {
        for (tenant, method) in [("a", "unknown"), ("a", "A"), ("", "A")] {
            let labels = [("tenant", tenant), ("grpc_method", method)];
            let value = registry.sum(&format!("grpc_server_{metric}"), &labels);
            assert_eq!(value, Some(1.0), "{metric} of {tenant} {method}");
        }
    }
}

/// The place of the method is taken when the response has another value of an open label.
#[test]
fn labels_of_a_response_are_on_the_end_of_a_call_whose_method_is_forgotten() {
    let registry = expiring();
    let code = HttpLabel::from_response("code", |response| response.header("grpc-status"));
    let metrics = GrpcMetrics::client()
        .max_methods(1)
        .label(code)
        .label(tenant());
    let layer = metrics.without(GrpcMetric::InProgress).build(&registry);
    let layer = layer.unwrap();
    let ended = PendingCall::start(layer, "a/A");
    let cancelled = PendingCall::start(layer, "a/A");
    let _ = render_until_gone(&registry, "\"A\"");
    call(layer, "b/B");
    ended.end("7");
    drop(cancelled);
    let handled = |labels: &[(&str, &str)]| registry.sum("grpc_client_handled_total", labels);
    let of_a = [("grpc_method", "A"), ("tenant", "a"), ("code", "7")];
    assert_eq!(handled(&of_a), Some(1.0));
    let of_a = [("grpc_method", "A"), ("tenant", "a"), ("code", "")];
    assert_eq!(handled(&of_a), Some(1.0));
    assert_eq!(handled(&[]), Some(3.0));
    let _ = render_until_gone(&registry, "\"A\"");
    let _ = render_until_gone(&registry, "\"B\"");
    call(layer, "/C");
    assert_eq!(handled(&[("grpc_method", "C")]), Some(1.0));
}

/// What a series has counted over all its lives. A life ends where a page does not have the series.
#[derive(Default)]
struct Lives {
    ended: f64,
    current: f64,
    count: u64,
}

#[derive(Default)]
struct Totals(BTreeMap<String, Lives>);

impl Totals {
    /// Reads a page.
    fn read(&mut self, registry: &Registry) {
        let page = samples(&registry.render());
        for (series, value) in &page {
            assert!(*value >= 0.0, "{series} {value}");
            if !series.contains("_in_progress") {
                self.0.entry(series.clone()).or_default();
            }
        }
        for (series, lives) in &mut self.0 {
            match page.get(series) {
                Some(value) => {
                    assert!(*value >= lives.current, "{series}");
                    lives.current = *value;
                }
                None => {
                    lives.count += u64::from(lives.current > 0.0);
                    lives.ended += std::mem::take(&mut lives.current);
                }
            }
        }
    }

    fn of(&self, metric: &str) -> f64 {
        let series = self.0.iter();
        let series = series.filter(|(name, _)| name.starts_with(&format!("{metric}{{")));
        series.map(|(_, lives)| lives.ended + lives.current).sum()
    }

    fn lives(&self) -> u64 {
        self.0.values().map(|lives| lives.count).sum()
    }
}

#[test]
fn totals_over_all_lives_equal_the_calls_of_several_threads() {
    const THREADS: usize = 3;
    for side in ["server", "client"] {
        for has_in_progress in [false, true] {
            let registry = expiring();
            let label = tenant().on_everything().max_values(3);
            let metrics = metrics_of(side).max_methods(8).label(label);
            let layer = match has_in_progress {
                true => metrics.build(&registry),
                false => metrics.without(GrpcMetric::InProgress).build(&registry),
            };
            let layer = layer.unwrap();
            let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
            let mut totals = Totals::default();
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let (stop, calls) = (&stop, &calls);
                    scope.spawn(move || record(layer, thread, stop, calls));
                }
                let deadline = Instant::now() + Duration::from_secs(60);
                while totals.lives() < 300 {
                    totals.read(&registry);
                    assert!(Instant::now() < deadline, "{} lives", totals.lives());
                }
                stop.store(true, Ordering::Relaxed);
            });
            totals.read(&registry);
            let calls = calls.load(Ordering::Relaxed) as f64;
            for metric in [
                "started_total",
                "handled_total",
                "msg_sent_total",
                "handling_seconds_count",
            ] {
                let total = totals.of(&format!("grpc_{side}_{metric}"));
                assert_eq!(total, calls, "{metric} of a {side}, {has_in_progress}");
            }
            let in_progress = registry.sum(&format!("grpc_{side}_in_progress"), &[]);
            assert_eq!(in_progress.unwrap_or_default(), 0.0);
        }
    }
}

/// Calls four methods for a while, then the next four, and so on, with some calls in progress.
fn record(layer: GrpcMetricsLayer, thread: usize, stop: &AtomicBool, calls: &AtomicU64) {
    let mut in_progress = VecDeque::new();
    for i in 0_usize.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let phase = (i / 2000 + thread) % 6;
        in_progress.push_back(start(
            layer,
            &format!("{}/M{}", phase % 5, 4 * phase + i % 4),
        ));
        calls.fetch_add(1, Ordering::Relaxed);
        if in_progress.len() > 20 {
            let body = in_progress.pop_front().unwrap();
            assert!(body.collect().now_or_never().unwrap().is_ok());
        }
    }
    for body in in_progress {
        assert!(body.collect().now_or_never().unwrap().is_ok());
    }
}
