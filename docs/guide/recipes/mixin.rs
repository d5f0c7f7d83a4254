use tower_prometheus_mixin::{Dashboard, Definitions, Mixin, Rules};

use crate::{cgroup, cgroup_monitoring, pools, pools_monitoring, queue, queue_monitoring};

/// Returns the dashboard and the alerts of connection pools, queues and the container.
pub fn mixin() -> Mixin {
    let definitions = Definitions::new(pools::families())
        .and(queue::families())
        .and(cgroup::families());
    let dashboard = Dashboard::new("shop-resources", "Shop: resources", definitions.clone())
        .row(pools_monitoring::row())
        .row(queue_monitoring::row())
        .row(cgroup_monitoring::row());
    let rules = Rules::new(definitions)
        .job("shop")
        .group(pools_monitoring::alerts())
        .group(queue_monitoring::alerts())
        .group(cgroup_monitoring::alerts());
    Mixin::new().dashboard(dashboard).rules("resources", rules)
}
