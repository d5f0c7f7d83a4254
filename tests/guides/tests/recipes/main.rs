//! The recipes of `docs/guide/recipes.md`: with real connection pools, and their alerts evaluated by promtool.

#[path = "../../../../docs/guide/recipes/cgroup.rs"]
mod cgroup;
#[path = "../../../../docs/guide/recipes/cgroup_monitoring.rs"]
mod cgroup_monitoring;
#[path = "../../../../docs/guide/recipes/mixin.rs"]
mod mixin;
#[path = "../../../../docs/guide/recipes/pool_bb8.rs"]
mod pool_bb8;
#[path = "../../../../docs/guide/recipes/pool_deadpool.rs"]
mod pool_deadpool;
#[path = "../../../../docs/guide/recipes/pool_sqlx.rs"]
mod pool_sqlx;
#[path = "../../../../docs/guide/recipes/pools.rs"]
mod pools;
#[path = "../../../../docs/guide/recipes/pools_monitoring.rs"]
mod pools_monitoring;
#[path = "../../../../docs/guide/recipes/queue.rs"]
mod queue;
#[path = "../../../../docs/guide/recipes/queue_monitoring.rs"]
mod queue_monitoring;
#[path = "../../../../docs/guide/recipes/setup.rs"]
mod setup;

mod alerts;
mod cgroups;
mod database;
mod dead_databases;
mod definitions;
mod every_pool;
mod queues;
mod services;

use std::collections::BTreeMap;

use test_support::page::samples;
use test_support::scrape::{scrape_text, scrape_with_timeout};
use tower_prometheus::Registry;

/// The samples of a metrics page.
type Page = BTreeMap<String, f64>;

async fn scrape(registry: &Registry) -> Page {
    samples(&scrape_text(&registry.handler()).await)
}

/// Scrapes with a scrape timeout of 2 s, so that a database that hangs is given up after less than 2 s.
async fn scrape_within_2_seconds(registry: &Registry) -> Page {
    let (status, page) = scrape_with_timeout(&registry.handler(), 2.0).await;
    assert_eq!(status, 200, "{page}");
    samples(&page)
}

/// The connections of a pool that are idle and in use, and their maximum.
fn connections(page: &Page, pool: &str) -> [f64; 3] {
    let by_state =
        |state| page[&format!("db_pool_connections{{pool=\"{pool}\",state=\"{state}\"}}")];
    let max = page[&format!("db_pool_connections_max{{pool=\"{pool}\"}}")];
    [by_state("idle"), by_state("in_use"), max]
}

/// The value of a series whose only label is the pool.
fn of_pool(page: &Page, name: &str, pool: &str) -> f64 {
    page[&format!("{name}{{pool=\"{pool}\"}}")]
}
