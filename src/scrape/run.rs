//! [`Run`]: one reading of the numbers, shared by all scrapes that came before it began.
//!
//! No task is spawned: whoever polls a page does the next bit of the work, and the others find it done.
//! A scrape that comes while a run is at work cannot share it, because it must show what happened until
//! now; it joins the next one, which begins when the one at work is done. So however many scrapes
//! come, one run is at work and one is waiting.
//!
//! Collectors are called once for a run, before it begins: it begins when the first of its scrapes has their
//! samples.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;

use super::Page;
use super::collect::{Calls, Collected, Collection, Collectors};
use super::source::Pages;
use crate::budget::Budget;
use crate::exposition::{PageText, ReadyFamilies, Variant, VariantWriter};
use crate::registry::Snapshotting;
use crate::sync::lock;

/// The runs of one handler.
pub(super) struct Queue {
    pages: Pages,
    collectors: Collectors,
    runs: Mutex<Runs>,
}

/// Neither is kept alive: a run that nobody wants any more is gone.
#[derive(Default)]
struct Runs {
    at_work: Weak<Run>,
    waiting: Weak<Run>,
}

impl Queue {
    pub(super) fn new(pages: Pages) -> Self {
        Self {
            collectors: Collectors::new(pages.constant_labels()),
            pages,
            runs: Mutex::default(),
        }
    }

    pub(super) fn pages(&self) -> &Pages {
        &self.pages
    }

    pub(super) fn collectors(&self) -> &Collectors {
        &self.collectors
    }

    pub(super) fn is_worth_compressing(&self) -> bool {
        self.pages.is_worth_compressing() || !self.collectors.is_empty()
    }

    /// A page of the run that begins next.
    pub(super) fn join(self: &Arc<Self>, variant: Variant, collection: Option<Collection>) -> Page {
        let mut runs = lock(&self.runs);
        let run = runs.waiting.upgrade().unwrap_or_else(|| {
            let run = Arc::new(Run::new(Arc::clone(self)));
            runs.waiting = Arc::downgrade(&run);
            run
        });
        Page::of(run, variant, collection)
    }

    /// Lets the waiting run begin if the one at work is done, and helps that with its work if not.
    fn begin(&self, waiting: &Arc<Run>, budget: &mut Budget) -> bool {
        let at_work = lock(&self.runs).at_work.upgrade();
        // A run whose beginning panicked may be at work without being: it does not wait for itself.
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

pub(super) struct Run {
    queue: Arc<Queue>,
    calls: OnceLock<Calls>,
    work: Mutex<Work>,
}

struct Work {
    stage: Stage,
    /// The pages that were asked for so far.
    pages: Vec<PageInProgress>,
}

enum Stage {
    Waiting,
    Snapshotting(Snapshotting),
    Writing(PageText),
}

struct PageInProgress {
    variant: Variant,
    collected: Collected,
    writer: Option<VariantWriter>,
    slices: Vec<Bytes>,
    done: bool,
}

/// What came of one poll.
pub(super) enum Turn {
    Slice(Bytes),
    End,
    /// The budget is spent, or another thread is at work for about as long: come again.
    Over,
}

impl Run {
    fn new(queue: Arc<Queue>) -> Self {
        let work = Mutex::new(Work {
            stage: Stage::Waiting,
            pages: Vec::new(),
        });
        let calls = OnceLock::new();
        Self { queue, calls, work }
    }

    /// What the collectors have for a scrape of this run.
    pub(super) fn collect(
        &self,
        collection: &mut Collection,
        cx: &mut Context<'_>,
    ) -> Poll<Collected> {
        let deadline = collection.deadline();
        let calls = self
            .calls
            .get_or_init(|| self.queue.collectors.call(deadline));
        collection.poll(calls, cx)
    }

    /// Slice `n` of a page, after as much work as it takes and the budget allows.
    pub(super) fn slice(
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
                if self.queue.begin(self, budget) {
                    work.stage = Stage::of(self.queue.pages());
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
            work.advance(i, self.queue.pages(), budget);
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
            work.advance(unfinished, self.queue.pages(), budget);
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
        let is_it = |page: &PageInProgress| page.variant == variant && page.collected == *collected;
        self.pages.iter().position(is_it).unwrap_or_else(|| {
            let page = PageInProgress::new(variant, collected.clone());
            self.pages.push(page);
            self.pages.len() - 1
        })
    }

    /// Does the next bit of work for a page, once the run has begun.
    fn advance(&mut self, page: usize, pages: &Pages, budget: &mut Budget) {
        match &mut self.stage {
            Stage::Waiting => {}
            Stage::Snapshotting(snapshotting) => {
                if let Some(snapshot) = snapshotting.advance(budget) {
                    self.stage = Stage::Writing(PageText::Registry(Arc::new(snapshot)));
                }
            }
            Stage::Writing(text) => {
                let text = text.clone();
                self.pages[page].advance(text, pages, budget);
            }
        }
    }
}

impl Stage {
    fn of(pages: &Pages) -> Self {
        match pages {
            Pages::Registry(registry) => Self::Snapshotting(Snapshotting::new(registry)),
            #[cfg(feature = "exporter")]
            Pages::Exporter(handle) => Self::Writing(PageText::Rendered(handle.render().into())),
        }
    }
}

impl PageInProgress {
    fn new(variant: Variant, collected: Collected) -> Self {
        Self {
            variant,
            collected,
            writer: None,
            slices: Vec::new(),
            done: false,
        }
    }

    fn advance(&mut self, text: PageText, pages: &Pages, budget: &mut Budget) {
        let Self {
            variant, collected, ..
        } = self;
        let writer = self.writer.get_or_insert_with(|| {
            let ready = match collected.is_empty() {
                true => ReadyFamilies::default(),
                false => ReadyFamilies::new(collected.families(
                    variant.format,
                    pages.constant_labels(),
                    pages.taken_names(&text),
                )),
            };
            // About a nanosecond a byte, and the turn ends where it was not little.
            budget.spend(ready.len());
            VariantWriter::new(*variant, text, ready)
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

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;
    use crate::exposition::{Encoding, Format};

    #[test]
    fn a_run_that_is_busy_elsewhere_ends_the_turn() {
        let queue = Arc::new(Queue::new(Pages::Registry(Registry::new())));
        let run = || Arc::new(Run::new(Arc::clone(&queue)));
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
