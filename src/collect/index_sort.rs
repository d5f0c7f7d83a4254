//! [`IndexSort`]: a merge sort of indices, a slice at a time.

use std::cmp::Ordering;

use crate::budget::Budget;

/// The indices `0..len`, sorted after [`advance`](Self::advance) has returned `Some`.
pub(crate) struct IndexSort {
    order: Vec<usize>,
    /// The first indices of `order`, merged to runs of twice the length.
    merged: Vec<usize>,
    /// The length of the sorted runs; 0 while the first ones are sorted.
    run: usize,
    /// The next positions of the two runs that are merged; while the first runs are sorted, `left` is the next run.
    left: usize,
    right: usize,
}

impl IndexSort {
    /// The length of the first runs.
    const FIRST_RUN: usize = 64;

    pub(crate) fn new(len: usize) -> Self {
        Self {
            order: (0..len).collect(),
            merged: Vec::with_capacity(len),
            run: 0,
            left: 0,
            right: 0,
        }
    }

    pub(crate) fn get(&self, position: usize) -> Option<usize> {
        self.order.get(position).copied()
    }

    /// Continues the sort; `None` if the budget is spent first.
    pub(crate) fn advance(
        &mut self,
        compare: impl Fn(usize, usize) -> Ordering,
        budget: &mut Budget,
    ) -> Option<()> {
        /// The approximate cost of a comparison and a move in nanoseconds.
        const STEP: usize = 20;
        let len = self.order.len();
        while self.run == 0 {
            if budget.is_spent() {
                return None;
            }
            let end = len.min(self.left + Self::FIRST_RUN);
            budget.spend((end - self.left) * 6 * STEP);
            self.order[self.left..end].sort_unstable_by(|a, b| compare(*a, *b));
            self.left = end;
            if end == len {
                self.run = Self::FIRST_RUN;
            }
        }
        while self.run < len {
            while self.merged.len() < len {
                if budget.is_spent() {
                    return None;
                }
                budget.spend(STEP);
                let next = self.next(len, &compare);
                self.merged.push(next);
            }
            std::mem::swap(&mut self.order, &mut self.merged);
            self.merged.clear();
            self.run *= 2;
        }
        Some(())
    }

    /// Returns the next index of the two runs that are merged.
    fn next(&mut self, len: usize, compare: impl Fn(usize, usize) -> Ordering) -> usize {
        let both = 2 * self.run;
        let start = self.merged.len() / both * both;
        let (middle, end) = (len.min(start + self.run), len.min(start + both));
        if self.merged.len() == start {
            (self.left, self.right) = (start, middle);
        }
        let is_left = self.right == end
            || (self.left < middle
                && compare(self.order[self.left], self.order[self.right]).is_le());
        let position = match is_left {
            true => &mut self.left,
            false => &mut self.right,
        };
        *position += 1;
        self.order[*position - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_sorted_whatever_the_length_and_the_budget() {
        for len in [0, 1, 63, 64, 65, 128, 129, 1000, 4097] {
            let numbers: Vec<usize> = (0..len).map(|i| i * 7919 % (len + 1)).collect();
            let mut sort = IndexSort::new(len);
            let mut turns = 1;
            while sort
                .advance(|a, b| numbers[a].cmp(&numbers[b]), &mut Budget::of(1000))
                .is_none()
            {
                turns += 1;
            }
            let sorted: Vec<_> = (0..len).map(|i| numbers[sort.get(i).unwrap()]).collect();
            let mut expected = numbers.clone();
            expected.sort_unstable();
            assert_eq!(sorted, expected);
            assert!(turns >= len / 64, "{len}: {turns}");
        }
    }
}
