//! Series of open labels that expire, with a clock that is advanced by hand.

use std::convert::Infallible;
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service, service_fn};

use crate::clock::stepped;
use crate::http::config::http_label::HttpLabel;
use crate::http::config::http_metric::HttpMetric;
use crate::http::config::http_metrics::HttpMetrics;
use crate::http::labels::endpoint::Endpoint;
use crate::http::labels::skip_metrics::SkipMetrics;
use crate::http::middleware::layer::HttpMetricsLayer;
use crate::http::middleware::long_lived::LongLived;
use crate::registry::Registry;
use crate::sink::overflow::OVERFLOW;

const TIMEOUT: Duration = Duration::from_secs(60);
const REQUESTS: &str = "http_requests_total";
const IN_PROGRESS: &str = "http_requests_in_progress";

fn registry() -> Registry {
    let registry = Registry::builder().idle_timeout(TIMEOUT);
    registry.build().unwrap()
}

fn tenant() -> HttpLabel {
    HttpLabel::from_request("tenant", |request| request.header("x-tenant"))
}

fn layer_of(registry: &Registry, labels: impl IntoIterator<Item = HttpLabel>) -> HttpMetricsLayer {
    let metrics = labels
        .into_iter()
        .fold(HttpMetrics::server(), HttpMetrics::label);
    metrics.build(registry).unwrap()
}

fn request_of(tenant: &str) -> Request<()> {
    let endpoint = Endpoint::from_static("/orders");
    let request = Request::get("/").extension(endpoint);
    request.header("x-tenant", tenant).body(()).unwrap()
}

struct Empty;

impl Body for Empty {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

/// Sends a request, and reads its response to the end.
fn send_to(layer: &HttpMetricsLayer, request: Request<()>, response: Response<Empty>) {
    let mut response = Some(response);
    let answer = service_fn(move |_: Request<()>| ready(Ok::<_, ()>(response.take().unwrap())));
    let response = pin!(layer.layer(answer).call(request));
    let polled = response.poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready());
}

fn send(layer: &HttpMetricsLayer, tenant: &str) {
    send_to(layer, request_of(tenant), Response::new(Empty));
}

/// Shows what is recorded, and lets everything that is idle expire.
fn expire(registry: &Registry) {
    let _ = registry.render();
    stepped::advance(TIMEOUT);
    let _ = registry.render();
    let _ = registry.render();
}

fn requests(registry: &Registry, label: &str, value: &str) -> Option<f64> {
    registry.sum(REQUESTS, &[(label, value)])
}

#[test]
fn values_beyond_the_limit_get_their_names_after_the_timeout() {
    let registry = registry();
    let layer = layer_of(&registry, [tenant().max_values(3)]);
    let of = |tenant| requests(&registry, "tenant", tenant);
    for value in ["live", "scan1", "scan2", "acme"] {
        send(&layer, value);
    }
    assert_eq!(
        (of("scan2"), of("acme"), of(OVERFLOW)),
        (Some(1.0), None, Some(1.0))
    );
    for _ in 0..6 {
        let _ = registry.render();
        stepped::advance(TIMEOUT / 3);
        send(&layer, "live");
    }
    assert_eq!((of("scan1"), of("scan2"), of(OVERFLOW)), (None, None, None));
    assert_eq!(of("live"), Some(7.0), "it never left the page");
    for value in ["acme", "beta", "scan1"] {
        send(&layer, value);
    }
    assert_eq!(
        (of("acme"), of("beta"), of("scan1")),
        (Some(1.0), Some(1.0), None)
    );
    let overflow = registry.sum("metrics_label_overflow_total", &[("label", "tenant")]);
    assert_eq!(overflow, Some(2.0));
}

#[test]
fn series_without_open_labels_never_expire() {
    let registry = registry();
    let plan = HttpLabel::from_request("plan", |_| Some("free")).values(["free"]);
    let layer = layer_of(&registry, [tenant(), plan]);
    send(&layer, "a");
    send(&layer, "");
    for _ in 0..3 {
        expire(&registry);
    }
    assert_eq!(requests(&registry, "tenant", "a"), None);
    assert_eq!(requests(&registry, "plan", "free"), Some(1.0));
    let duration = registry.sum("http_request_duration_seconds_count", &[]);
    assert_eq!(duration, Some(2.0), "it has no open label");
    assert_eq!(registry.sum(IN_PROGRESS, &[]), Some(0.0));
}

#[test]
fn metrics_that_do_not_have_the_label_never_expire() {
    let registry = registry();
    let layer = layer_of(&registry, [tenant()]);
    send(&layer, "a");
    for _ in 0..3 {
        expire(&registry);
    }
    assert_eq!(requests(&registry, "tenant", "a"), None);
    let duration = registry.sum("http_request_duration_seconds_count", &[]);
    assert_eq!(duration, Some(1.0));
    assert_eq!(registry.sum(IN_PROGRESS, &[]), Some(0.0));
}

#[test]
fn request_in_progress_across_the_expiry_of_its_tenant_ends_in_its_series() {
    let everything = || tenant().on_everything().max_values(2);
    let on_requests = || tenant().max_values(2);
    for label in [everything as fn() -> HttpLabel, on_requests] {
        let registry = registry();
        let layer = layer_of(&registry, [label()]);
        send(&layer, "a");
        let (answered, answer) = tokio::sync::oneshot::channel();
        let mut answer = Some(answer);
        let mut service = layer.layer(service_fn(move |_: Request<()>| answer.take().unwrap()));
        let mut response = pin!(service.call(request_of("a")));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(response.as_mut().poll(cx).is_pending());
        for round in 0..5 {
            // Scanners use up the limit, and the place of "a" if it is free.
            for i in 0..4 {
                send(&layer, &format!("scan{round}.{i}"));
            }
            assert_eq!(registry.sum(IN_PROGRESS, &[]), Some(1.0));
            expire(&registry);
        }
        assert_eq!(requests(&registry, "tenant", "a"), None);
        assert!(answered.send(Response::new(Empty)).is_ok());
        assert!(response.as_mut().poll(cx).is_ready());
        let _ = registry.render();
        assert_eq!(requests(&registry, "tenant", "a"), Some(1.0));
        assert_eq!(registry.sum(REQUESTS, &[]), Some(1.0));
        assert_eq!(registry.sum(IN_PROGRESS, &[]), Some(0.0));
        expire(&registry);
        assert_eq!(registry.sum(REQUESTS, &[]), None);
    }
}

#[test]
fn guarded_connection_stays_in_the_gauge_across_the_expiry_of_its_tenant() {
    let registry = registry();
    let layer = layer_of(&registry, [tenant().on_everything()]);
    let (mark, guard) = LongLived::guarded("websocket");
    let response = Response::builder().status(101).extension(mark);
    send_to(&layer, request_of("a"), response.body(Empty).unwrap());
    let open = || registry.sum("http_connections_open", &[("tenant", "a")]);
    for _ in 0..4 {
        expire(&registry);
        assert_eq!(open(), Some(1.0));
    }
    assert_eq!(requests(&registry, "tenant", "a"), None);
    drop(guard);
    assert_eq!(open(), Some(0.0));
    for _ in 0..2 {
        expire(&registry);
    }
    assert_eq!(open(), None);
    send(&layer, "a");
    assert_eq!(requests(&registry, "tenant", "a"), Some(1.0));
}

#[test]
fn values_of_responses_and_outcomes_are_forgotten_too() {
    let registry = registry();
    let cache = HttpLabel::from_response("cache", |response| response.header("x-cache"));
    let zone = HttpLabel::from_outcome("zone", |outcome| outcome.is_complete().then_some("north"));
    let labels = [
        tenant().max_values(2),
        cache.max_values(2),
        zone.max_values(1),
    ];
    let layer = layer_of(&registry, labels);
    let mut named = 0;
    for round in 0..40 {
        for i in 0..2 {
            let value = format!("{round}.{i}");
            let response = Response::builder().header("x-cache", &value);
            send_to(&layer, request_of(&value), response.body(Empty).unwrap());
            let labels = [("tenant", &*value), ("cache", &*value), ("zone", "north")];
            named += usize::from(registry.sum(REQUESTS, &labels) == Some(1.0));
        }
        assert_eq!(requests(&registry, "zone", "north"), Some(2.0));
        expire(&registry);
    }
    // The rows of the requests, which have no series, are forgotten when their labels are full.
    assert!(named >= 40, "{named} of 80 values had their names");
}

#[test]
fn values_of_requests_that_are_not_counted_are_forgotten() {
    let registry = registry();
    let layer = layer_of(&registry, [tenant().max_values(2)]);
    for value in ["skipped1", "skipped2"] {
        let response = Response::builder().extension(SkipMetrics);
        let mut responses = Some([None, response.body(Empty).ok()].into_iter());
        let mut service = layer.layer(service_fn(move |_: Request<()>| {
            let mut responses = responses.take().unwrap();
            poll_fn(move |_| match responses.next().unwrap() {
                Some(response) => Poll::Ready(Ok::<_, ()>(response)),
                None => Poll::Pending,
            })
        }));
        let mut response = pin!(service.call(request_of(value)));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(response.as_mut().poll(cx).is_pending());
        assert!(response.as_mut().poll(cx).is_ready());
    }
    send(&layer, "a");
    stepped::advance(TIMEOUT);
    send(&layer, "a");
    stepped::advance(TIMEOUT);
    send(&layer, "a");
    assert_eq!(requests(&registry, "tenant", "a"), Some(1.0));
    assert_eq!(requests(&registry, "tenant", OVERFLOW), Some(2.0));
}

#[test]
fn label_of_the_gauge_and_other_labels_have_separate_rows() {
    let registry = registry();
    let user = HttpLabel::from_request("user", |request| request.header("x-user"));
    let labels = [tenant().on_everything().max_values(1), user.max_values(1)];
    let layer = layer_of(&registry, labels);
    let send = |user: &str| {
        let mut request = request_of("a");
        request
            .headers_mut()
            .insert("x-user", user.parse().unwrap());
        send_to(&layer, request, Response::new(Empty));
    };
    for round in 0..5 {
        let user = format!("user{round}");
        send(&user);
        assert_eq!(requests(&registry, "user", &user), Some(1.0), "{round}");
        assert_eq!(registry.sum(IN_PROGRESS, &[("tenant", "a")]), Some(0.0));
        expire(&registry);
        assert_eq!(registry.sum(IN_PROGRESS, &[]), None);
    }
}

#[test]
fn values_that_ignore_case_are_one_value() {
    let registry = registry();
    let layer = layer_of(&registry, [HttpLabel::host("host").max_values(2), tenant()]);
    for host in ["SHOP.example", "shop.example", "Shop.Example:80"] {
        let mut request = request_of("Acme");
        request.headers_mut().insert("host", host.parse().unwrap());
        send_to(&layer, request, Response::new(Empty));
    }
    let labels = [("host", "shop.example"), ("tenant", "Acme")];
    assert_eq!(registry.sum(REQUESTS, &labels), Some(3.0));
}

#[test]
fn two_layers_with_the_same_series_keep_the_values_while_one_of_them_records() {
    let registry = registry();
    let layer = || {
        let name = String::from("x-tenant");
        // The function captures a value, so the layers differ.
        let tenant = HttpLabel::from_request("tenant", move |request| request.header(&name));
        layer_of(&registry, [tenant.max_values(2)])
    };
    let (one, other) = (layer(), layer());
    let of = |tenant| requests(&registry, "tenant", tenant);
    send(&one, "a");
    send(&other, "a");
    send(&one, "b");
    send(&one, "c");
    assert_eq!((of("a"), of("b"), of("c")), (Some(2.0), Some(1.0), None));
    for _ in 0..4 {
        let _ = registry.render();
        stepped::advance(TIMEOUT / 2);
        send(&other, "a");
    }
    send(&one, "c");
    send(&one, "d");
    assert_eq!(
        (of("a"), of("b"), of("c"), of("d")),
        (Some(6.0), None, Some(1.0), None)
    );
    for _ in 0..2 {
        expire(&registry);
    }
    send(&one, "d");
    send(&one, "e");
    assert_eq!((of("d"), of("e")), (Some(1.0), Some(1.0)));
}

#[test]
fn preregistered_routes_never_expire() {
    let registry = registry();
    let plan = HttpLabel::from_request("plan", |request| request.header("x-tenant"));
    let metrics = HttpMetrics::server().label(plan.values(["free"]));
    let metrics = metrics.preregister(Method::GET, "/orders", [200]);
    let layer = metrics.measure(HttpMetric::ResponseBytes);
    let layer = layer.build(&registry).unwrap();
    let series = || requests(&registry, "plan", "free");
    for _ in 0..3 {
        expire(&registry);
    }
    assert_eq!(series(), Some(0.0));
    send(&layer, "free");
    for _ in 0..3 {
        expire(&registry);
    }
    assert_eq!(series(), Some(1.0));
}
