use tower_prometheus::HttpMetrics;
use tower_prometheus_mixin::{
    Dashboard, Error, Mixin, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Slo,
};

fn main() -> Result<(), Error> {
    mixin()?.write_to("deploy/monitoring")
}

/// The configuration of the layer, from the library of the service, which calls `build` on it.
pub fn http() -> HttpMetrics {
    HttpMetrics::server()
}

/// The dashboard, the rules and the scrape configuration of the service.
pub fn mixin() -> Result<Mixin, Error> {
    let http = http();
    let rules = Rules::new(http.families()?)
        .job("shop")
        .group(RuleGroup::http("http", &http)?)
        .group(Slo::http_availability("http", 0.999, &http)?.group()?)
        .group(RuleGroup::health("health", http.families()?));
    let scrapes = ScrapeConfig::new()
        .interval("15s")
        .job(ScrapeJob::new("shop").target("shop:8081"))
        .rule_file("rules/*.yml");
    Ok(Mixin::new()
        .dashboard(Dashboard::http("shop-http", "Shop: HTTP", &http)?)
        .rules("shop", rules)
        .scrape_config(scrapes))
}
