//! Requests per second and p99 of the example with 0, 1 and 10 viewers of its page.
//!
//! ```text
//! cargo build --release -p tower-prometheus-live --example live
//! cargo bench -p tower-prometheus-live --bench viewers
//! ```

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use test_support::process::{RunningProgram, example};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 64;
const DURATION: Duration = Duration::from_secs(8);
/// Each number of viewers is measured this often, in turns, because the speed of the machine varies.
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() {
    let mut shop = RunningProgram::start(example("live").env("RATE", "0"));
    let page = shop.read_line_after("live page:    http://");
    let address = page.trim_end_matches("/live").to_owned();
    println!("{:>8} {:>12} {:>10}", "viewers", "requests/s", "p99");
    measure(&address, Duration::from_secs(2)).await;
    for _ in 0..ROUNDS {
        for viewers in [0, 1, 10] {
            let mut reading = JoinSet::new();
            for _ in 0..viewers {
                reading.spawn(view(address.clone()));
            }
            let (per_second, p99) = measure(&address, DURATION).await;
            println!(
                "{viewers:>8} {per_second:>12.0} {:>7.2} ms",
                p99.as_secs_f64() * 1e3
            );
        }
    }
}

async fn connect(address: &str) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.expect("the shop runs");
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP/1");
    tokio::spawn(connection);
    sender
}

fn request(address: &str, path: &str) -> http::Request<Empty<Bytes>> {
    let request = http::Request::get(path).header("host", address);
    request.body(Empty::new()).expect("a valid request")
}

/// Reads the stream of samples as a viewer does.
async fn view(address: String) {
    let mut sender = connect(&address).await;
    let response = sender.send_request(request(&address, "/live/data")).await;
    let mut body = response.expect("a response").into_body();
    while let Some(Ok(_)) = body.frame().await {}
}

/// Returns requests per second and the 99th percentile of their durations.
async fn measure(address: &str, duration: Duration) -> (f64, Duration) {
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let address = address.to_owned();
        clients.spawn(async move {
            let mut sender = connect(&address).await;
            let (start, mut durations) = (Instant::now(), Vec::new());
            while start.elapsed() < duration {
                let sent = Instant::now();
                let response = sender.send_request(request(&address, "/users/42")).await;
                let body = response.expect("a response").into_body();
                body.collect().await.expect("a body");
                durations.push(sent.elapsed());
            }
            durations
        });
    }
    let mut durations: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
    durations.sort_unstable();
    let p99 = durations[durations.len() * 99 / 100];
    (durations.len() as f64 / duration.as_secs_f64(), p99)
}
