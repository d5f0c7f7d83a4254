//! OpenClaw's dashboard, rules and scrape configuration.

use tower_prometheus::model::FamilyDescription;
use tower_prometheus_mixin::{Dashboard, Mixin, RuleGroup, Rules, ScrapeConfig, ScrapeJob};

/// Builds the files to deploy for a service with these metric families.
pub fn mixin(families: &[FamilyDescription]) -> Result<Mixin, tower_prometheus_mixin::Error> {
    let rules = Rules::new(families).job("openclaw");
    Ok(Mixin::new()
        .dashboard(
            Dashboard::of_families("openclaw-orchestration", "OpenClaw orchestration", families)
                .description("Leases, nodes, partitions and recovery of OpenClaw.")
                .tag("openclaw"),
        )
        .rules(
            "openclaw",
            rules.group(RuleGroup::health("openclaw-health", families)),
        )
        .scrape_config(
            ScrapeConfig::new()
                .interval("15s")
                .job(ScrapeJob::new("openclaw").target("openclaw:3000")),
        ))
}
