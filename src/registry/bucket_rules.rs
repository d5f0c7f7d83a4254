//! [`BucketRules`]: the buckets of histograms, by name.

use crate::model::bounds::Buckets;
use crate::model::kind::Instrument;

/// The buckets of histograms by name. The first match applies: the exact name, the longest prefix, the default.
#[derive(Clone, Debug, Default)]
pub(crate) struct BucketRules {
    pub(crate) default: Buckets,
    pub(crate) by_name: Vec<(String, Buckets)>,
    pub(crate) by_prefix: Vec<(String, Buckets)>,
}

impl BucketRules {
    /// Returns the buckets of a family. Families that are not histograms get the default and ignore it.
    pub(crate) fn of(&self, instrument: Instrument, family: &str) -> Buckets {
        let rule = match instrument {
            Instrument::Histogram => self.find(family),
            _ => None,
        };
        rule.unwrap_or(&self.default).clone()
    }

    fn find(&self, family: &str) -> Option<&Buckets> {
        let exact = self.by_name.iter().find(|(name, _)| name == family);
        let longest = || {
            let matching = self.by_prefix.iter();
            let matching = matching.filter(|(prefix, _)| family.starts_with(prefix));
            matching.max_by_key(|(prefix, _)| prefix.len())
        };
        exact.or_else(longest).map(|(_, buckets)| buckets)
    }
}
