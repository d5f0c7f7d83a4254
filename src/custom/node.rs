//! [`Node`]: the series of a metric that differ only in their closed labels.

use std::fmt;
use std::sync::OnceLock;

use crate::custom::definition::Definition;
use crate::custom::destination::Destination;
use crate::custom::family::CustomFamily;
use crate::custom::label_spec;
use crate::custom::label_spec::{combinations, open_labels, pairs};
use crate::custom::labels::{LabelSet, LabelsOf};
use crate::error::Error;
use crate::maps::tree;
use crate::maps::tree::{Keyed, Tree};
use crate::model::kind::Instrument;
use crate::registry::hooks::{self, InstallHook};
use crate::registry::lifetime::Lifetime;
use crate::sink::overflow::OVERFLOW;
use crate::sink::{Sink, owned_key};

/// The handle of a series.
pub(super) trait SeriesHandle: Sized + Send + Sync + 'static {
    const INSTRUMENT: Instrument;

    /// Whether the series of `overflow` is exported only once it is recorded into, because most recordings into it
    /// are ignored.
    const OVERFLOW_ON_USE: bool =
        matches!(Self::INSTRUMENT, Instrument::Gauge | Instrument::StateSet);

    fn register(
        sink: &Sink,
        family: &CustomFamily,
        labels: &[(&str, &str)],
        lifetime: Lifetime,
    ) -> Self;
}

/// The series of a metric: one for each combination of closed values. If the metric has open labels, the root
/// has a row of such series for each combination of open values that has been used.
pub(super) struct Node<I: 'static> {
    family: &'static CustomFamily,
    open: Box<[Box<str>]>,
    /// Whether an open value is `overflow`, so that several series share this one.
    is_overflow: bool,
    /// Empty until there is a sink.
    series: OnceLock<Box<[I]>>,
    /// The rows by their open values, if there are open labels. Boxed, because a row is a node without rows.
    rows: Option<Box<Tree<Self>>>,
}

impl<I: SeriesHandle> Node<I> {
    fn root(family: &'static CustomFamily) -> Self {
        Self {
            family,
            open: Box::default(),
            is_overflow: false,
            series: OnceLock::new(),
            rows: (open_labels(family.labels) > 0).then(Box::default),
        }
    }

    fn row(family: &'static CustomFamily, open: &[&str]) -> Self {
        Self {
            family,
            open: tree::owned(open),
            is_overflow: open.contains(&OVERFLOW),
            series: OnceLock::new(),
            rows: None,
        }
    }

    /// Defines the metric in a destination. The node is leaked once per registry, so that handles are `Copy` and share
    /// no reference count. `states` are those of a state set, otherwise empty.
    pub(super) fn define<Labels: LabelSet>(
        definition: &'static Definition,
        states: &'static [&'static str],
        destination: &Destination<'_>,
    ) -> Result<&'static Self, Error> {
        let family = CustomFamily::new(definition, I::INSTRUMENT, Labels::LABELS, states);
        let spec = family.spec()?;
        let leak = || -> &'static Self {
            let family = Box::leak(Box::new(family));
            Box::leak(Box::new(Self::root(family)))
        };
        let node = match destination {
            Destination::On(sink) => {
                let same = |node: &Self| node.family.name() == definition.name;
                let node = sink.family_state(&spec, same, leak)?;
                node.family.check_labels(Labels::LABELS, states)?;
                node.family.record_into(sink)?;
                node
            }
            Destination::Global => leak(),
        };
        match destination {
            Destination::On(_) => node.recorder_installed(),
            Destination::Global => hooks::on_install(node),
        }
        Ok(node)
    }

    /// Returns the series with these labels.
    #[inline]
    pub(super) fn series<Labels: LabelSet>(
        &'static self,
        labels: &impl LabelsOf<Labels>,
    ) -> Series<I> {
        let index = labels.closed() as u32;
        let rows = match &self.rows {
            Some(rows) if const { open_labels(Labels::LABELS) > 0 } => rows,
            _ => return Series { node: self, index },
        };
        let open = labels.open();
        let node = match rows.get(open.as_slice()) {
            Some(node) => node,
            None => self.admit(rows, open.as_slice()),
        };
        Series { node, index }
    }

    /// Returns the series with these labels, if it has open labels and is registered.
    pub(super) fn find<Labels: LabelSet>(
        &'static self,
        labels: &impl LabelsOf<Labels>,
    ) -> Option<Series<I>> {
        let rows = self.rows.as_ref()?;
        let node = rows.get(labels.open().as_slice())?;
        let index = labels.closed() as u32;
        Some(Series { node, index })
    }

    /// Returns the row of new open values, or of `overflow` beyond their limit.
    #[cold]
    fn admit(&self, rows: &'static Tree<Self>, open: &[&str]) -> &'static Self {
        let mut values = [""; label_spec::MAX_OPEN];
        let values = &mut values[..open.len()];
        values.copy_from_slice(open);
        self.family.admit(values);
        let node = rows.get_or_insert(values, || Self::row(self.family, values));
        if node.series.get().is_none() && !(node.is_overflow && I::OVERFLOW_ON_USE) {
            node.resolve();
        }
        node
    }

    /// Registers the series if there is a recorder. No lock is held meanwhile, because a `tracing` subscriber
    /// that receives a warning may record metrics itself.
    #[cold]
    fn resolve(&self) -> Option<&[I]> {
        let sink = self.family.recording_sink()?.upgrade();
        let open: Vec<_> = self.open.iter().map(|value| &**value).collect();
        let labels = self.family.labels;
        let lifetime = match open.is_empty() {
            true => Lifetime::Permanent,
            false => Lifetime::Kept,
        };
        let series = (0..combinations(labels)).map(|closed| {
            let labels = pairs(labels, closed, &open);
            I::register(&sink, self.family, &labels, lifetime)
        });
        let series = series.collect();
        // Another thread may have set the same series first.
        let _ = self.series.set(series);
        self.series.get().map(|series| &**series)
    }
}

impl<I> Keyed for Node<I> {
    fn key(&self) -> &[Box<str>] {
        &self.open
    }
}

impl<I: SeriesHandle> InstallHook for Node<I> {
    fn recorder_installed(&self) {
        // With open labels, series are registered when values are first used.
        if open_labels(self.family.labels) == 0 && self.series.get().is_none() {
            self.resolve();
        }
    }
}

/// A series of a metric.
pub(super) struct Series<I: 'static> {
    node: &'static Node<I>,
    index: u32,
}

impl<I: SeriesHandle> Series<I> {
    /// Returns the series without labels. If the metric has labels, its series are looked up from it.
    pub(super) fn root(node: &'static Node<I>) -> Self {
        Self { node, index: 0 }
    }

    #[inline]
    pub(super) fn with<Labels: LabelSet>(self, labels: &impl LabelsOf<Labels>) -> Self {
        self.node.series(labels)
    }

    /// Like [`with`](Self::with), but `None` if the series has no open labels, or is not registered.
    pub(super) fn find<Labels: LabelSet>(self, labels: &impl LabelsOf<Labels>) -> Option<Self> {
        self.node.find(labels)
    }

    /// Removes the series from the page, if it has open labels. Returns whether it was there.
    pub(super) fn remove(self) -> bool {
        let Node {
            family,
            open,
            series,
            ..
        } = self.node;
        if open.is_empty() || series.get().is_none() {
            return false;
        }
        let Some(sink) = family.recording_sink() else {
            return false;
        };
        let open: Vec<_> = open.iter().map(|value| &**value).collect();
        let labels = pairs(family.labels, self.index as usize, &open);
        sink.upgrade()
            .remove(I::INSTRUMENT, &owned_key(family.name(), &labels))
    }

    /// The handle, if there is a recorder and no other series is recorded as this one.
    #[inline]
    pub(super) fn get_unshared(self) -> Option<&'static I> {
        if self.node.is_overflow {
            return None;
        }
        self.get()
    }

    /// The handle, if there is a recorder.
    #[inline]
    pub(super) fn get(self) -> Option<&'static I> {
        let series = match self.node.series.get() {
            Some(series) => series,
            None => self.node.resolve()?,
        };
        series.get(self.index as usize)
    }
}

impl<I: 'static> Clone for Series<I> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<I: 'static> Copy for Series<I> {}

impl<I: 'static> fmt::Debug for Series<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.node.family.name())?;
        let open: Vec<_> = self.node.open.iter().map(|value| &**value).collect();
        let labels = self.node.family.labels;
        if open.len() < open_labels(labels) {
            return Ok(());
        }
        f.debug_map()
            .entries(pairs(labels, self.index as usize, &open))
            .finish()
    }
}
