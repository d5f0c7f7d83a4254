//! The metrics of a cgroup, from files as the kernel writes them, and from the kernel.

use std::path::Path;

use test_support::scrape::{collector_succeeded, scrape_text};
use test_support::store::Directory;
use tower_prometheus::Registry;

use crate::{Page, cgroup, scrape};

/// A container with limits of 512 MiB and 1.5 cores.
const LIMITED: [(&str, &str); 7] = [
    (
        "cgroup.controllers",
        "cpuset cpu io memory hugetlb pids rdma misc\n",
    ),
    ("memory.current", "419430400\n"),
    ("memory.max", "536870912\n"),
    (
        "memory.events",
        "low 0\nhigh 0\nmax 41\noom 3\noom_kill 2\noom_group_kill 0\n",
    ),
    (
        "memory.stat",
        "anon 251658240\nfile 146800640\nkernel 8388608\ninactive_anon 0\nactive_anon 251658240\ninactive_file 104857600\nactive_file 41943040\n",
    ),
    ("cpu.max", "150000 100000\n"),
    (
        "cpu.stat",
        "usage_usec 81234567\nuser_usec 61234567\nsystem_usec 20000000\nnr_periods 5000\nnr_throttled 1250\nthrottled_usec 62500000\nnr_bursts 0\nburst_usec 0\n",
    ),
];

fn directory(files: &[(&str, &str)]) -> Directory {
    let directory = Directory::new();
    for (name, text) in files {
        directory.write(name, text);
    }
    directory
}

/// The metrics of a cgroup directory, without those about the collector.
async fn metrics(directory: &Path) -> Page {
    let registry = Registry::new();
    registry
        .collector("cgroup", cgroup::collector(directory))
        .unwrap();
    let mut page = scrape(&registry).await;
    page.retain(|name, _| name.starts_with("cgroup_"));
    page
}

#[tokio::test]
async fn limits_and_throttling_are_read_from_a_cgroup() {
    let directory = directory(&LIMITED);
    let expected = [
        ("cgroup_memory_usage_bytes", 419_430_400.0),
        ("cgroup_memory_working_set_bytes", 314_572_800.0),
        ("cgroup_memory_limit_bytes", 536_870_912.0),
        ("cgroup_oom_kills_total", 2.0),
        ("cgroup_cpu_limit_cores", 1.5),
        ("cgroup_cpu_periods_total", 5000.0),
        ("cgroup_cpu_throttled_periods_total", 1250.0),
        ("cgroup_cpu_throttled_seconds_total", 62.5),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(metrics(&directory.0).await, expected.into());
}

#[tokio::test]
async fn limits_that_are_not_set_are_left_out() {
    let directory = directory(&LIMITED);
    directory.write("memory.max", "max\n");
    directory.write("cpu.max", "max 100000\n");
    let metrics = metrics(&directory.0).await;
    assert!(
        !metrics.contains_key("cgroup_memory_limit_bytes"),
        "{metrics:?}"
    );
    assert!(
        !metrics.contains_key("cgroup_cpu_limit_cores"),
        "{metrics:?}"
    );
    assert_eq!(metrics.len(), 6);
}

#[tokio::test]
async fn values_of_a_controller_that_is_not_enabled_are_left_out() {
    let cpu_only = LIMITED
        .into_iter()
        .filter(|(name, _)| !name.starts_with("memory"));
    let directory = directory(&cpu_only.collect::<Vec<_>>());
    let metrics = metrics(&directory.0).await;
    assert!(
        metrics.keys().all(|name| name.starts_with("cgroup_cpu_")),
        "{metrics:?}"
    );
    assert_eq!(metrics.len(), 4);
}

/// As on a system with cgroup v1, or with a wrong path.
#[tokio::test]
async fn collector_fails_in_a_directory_that_is_not_of_cgroup_v2() {
    let directory = Directory::new();
    let registry = Registry::new();
    registry
        .collector("cgroup", cgroup::collector(&directory.0))
        .unwrap();
    let page = scrape_text(&registry.handler()).await;
    assert!(!collector_succeeded(&page, "cgroup"), "{page}");
}

/// The kernel of the system that runs the test, if it has cgroup v2: alone, or beside v1.
#[tokio::test]
async fn collector_reads_the_files_of_the_kernel() {
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let is_version_2 = |root: &&Path| root.join("cgroup.controllers").exists();
    let Some(root) = roots.into_iter().find(is_version_2) else {
        return eprintln!("skipped: no cgroup v2");
    };
    let registry = Registry::new();
    registry
        .collector("cgroup", cgroup::collector(root))
        .unwrap();
    let page = scrape_text(&registry.handler()).await;
    assert!(collector_succeeded(&page, "cgroup"), "{page}");
    let exported = |name: &str| page.contains(&format!("\n{name} "));
    assert_eq!(
        root.join("memory.current").exists(),
        exported("cgroup_memory_usage_bytes")
    );
    assert_eq!(
        root.join("memory.events").exists(),
        exported("cgroup_oom_kills_total")
    );
}
