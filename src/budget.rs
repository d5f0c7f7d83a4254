//! [`Budget`]: how much of a scrape's work one turn may do.

/// What is left of one turn, in about nanoseconds of work.
///
/// A scrape of a large registry is cut into turns, so that requests on the same thread get theirs.
/// Counting work rather than reading a clock keeps turns, and so tests, repeatable.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
}

impl Budget {
    const TURN: usize = 100_000;

    /// One turn: about a tenth of a millisecond.
    pub(crate) fn turn() -> Self {
        Self::of(Self::TURN)
    }

    pub(crate) fn of(work: usize) -> Self {
        Self { left: work }
    }

    /// For callers that have nobody to make way for.
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
