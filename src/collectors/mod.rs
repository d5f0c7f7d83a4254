//! Collectors for the process, the tokio runtime and build information.
//!
//! | collector | metrics | feature |
//! |---|---|---|
//! | [`InfoCollector`] | `build_info`, or another info: a gauge with the value 1 whose labels describe the program | |
//! | `ProcessCollector` | `process_*`: CPU time, memory, file descriptors, threads, start time (Linux) | `process` |
//! | `RuntimeCollector` | `tokio_*`: workers, tasks and the global queue | `runtime` |
//!
//! Register them with [`Registry::collector`](crate::Registry::collector). To write a collector, see
//! [`collect`](crate::collect).
//!
//! ```
//! # #[cfg(all(feature = "process", feature = "runtime"))]
//! # fn register() -> Result<(), tower_prometheus::Error> {
//! use tower_prometheus::Registry;
//! use tower_prometheus::collectors::{InfoCollector, ProcessCollector, RuntimeCollector};
//!
//! let metrics = Registry::builder().install()?;
//! metrics.collector("build", InfoCollector::build(env!("CARGO_PKG_VERSION")))?;
//! metrics.collector("process", ProcessCollector::new()?)?;
//! metrics.collector("runtime", RuntimeCollector::current()?)?;
//! # Ok(())
//! # }
//! ```

mod build_info;
#[cfg(feature = "process")]
mod process;
#[cfg(feature = "runtime")]
mod runtime;

pub use self::build_info::InfoCollector;
#[cfg(feature = "process")]
pub use self::process::{ProcessCollector, ProcessMemory};
#[cfg(feature = "runtime")]
pub use self::runtime::RuntimeCollector;

#[cfg(any(feature = "process", feature = "runtime"))]
use crate::collect::family_samples::FamilySamples;
#[cfg(any(feature = "process", feature = "runtime"))]
use crate::collect::samples::Samples;
#[cfg(any(feature = "process", feature = "runtime"))]
use crate::model::description::FamilyDescription;
#[cfg(any(feature = "process", feature = "runtime"))]
use crate::model::kind::MetricKind;

/// The definition of a family, from which its samples and its description are made.
#[cfg(any(feature = "process", feature = "runtime"))]
#[derive(Clone, Copy)]
struct FamilyDefinition {
    name: &'static str,
    kind: MetricKind,
    help: &'static str,
    unit: Option<metrics::Unit>,
}

#[cfg(any(feature = "process", feature = "runtime"))]
impl FamilyDefinition {
    const fn new(
        name: &'static str,
        kind: MetricKind,
        unit: Option<metrics::Unit>,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            help,
            unit,
        }
    }

    fn describe(self) -> FamilyDescription {
        let Self {
            name,
            kind,
            help,
            unit,
        } = self;
        let mut description = FamilyDescription::new(name, kind);
        description.help = help.to_owned();
        description.unit = unit;
        description
    }

    fn of(self, samples: &mut Samples) -> FamilySamples<'_> {
        let mut family = match self.kind {
            MetricKind::Counter => samples.counter(self.name, self.help),
            _ => samples.gauge(self.name, self.help),
        };
        if let Some(unit) = self.unit {
            family.unit(unit);
        }
        family
    }
}
