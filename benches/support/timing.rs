//! Timing variants of the same work against each other, in one process.
//!
//! Machines drift: what runs first may run faster. So the variants take turns in short rounds, and each is
//! judged by the median of its rounds. A variant's result is checked before its time is believed.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One way to do the work: called with a number of repetitions, on as many threads as are measured.
pub struct Variant<'a> {
    pub name: &'static str,
    work: Box<dyn Fn(usize, u64) + Sync + 'a>,
}

impl<'a> Variant<'a> {
    pub fn new(name: &'static str, work: impl Fn(u64) + Sync + 'a) -> Self {
        Self::of_thread(name, move |_, n| work(n))
    }

    /// As [`new`](Self::new), for work that differs by the number of its thread.
    pub fn of_thread(name: &'static str, work: impl Fn(usize, u64) + Sync + 'a) -> Self {
        let work = Box::new(work);
        Self { name, work }
    }

    /// Does the work so many times, on this thread.
    pub fn run(&self, repeat: u64) {
        (self.work)(0, repeat);
    }
}

/// Nanoseconds for one repetition on each of `threads`, by variant: the median of `rounds`.
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

/// Nanoseconds that something takes.
pub fn nanoseconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64
}

/// Does `work` while another thread repeats `background` without a pause, and has begun to.
pub fn beside<T>(background: impl Fn() + Sync, work: impl FnOnce() -> T) -> T {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let done = AtomicBool::new(false);
    let begun = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            background();
            begun.wait();
            while !done.load(Ordering::Relaxed) {
                background();
            }
        });
        begun.wait();
        // Also when the work panics: the thread would be waited for.
        let _stop = Stop(&done);
        work()
    })
}

/// Whether to measure: `cargo bench` does, `cargo test --benches` and CI only try it out.
pub fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// How many rounds of how many repetitions, where a repetition is a request.
pub fn rounds() -> (usize, u64) {
    match is_measuring() {
        true => (41, 20_000),
        false => (1, 200),
    }
}
