//! [`InfoCollector`]: an info metric, such as `build_info`.

use crate::collect::deadline::Deadline;
use crate::collect::samples::Samples;
use crate::collect::{CollectError, Collector};
use crate::model::description::{FamilyDescription, LabelDescription};
use crate::model::kind::MetricKind;

/// A collector of an info metric: its value is 1, and its labels describe the program.
///
/// ```
/// use tower_prometheus::Registry;
/// use tower_prometheus::collectors::InfoCollector;
///
/// let build = InfoCollector::build("1.2.0").label("commit", "5ba3d1e");
/// let engine = InfoCollector::new("engine_info", "Name of the query engine.").label("engine", "v8");
/// let metrics = Registry::new();
/// metrics.collector("build", build)?;
/// metrics.collector("engine", engine)?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct InfoCollector {
    name: String,
    help: String,
    labels: Vec<(String, String)>,
}

impl InfoCollector {
    /// Creates an info metric without labels. Its name should end in `_info`.
    pub fn new(name: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            help: help.into(),
            labels: Vec::new(),
        }
    }

    /// Creates the info metric `build_info{version="…"}`. Most programs pass `env!("CARGO_PKG_VERSION")`.
    pub fn build(version: impl Into<String>) -> Self {
        Self::new("build_info", "Build information of the program.").label("version", version)
    }

    /// Adds a label. If a label is added twice or its name is invalid, the collector fails.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Returns the description of the metric, for tables, dashboards and rules.
    #[must_use]
    pub fn families(&self) -> Vec<FamilyDescription> {
        let mut description = FamilyDescription::new(self.name.clone(), MetricKind::Info);
        description.help.clone_from(&self.help);
        let labels = self.labels.iter();
        let labels =
            labels.map(|(name, value)| LabelDescription::new(name.clone()).values([value.clone()]));
        description.labels = labels.collect();
        vec![description]
    }
}

impl Collector for InfoCollector {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let labels = self.labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let labels: Vec<_> = labels.collect();
        samples.info(self.name.as_str(), self.help.as_str(), &labels);
        Ok(())
    }
}
