//! [`Window`]: the sliding window of a summary. Quantiles are computed from sketches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sketches_ddsketch::{Config, DDSketch};

use crate::clock::Instant;
use crate::model::quantiles::Quantiles;
use crate::registry::cells::CellId;
use crate::registry::thread_slot;
use crate::sync::lock;

/// The number of stripes, each with its own lock, so that threads that record at the same time rarely wait.
const STRIPES: usize = 8;

/// The number of time slices of a window. The oldest is dropped when a new one starts.
const SLICES: usize = 5;

/// Ten minutes, as in the official Prometheus clients.
pub(crate) const DEFAULT_WINDOW: Duration = Duration::from_secs(600);

/// The quantiles of a summary family, and the windows of its series.
pub(crate) struct Windows {
    quantiles: Quantiles,
    slice_seconds: f64,
    /// By the first cell of the series.
    by_cell: Mutex<HashMap<CellId, Arc<Window>>>,
}

impl Windows {
    pub(crate) fn new(quantiles: Quantiles, window_seconds: f64) -> Self {
        Self {
            quantiles,
            slice_seconds: window_seconds / SLICES as f64,
            by_cell: Mutex::default(),
        }
    }

    /// Returns the window of the series with this first cell, created on first use.
    pub(crate) fn of(&self, cell: CellId) -> Arc<Window> {
        let new = || Arc::new(Window::new(self.slice_seconds));
        Arc::clone(lock(&self.by_cell).entry(cell).or_insert_with(new))
    }

    /// Returns the window of the series with this first cell.
    pub(crate) fn get(&self, cell: CellId) -> Option<Arc<Window>> {
        lock(&self.by_cell).get(&cell).cloned()
    }

    /// Returns the quantiles of the series with this first cell and their values; NaN without observations in
    /// the window.
    pub(crate) fn values(&self, cell: CellId) -> Vec<(f64, f64)> {
        let window = self.get(cell);
        let merged = window.map(|window| window.merged());
        let value = |q| merged.as_ref().and_then(|sketch| quantile(sketch, q));
        let quantiles = self.quantiles.values().iter();
        quantiles
            .map(|q| (*q, value(*q).unwrap_or(f64::NAN)))
            .collect()
    }
}

/// Returns a quantile; `None` without observations.
///
/// The quantiles 0 and 1 are exact. The others are rounded by up to 1 %, but never beyond those two.
fn quantile(sketch: &DDSketch, q: f64) -> Option<f64> {
    let value = sketch.quantile(q).ok().flatten()?;
    Some(value.max(sketch.min()?).min(sketch.max()?))
}

/// The observations of the window. Quantiles have a relative error of at most 1 %.
pub(crate) struct Window {
    started: Instant,
    slice_seconds: f64,
    stripes: [Mutex<[Slice; SLICES]>; STRIPES],
}

#[derive(Default)]
struct Slice {
    /// The number of the time slice, counted from the creation of the window.
    number: u64,
    sketch: Option<DDSketch>,
}

impl Window {
    fn new(slice_seconds: f64) -> Self {
        Self {
            started: Instant::now(),
            slice_seconds,
            stripes: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Returns the number of the current time slice.
    fn now(&self) -> u64 {
        (self.started.elapsed_seconds() / self.slice_seconds) as u64
    }

    /// Adds an observation `count` times. It must be finite.
    pub(crate) fn add(&self, sample: f64, count: u64) {
        let (now, stripe) = (self.now(), thread_slot::current().unwrap_or_default());
        let slice = &mut lock(&self.stripes[stripe % STRIPES])[now as usize % SLICES];
        if slice.number != now {
            *slice = Slice {
                number: now,
                sketch: None,
            };
        }
        let sketch = slice.sketch.get_or_insert_with(empty_sketch);
        match count {
            1 => sketch.add(sample),
            count => add_many(sketch, sample, count),
        }
    }

    /// Removes all observations.
    pub(crate) fn clear(&self) {
        for stripe in &self.stripes {
            *lock(stripe) = Default::default();
        }
    }

    /// Returns a sketch of all observations in the window.
    fn merged(&self) -> DDSketch {
        let now = self.now();
        let mut merged = empty_sketch();
        for stripe in &self.stripes {
            for slice in &*lock(stripe) {
                if slice.number + SLICES as u64 > now
                    && let Some(sketch) = &slice.sketch
                {
                    // Merging fails only between sketches of different configurations.
                    let _ = merged.merge(sketch);
                }
            }
        }
        merged
    }
}

fn empty_sketch() -> DDSketch {
    DDSketch::new(Config::defaults())
}

/// Adds a sample `count` times, by merging sketches that have it 1, 2, 4, … times. A loop could hold the lock for
/// seconds. Counts above `u32::MAX` are reduced to it, because the counts of a sketch do not saturate.
fn add_many(sketch: &mut DDSketch, sample: f64, count: u64) {
    let mut missing = count.min(u64::from(u32::MAX));
    let mut power = empty_sketch();
    power.add(sample);
    while missing > 0 {
        if missing % 2 == 1 {
            let _ = sketch.merge(&power);
        }
        missing /= 2;
        let same = power.clone();
        let _ = power.merge(&same);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::stepped;

    /// Returns the windows of a family, and the window of one series with the first cell 0.
    fn window(quantiles: &[f64], window: Duration) -> (Windows, Arc<Window>) {
        let quantiles = Quantiles::new(quantiles.iter().copied()).unwrap();
        let windows = Windows::new(quantiles, window.as_secs_f64());
        let window = windows.of(0);
        (windows, window)
    }

    fn values(windows: &Windows) -> Vec<f64> {
        windows.values(0).iter().map(|(_, value)| *value).collect()
    }

    #[test]
    fn samples_are_forgotten_after_ten_minutes() {
        let (windows, window) = window(&[0.5, 0.9, 0.99], DEFAULT_WINDOW);
        (1..=1000).for_each(|sample| window.add(f64::from(sample), 1));
        let shown = values(&windows);
        assert!((495.0..505.0).contains(&shown[0]), "{shown:?}");
        assert!((980.0..1000.0).contains(&shown[2]), "{shown:?}");
        stepped::advance(Duration::from_secs(121));
        window.add(5000.0, 1000);
        assert!(values(&windows)[1] > 4900.0);
        assert!(values(&windows)[0] < 1100.0);
        stepped::advance(Duration::from_secs(480));
        assert!(
            values(&windows)[0] > 4900.0,
            "the first samples are forgotten"
        );
        stepped::advance(Duration::from_secs(120));
        assert!(values(&windows)[0].is_nan());
    }

    #[test]
    fn samples_are_kept_for_four_to_five_fifths_of_the_window() {
        let (windows, window) = window(&[1.0], Duration::from_secs(60));
        window.add(7.0, 1);
        stepped::advance(Duration::from_secs(47));
        assert_eq!(values(&windows), [7.0]);
        stepped::advance(Duration::from_secs(14));
        assert!(values(&windows)[0].is_nan());
    }

    #[test]
    fn sample_recorded_many_times_has_that_weight() {
        let (windows, window) = window(&[0.24, 0.26], DEFAULT_WINDOW);
        window.add(1.0, 25);
        window.add(100.0, 75);
        let shown = values(&windows);
        assert!(shown[0] < 2.0 && shown[1] > 90.0, "{shown:?}");
        window.add(1.0, u64::MAX);
        assert!(values(&windows)[1] < 2.0);
    }

    #[test]
    fn lowest_and_highest_quantile_are_exact() {
        let (windows, window) = window(&[0.0, 0.999, 1.0], DEFAULT_WINDOW);
        for sample in [-3.25, 0.0, 7.0] {
            window.add(sample, 1);
        }
        let [lowest, .., highest] = values(&windows)[..] else {
            panic!("three quantiles");
        };
        assert_eq!((lowest, highest), (-3.25, 7.0));
    }

    #[test]
    fn quantiles_include_the_samples_of_all_threads() {
        let (windows, window) = window(&[0.1, 0.99], DEFAULT_WINDOW);
        std::thread::scope(|scope| {
            for i in 0..4 {
                let window = &window;
                scope.spawn(move || window.add(f64::from(i), 100));
            }
        });
        assert!(values(&windows)[1] > 2.9);
        assert!(values(&windows)[0] < 2.1);
    }
}
