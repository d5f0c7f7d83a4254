//! One writer for the text format 0.0.4 and for OpenMetrics.

use std::sync::Arc;

use crate::budget::Budget;
use crate::collect::checked::CheckedFamily;
use crate::exposition::family_writer::{FamilyWriter, push_metadata};
use crate::exposition::negotiate::Format;
use crate::exposition::type_line::type_line;
use crate::registry::snapshot::{FamilySnapshot, FamilySource, Snapshot};

/// A writer that renders a snapshot, a slice at a time.
pub(crate) struct TextWriter {
    snapshot: Snapshot,
    format: Format,
    /// The position of the current family in the snapshot.
    family: usize,
    writer: FamilyWriter,
}

impl TextWriter {
    pub(crate) fn new(snapshot: Snapshot, format: Format) -> Self {
        Self {
            snapshot,
            format,
            family: 0,
            writer: FamilyWriter::new(format),
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
                self.write_metadata(page, &family);
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

    /// Writes HELP, TYPE and UNIT.
    fn write_metadata(&self, page: &mut Vec<u8>, family: &FamilySnapshot<'_>) {
        let is_taken = |name: &str| self.snapshot.has_name(name);
        let (name, kind) = type_line(family.name(), family.kind(), self.format, is_taken);
        push_metadata(
            page,
            name,
            kind,
            family.help().as_deref(),
            family.unit_name(),
            self.format,
        );
    }
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
