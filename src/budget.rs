//! [`Budget`]: the cooperative budget of scrapes.

/// The work that is left before a scrape yields, in units of about one nanosecond.
///
/// Scrapes of large registries yield regularly, so that requests on the same thread are not delayed. Work is
/// counted and not timed, so that scrapes yield at the same places in every run and can be tested.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
}

impl Budget {
    const BETWEEN_YIELDS: usize = 100_000;

    /// Returns the budget between two yields: about 0.1 ms.
    pub(crate) fn until_yield() -> Self {
        Self::of(Self::BETWEEN_YIELDS)
    }

    pub(crate) fn of(work: usize) -> Self {
        Self { left: work }
    }

    /// Returns the budget for callers that never yield.
    pub(crate) fn unlimited() -> Self {
        Self::of(usize::MAX)
    }

    pub(crate) fn spend(&mut self, work: usize) {
        self.left = self.left.saturating_sub(work);
    }

    pub(crate) fn spend_all(&mut self) {
        self.left = 0;
    }

    pub(crate) fn left(&self) -> usize {
        self.left
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.left == 0
    }
}
