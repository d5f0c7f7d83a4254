//! Timing variants of the same work against each other, in one process.
//!
//! Machines drift: what runs first may run faster. So the variants take turns in short rounds, and each is
//! judged by the median of its rounds. A variant's result is checked before its time is believed.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "every bench uses a part of it"
)]

pub mod floor;
pub mod service;

use std::sync::Barrier;
use std::time::{Duration, Instant};

/// One way to do the work: called with a number of repetitions, on as many threads as are measured.
pub struct Variant<'a> {
    pub name: &'static str,
    work: Box<dyn Fn(u64) + Sync + 'a>,
}

impl<'a> Variant<'a> {
    pub fn new(name: &'static str, work: impl Fn(u64) + Sync + 'a) -> Self {
        let work = Box::new(work);
        Self { name, work }
    }

    /// Does the work so many times.
    pub fn run(&self, repeat: u64) {
        (self.work)(repeat);
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
        (variant.work)(repeat);
        return start.elapsed();
    }
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let start = Instant::now();
                    (variant.work)(repeat);
                    start.elapsed()
                })
            })
            .collect();
        let times = workers.into_iter().map(|worker| worker.join().unwrap());
        times.max().unwrap_or_default()
    })
}

pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// How long to measure: `cargo bench` does it well, `cargo test --benches` and CI only try it out.
pub fn rounds() -> (usize, u64) {
    if std::env::args().any(|argument| argument == "--bench") {
        (41, 20_000)
    } else {
        (1, 200)
    }
}
