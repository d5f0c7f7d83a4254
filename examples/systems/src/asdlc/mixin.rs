//! aSDLC's dashboard, rules and scrape configurations.

use tower_prometheus::model::FamilyDescription;
use tower_prometheus_mixin::{
    Dashboard, Definitions, Mixin, Rule, RuleGroup, Rules, ScrapeConfig, ScrapeJob,
};

/// Builds the files to deploy for services with these metric families.
pub fn mixin(families: &[FamilyDescription]) -> Result<Mixin, tower_prometheus_mixin::Error> {
    // The registry's constant label: orchestrator or workers.
    let definitions = Definitions::from(families).common_label("service");
    let health = RuleGroup::health("asdlc-health", definitions.clone())
        .rule(Rule::targets_missing("asdlc-orchestrator"))
        .rule(Rule::targets_missing("asdlc-workers"));
    Ok(Mixin::new()
        .dashboard(
            Dashboard::of_families("asdlc-services", "aSDLC services", definitions.clone())
                .description("Requests, events, workers and Redis of aSDLC.")
                .tag("asdlc"),
        )
        .rules("asdlc", Rules::new(definitions).group(health))
        .scrape_config(
            ScrapeConfig::new()
                .interval("15s")
                .job(ScrapeJob::new("asdlc-orchestrator").target("orchestrator:8080"))
                .job(ScrapeJob::new("asdlc-workers").target("workers:8081"))
                .job(ScrapeJob::kubernetes_pods("asdlc-services", "dox-asdlc")),
        ))
}
