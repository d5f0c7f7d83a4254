//! Requests per second of an axum server under `wrk`, with each layer and without.

use peers::layers;
use peers::subject::Subject as Layered;
use peers::wrk::{Subject, compare};

fn main() {
    let subjects = [
        Layered::bare(),
        Layered::layered(layers::ours()),
        Layered::layered(layers::axum_prometheus()),
    ];
    let servers = subjects.each_ref().map(|subject| {
        let counted = || subject.counted().map(|requests| requests as f64);
        Subject::axum(subject.name, subject.routers[0].clone(), counted)
    });
    compare(&servers);
}
