//! [`Node`]: a metric of a catalogue, with its series.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::custom::definition::Definition;
use crate::custom::destination::Destination;
use crate::custom::family::CustomFamily;
use crate::custom::label_spec::{LabelSpec, combinations, open_limits, pairs};
use crate::error::Error;
use crate::model::kind::Instrument;
use crate::open_labels::cache::{Cached, RowCache};
use crate::open_labels::rows::{OpenRows, Row};
use crate::registry::hooks::{self, InstallHook};
use crate::registry::lifetime::{Lifetime, SeriesRow};
use crate::sink::{Sink, owned_key};

/// The handle of a series.
#[expect(
    private_interfaces,
    reason = "public only as the bound of a type parameter; it cannot be named outside of the crate"
)]
pub trait SeriesHandle: Sized + Send + Sync + 'static {
    const INSTRUMENT: Instrument;

    /// Whether the series of `overflow` is exported only once it is recorded into, because most recordings into it
    /// are ignored.
    const OVERFLOW_ON_USE: bool =
        matches!(Self::INSTRUMENT, Instrument::Gauge | Instrument::StateSet);

    fn register(
        sink: &Sink,
        family: &CustomFamily,
        labels: &[(&str, &str)],
        lifetime: &Lifetime,
    ) -> Self;

    /// See [`Cached::with_cache`](crate::open_labels::cache::Cached::with_cache).
    fn with_cache<T>(then: impl FnOnce(&RefCell<RowCache<OpenContent<Self>>>) -> T) -> Option<T>;
}

/// The time without a use after which open values without series no longer count: those of a gauge that was only `set`
/// beyond the limit of another label.
const UNLISTED_TIMEOUT: Duration = Duration::from_secs(60);

/// A metric of a catalogue, with its series: one for each combination of closed values, or, if it has open labels, such
/// series for each row of open values.
pub struct Node<I: 'static> {
    pub(super) family: CustomFamily,
    /// Empty until there is a sink, and if there are open labels.
    series: OnceLock<Box<[I]>>,
    /// If there are open labels.
    pub(super) rows: Option<Box<OpenRows<OpenContent<I>>>>,
}

impl<I: SeriesHandle> Node<I> {
    /// Defines the metric in a destination. The node is leaked once per registry, so that handles of closed series are
    /// `Copy` and share no reference count. `states` are those of a state set, otherwise empty.
    pub(super) fn define(
        definition: &'static Definition,
        labels: &'static [LabelSpec],
        states: &'static [&'static str],
        destination: &Destination<'_>,
    ) -> Result<&'static Self, Error> {
        let family = CustomFamily::new(definition, I::INSTRUMENT, labels, states);
        let spec = family.spec()?;
        let leak = || -> &'static Self {
            let node: &'static Self = Box::leak(Box::new(Self {
                rows: family.has_open_labels().then(|| {
                    let rows = OpenRows::new(open_limits(labels), UNLISTED_TIMEOUT);
                    Box::new(rows)
                }),
                family,
                series: OnceLock::new(),
            }));
            if let (Destination::On(sink), Some(rows)) = (destination, &node.rows) {
                sink.add_rows(&**rows);
            }
            node
        };
        let node = match destination {
            Destination::On(sink) => {
                let same = |node: &Self| node.family.name() == definition.name;
                let node = sink.family_state(&spec, same, leak)?;
                node.family.check_labels(labels, states)?;
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

    /// The handle of a series without open labels, if there is a recorder.
    #[inline]
    pub(super) fn closed(&self, index: usize) -> Option<&I> {
        let series = match self.series.get() {
            Some(series) => series,
            None => self.resolve()?,
        };
        series.get(index)
    }

    #[cold]
    fn resolve(&self) -> Option<&[I]> {
        if self.rows.is_some() {
            return None;
        }
        let series = self.register([].into_iter(), &Lifetime::Permanent)?;
        // Another thread may have set the same series first.
        let _ = self.series.set(series);
        self.series.get().map(|series| &**series)
    }

    /// Removes a series with open labels from the page. Returns whether it was there.
    pub(super) fn remove(&self, closed: usize, open: &[&str]) -> bool {
        let Some(sink) = self.family.recording_sink() else {
            return false;
        };
        let labels = pairs(self.family.labels, closed, open);
        let key = owned_key(self.family.name(), &labels);
        sink.upgrade().remove(I::INSTRUMENT, &key)
    }

    /// Registers the series of all closed values with these open values, if there is a recorder. No lock is held
    /// meanwhile, because a `tracing` subscriber that receives a warning may record metrics itself.
    pub(super) fn register<'a>(
        &self,
        open: impl Iterator<Item = &'a str>,
        lifetime: &Lifetime,
    ) -> Option<Box<[I]>> {
        let sink = self.family.recording_sink()?.upgrade();
        let open: Vec<_> = open.collect();
        let labels = self.family.labels;
        let series = (0..combinations(labels)).map(|closed| {
            let labels = pairs(labels, closed, &open);
            I::register(&sink, &self.family, &labels, lifetime)
        });
        Some(series.collect())
    }
}

impl<I: SeriesHandle> InstallHook for Node<I> {
    fn recorder_installed(&self) {
        // With open labels, series are registered when values are first used.
        if self.series.get().is_none() {
            self.resolve();
        }
    }
}

/// The series of a metric with the same open values.
#[expect(
    missing_debug_implementations,
    reason = "public only as part of a bound; it cannot be named outside of the crate"
)]
pub struct OpenContent<I: 'static> {
    node: &'static Node<I>,
    /// One for each combination of closed values. Empty until there is a sink.
    series: OnceLock<Box<[I]>>,
}

impl<I: SeriesHandle> Cached for OpenContent<I> {
    #[inline]
    fn with_cache<T>(then: impl FnOnce(&RefCell<RowCache<Self>>) -> T) -> Option<T> {
        I::with_cache(then)
    }
}

impl<I: SeriesHandle> OpenContent<I> {
    pub(super) fn new(node: &'static Node<I>) -> Self {
        Self {
            node,
            series: OnceLock::new(),
        }
    }

    pub(super) fn node(&self) -> &'static Node<I> {
        self.node
    }

    /// The handles of a row, if there is a recorder.
    #[inline]
    pub(super) fn series(row: &Arc<Row<Self>>) -> Option<&[I]> {
        match row.content().series.get() {
            Some(series) => Some(series),
            None => Self::resolve(row),
        }
    }

    #[cold]
    fn resolve(row: &Arc<Row<Self>>) -> Option<&[I]> {
        let content = row.content();
        let series = content.node.register(row.values(), &Row::lifetime(row))?;
        // Another thread may have set the same series first.
        if content.series.set(series).is_ok() && !content.node.family.records_into_registry() {
            // Recorders of other crates do not tell when a series has left their page.
            row.series_listed();
        }
        content.series.get().map(|series| &**series)
    }
}

impl<I> fmt::Debug for Node<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.family.name())
    }
}

#[cfg(test)]
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "in the code of `catalogue!`"
)]
mod tests {
    use std::time::Duration;

    use super::UNLISTED_TIMEOUT;
    use crate::clock::stepped;
    use crate::custom::metric::Gauge;
    use crate::registry::Registry;

    crate::labels! {
        struct Queue { tenant: open(3), plan: open(1) }
    }

    crate::catalogue! {
        struct Queues {
            /// Length of a queue.
            length: Gauge<Queue>,
        }
    }

    #[test]
    fn values_without_series_give_back_their_places() {
        let registry = Registry::new();
        let queues = Queues::on(&registry).unwrap();
        let set = |tenant, plan| queues.length.with(Queue { tenant, plan }).set(1.0);
        set("a", "free");
        // Beyond the limit of the plan, `set` is ignored, and no series is registered.
        set("b", "paid");
        set("c", "paid");
        set("d", "free");
        let has = |tenant| registry.sum("length", &[("tenant", tenant)]).is_some();
        assert!(has("a") && !has("b") && !has("d"));
        for _ in 0..2 {
            stepped::advance(UNLISTED_TIMEOUT + Duration::from_secs(1));
            set("d", "free");
        }
        assert!(has("a") && has("d"));
    }
}
