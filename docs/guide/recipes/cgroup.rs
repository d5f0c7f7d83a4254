use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{fs, io};

use tower_prometheus::collect::{Blocking, CollectError, Collector, SampleValue, Samples};
use tower_prometheus::model::{FamilyDescription, MetricKind};

/// Name, type and HELP text of each metric, in the order of `values`.
const FAMILIES: [(&str, MetricKind, &str); 8] = [
    (
        "cgroup_memory_usage_bytes",
        MetricKind::Gauge,
        "Memory of the cgroup in bytes, with the page cache.",
    ),
    (
        "cgroup_memory_working_set_bytes",
        MetricKind::Gauge,
        "Memory of the cgroup in bytes, without page cache that can be freed.",
    ),
    (
        "cgroup_memory_limit_bytes",
        MetricKind::Gauge,
        "Memory limit of the cgroup in bytes.",
    ),
    (
        "cgroup_oom_kills_total",
        MetricKind::Counter,
        "Total number of processes of the cgroup killed for lack of memory.",
    ),
    (
        "cgroup_cpu_limit_cores",
        MetricKind::Gauge,
        "CPU limit of the cgroup in cores.",
    ),
    (
        "cgroup_cpu_periods_total",
        MetricKind::Counter,
        "Total number of periods in which the CPU limit applied.",
    ),
    (
        "cgroup_cpu_throttled_periods_total",
        MetricKind::Counter,
        "Total number of periods in which the CPU limit stopped tasks.",
    ),
    (
        "cgroup_cpu_throttled_seconds_total",
        MetricKind::Counter,
        "Total time in seconds during which the CPU limit stopped tasks.",
    ),
];

/// Returns the definitions of all metrics of a cgroup, for dashboards and alerts.
pub fn families() -> Vec<FamilyDescription> {
    FAMILIES
        .map(|(name, kind, help)| FamilyDescription::new(name, kind).help(help))
        .into()
}

/// Returns a collector for a cgroup v2 directory. In a container, it is `/sys/fs/cgroup`.
pub fn collector(directory: impl Into<PathBuf>) -> impl Collector {
    let directory = directory.into();
    // On a thread of its own, because the kernel may wait for locks while it sums memory.stat.
    Blocking::new(move |samples: &mut Samples| {
        for ((name, kind, help), value) in FAMILIES.into_iter().zip(values(&directory)?) {
            let mut family = match kind {
                MetricKind::Counter => samples.counter(name, help),
                _ => samples.gauge(name, help),
            };
            family.value(value);
        }
        Ok(())
    })
}

/// Reads the values of `FAMILIES`. Without a limit, or without a controller, a value is left out.
fn values(directory: &Path) -> Result<[SampleValue; FAMILIES.len()], CollectError> {
    // A file of every cgroup v2 directory.
    if !directory.join("cgroup.controllers").exists() {
        return Err(format!("{} is not a cgroup v2 directory", directory.display()).into());
    }
    let usage = number(&read(directory, "memory.current")?);
    let inactive = field(&read(directory, "memory.stat")?, "inactive_file");
    let limit = number(&read(directory, "memory.max")?);
    let oom_kills = field(&read(directory, "memory.events")?, "oom_kill");
    let cpu = read(directory, "cpu.stat")?;
    let throttled_seconds = field(&cpu, "throttled_usec").map(|usec| usec as f64 / 1e6);
    Ok([
        usage.into(),
        usage
            .zip(inactive)
            .map(|(usage, inactive)| usage.saturating_sub(inactive))
            .into(),
        limit.into(),
        oom_kills.into(),
        cores(&read(directory, "cpu.max")?).into(),
        field(&cpu, "nr_periods").into(),
        field(&cpu, "nr_throttled").into(),
        throttled_seconds.into(),
    ])
}

/// Returns an empty text if the file does not exist, because its controller is not enabled.
fn read(directory: &Path, file: &str) -> io::Result<String> {
    match fs::read_to_string(directory.join(file)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        result => result,
    }
}

/// Parses a number. `max`, which means no limit, is `None`.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Returns a value of lines such as `oom_kill 3`.
fn field(text: &str, key: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    number(lines.find(|(name, _)| *name == key)?.1)
}

/// Parses `quota period`, such as `50000 100000` for half a core.
fn cores(text: &str) -> Option<f64> {
    let (quota, period) = text.split_once(' ')?;
    Some(number(quota)? as f64 / number(period)? as f64)
}
