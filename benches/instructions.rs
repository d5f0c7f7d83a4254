//! Sends a fixed number of requests through one variant, for a tool that counts instructions.
//!
//! `.ci/instructions` runs it under callgrind. Unlike times, instruction counts are the same in every run.
//!
//! ```text
//! instructions bare|floor|ours|native REQUESTS
//! ```

mod support;

use http::Response;
use http_body::Body;
use support::floor::{Floor, table};
use support::service::{Hello, send};
use tower::{Layer, Service};
use tower_prometheus::{NativeHistogram, Registry};

const ENDPOINT: &str = "/users/{id}";

/// Requests before the measurement, which register the series and set up the thread's shard and the clock.
const WARM_UP: u64 = 10;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(variant), Some(requests)) = (arguments.next(), arguments.next()) else {
        println!("instructions bare|floor|ours|native REQUESTS");
        return;
    };
    let Ok(requests) = requests.parse::<u64>() else {
        // `cargo bench` passes arguments of its own.
        return;
    };
    match variant.as_str() {
        "bare" => run(&Hello, requests),
        "floor" => {
            let table = table(&[ENDPOINT]);
            let inner = Hello;
            run(&Floor { inner, table }, requests);
        }
        "ours" => run_layer(&Registry::new(), requests),
        "native" => {
            let settings = NativeHistogram::new(1.1).without_classic_buckets();
            let registry = Registry::builder().native_histograms(settings).build();
            run_layer(&registry.expect("the factor is valid"), requests);
        }
        other => panic!("unknown variant {other}: expected bare, floor, ours or native"),
    }
}

fn run_layer(registry: &Registry, requests: u64) {
    run(&registry.http_layer().layer(Hello), requests);
    let expected = Some((WARM_UP + requests) as f64);
    let counted = ["http_requests_total", "http_request_duration_seconds_count"];
    assert_eq!(counted.map(|name| registry.sum(name, &[])), [expected; 2]);
}

fn run<S, B>(service: &S, requests: u64)
where
    S: Service<http::Request<()>, Response = Response<B>> + Clone,
    B: Body,
{
    (0..WARM_UP).for_each(|_| send(service, ENDPOINT));
    measured(service, requests);
}

/// callgrind counts only this function, by its name.
#[inline(never)]
fn measured<S, B>(service: &S, requests: u64)
where
    S: Service<http::Request<()>, Response = Response<B>> + Clone,
    B: Body,
{
    (0..requests).for_each(|_| send(service, ENDPOINT));
}
