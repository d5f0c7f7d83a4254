//! The time to render a page with each library: counters and histograms of twelve buckets.

use peers::pages::{Kind, subjects};
use peers::timing::{is_measuring, median, nanoseconds};

fn main() {
    let largest = match is_measuring() {
        true => 100_000,
        false => 1000,
    };
    println!("Time to render a page, ns per line:\n");
    let mut is_first = true;
    for kind in [Kind::Counter, Kind::Histogram] {
        for series in [1000, 10_000, 100_000] {
            compare(kind, series.min(largest), is_first);
            is_first = false;
        }
    }
}

fn compare(kind: Kind, series: usize, with_head: bool) {
    let subjects = subjects(kind, series);
    if with_head {
        let names: Vec<_> = subjects.iter().map(|subject| subject.name).collect();
        println!("| | label sets | {} |", names.join(" | "));
        println!("|---|---:|{}", "---:|".repeat(names.len()));
    }
    let lines = series * kind.lines();
    let rounds = match is_measuring() {
        true => (400_000 / lines).clamp(3, 41),
        false => 1,
    };
    let mut times = subjects.each_ref().map(|_| Vec::new());
    for _ in 0..rounds {
        for (subject, times) in subjects.iter().zip(&mut times) {
            let mut page = String::new();
            times.push(nanoseconds(|| page = (subject.render)()));
            let samples = page.lines().filter(|line| line.contains('{')).count();
            assert_eq!(samples, lines, "{}", subject.name);
        }
    }
    let times = times.map(|times| format!("{:.0}", median(times) / lines as f64));
    println!("| {kind:?} | {series} | {} |", times.join(" | "));
}
