//! The time that each layer adds to a request of an axum router, called directly, with one thread and with two.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Request};
use http_body::Body as _;
use peers::layers;
use peers::subject::{PATH, Subject};
use peers::timing::{Variant, measure, rounds};
use tower::Service;

fn main() {
    let (rounds, repeat) = rounds();
    let subjects = [
        Subject::bare(),
        Subject::layered(layers::ours()),
        Subject::layered(layers::prometheus_axum_middleware()),
        Subject::layered(layers::tonic_prometheus_layer()),
        Subject::layered(layers::axum_otel_metrics()),
        Subject::layered(layers::axum_prometheus()),
        Subject::layered(layers::tower_otel_http_metrics()),
        Subject::layered(layers::opentelemetry_instrumentation_tower_without_route()),
    ];
    let variants: Vec<_> = subjects.iter().map(variant).collect();
    let one = measure(&variants, 1, rounds, repeat);
    let two = measure(&variants, 2, rounds, repeat);
    for subject in &subjects {
        subject.check((rounds as u64 + 1) * repeat * 3);
    }

    println!(
        "Time added to a request of an axum router, which takes {:.0} ns:\n",
        one[0]
    );
    println!("| | 1 thread, ns | 2 threads, ns | relative to 1 thread |");
    println!("|---|---:|---:|---:|");
    for (i, subject) in subjects.iter().enumerate().skip(1) {
        let (single, double) = (one[i] - one[0], two[i] - two[0]);
        println!(
            "| {} | {single:.0} | {double:.0} | {:.2} |",
            subject.name,
            double / single
        );
    }
}

fn variant(subject: &Subject) -> Variant<'_> {
    Variant::with_thread_index(subject.name, |thread, n| {
        // Each thread has its own clone of the router, like each connection of a server.
        let mut router = subject.routers[thread].clone();
        (0..n).for_each(|_| send(&mut router));
    })
}

/// Sends a request like that of an HTTP/1.1 server, and reads the response body to its end.
fn send(router: &mut Router) {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = http::Uri::from_static(PATH);
    let host = HeaderValue::from_static("localhost");
    request.headers_mut().insert(http::header::HOST, host);
    let cx = &mut Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(response)) = pin!(router.call(request)).poll(cx) else {
        panic!("the router is always ready");
    };
    assert_eq!(response.status(), 200);
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(cx) {
        std::hint::black_box(frame.is_ok());
        if body.is_end_stream() {
            break;
        }
    }
}
