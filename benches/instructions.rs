//! A fixed number of requests through one variant, for a tool that counts instructions.
//!
//! `.ci/instructions` runs it under callgrind; instructions, unlike nanoseconds, are the same each time.
//!
//! ```text
//! instructions bare|floor|ours REQUESTS
//! ```

mod support;

use http::Response;
use http_body::Body;
use support::floor::{Floor, table};
use support::service::{Hello, ask};
use tower::{Layer, Service};
use tower_prometheus::Registry;

const ENDPOINT: &str = "/users/{id}";

/// What is done once: series, the thread's copy of the cells, the clock.
const WARM_UP: u64 = 10;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(variant), Some(requests)) = (arguments.next(), arguments.next()) else {
        println!("instructions bare|floor|ours REQUESTS");
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
        "ours" => {
            let registry = Registry::new();
            run(&registry.http_layer().layer(Hello), requests);
            let counted = registry.sum("http_requests_total", &[]);
            assert_eq!(counted, Some((WARM_UP + requests) as f64));
        }
        other => panic!("no variant {other}"),
    }
}

fn run<S, B>(service: &S, requests: u64)
where
    S: Service<http::Request<()>, Response = Response<B>> + Clone,
    B: Body,
{
    (0..WARM_UP).for_each(|_| ask(service, ENDPOINT));
    measured(service, requests);
}

/// What is counted, and nothing else: known by its name.
#[inline(never)]
fn measured<S, B>(service: &S, requests: u64)
where
    S: Service<http::Request<()>, Response = Response<B>> + Clone,
    B: Body,
{
    (0..requests).for_each(|_| ask(service, ENDPOINT));
}
