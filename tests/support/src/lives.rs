//! [`Lives`]: what the series of several pages have counted in total.

use std::collections::BTreeMap;

use super::page::samples;

/// The values of series that expire and return, over all their lives. A life ends with the first page that does not have
/// the series.
#[derive(Default)]
pub struct Lives {
    last: BTreeMap<String, f64>,
    totals: BTreeMap<String, f64>,
    ended: usize,
}

impl Lives {
    /// Reads the next page. Asserts that no value is negative, and that only gauges of operations in progress fall within a
    /// life.
    pub fn read(&mut self, page: &str) {
        let now = samples(page);
        for (series, value) in &now {
            assert!(*value >= 0.0, "{series} is {value}");
        }
        for (series, value) in &self.last {
            match now.get(series) {
                Some(_) if series.contains("in_progress") => {}
                Some(later) => assert!(later >= value, "{series} fell from {value} to {later}"),
                None => {
                    *self.totals.entry(series.clone()).or_default() += value;
                    self.ended += 1;
                }
            }
        }
        self.last = now;
    }

    /// The number of lives that have ended.
    pub fn ended(&self) -> usize {
        self.ended
    }

    /// The total over all lives of all series of a metric whose labels contain `label`.
    pub fn total(&self, metric: &str, label: &str) -> f64 {
        let is_meant = |series: &str| {
            let labels = series.strip_prefix(metric);
            labels.is_some_and(|labels| labels.starts_with('{') && labels.contains(label))
        };
        let all = self.last.iter().chain(&self.totals);
        let meant = all.filter(|(series, _)| is_meant(series));
        meant.map(|(_, value)| value).sum()
    }
}
