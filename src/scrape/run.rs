//! [`ScrapeRun`]: one reading of the metrics, shared by all scrapes that arrived before it started.
//!
//! No task is spawned: response bodies do the work when they are polled, a slice at a time.
//!
//! A scrape that arrives during a run cannot share that run, because its page must include everything recorded
//! before it arrived. It joins the next run, which starts when the current one is complete. However many scrapes
//! arrive, at most one run is in progress and one is waiting.
//!
//! Collectors are called once per run, before it starts. The run starts when the first of its scrapes has
//! their samples.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::budget::Budget;
use crate::collect::checked::CheckedFamily;
use crate::exposition::negotiate::Variant;
use crate::exposition::variant::{PageContent, VariantWriter};
use crate::registry::collectors::call::CollectorCalls;
use crate::registry::collectors::collection::{Collected, Collection};
use crate::registry::collectors::merge::CollectorMerge;
use crate::registry::expiry::pages::Purpose;
use crate::registry::snapshot::Snapshot;
use crate::registry::snapshot::values::{RegistryValues, ValueReader};
use crate::scrape::source::{SourceKind, sample_names};
use crate::sync::lock;

/// The runs of one handler and its clones.
pub(crate) struct RunQueue {
    source: SourceKind,
    runs: Mutex<Runs>,
}

/// Weak, so that a run is dropped with the last scrape that waits for it.
#[derive(Default)]
struct Runs {
    current: Weak<ScrapeRun>,
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

    /// Returns the run that starts next, creating it if no scrape is waiting for one.
    pub(crate) fn join(self: &Arc<Self>) -> Arc<ScrapeRun> {
        let mut runs = lock(&self.runs);
        runs.waiting.upgrade().unwrap_or_else(|| {
            let run = Arc::new(ScrapeRun::new(Arc::clone(self)));
            runs.waiting = Arc::downgrade(&run);
            run
        })
    }

    /// Starts the waiting run if the current one is complete. Otherwise works on the current run and
    /// returns `false` if it is still incomplete.
    fn start(&self, waiting: &Arc<ScrapeRun>, budget: &mut Budget) -> bool {
        let current = lock(&self.runs).current.upgrade();
        // If the start of the waiting run panicked, that run can already be the current one. It must not wait
        // for itself.
        if current.is_some_and(|run| !Arc::ptr_eq(&run, waiting) && !run.finish(budget)) {
            return false;
        }
        *lock(&self.runs) = Runs {
            current: Arc::downgrade(waiting),
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
    /// The pages requested so far.
    pages: Vec<VariantProgress>,
}

enum Stage {
    Waiting,
    Reading(ValueReader),
    Writing(RunContent),
}

/// The content that all pages of a run share: everything except the samples of collectors.
#[derive(Clone)]
enum RunContent {
    Values(Arc<RegistryValues>),
    Rendered(Bytes),
}

/// The slices of one page that are rendered so far.
struct VariantProgress {
    variant: Variant,
    collected: Collected,
    stage: PageStage,
    slices: Vec<Bytes>,
    done: bool,
}

enum PageStage {
    Waiting,
    Merging(Box<CollectorMerge>),
    Writing(Box<VariantWriter>),
}

/// The result of [`ScrapeRun::slice`].
pub(crate) enum NextSlice {
    Slice(Bytes),
    /// The page has no further slice.
    End,
    /// The budget is spent, or another thread is working on this run: the caller yields and tries again.
    Yield,
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

    /// Calls the collectors on the first call, and waits for their reports.
    pub(crate) fn collect(
        &self,
        collection: &mut Collection,
        budget: &mut Budget,
        cx: &mut Context<'_>,
    ) -> Poll<Collected> {
        let deadline = collection.deadline();
        let calls = self.calls.get_or_init(|| {
            self.queue
                .source
                .collectors()
                .map_or_else(Vec::new, |c| c.call(deadline))
        });
        collection.poll(calls, budget, cx)
    }

    /// Returns slice `n` of a page. If the slice is not rendered yet, works on the run within the budget.
    pub(crate) fn slice(
        self: &Arc<Self>,
        variant: Variant,
        collected: &Collected,
        n: usize,
        budget: &mut Budget,
    ) -> NextSlice {
        let Some(mut work) = self.try_lock() else {
            return NextSlice::Yield;
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
                // No scrape joins a run that has started. If only one scrape is left, it takes the slice
                // instead of sharing it, so that the memory can be reused for the next slice.
                return NextSlice::Slice(match Arc::strong_count(self) {
                    1 => std::mem::take(slice),
                    _ => slice.clone(),
                });
            }
            if page.done {
                if let Stage::Writing(RunContent::Values(values)) = &work.stage {
                    values.complete();
                }
                return NextSlice::End;
            }
            work.advance(i, self.queue.source(), budget);
        }
        NextSlice::Yield
    }

    /// Renders all pages to the end, so that the waiting run can start. Returns `false` if the budget is spent
    /// first, or if another thread is working on the run.
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

    /// Locks the work; `None` if another thread holds the lock.
    fn try_lock(&self) -> Option<MutexGuard<'_, Work>> {
        match self.work.try_lock() {
            Ok(work) => Some(work),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Work {
    /// Returns the index of the page with this variant and these samples of collectors.
    fn page(&mut self, variant: Variant, collected: &Collected) -> usize {
        let matches =
            |page: &VariantProgress| page.variant == variant && page.collected == *collected;
        self.pages.iter().position(matches).unwrap_or_else(|| {
            let page = VariantProgress::new(variant, collected.clone());
            self.pages.push(page);
            self.pages.len() - 1
        })
    }

    /// Does the next part of the work for a page. The run must have started.
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
            SourceKind::Registry(registry) => {
                Self::Reading(ValueReader::new(registry, Purpose::Page))
            }
            SourceKind::Rendered { render, .. } => {
                Self::Writing(RunContent::Rendered(render.render().into()))
            }
        }
    }
}

impl RunContent {
    /// Returns a merge of the families of collectors that are not in conflict with this content.
    fn merge(&self, collected: &Collected, source: &SourceKind) -> CollectorMerge {
        let (collected, constant_labels) = (collected.clone(), source.constant_labels());
        match self {
            Self::Values(values) => {
                let values = Arc::clone(values);
                let is_taken = move |name: &str| values.has_sample_name(name);
                CollectorMerge::new(collected, constant_labels, is_taken)
            }
            Self::Rendered(text) => {
                let taken = match collected.is_empty() {
                    true => HashSet::new(),
                    false => sample_names(&String::from_utf8_lossy(text)),
                };
                let is_taken = move |name: &str| taken.contains(name);
                CollectorMerge::new(collected, constant_labels, is_taken)
            }
        }
    }

    /// Adds the families of collectors.
    fn with(self, families: Vec<Arc<CheckedFamily>>) -> PageContent {
        match self {
            Self::Values(values) => PageContent::Snapshot(Snapshot::new(values, families)),
            Self::Rendered(text) => PageContent::Rendered(text, families),
        }
    }
}

impl VariantProgress {
    fn new(variant: Variant, collected: Collected) -> Self {
        Self {
            variant,
            collected,
            stage: PageStage::Waiting,
            slices: Vec::new(),
            done: false,
        }
    }

    fn advance(&mut self, content: RunContent, source: &SourceKind, budget: &mut Budget) {
        match &mut self.stage {
            PageStage::Waiting => {
                let merge = content.merge(&self.collected, source);
                self.stage = PageStage::Merging(Box::new(merge));
            }
            PageStage::Merging(merge) => {
                if let Some(families) = merge.advance(budget) {
                    let writer = VariantWriter::new(self.variant, content.with(families));
                    self.stage = PageStage::Writing(Box::new(writer));
                }
            }
            PageStage::Writing(writer) => {
                let (slice, done) = writer.advance(budget);
                if !slice.is_empty() {
                    self.slices.push(slice);
                }
                if done {
                    self.done = true;
                    self.stage = PageStage::Waiting;
                }
            }
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
    fn waiting_scrape_yields_if_another_thread_is_rendering() {
        let queue = Arc::new(RunQueue::new(SourceKind::Registry(Registry::new())));
        let run = || Arc::new(ScrapeRun::new(Arc::clone(&queue)));
        let (current, waiting) = (run(), run());
        lock(&queue.runs).current = Arc::downgrade(&current);
        let _another_thread = current.work.lock();
        let variant = Variant {
            format: Format::Text,
            encoding: Encoding::Identity,
        };
        assert!(matches!(
            waiting.slice(
                variant,
                &Collected::default(),
                0,
                &mut Budget::until_yield()
            ),
            NextSlice::Yield
        ));
    }
}
