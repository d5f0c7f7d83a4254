//! Compares the times of variants of the same work, in one process.
//!
//! The speed of a machine drifts. Therefore the variants run alternately in short rounds, and the result is the median
//! of the rounds. The benchmarks also check what each variant recorded.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A variant of the work. It is called with a number of repetitions, on each of the measured threads.
pub struct Variant<'a> {
    pub name: &'static str,
    work: Box<dyn Fn(usize, u64) + Sync + 'a>,
}

impl<'a> Variant<'a> {
    pub fn new(name: &'static str, work: impl Fn(u64) + Sync + 'a) -> Self {
        Self::with_thread_index(name, move |_, n| work(n))
    }

    /// Like [`new`](Self::new), for work that depends on the index of its thread.
    pub fn with_thread_index(name: &'static str, work: impl Fn(usize, u64) + Sync + 'a) -> Self {
        let work = Box::new(work);
        Self { name, work }
    }

    /// Runs the work `repeat` times on this thread.
    pub fn run(&self, repeat: u64) {
        (self.work)(0, repeat);
    }
}

/// Returns the nanoseconds per repetition of each variant, with `threads` threads: the median of `rounds`.
pub fn measure(variants: &[Variant<'_>], threads: usize, rounds: usize, repeat: u64) -> Vec<f64> {
    let mut times = vec![Vec::with_capacity(rounds); variants.len()];
    for round in 0..=rounds {
        for (variant, times) in variants.iter().zip(&mut times) {
            let time = time(variant, threads, repeat);
            // The first round registers series and warms caches.
            if round > 0 {
                times.push(time.as_nanos() as f64 / repeat as f64);
            }
        }
    }
    times.into_iter().map(median).collect()
}

fn time(variant: &Variant<'_>, threads: usize, repeat: u64) -> Duration {
    if threads == 1 {
        let start = Instant::now();
        (variant.work)(0, repeat);
        return start.elapsed();
    }
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let start = Instant::now();
                    (variant.work)(thread, repeat);
                    start.elapsed()
                })
            })
            .collect();
        let times = workers.into_iter().map(|worker| worker.join().unwrap());
        times.max().unwrap_or_default()
    })
}

pub fn median(times: Vec<f64>) -> f64 {
    quantile(times, 0.5)
}

pub fn quantile(mut times: Vec<f64>, quantile: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let last = times.len() - 1;
    times[(quantile * last as f64).round() as usize]
}

/// Returns the duration of `work` in nanoseconds.
pub fn nanoseconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64
}

/// Runs `work` while another thread repeats `background` continuously. `background` has run once before `work` starts.
pub fn during<T>(background: impl Fn() + Sync, work: impl FnOnce() -> T) -> T {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let done = AtomicBool::new(false);
    let started = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            background();
            started.wait();
            while !done.load(Ordering::Relaxed) {
                background();
            }
        });
        started.wait();
        // Stops the thread even if the work panics; otherwise the scope would wait for it forever.
        let _stop = Stop(&done);
        work()
    })
}

/// Whether to measure, as `cargo bench` does. `cargo test --benches` and CI only run the code once.
pub fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// Returns the number of rounds, and of repetitions per round, if a repetition is a request.
pub fn rounds() -> (usize, u64) {
    match is_measuring() {
        true => (41, 20_000),
        false => (1, 200),
    }
}
