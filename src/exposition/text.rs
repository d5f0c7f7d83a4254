//! One writer for the text format 0.0.4 and for OpenMetrics.

use std::sync::Arc;

use crate::budget::Budget;
use crate::collect::checked::CheckedFamily;
use crate::exposition::escaping::{FamilyNames, SampleName, UsedNames};
use crate::exposition::family_writer::{FamilyWriter, push_metadata};
use crate::exposition::negotiate::Format;
use crate::exposition::type_line::type_line;
use crate::model::names::is_metric_name;
use crate::registry::family::Family;
use crate::registry::snapshot::{FamilySnapshot, FamilySource, RegistryFamily, Snapshot};
use crate::registry::utf8_names::Utf8Names;

/// A writer that renders a snapshot, a slice at a time.
pub(crate) struct TextWriter {
    snapshot: Snapshot,
    format: Format,
    /// The position of the current family in the snapshot.
    family: usize,
    writer: FamilyWriter,
    used_names: UsedNames,
}

impl TextWriter {
    pub(crate) fn new(snapshot: Snapshot, format: Format) -> Self {
        Self {
            snapshot,
            format,
            family: 0,
            writer: FamilyWriter::new(format),
            used_names: UsedNames::default(),
        }
    }

    /// Continues the page until it is complete or the budget is spent. Returns whether it is complete.
    pub(crate) fn advance(&mut self, page: &mut Vec<u8>, budget: &mut Budget) -> bool {
        let snapshot = self.snapshot.clone();
        while let Some(position) = snapshot.order.get(self.family) {
            if budget.is_spent() {
                return false;
            }
            let family = snapshot.at(*position);
            if self.writer.is_at_start() && !family.is_empty() {
                self.start_family(page, &family);
            }
            match family.source {
                FamilySource::Registry(family) => {
                    self.writer.write_registered(page, family, budget);
                }
                FamilySource::Collected(family) => {
                    self.writer.write_collected(page, family, budget);
                }
            }
            if self.writer.ends_family(family.len()) {
                self.family += 1;
            }
        }
        if self.format.is_open_metrics() {
            page.extend_from_slice(b"# EOF\n");
        }
        true
    }

    /// Writes HELP, TYPE and UNIT, and sets the names of the lines of a family.
    fn start_family(&mut self, page: &mut Vec<u8>, family: &FamilySnapshot<'_>) {
        let Self {
            snapshot, format, ..
        } = self;
        let is_taken = |name: &str| snapshot.has_name(name) || has_utf8_name(snapshot, name);
        let names = match family.source {
            FamilySource::Registry(RegistryFamily { family, .. }) => {
                FamilyNames::new(family, format.escaping(), snapshot, &mut self.used_names)
            }
            FamilySource::Collected(_) => None,
        };
        let metric = names.as_ref().map_or(family.name(), FamilyNames::metric);
        let (name, kind) = type_line(metric, family.kind(), *format, is_taken);
        push_metadata(
            page,
            name,
            kind,
            family.help().as_deref(),
            family.unit_name(),
            *format,
        );
        let has_created = format.is_open_metrics()
            && snapshot.values.has_created_lines()
            && matches!(kind, "counter" | "histogram" | "summary");
        let created = has_created.then(|| SampleName::new(&format!("{name}_created")));
        self.writer.start_family(names, created);
    }
}

/// Whether a metric of a macro has this name or a sample of this name, which needs UTF-8.
fn has_utf8_name(snapshot: &Snapshot, name: &str) -> bool {
    let has_name = |(family, _): &(Arc<Family>, _)| {
        let utf8 = family.utf8_names().and_then(Utf8Names::metric);
        utf8.is_some_and(|utf8| {
            let names = family.instrument.kind().sample_names(utf8);
            names.iter().any(|sample| sample == name)
        })
    };
    !is_metric_name(name) && snapshot.values.families.iter().any(has_name)
}

/// A writer that renders the families of collectors in the text format 0.0.4, a slice at a time.
pub(crate) struct CollectedWriter {
    families: Vec<Arc<CheckedFamily>>,
    /// The index of the current family.
    family: usize,
    writer: FamilyWriter,
}

impl CollectedWriter {
    pub(crate) fn new(families: Vec<Arc<CheckedFamily>>) -> Self {
        Self {
            families,
            family: 0,
            writer: FamilyWriter::new(Format::Text),
        }
    }

    /// Continues the page until it is complete or the budget is spent. Returns whether it is complete.
    pub(crate) fn advance(&mut self, page: &mut Vec<u8>, budget: &mut Budget) -> bool {
        while let Some(family) = self.families.get(self.family) {
            if budget.is_spent() {
                return false;
            }
            if self.writer.is_at_start() {
                let CheckedFamily { name, help, .. } = &**family;
                let (name, kind) = type_line(name, family.kind, Format::Text, |_| false);
                push_metadata(page, name, kind, help.as_deref(), None, Format::Text);
            }
            self.writer.write_collected(page, family, budget);
            if self.writer.ends_family(family.len()) {
                self.family += 1;
            }
        }
        true
    }
}
