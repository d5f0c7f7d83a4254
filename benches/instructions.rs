//! A fixed number of requests through one variant, for a tool that counts instructions.
//!
//! `.ci/instructions` runs it under callgrind; instructions, unlike nanoseconds, are the same each time.
//!
//! ```text
//! instructions bare|floor|ours REQUESTS
//! ```

mod support;

use support::floor::{Floor, table};
use support::service::{Hello, ask};
use tower::Layer;
use tower_prometheus::Registry;

const ENDPOINT: &str = "/users/{id}";

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
        "bare" => (0..requests).for_each(|_| ask(&Hello, ENDPOINT)),
        "floor" => {
            let table = table(&[ENDPOINT]);
            let floor = Floor {
                inner: Hello,
                table,
            };
            (0..requests).for_each(|_| ask(&floor, ENDPOINT));
        }
        "ours" => {
            let registry = Registry::new();
            let ours = registry.http_layer().layer(Hello);
            (0..requests).for_each(|_| ask(&ours, ENDPOINT));
            let counted = registry.value("http_requests_total", &[]);
            assert_eq!(counted, Some(requests as f64));
        }
        other => panic!("no variant {other}"),
    }
}
