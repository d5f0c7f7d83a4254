//! Native histograms and the protobuf format: against client_golang, and scraped by Prometheus.

mod differential;
mod exemplars;
mod first_requests;
mod load;
mod messages;
mod page;
mod prometheus;

use http::header::ACCEPT;
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_prometheus::Registry;

use self::messages::MetricFamily;

/// What Prometheus 2.42 sends if native histograms are enabled.
pub const PROMETHEUS_2: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
    application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,\
    text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// What Prometheus 3.5 sends if native histograms are enabled.
pub const PROMETHEUS_3: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
    escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
    application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
    text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

/// Scrapes the page with an `Accept` header.
pub async fn scrape(registry: &Registry, accept: &str) -> Response<Vec<u8>> {
    let request = Request::get("/metrics")
        .header(ACCEPT, accept)
        .body(())
        .unwrap();
    let response = registry.handler().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes().into())
}

/// Scrapes the families of the page in the protobuf format.
pub async fn families(registry: &Registry, accept: &str) -> Vec<MetricFamily> {
    let page = scrape(registry, accept).await;
    let content_type = page.headers()["content-type"].to_str().unwrap();
    let protobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    let scheme = content_type.strip_prefix(protobuf);
    assert!(
        matches!(scheme, Some("" | "; escaping=allow-utf-8")),
        "{content_type}"
    );
    messages::decode(page.body())
}
