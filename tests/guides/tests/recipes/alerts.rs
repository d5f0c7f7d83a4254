//! The dashboard and the alerts: each alert fires for its fault, and for nothing else.

use test_support::dashboard::Dashboard;
use test_support::rules::assert_valid_rules;
use test_support::skip_without;
use test_support::store::{Directory, promtool};

use crate::mixin::mixin;

/// Writes the generated rules.
fn rules() -> Directory {
    let directory = Directory::new();
    mixin().write_to(&directory.0).unwrap();
    directory
}

#[track_caller]
fn test_rules(name: &str, cases: &str) {
    let directory = rules();
    let name = format!("rules/{name}.test.yml");
    directory.write(&name, cases);
    promtool(&["test", "rules", &name], &directory.0);
}

#[test]
fn alerts_of_pools_fire_only_for_their_fault() {
    skip_without!(Promtool);
    test_rules("pools", include_str!("cases/pools.yml"));
}

#[test]
fn alerts_of_queues_fire_only_for_their_fault() {
    skip_without!(Promtool);
    test_rules("queues", include_str!("cases/queues.yml"));
}

#[test]
fn alerts_of_cgroups_fire_only_for_their_fault() {
    skip_without!(Promtool);
    test_rules("cgroups", include_str!("cases/cgroups.yml"));
}

#[test]
fn promtool_accepts_the_rules() {
    skip_without!(Promtool);
    let directory = rules();
    promtool(
        &["check", "rules", "--lint-fatal", "rules/resources.yml"],
        &directory.0,
    );
}

#[test]
fn dashboard_and_rules_are_valid() {
    let directory = rules();
    let read = |name: &str| std::fs::read_to_string(directory.0.join(name)).unwrap();
    assert_eq!(
        assert_valid_rules("resources.yml", &read("rules/resources.yml")),
        10
    );
    let dashboard = Dashboard::parse(&read("dashboards/shop-resources.json"));
    dashboard.assert_valid(&[]);
}
