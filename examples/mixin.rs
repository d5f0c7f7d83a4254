//! Writes what a team deploys beside a shop: dashboards, rules and scrape configurations, all made from
//! the configuration that its layers record by.
//!
//! ```text
//! $ cargo run --features mixin --example mixin -- /tmp/shop
//! $ promtool check rules /tmp/shop/rules/*.yml
//! ```

use std::env;

use tower_prometheus::mixin::{
    Dashboard, Definitions, Mixin, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Slo,
};
use tower_prometheus::{Error, Family, GrpcMetrics, HttpMetrics};

/// The layer's configuration: the service makes its layer of the same.
fn http() -> HttpMetrics {
    HttpMetrics::server().measure(Family::ResponseBodySize)
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
