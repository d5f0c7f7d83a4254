//! [`Pages`]: which readings of the registry are in progress, and which page is complete.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::sync::lock;
use crate::sync::{AtomicU64, Mutex, MutexGuard};

/// The readings of a registry: pages, snapshots, and sums for tests.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    state: Mutex<OpenPages>,
    /// The number of the last page that started.
    started: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct OpenPages {
    /// The number of readings in progress. While there is another one, no series expires: it could show the series
    /// after it has expired.
    in_progress: usize,
    /// The readings that have not collected their series yet. A series that one of them let expire does not return
    /// before: that page could show it.
    collecting: Vec<u64>,
    /// The number of the last page that is complete.
    completed: u64,
}

impl OpenPages {
    /// Whether series may expire on this page, or outside of pages: no other page is in progress.
    pub(super) fn may_expire(&self, page: Option<&Page>) -> bool {
        let is_page = page.is_none_or(|page| page.purpose == Purpose::Page);
        is_page && self.in_progress == usize::from(page.is_some())
    }

    /// Whether a series that this page let expire may return: a complete page has not shown it.
    pub(super) fn may_return(&self, unlisted_by: u64) -> bool {
        self.completed >= unlisted_by && !self.collecting.contains(&unlisted_by)
    }

    /// The number of the last page that is complete.
    pub(super) fn completed(&self) -> u64 {
        self.completed
    }
}

impl Pages {
    pub(super) fn lock(&self) -> MutexGuard<'_, OpenPages> {
        lock(&self.state)
    }

    /// The number of the last page that started. A page with a higher number contains what is registered now.
    pub(super) fn started(&self) -> u64 {
        self.started.load(Ordering::Acquire)
    }

    pub(crate) fn start(self: &Arc<Self>, purpose: Purpose) -> Page {
        let mut state = self.lock();
        let number = self.started.fetch_add(1, Ordering::AcqRel) + 1;
        state.in_progress += 1;
        state.collecting.push(number);
        Page {
            number,
            purpose,
            is_collecting: true,
            pages: Arc::clone(self),
        }
    }
}

/// The purpose of a reading of the registry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Purpose {
    /// A page or a snapshot: what it has shown may expire.
    Page,
    /// A value for a test.
    Sum,
}

/// A reading in progress.
#[derive(Debug)]
pub(crate) struct Page {
    pub(super) number: u64,
    pub(super) purpose: Purpose,
    is_collecting: bool,
    pages: Arc<Pages>,
}

impl Page {
    /// Notes that all series of the page are collected.
    pub(crate) fn has_collected(&mut self) {
        if std::mem::take(&mut self.is_collecting) {
            let number = self.number;
            self.pages.lock().collecting.retain(|page| *page != number);
        }
    }

    /// Marks the page as complete: the scraper has all of it.
    pub(crate) fn complete(&self) {
        if self.purpose == Purpose::Page {
            let mut state = self.pages.lock();
            state.completed = state.completed.max(self.number);
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.has_collected();
        self.pages.lock().in_progress -= 1;
    }
}
