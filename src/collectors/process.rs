//! [`ProcessCollector`]: CPU time, memory and file descriptors of this process.

use metrics::Unit;

use crate::collect::deadline::Deadline;
use crate::collect::samples::Samples;
use crate::collect::{CollectError, Collector};
use crate::collectors::FamilyDefinition;
use crate::error::Error;
use crate::model::description::FamilyDescription;
use crate::model::kind::MetricKind;

const CPU: FamilyDefinition = FamilyDefinition::new(
    "process_cpu_seconds_total",
    MetricKind::Counter,
    Some(Unit::Seconds),
    "Total user and system CPU time spent in seconds.",
);
const RESIDENT: FamilyDefinition = FamilyDefinition::new(
    "process_resident_memory_bytes",
    MetricKind::Gauge,
    Some(Unit::Bytes),
    "Resident memory size in bytes.",
);
const VIRTUAL: FamilyDefinition = FamilyDefinition::new(
    "process_virtual_memory_bytes",
    MetricKind::Gauge,
    Some(Unit::Bytes),
    "Virtual memory size in bytes.",
);
const OPEN_FDS: FamilyDefinition = FamilyDefinition::new(
    "process_open_fds",
    MetricKind::Gauge,
    None,
    "Number of open file descriptors.",
);
const MAX_FDS: FamilyDefinition = FamilyDefinition::new(
    "process_max_fds",
    MetricKind::Gauge,
    None,
    "Maximum number of open file descriptors.",
);
const START_TIME: FamilyDefinition = FamilyDefinition::new(
    "process_start_time_seconds",
    MetricKind::Gauge,
    Some(Unit::Seconds),
    "Start time of the process since unix epoch in seconds.",
);
const THREADS: FamilyDefinition = FamilyDefinition::new(
    "process_threads",
    MetricKind::Gauge,
    None,
    "Number of OS threads in the process.",
);

/// A collector of the `process_*` metrics, with the names that the official Prometheus clients use.
///
/// | metric | type | description |
/// |---|---|---|
/// | `process_cpu_seconds_total` | counter | user and system CPU time, with a resolution of 0.01 s |
/// | `process_resident_memory_bytes` | gauge | resident memory |
/// | `process_virtual_memory_bytes` | gauge | virtual memory |
/// | `process_open_fds` | gauge | open file descriptors |
/// | `process_max_fds` | gauge | soft limit of open file descriptors; absent if unlimited |
/// | `process_start_time_seconds` | gauge | start time since the Unix epoch |
/// | `process_threads` | gauge | threads |
///
/// They are read from `/proc`, so they are available on Linux and Android only. On other systems,
/// [`new`](Self::new) returns an error.
#[derive(Clone, Debug)]
pub struct ProcessCollector {
    start_time: f64,
}

/// The memory of this process, for custom metrics.
///
/// ```no_run
/// # use tower_prometheus::Registry;
/// # use tower_prometheus::collect::Samples;
/// use tower_prometheus::collectors::ProcessMemory;
///
/// let metrics = Registry::new();
/// metrics.collector("memory", |samples: &mut Samples| {
///     let memory = ProcessMemory::now()?;
///     samples.gauge("memory_rss_bytes", "Resident memory.").value(memory.resident);
///     Ok(())
/// })?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessMemory {
    /// Resident memory (RSS) in bytes.
    pub resident: u64,
    /// Virtual memory (VMS) in bytes.
    pub virtual_size: u64,
}

impl ProcessCollector {
    /// Creates a collector for this process.
    ///
    /// # Errors
    ///
    /// Returns an error if `/proc` cannot be read or does not exist.
    pub fn new() -> Result<Self, Error> {
        let start_time = system::start_time().map_err(|error| {
            Error::new(format!(
                "process metrics are read from /proc, on Linux and Android only: {error}"
            ))
        })?;
        Ok(Self { start_time })
    }

    /// Returns the descriptions of the metrics, for tables, dashboards and rules.
    #[must_use]
    pub fn families() -> Vec<FamilyDescription> {
        let all = [
            CPU, RESIDENT, VIRTUAL, OPEN_FDS, MAX_FDS, START_TIME, THREADS,
        ];
        all.map(FamilyDefinition::describe).into()
    }
}

impl ProcessMemory {
    /// Reads the current memory of this process.
    ///
    /// # Errors
    ///
    /// Returns an error if `/proc` cannot be read or does not exist.
    pub fn now() -> Result<Self, CollectError> {
        Ok(system::Stat::now()?.memory)
    }
}

impl Collector for ProcessCollector {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let stat = system::Stat::now()?;
        let fds = system::Fds::now()?;
        CPU.of(samples).value(stat.cpu_seconds);
        RESIDENT.of(samples).value(stat.memory.resident);
        VIRTUAL.of(samples).value(stat.memory.virtual_size);
        OPEN_FDS.of(samples).value(fds.open);
        MAX_FDS.of(samples).value(fds.max);
        START_TIME.of(samples).value(self.start_time);
        THREADS.of(samples).value(stat.threads);
        Ok(())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use procfs::process::{LimitValue, Process};
    use procfs::{ProcResult, boot_time_secs, page_size, ticks_per_second};

    use crate::collectors::process::ProcessMemory;

    pub(super) struct Stat {
        pub(super) cpu_seconds: f64,
        pub(super) memory: ProcessMemory,
        pub(super) threads: i64,
    }

    impl Stat {
        pub(super) fn now() -> ProcResult<Self> {
            let stat = Process::myself()?.stat()?;
            Ok(Self {
                cpu_seconds: (stat.utime + stat.stime) as f64 / ticks_per_second() as f64,
                memory: ProcessMemory {
                    resident: stat.rss * page_size(),
                    virtual_size: stat.vsize,
                },
                threads: stat.num_threads,
            })
        }
    }

    pub(super) struct Fds {
        pub(super) open: usize,
        pub(super) max: Option<u64>,
    }

    impl Fds {
        pub(super) fn now() -> ProcResult<Self> {
            let process = Process::myself()?;
            let max = match process.limits()?.max_open_files.soft_limit {
                LimitValue::Unlimited => None,
                LimitValue::Value(max) => Some(max),
            };
            let open = process.fd_count()?;
            Ok(Self { open, max })
        }
    }

    /// Returns the start time of the process in seconds since the Unix epoch.
    pub(super) fn start_time() -> ProcResult<f64> {
        let after_boot = Process::myself()?.stat()?.starttime as f64;
        Ok(boot_time_secs()? as f64 + after_boot / ticks_per_second() as f64)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use std::io;

    use crate::collectors::process::ProcessMemory;

    pub(super) struct Stat {
        pub(super) cpu_seconds: f64,
        pub(super) memory: ProcessMemory,
        pub(super) threads: i64,
    }

    pub(super) struct Fds {
        pub(super) open: usize,
        pub(super) max: Option<u64>,
    }

    impl Stat {
        pub(super) fn now() -> io::Result<Self> {
            Err(missing())
        }
    }

    impl Fds {
        pub(super) fn now() -> io::Result<Self> {
            Err(missing())
        }
    }

    pub(super) fn start_time() -> io::Result<f64> {
        Err(missing())
    }

    fn missing() -> io::Error {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "/proc does not exist on this system",
        )
    }
}
