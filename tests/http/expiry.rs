//! Series of custom labels that expire.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response};
use tower::{Layer, Service, service_fn};
use tower_prometheus::http::{Endpoint, HttpLabel, HttpMetric};
use tower_prometheus::{HttpMetrics, HttpMetricsLayer, Registry};

use test_support::lives::Lives;
use test_support::render_until_gone;
use test_support::service::{ok, request_to};

fn expiring() -> Registry {
    let registry = Registry::builder().idle_timeout(Duration::from_millis(1));
    registry.build().unwrap()
}

#[tokio::test]
async fn series_of_open_label_values_expire_and_return_from_0() {
    let registry = expiring();
    let tenant = HttpLabel::from_request("tenant", |request| request.header("x-tenant"));
    let plan = HttpLabel::from_request("plan", |request| request.header("x-plan"));
    let metrics = HttpMetrics::server()
        .label(tenant.on_histograms())
        .label(plan.values(["free", "paid"]))
        .measure(HttpMetric::ResponseBytes);
    let mut service = metrics.build(&registry).unwrap().layer(service_fn(ok));
    let mut call = async |tenant: &'static str, plan: &'static str| {
        let mut request = request_to("/orders");
        let headers = request.headers_mut();
        headers.insert("x-tenant", tenant.parse().unwrap());
        headers.insert("x-plan", plan.parse().unwrap());
        drop(service.call(request).await.unwrap());
    };
    let requests = |labels| registry.sum("http_requests_total", labels);
    for _ in 0..3 {
        call("a", "free").await;
        call("", "paid").await;
        assert_eq!(requests(&[("tenant", "a")]), Some(1.0));
        let durations = registry.sum("http_request_duration_seconds_count", &[("tenant", "a")]);
        assert_eq!(durations, Some(1.0));
        let page = render_until_gone(&registry, "tenant=\"a\"");
        assert!(
            page.contains("plan=\"paid\""),
            "its values are listed:\n{page}"
        );
    }
    assert_eq!(requests(&[("plan", "paid")]), Some(3.0));
}

#[tokio::test]
async fn series_of_a_client_expire_by_host() {
    let registry = expiring();
    let layer = HttpMetrics::client().build(&registry).unwrap();
    let mut service = layer.layer(service_fn(ok));
    for _ in 0..2 {
        let request = http::Request::get("http://peer.example/").body(()).unwrap();
        drop(service.call(request).await.unwrap());
        let labels = [("host", "peer.example")];
        assert_eq!(
            registry.sum("http_client_requests_total", &labels),
            Some(1.0)
        );
        let _ = render_until_gone(&registry, "peer.example");
    }
    assert_eq!(registry.sum("http_client_requests_in_progress", &[]), None);
}

const TENANTS: usize = 12;

/// Sends requests of tenants that come and go, of which several are in progress at the same time. Returns how many each
/// tenant has sent.
fn send_of_tenants(layer: &HttpMetricsLayer, thread: usize) -> [f64; TENANTS] {
    const ROUNDS: usize = 20_000;
    let mut sent = [0.0; TENANTS];
    let mut in_progress = VecDeque::new();
    for round in 0..ROUNDS {
        let (answered, answer) = tokio::sync::oneshot::channel::<Response<String>>();
        let mut answer = Some(answer);
        let answer = move |_: Request<()>| answer.take().unwrap();
        let mut service = layer.layer(service_fn(answer));
        // Each tenant sends requests for a while, and then does not for a while.
        let tenant = (round / 200 + thread * 5) % TENANTS;
        sent[tenant] += 1.0;
        let request = Request::get("/").header("x-tenant", format!("t{tenant}."));
        let request = request.extension(Endpoint::from_static("/orders"));
        let mut response = Box::pin(service.call(request.body(()).unwrap()));
        if round % 3 > 0 {
            assert!(response.as_mut().now_or_never().is_none());
        }
        in_progress.push_back((answered, response, round));
        if in_progress.len() > 5 {
            let (answered, response, round) = in_progress.pop_front().unwrap();
            if round % 7 > 0 {
                let response_of = Response::builder().header("x-cache", format!("c{}", round % 2));
                answered
                    .send(response_of.body(String::new()).unwrap())
                    .unwrap();
                drop(response.now_or_never().unwrap().unwrap());
            }
        }
        if round % 50 == 0 {
            std::thread::yield_now();
        }
    }
    sent
}

#[test]
fn totals_over_all_lives_equal_the_requests_that_were_sent() {
    const THREADS: usize = 4;
    for max_tenants in [50, 5] {
        let registry = expiring();
        let tenant = HttpLabel::from_request("tenant", |request| request.header("x-tenant"));
        let cache = HttpLabel::from_response("cache", |response| response.header("x-cache"));
        let metrics = HttpMetrics::server()
            .label(tenant.on_everything().max_values(max_tenants))
            .label(cache);
        let layer = metrics.build(&registry).unwrap();
        let done = AtomicBool::new(false);
        let (sent, mut lives) = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let layer = &layer;
                    scope.spawn(move || send_of_tenants(layer, thread))
                })
                .collect();
            let (registry, done) = (&registry, &done);
            let scraper = scope.spawn(move || {
                let mut lives = Lives::default();
                while !done.load(Ordering::Acquire) {
                    lives.read(&registry.render());
                }
                lives
            });
            let mut sent = [0.0; TENANTS];
            for sender in senders {
                let of_thread = sender.join().unwrap();
                sent.iter_mut()
                    .zip(of_thread)
                    .for_each(|(all, one)| *all += one);
            }
            done.store(true, Ordering::Release);
            (sent, scraper.join().unwrap())
        });
        lives.read(&registry.render());
        assert_eq!(
            registry
                .sum("http_requests_in_progress", &[])
                .unwrap_or_default(),
            0.0
        );
        let total: f64 = sent.iter().sum();
        for metric in ["http_requests_total", "http_request_duration_seconds_count"] {
            assert_eq!(lives.total(metric, ""), total, "{metric}");
            if max_tenants > TENANTS {
                assert!(lives.ended() > 100, "{} series have expired", lives.ended());
                for (tenant, sent) in sent.iter().enumerate() {
                    let label = format!("tenant=\"t{tenant}.\"");
                    assert_eq!(lives.total(metric, &label), *sent, "{metric}, {label}");
                }
            }
        }
        while registry.sum("http_requests_total", &[]).is_some() {
            lives.read(&registry.render());
        }
        assert_eq!(lives.total("http_requests_total", ""), total);
    }
}

#[tokio::test]
async fn preregistered_routes_stay() {
    let registry = expiring();
    let plan = HttpLabel::from_request("plan", |request| request.header("x-plan"));
    let metrics = HttpMetrics::server()
        .label(plan.values(["free"]))
        .preregister(http::Method::GET, "/orders", [200, 404]);
    let mut service = metrics.build(&registry).unwrap().layer(service_fn(ok));
    let of = |status| registry.sum("http_requests_total", &[("status", status)]);
    for sent in 0..3 {
        // Something that expires, as proof that the time has passed.
        metrics::with_local_recorder(&registry, || metrics::counter!("jobs_total").increment(1));
        let _ = render_until_gone(&registry, "jobs_total");
        assert_eq!((of("200"), of("404")), (Some(f64::from(sent)), Some(0.0)));
        let mut request = request_to("/orders");
        request
            .headers_mut()
            .insert("x-plan", "free".parse().unwrap());
        drop(service.call(request).await.unwrap());
    }
}
