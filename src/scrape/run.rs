//! [`Run`]: one reading of the numbers, shared by all scrapes that came before it began.
//!
//! No task is spawned: whoever polls a page does the next bit of the work, and the others find it done.
//! A scrape that comes while a run is at work cannot share it, because it must show what happened until
//! now; it joins the next one, which begins when the one before is done. So however many scrapes
//! come, at most two runs are under way.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};

use bytes::Bytes;

use super::Page;
use super::handler::Pages;
use crate::budget::Budget;
use crate::exposition::{PageText, Variant, VariantWriter};
use crate::registry::{Snapshotting, lock};

/// The runs of one handler.
pub(super) struct Queue {
    pages: Pages,
    latest: Mutex<Weak<Run>>,
}

impl Queue {
    pub(super) fn new(pages: Pages) -> Self {
        let latest = Mutex::default();
        Self { pages, latest }
    }

    pub(super) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// A page of the run that begins next.
    pub(super) fn join(&self, variant: Variant) -> Page {
        let mut latest = lock(&self.latest);
        let waiting = latest.upgrade().filter(|run| run.join(variant));
        let run = waiting.unwrap_or_else(|| {
            let before = std::mem::take(&mut *latest);
            let run = Arc::new(Run::new(self.pages.clone(), before, variant));
            *latest = Arc::downgrade(&run);
            run
        });
        Page::of(run, variant)
    }
}

pub(super) struct Run {
    work: Mutex<Work>,
}

struct Work {
    /// The run before, as long as anyone wants its pages.
    before: Weak<Run>,
    stage: Stage,
    /// The pages that were asked for.
    pages: Vec<PageInProgress>,
}

enum Stage {
    Waiting(Pages),
    Snapshotting(Snapshotting),
    Writing(PageText),
}

struct PageInProgress {
    variant: Variant,
    writer: Option<VariantWriter>,
    slices: Vec<Bytes>,
    done: bool,
}

/// What came of one poll.
pub(super) enum Turn {
    Slice(Bytes),
    End,
    /// The budget is spent, or someone else is at work: come again.
    Over,
}

impl Run {
    fn new(pages: Pages, before: Weak<Self>, variant: Variant) -> Self {
        let work = Mutex::new(Work {
            before,
            stage: Stage::Waiting(pages),
            pages: vec![PageInProgress::new(variant)],
        });
        Self { work }
    }

    /// Joins the run, unless it has begun.
    fn join(&self, variant: Variant) -> bool {
        let Some(mut work) = self.try_lock() else {
            return false;
        };
        let waiting = matches!(work.stage, Stage::Waiting(_));
        if waiting {
            work.page(variant);
        }
        waiting
    }

    /// Slice `n` of a page, after as much work as it takes and the budget allows.
    pub(super) fn slice(&self, variant: Variant, n: usize, budget: &mut Budget) -> Turn {
        let Some(mut work) = self.try_lock() else {
            return Turn::Over;
        };
        loop {
            let page = work.page(variant);
            if budget.is_spent() {
                return Turn::Over;
            }
            if let Some(slice) = page.slices.get(n) {
                return Turn::Slice(slice.clone());
            }
            if page.done {
                return Turn::End;
            }
            work.advance(variant, budget);
        }
    }

    /// Finishes all pages, for the sake of the run behind; false if the budget is spent first.
    fn finish(&self, budget: &mut Budget) -> bool {
        let Some(mut work) = self.try_lock() else {
            budget.spend(budget.left());
            return false;
        };
        loop {
            let unfinished = work.pages.iter().find(|page| !page.done);
            let Some(variant) = unfinished.map(|page| page.variant) else {
                return true;
            };
            if budget.is_spent() {
                return false;
            }
            work.advance(variant, budget);
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
    fn page(&mut self, variant: Variant) -> &mut PageInProgress {
        let known = self.pages.iter().position(|page| page.variant == variant);
        let i = known.unwrap_or_else(|| {
            self.pages.push(PageInProgress::new(variant));
            self.pages.len() - 1
        });
        &mut self.pages[i]
    }

    /// Does the next bit of work for a page.
    fn advance(&mut self, variant: Variant, budget: &mut Budget) {
        match &mut self.stage {
            Stage::Waiting(pages) => {
                if let Some(before) = self.before.upgrade()
                    && !before.finish(budget)
                {
                    return;
                }
                self.before = Weak::new();
                self.stage = begin(pages);
            }
            Stage::Snapshotting(snapshotting) => {
                if let Some(snapshot) = snapshotting.advance(budget) {
                    self.stage = Stage::Writing(PageText::Registry(Arc::new(snapshot)));
                }
            }
            Stage::Writing(text) => {
                let text = text.clone();
                self.page(variant).advance(text, budget);
            }
        }
    }
}

fn begin(pages: &Pages) -> Stage {
    match pages {
        Pages::Registry(registry) => Stage::Snapshotting(Snapshotting::new(registry)),
        #[cfg(feature = "exporter")]
        Pages::Exporter(handle) => Stage::Writing(PageText::Rendered(handle.render().into())),
    }
}

impl PageInProgress {
    fn new(variant: Variant) -> Self {
        Self {
            variant,
            writer: None,
            slices: Vec::new(),
            done: false,
        }
    }

    fn advance(&mut self, text: PageText, budget: &mut Budget) {
        let variant = self.variant;
        let writer = self
            .writer
            .get_or_insert_with(|| VariantWriter::new(variant, text));
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

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}
