//! The time that options of the layer add to a request: custom labels, host, response sizes and kinds of errors, and
//! series that can expire.
//!
//! ```text
//! cargo bench --bench options
//! ```

mod support;

use std::convert::Infallible;
use std::time::Duration;

use http::Request;
use support::service::{Hello, send_request};
use support::timing::{Variant, measure, rounds};
use tower::Layer;
use tower_prometheus::http::{Endpoint, ErrorKind, HttpLabel, HttpMetric};
use tower_prometheus::{HttpMetrics, Registry};

/// A request with the headers that the labels read.
fn request() -> Request<()> {
    let request = Request::get("/users/7")
        .header("host", "shop.example:8080")
        .header("x-client", "web")
        .header("x-tenant", "acme")
        .extension(Endpoint::from_static("/users/{id}"));
    request.body(()).unwrap_or_default()
}

fn main() {
    let (rounds, repeat) = rounds();
    let registry = Registry::new();
    let plain = registry.http_layer().layer(Hello);
    let options_registry = Registry::new();
    let options = HttpMetrics::server()
        .label(HttpLabel::from_request("client", |request| {
            request.header("x-client")
        }))
        .label(HttpLabel::from_request("tenant", |request| {
            request.header("x-tenant")
        }))
        .label(HttpLabel::host("host"))
        .measure(HttpMetric::ResponseBodySize)
        .with_error_kind(|_: &Infallible| ErrorKind::OTHER)
        .build(&options_registry)
        .expect("the configuration is valid")
        .layer(Hello);
    let one_label = |registry: &Registry| {
        let tenant = HttpLabel::from_request("tenant", |request| request.header("x-tenant"));
        let layer = HttpMetrics::server().label(tenant).build(registry);
        layer.expect("the configuration is valid").layer(Hello)
    };
    let expiring = || {
        let registry = Registry::builder().idle_timeout(Duration::from_secs(3600));
        registry.build().expect("the settings are valid")
    };
    let expiring_registry = expiring();
    let label = one_label(&Registry::new());
    let expiring_label = one_label(&expiring_registry);
    let expiring_plain = expiring().http_layer().layer(Hello);
    let variants = [
        Variant::new("bare service", |n| {
            (0..n).for_each(|_| send_request(&Hello, request()));
        }),
        Variant::new("plain layer", |n| {
            (0..n).for_each(|_| send_request(&plain, request()));
        }),
        Variant::new("two labels, host, response sizes, error kinds", |n| {
            (0..n).for_each(|_| send_request(&options, request()));
        }),
        Variant::new("plain layer, with an idle timeout", |n| {
            (0..n).for_each(|_| send_request(&expiring_plain, request()));
        }),
        Variant::new("one open label", |n| {
            (0..n).for_each(|_| send_request(&label, request()));
        }),
        Variant::new("one open label, with an idle timeout", |n| {
            (0..n).for_each(|_| send_request(&expiring_label, request()));
        }),
    ];
    let times = measure(&variants, 1, rounds, repeat);

    let requests = (rounds as u64 + 1) * repeat;
    let labels = [
        ("client", "web"),
        ("host", "shop.example"),
        ("status", "200"),
    ];
    let counted = options_registry.sum("http_requests_total", &labels);
    assert_eq!(counted, Some(requests as f64));
    let counted = expiring_registry.sum("http_requests_total", &[("tenant", "acme")]);
    assert_eq!(counted, Some(requests as f64));

    println!("| | request, ns | relative to the plain layer |");
    println!("|---|---:|---:|");
    for (variant, time) in variants.iter().zip(&times) {
        println!("| {} | {time:.0} | {:.2} |", variant.name, time / times[1]);
    }
    let (plain, options) = (times[1] - times[0], times[2] - times[0]);
    println!(
        "\nAdded to the bare service: {plain:.0} and {options:.0} ns, ratio {:.2}",
        options / plain
    );
}
