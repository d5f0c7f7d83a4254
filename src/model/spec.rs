//! [`FamilySpec`]: the definition of a metric family, before its first series is registered.

use std::sync::Arc;

use metrics::Unit;

use crate::model::bounds::Buckets;
use crate::model::description::{FamilyDescription, LabelDescription};
use crate::model::kind::Instrument;

/// A metric family as a layer or a catalogue registers it.
#[derive(Clone, Debug)]
pub(crate) struct FamilySpec {
    pub(crate) name: String,
    pub(crate) instrument: Instrument,
    pub(crate) metadata: FamilyMetadata,
    pub(crate) label_names: Vec<String>,
    /// The bounds of a histogram; `None` leaves them to the rules of the registry.
    pub(crate) buckets: Option<Buckets>,
    pub(crate) exemplars: bool,
}

/// HELP and UNIT of a family.
#[derive(Clone, Debug, Default)]
pub(crate) struct FamilyMetadata {
    pub(crate) help: Option<Arc<str>>,
    pub(crate) unit: Option<Unit>,
}

impl FamilySpec {
    /// The public description. The caller fills in the values of the labels.
    pub(crate) fn describe(&self) -> FamilyDescription {
        let mut family = FamilyDescription::new(&self.name, self.instrument.kind());
        family.help = self.metadata.help.as_deref().unwrap_or_default().to_owned();
        family.unit = self.metadata.unit;
        let labels = self.label_names.iter().cloned();
        family.labels = labels.map(LabelDescription::new).collect();
        if let Some(buckets) = &self.buckets {
            family.buckets = buckets.bounds().to_vec();
        }
        family
    }
}
