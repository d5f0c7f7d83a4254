//! Settings that are off by default: custom labels, body sizes, preregistered routes and exemplars.
//!
//! ```text
//! $ cargo run --release --example labels
//! at start-up:
//! http_requests_total{cache="hit",client="web",endpoint="/",method="GET",status="200"} 0
//! http_requests_total{cache="miss",client="web",endpoint="/",method="GET",status="200"} 0
//! after three requests:
//! http_requests_total{cache="hit",client="overflow",endpoint="/",method="GET",status="200"} 1
//! http_requests_total{cache="hit",client="web",endpoint="/",method="GET",status="200"} 1
//! http_requests_total{cache="miss",client="web",endpoint="/",method="GET",status="200"} 1
//! http_request_body_size_bytes_sum{endpoint="/",method="GET"} 15
//! http_response_body_size_bytes_sum{endpoint="/",method="GET"} 9
//! exemplar in the OpenMetrics format:
//! # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"}
//! ```

use std::error::Error;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_prometheus::{
    HttpMetrics, Registry,
    http::{HttpLabel, HttpMetric, RequestBody, TraceId},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let metrics = Registry::new();
    let layer = HttpMetrics::server()
        .endpoint("/")
        .label(HttpLabel::from_request("client", |r| r.header("x-client")).values(["web"]))
        .label(HttpLabel::from_response("cache", |r| r.header("x-cache")).values(["hit", "miss"]))
        .preregister(Method::GET, "/", [200])
        .measure(HttpMetric::ResponseBodySize)
        .exemplar(TraceId::from_traceparent)
        .with_request_body()
        .build(&metrics)?;
    println!("at start-up:");
    print_samples(&metrics, "http_requests_total");

    let mut service = layer.layer(service_fn(respond_with_cache_header));
    for (client, cache) in [("web", "miss"), ("web", "hit"), ("curl", "hit")] {
        let request = Request::get("/")
            .header("x-client", client)
            .header("x-cache", cache)
            .header(
                "traceparent",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            )
            .body(Full::<Bytes>::from("hello"))?;
        service
            .ready()
            .await?
            .call(request)
            .await?
            .into_body()
            .collect()
            .await?;
    }
    println!("after three requests:");
    print_samples(&metrics, "http_requests_total");
    print_samples(&metrics, "http_request_body_size_bytes_sum");
    print_samples(&metrics, "http_response_body_size_bytes_sum");

    println!("exemplar in the OpenMetrics format:");
    let request = Request::get("/metrics").header("accept", "application/openmetrics-text");
    let page = metrics
        .handler()
        .oneshot(request.body(())?)
        .await?
        .into_body()
        .collect()
        .await?;
    let page = String::from_utf8(page.to_bytes().to_vec())?;
    let exemplar = page.lines().find_map(|line| line.split_once(" # "));
    let (_, exemplar) = exemplar.ok_or("no exemplar")?;
    println!("# {}", exemplar.split(' ').next().unwrap_or_default());
    Ok(())
}

/// Reads the request body and copies the header `x-cache` to the response, which the label `cache` reads.
async fn respond_with_cache_header(
    request: Request<RequestBody<Full<Bytes>>>,
) -> Result<Response<String>, Box<dyn Error>> {
    let (head, body) = request.into_parts();
    body.collect().await?;
    let mut response = Response::new("yes".to_owned());
    if let Some(cache) = head.headers.get("x-cache") {
        response.headers_mut().insert("x-cache", cache.clone());
    }
    Ok(response)
}

fn print_samples(metrics: &Registry, name: &str) {
    let page = metrics.render();
    page.lines()
        .filter(|line| line.starts_with(name))
        .for_each(|line| println!("{line}"));
}
