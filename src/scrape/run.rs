//! [`ScrapeRun`]: one reading of the metrics, shared by all scrapes that arrived before it started.
//!
//! No task is spawned: the bodies that are polled do the work, a slice at a time. A scrape that arrives while
//! a run is at work cannot share it, because it must show what happened until now. It joins the next run,
//! which starts when the current one is complete. However many scrapes arrive, one run is at work and one is
//! waiting.
//!
//! Collectors are called once for a run, before it starts. It starts when the first of its scrapes has their
//! samples.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::budget::Budget;
use crate::exposition::negotiate::Variant;
use crate::exposition::variant::{PageContent, VariantWriter};
use crate::registry::collectors::call::CollectorCalls;
use crate::registry::collectors::collection::{Collected, Collection};
use crate::registry::snapshot::Snapshot;
use crate::registry::snapshot::values::{RegistryValues, ValueReader};
use crate::scrape::source::{SourceKind, sample_names};
use crate::sync::lock;

/// The runs of one handler.
pub(crate) struct RunQueue {
    source: SourceKind,
    runs: Mutex<Runs>,
}

/// Not kept alive: a run that no scrape waits for is dropped.
#[derive(Default)]
struct Runs {
    at_work: Weak<ScrapeRun>,
    waiting: Weak<ScrapeRun>,
}

impl RunQueue {
    pub(crate) fn new(source: SourceKind) -> Self {
        let runs = Mutex::default();
        Self { source, runs }
    }

    pub(crate) fn source(&self) -> &SourceKind {
        &self.source
    }

    /// The run that starts next.
    pub(crate) fn join(self: &Arc<Self>) -> Arc<ScrapeRun> {
        let mut runs = lock(&self.runs);
        runs.waiting.upgrade().unwrap_or_else(|| {
            let run = Arc::new(ScrapeRun::new(Arc::clone(self)));
            runs.waiting = Arc::downgrade(&run);
            run
        })
    }

    /// Starts the waiting run if the one at work is complete, else does a slice of that one's work.
    fn start(&self, waiting: &Arc<ScrapeRun>, budget: &mut Budget) -> bool {
        let at_work = lock(&self.runs).at_work.upgrade();
        // A run whose start panicked may be listed as at work: it does not wait for itself.
        if at_work.is_some_and(|run| !Arc::ptr_eq(&run, waiting) && !run.finish(budget)) {
            return false;
        }
        *lock(&self.runs) = Runs {
            at_work: Arc::downgrade(waiting),
            waiting: Weak::new(),
        };
        true
    }
}

pub(crate) struct ScrapeRun {
    queue: Arc<RunQueue>,
    calls: OnceLock<CollectorCalls>,
    work: Mutex<Work>,
}

struct Work {
    stage: Stage,
    /// The pages that were asked for so far.
    pages: Vec<VariantProgress>,
}

enum Stage {
    Waiting,
    Reading(ValueReader),
    Writing(RunContent),
}

/// What all pages of a run have in common.
#[derive(Clone)]
enum RunContent {
    Values(Arc<RegistryValues>),
    Rendered(Bytes),
}

struct VariantProgress {
    variant: Variant,
    collected: Collected,
    writer: Option<VariantWriter>,
    slices: Vec<Bytes>,
    done: bool,
}

/// What came of one poll.
pub(crate) enum Turn {
    Slice(Bytes),
    End,
    /// The budget is spent, or another thread is at work for about as long: come again.
    Over,
}

impl ScrapeRun {
    fn new(queue: Arc<RunQueue>) -> Self {
        let work = Mutex::new(Work {
            stage: Stage::Waiting,
            pages: Vec::new(),
        });
        let calls = OnceLock::new();
        Self { queue, calls, work }
    }

    /// What the collectors have for a scrape of this run.
    pub(crate) fn collect(
        &self,
        collection: &mut Collection,
        cx: &mut Context<'_>,
    ) -> Poll<Collected> {
        let deadline = collection.deadline();
        let calls = self.calls.get_or_init(|| {
            self.queue
                .source
                .collectors()
                .map_or_else(Vec::new, |c| c.call(deadline))
        });
        collection.poll(calls, cx)
    }

    /// Slice `n` of a page, after as much work as it takes and the budget allows.
    pub(crate) fn slice(
        self: &Arc<Self>,
        variant: Variant,
        collected: &Collected,
        n: usize,
        budget: &mut Budget,
    ) -> Turn {
        let Some(mut work) = self.try_lock() else {
            return Turn::Over;
        };
        while !budget.is_spent() {
            if let Stage::Waiting = work.stage {
                if self.queue.start(self, budget) {
                    work.stage = Stage::of(self.queue.source());
                }
                continue;
            }
            let i = work.page(variant, collected);
            let page = &mut work.pages[i];
            if let Some(slice) = page.slices.get_mut(n) {
                // Nobody joins a run that has begun: the only reader takes what it reads, and its
                // memory holds the next slice.
                return Turn::Slice(match Arc::strong_count(self) {
                    1 => std::mem::take(slice),
                    _ => slice.clone(),
                });
            }
            if page.done {
                return Turn::End;
            }
            work.advance(i, self.queue.source(), budget);
        }
        Turn::Over
    }

    /// Finishes all pages, for the sake of the run that waits; false if the budget is spent first.
    fn finish(&self, budget: &mut Budget) -> bool {
        let Some(mut work) = self.try_lock() else {
            budget.spend_all();
            return false;
        };
        loop {
            let Some(unfinished) = work.pages.iter().position(|page| !page.done) else {
                return true;
            };
            if budget.is_spent() {
                return false;
            }
            work.advance(unfinished, self.queue.source(), budget);
        }
    }

    /// The work, unless another thread is at it.
    fn try_lock(&self) -> Option<MutexGuard<'_, Work>> {
        match self.work.try_lock() {
            Ok(work) => Some(work),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Work {
    /// Which page it is; with other samples of collectors it is another page.
    fn page(&mut self, variant: Variant, collected: &Collected) -> usize {
        let is_it =
            |page: &VariantProgress| page.variant == variant && page.collected == *collected;
        self.pages.iter().position(is_it).unwrap_or_else(|| {
            let page = VariantProgress::new(variant, collected.clone());
            self.pages.push(page);
            self.pages.len() - 1
        })
    }

    /// Does the next bit of work for a page, once the run has started.
    fn advance(&mut self, page: usize, source: &SourceKind, budget: &mut Budget) {
        match &mut self.stage {
            Stage::Waiting => {}
            Stage::Reading(reader) => {
                if let Some(values) = reader.advance(budget) {
                    self.stage = Stage::Writing(RunContent::Values(Arc::new(values)));
                }
            }
            Stage::Writing(content) => {
                let content = content.clone();
                self.pages[page].advance(content, source, budget);
            }
        }
    }
}

impl Stage {
    fn of(source: &SourceKind) -> Self {
        match source {
            SourceKind::Registry(registry) => Self::Reading(ValueReader::new(registry)),
            SourceKind::Rendered { render, .. } => {
                Self::Writing(RunContent::Rendered(render.render().into()))
            }
        }
    }
}

impl RunContent {
    /// Adds the families of collectors to what all pages have in common.
    fn with(self, collected: &Collected, source: &SourceKind) -> PageContent {
        let constant_labels = source.constant_labels();
        match self {
            Self::Values(values) => {
                let is_taken = |name: &str| values.has_sample_name(name);
                let families = collected.families(constant_labels, is_taken);
                PageContent::Snapshot(Snapshot::new(values, families))
            }
            Self::Rendered(text) => {
                let taken = match collected.is_empty() {
                    true => HashSet::new(),
                    false => sample_names(&String::from_utf8_lossy(&text)),
                };
                let families = collected.families(constant_labels, |name| taken.contains(name));
                PageContent::Rendered(text, families)
            }
        }
    }
}

impl VariantProgress {
    fn new(variant: Variant, collected: Collected) -> Self {
        Self {
            variant,
            collected,
            writer: None,
            slices: Vec::new(),
            done: false,
        }
    }

    fn advance(&mut self, content: RunContent, source: &SourceKind, budget: &mut Budget) {
        let Self {
            variant, collected, ..
        } = self;
        let writer = self.writer.get_or_insert_with(|| {
            budget.spend(collected.work());
            VariantWriter::new(*variant, content.with(collected, source))
        });
        let (slice, done) = writer.advance(budget);
        if !slice.is_empty() {
            self.slices.push(slice);
        }
        self.done = done;
        if done {
            self.writer = None;
        }
    }
}

impl fmt::Debug for ScrapeRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScrapeRun").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::negotiate::{Encoding, Format};
    use crate::registry::Registry;

    #[test]
    fn a_run_that_is_busy_elsewhere_ends_the_turn() {
        let queue = Arc::new(RunQueue::new(SourceKind::Registry(Registry::new())));
        let run = || Arc::new(ScrapeRun::new(Arc::clone(&queue)));
        let (at_work, waiting) = (run(), run());
        lock(&queue.runs).at_work = Arc::downgrade(&at_work);
        let _another_thread = at_work.work.lock();
        let variant = Variant {
            format: Format::Text,
            encoding: Encoding::Identity,
        };
        assert!(matches!(
            waiting.slice(variant, &Collected::default(), 0, &mut Budget::turn()),
            Turn::Over
        ));
    }
}
