//! What the dashboard and the alerts are checked against is what is on the page.

use std::collections::BTreeSet;

use test_support::scrape::scrape_text;
use test_support::store::Directory;
use tower_prometheus::Registry;

use crate::every_pool::sqlite;
use crate::pools::MeasuredPool;
use crate::queue::queue;
use crate::{cgroup, pools, queue as queues};

#[tokio::test]
async fn families_have_names_types_and_help_texts_of_the_page() {
    let directory = Directory::new();
    for (file, text) in [
        ("cgroup.controllers", ""),
        ("memory.current", "1"),
        ("memory.max", "1"),
        ("memory.events", "oom_kill 1"),
        ("memory.stat", "inactive_file 1"),
        ("cpu.max", "1 1"),
        ("cpu.stat", "nr_periods 1\nnr_throttled 1\nthrottled_usec 1"),
    ] {
        directory.write(file, text);
    }
    let registry = Registry::new();
    MeasuredPool::new(&registry, "orders", sqlite(&directory, 5)).unwrap();
    let _queue = queue::<u32>(&registry, "mails", 10).unwrap();
    registry
        .collector("cgroup", cgroup::collector(&directory.0))
        .unwrap();
    let page = scrape_text(&registry.handler()).await;

    let about = page.lines().filter(|line| line.starts_with("# "));
    let about: BTreeSet<_> = about.filter(|line| !line.contains(" scrape_")).collect();
    let families = [pools::families(), queues::families(), cgroup::families()].concat();
    let mut expected = BTreeSet::new();
    for family in &families {
        expected.insert(format!("# TYPE {} {}", family.name, family.kind.as_str()));
        expected.insert(format!("# HELP {} {}", family.name, family.help));
    }
    let expected: BTreeSet<_> = expected.iter().map(String::as_str).collect();
    assert_eq!(about, expected);
}
