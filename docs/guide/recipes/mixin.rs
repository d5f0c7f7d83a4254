use tower_prometheus::model::{FamilyDescription, LabelDescription, MetricKind};
use tower_prometheus_mixin::{Dashboard, Definitions, Mixin, RuleGroup, Rules};

use crate::{cgroup, cgroup_monitoring, pools, pools_monitoring, queue, queue_monitoring};

/// Returns the dashboard and the alerts of connection pools, queues and the container.
pub fn mixin() -> Mixin {
    // The registry adds it for each collector.
    let success = FamilyDescription::new("scrape_collector_success", MetricKind::Gauge)
        .help("Whether the collector succeeded (1) or its metrics are missing (0).")
        .label(LabelDescription::new("collector"));
    let definitions = Definitions::new(pools::families())
        .and(queue::families())
        .and(cgroup::families())
        .and([success]);
    let dashboard = Dashboard::new("shop-resources", "Shop: resources", definitions.clone())
        .row(pools_monitoring::row())
        .row(queue_monitoring::row())
        .row(cgroup_monitoring::row());
    let rules = Rules::new(definitions.clone())
        .job("shop")
        .group(pools_monitoring::alerts())
        .group(queue_monitoring::alerts())
        .group(cgroup_monitoring::alerts())
        .group(RuleGroup::health("health", definitions));
    Mixin::new().dashboard(dashboard).rules("resources", rules)
}
