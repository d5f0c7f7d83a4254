//! Writes dashboards, rules and scrape configurations for a shop, generated from the configuration of its layers.
//!
//! ```text
//! $ cargo run -p tower-prometheus-mixin --example mixin -- /tmp/shop
//! $ promtool check rules /tmp/shop/rules/*.yml
//! ```

use std::env;

use tower_prometheus::{GrpcMetrics, HttpMetrics, http::HttpMetric};
use tower_prometheus_mixin::{
    Dashboard, Definitions, Error, Mixin, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Slo,
};

/// The configuration of the HTTP layer: the service calls this function, too.
fn http() -> HttpMetrics {
    HttpMetrics::server().measure(HttpMetric::ResponseBodySize)
}

fn grpc() -> GrpcMetrics {
    GrpcMetrics::server()
}

fn mixin() -> Result<Mixin, Error> {
    let (http, grpc) = (http(), grpc());
    let definitions = Definitions::new(http.families()?).and(grpc.families()?);
    let rules = Rules::new(definitions.clone())
        .job("shop")
        .group(RuleGroup::http("http", &http)?)
        .group(RuleGroup::grpc("grpc", &grpc)?)
        .group(Slo::http_availability("http", 0.999, &http)?.group()?)
        .group(Slo::http_latency("http_fast", 0.99, 0.25, &http)?.group()?)
        .group(Slo::grpc_availability("grpc", 0.999, &grpc)?.group()?)
        .group(Slo::grpc_latency("grpc_fast", 0.99, 1.0, &grpc)?.group()?)
        .group(RuleGroup::health("health", definitions));
    Ok(Mixin::new()
        .dashboard(Dashboard::http("shop-http", "Shop: HTTP", &http)?)
        .dashboard(Dashboard::grpc("shop-grpc", "Shop: gRPC", &grpc)?)
        .rules("shop", rules)
        .scrape_config(
            ScrapeConfig::new()
                .interval("15s")
                .job(ScrapeJob::new("shop").target("shop:3000"))
                .rule_file("rules/shop.yml"),
        ))
}

fn main() -> Result<(), Error> {
    let directory = env::args().nth(1).unwrap_or_else(|| "mixin".to_owned());
    mixin()?.write_to(&directory)?;
    println!("written to {directory}");
    Ok(())
}
