//! [`FamilyUnit`]: the unit of a metric of a collector.

use std::sync::Arc;

use metrics::Unit;

/// The unit of a metric of a collector: one that [`Unit`] has, or any other by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FamilyUnit {
    Known(Unit),
    Named(Arc<str>),
}

impl FamilyUnit {
    pub(crate) fn of_name(name: &str) -> Self {
        Unit::from_string(name).map_or_else(|| Self::Named(name.into()), Self::Known)
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Known(unit) => unit.as_str(),
            Self::Named(name) => name,
        }
    }

    pub(crate) fn known(&self) -> Option<Unit> {
        match self {
            Self::Known(unit) => Some(*unit),
            Self::Named(_) => None,
        }
    }
}
