//! [`Window`]: the sliding window of a summary. Quantiles are computed from sketches.

use std::sync::Mutex;

use sketches_ddsketch::{Config, DDSketch};

use crate::clock::Instant;
use crate::registry::thread_slot;
use crate::sync::lock;

/// The quantiles that a summary exports.
pub(crate) const QUANTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

/// The number of stripes, each with its own lock, so that threads that record at the same time rarely wait.
const STRIPES: usize = 8;

/// The number of time slices of a window. The oldest is dropped when a new one starts. Five slices of two
/// minutes make ten minutes, as in the official Prometheus clients.
const SLICES: usize = 5;
const SLICE_SECONDS: f64 = 120.0;

/// The observations of the last eight to ten minutes. Quantiles have a relative error of at most 1 %.
pub(crate) struct Window {
    started: Instant,
    stripes: [Mutex<[Slice; SLICES]>; STRIPES],
}

#[derive(Default)]
struct Slice {
    /// The number of the time slice, counted from the creation of the window.
    number: u64,
    sketch: Option<DDSketch>,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            stripes: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Returns the number of the current time slice.
    fn now(&self) -> u64 {
        (self.started.elapsed_seconds() / SLICE_SECONDS) as u64
    }

    /// Adds an observation, which must be finite.
    pub(crate) fn add(&self, sample: f64) {
        let (now, stripe) = (self.now(), thread_slot::current().unwrap_or_default());
        let slice = &mut lock(&self.stripes[stripe % STRIPES])[now as usize % SLICES];
        if slice.number != now {
            *slice = Slice {
                number: now,
                sketch: None,
            };
        }
        let new = || DDSketch::new(Config::defaults());
        slice.sketch.get_or_insert_with(new).add(sample);
    }

    /// Returns the values of the [`QUANTILES`]; NaN without observations in the window.
    pub(crate) fn quantiles(&self) -> [f64; QUANTILES.len()] {
        let now = self.now();
        let mut merged = DDSketch::new(Config::defaults());
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
        QUANTILES.map(|q| merged.quantile(q).ok().flatten().unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::stepped;

    #[test]
    fn samples_are_forgotten_after_ten_minutes() {
        let window = Window::new();
        (1..=1000).for_each(|sample| window.add(f64::from(sample)));
        let [median, .., highest] = window.quantiles();
        assert!((495.0..505.0).contains(&median), "{median}");
        assert!((980.0..1000.0).contains(&highest), "{highest}");
        stepped::advance(Duration::from_secs(121));
        (0..1000).for_each(|_| window.add(5000.0));
        assert!(window.quantiles()[1] > 4900.0);
        assert!(window.quantiles()[0] < 1100.0);
        stepped::advance(Duration::from_secs(480));
        assert!(
            window.quantiles()[0] > 4900.0,
            "the first samples are forgotten"
        );
        stepped::advance(Duration::from_secs(120));
        assert!(window.quantiles()[0].is_nan());
    }

    #[test]
    fn quantiles_include_the_samples_of_all_threads() {
        let window = Window::new();
        std::thread::scope(|scope| {
            for i in 0..4 {
                let window = &window;
                scope.spawn(move || (0..100).for_each(|_| window.add(f64::from(i))));
            }
        });
        assert!(window.quantiles()[3] > 2.9);
        assert!(window.quantiles()[0] < 2.1);
    }
}
