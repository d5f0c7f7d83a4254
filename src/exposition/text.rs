//! One writer for the text format 0.0.4 and for OpenMetrics.

use std::collections::HashSet;
use std::sync::Arc;

use crate::budget::Budget;
use crate::collect::checked::CheckedFamily;
use crate::exposition::escaping::{EscapingScheme, FamilyNames, SampleName, UsedNames};
use crate::exposition::family_writer::{FamilyWriter, push_metadata};
use crate::exposition::negotiate::Format;
use crate::exposition::type_line::type_line;
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
    utf8_names: SampleNames,
}

/// The approximate cost of adding a family to [`SampleNames`], in nanoseconds.
const FAMILY: usize = 5;
const UTF8_FAMILY: usize = 500;

/// The names of samples of macros that need UTF-8, if the page has them. Only OpenMetrics looks them up.
#[derive(Default)]
struct SampleNames {
    names: HashSet<String>,
    /// The number of families whose names are added.
    families: usize,
}

impl TextWriter {
    pub(crate) fn new(snapshot: Snapshot, format: Format) -> Self {
        Self {
            snapshot,
            format,
            family: 0,
            writer: FamilyWriter::new(format),
            used_names: UsedNames::default(),
            utf8_names: SampleNames::default(),
        }
    }

    /// Continues the page until it is complete or the budget is spent. Returns whether it is complete.
    pub(crate) fn advance(&mut self, page: &mut Vec<u8>, budget: &mut Budget) -> bool {
        let snapshot = self.snapshot.clone();
        let has_utf8_names = self.format.escaping() == Some(EscapingScheme::AllowUtf8);
        if has_utf8_names
            && self.format.is_open_metrics()
            && !self.utf8_names.collect(&snapshot, budget)
        {
            return false;
        }
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
            snapshot,
            format,
            utf8_names: SampleNames { names: utf8, .. },
            ..
        } = self;
        let is_taken = |name: &str| snapshot.has_name(name) || utf8.contains(name);
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

impl SampleNames {
    /// Continues to add the families of a snapshot until the budget is spent. Returns whether all are added.
    fn collect(&mut self, snapshot: &Snapshot, budget: &mut Budget) -> bool {
        while let Some((family, _)) = snapshot.values.families.get(self.families) {
            if budget.is_spent() {
                return false;
            }
            self.families += 1;
            budget.spend(FAMILY);
            if let Some(name) = family.utf8_names().and_then(Utf8Names::metric) {
                budget.spend(UTF8_FAMILY);
                self.names
                    .extend(family.instrument.kind().sample_names(name));
            }
        }
        true
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
