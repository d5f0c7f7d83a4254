//! [`Window`]: the samples of a summary's last ten minutes, as a sketch that tells their quantiles.

use std::sync::Mutex;

use sketches_ddsketch::{Config, DDSketch};

use crate::clock::Instant;
use crate::registry::thread_slot;
use crate::sync::lock;

/// The quantiles that a summary shows.
pub(crate) const QUANTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

/// Sketches for as many threads as commonly record at the same time.
const STRIPES: usize = 8;

/// A window is made of slices, the oldest of which is dropped when a new one begins: ten minutes, as
/// Prometheus' own clients have it.
const SLICES: usize = 5;
const SLICE_SECONDS: f64 = 120.0;

/// Samples of the last ten minutes, each within 1 % of what it was.
pub(crate) struct Window {
    began: Instant,
    stripes: [Mutex<[Slice; SLICES]>; STRIPES],
}

#[derive(Default)]
struct Slice {
    number: u64,
    sketch: Option<DDSketch>,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            stripes: std::array::from_fn(|_| Mutex::default()),
        }
    }

    fn now(&self) -> u64 {
        (self.began.elapsed_seconds() / SLICE_SECONDS) as u64
    }

    /// Adds a finite sample.
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

    /// The [`QUANTILES`]; NaN when nothing was observed lately.
    pub(crate) fn quantiles(&self) -> [f64; QUANTILES.len()] {
        let now = self.now();
        let mut merged = DDSketch::new(Config::defaults());
        for stripe in &self.stripes {
            for slice in &*lock(stripe) {
                if slice.number + SLICES as u64 > now
                    && let Some(sketch) = &slice.sketch
                {
                    // Only sketches of another configuration cannot be merged.
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
        assert!(window.quantiles()[0] > 4900.0, "the first ones are gone");
        stepped::advance(Duration::from_secs(120));
        assert!(window.quantiles()[0].is_nan());
    }

    #[test]
    fn threads_are_seen_together() {
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
