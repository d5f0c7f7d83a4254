//! [`InfoCollector`]: what does not change while a process runs.

use crate::FamilyKind;
use crate::app::{FamilyDescription, LabelDescription};
use crate::collect::{CollectError, Collector, Deadline, Samples};

/// An info metric: a gauge at 1 whose labels tell what runs here.
///
/// ```
/// use tower_prometheus::Registry;
/// use tower_prometheus::collectors::InfoCollector;
///
/// let build = InfoCollector::build("1.2.0").label("commit", "5ba3d1e");
/// let engine = InfoCollector::new("engine_info", "Which engine answers.").label("engine", "v8");
/// let handler = Registry::new()
///     .handler()
///     .collector("build", build)
///     .collector("engine", engine);
/// ```
#[derive(Clone, Debug)]
pub struct InfoCollector {
    name: String,
    help: String,
    labels: Vec<(String, String)>,
}

impl InfoCollector {
    /// An info metric without labels; its name ends in `_info`.
    pub fn new(name: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            help: help.into(),
            labels: Vec::new(),
        }
    }

    /// `build_info{version="…"}`; in most programs the version is `env!("CARGO_PKG_VERSION")`.
    pub fn build(version: impl Into<String>) -> Self {
        Self::new("build_info", "Which version of the program this is.").label("version", version)
    }

    /// One more label.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// The family as its definition says it.
    #[must_use]
    pub fn families(&self) -> Vec<FamilyDescription> {
        let mut description = FamilyDescription::new(self.name.clone(), FamilyKind::Info);
        description.help.clone_from(&self.help);
        let labels = self
            .labels
            .iter()
            .map(|(name, value)| LabelDescription::new(name.clone()).values([value.clone()]));
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
