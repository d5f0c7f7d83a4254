//! Servers on loopback under `wrk`, in bursts that take turns.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::process::Command;

use axum::Router;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::Service;

use super::timing::{is_measuring, median, quantile};

/// Starts to serve, on the runtime that it is called on.
type Serve = dyn Fn(TcpListener);

/// A server to ask, and how many requests it has counted, if it counts.
pub struct Subject<'a> {
    name: &'static str,
    serve: Box<Serve>,
    counted: Box<dyn Fn() -> Option<f64> + 'a>,
}

impl<'a> Subject<'a> {
    /// By axum, as an application does.
    pub fn axum(
        name: &'static str,
        router: Router,
        counted: impl Fn() -> Option<f64> + 'a,
    ) -> Self {
        let serve = move |listener| {
            let served = axum::serve(listener, router.clone());
            tokio::spawn(async { served.await });
        };
        Self {
            name,
            serve: Box::new(serve),
            counted: Box::new(counted),
        }
    }

    /// By hyper, which takes any service and any body, and so asks for no boxes.
    pub fn hyper<S, B>(
        name: &'static str,
        service: S,
        counted: impl Fn() -> Option<f64> + 'a,
    ) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data: Send, Error: Error + Send + Sync> + Send + 'static,
    {
        let serve = move |listener| {
            tokio::spawn(serve_by_hyper(listener, service.clone()));
        };
        Self {
            name,
            serve: Box::new(serve),
            counted: Box::new(counted),
        }
    }
}

async fn serve_by_hyper<S, B>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Error + Send + Sync> + Send + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let connection = auto::Builder::new(TokioExecutor::new());
            let stream = TokioIo::new(stream);
            let served = connection.serve_connection_with_upgrades(stream, service);
            // `wrk` leaves without a word.
            let _ = served.await;
        });
    }
}

/// Prints what each server answers beside the first; all of them stop when this returns.
pub fn compare(subjects: &[Subject<'_>]) {
    if Command::new("wrk").output().is_err() {
        println!("wrk is not installed");
        return;
    }
    let (rounds, seconds) = match is_measuring() {
        true => (31, 1),
        false => (1, 1),
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let addresses: Vec<_> = subjects
        .iter()
        .map(|subject| runtime.block_on(start(&subject.serve)))
        .collect();
    let mut bursts = vec![Vec::new(); subjects.len()];
    let mut asked = vec![0.0; subjects.len()];
    let mut worked = vec![0.0; subjects.len()];
    for _ in 0..rounds {
        for (i, address) in addresses.iter().enumerate() {
            let before = worked_seconds();
            let burst = burst(*address, seconds);
            worked[i] += worked_seconds() - before;
            asked[i] += burst.requests;
            bursts[i].push(burst.a_second);
        }
    }
    runtime.shutdown_background();
    for (subject, &asked) in subjects.iter().zip(&asked) {
        if let Some(counted) = (subject.counted)() {
            // `wrk` leaves with answers on the way, which it does not count.
            let on_the_way = f64::from(rounds * CONNECTIONS);
            let name = subject.name;
            assert!(counted >= asked, "{name}: {counted} of {asked}");
            assert!(
                counted <= asked + on_the_way,
                "{name}: {counted} of {asked}"
            );
        }
    }
    let each: Vec<_> = worked.iter().zip(&asked).map(|(s, n)| s / n).collect();
    print(subjects, &bursts, &each);
}

/// Seconds that processors spent on the servers, for their programs and in the kernel: steadier than
/// requests a second where `wrk` has the same processors.
fn worked_seconds() -> f64 {
    // Linux counts in hundredths for every program.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold anything: the 12th and 13th.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let fields = fields.split_ascii_whitespace();
    let ticks = fields
        .skip(11)
        .take(2)
        .filter_map(|n| n.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

/// By the bursts of each round, because machines drift.
fn print(subjects: &[Subject<'_>], bursts: &[Vec<f64>], worked: &[f64]) {
    println!(
        "Requests a second under `wrk`, {CONNECTIONS} connections; {} bursts each:\n",
        bursts[0].len()
    );
    println!("| | median | of the first | from | to | server's processor time, us a request |");
    println!("|---|---:|---:|---:|---:|---:|");
    for ((subject, own), worked) in subjects.iter().zip(bursts).zip(worked) {
        let ratios: Vec<_> = own
            .iter()
            .zip(&bursts[0])
            .map(|(own, first)| own / first)
            .collect();
        println!(
            "| {} | {:.0} | {:.3} | {:.3} | {:.3} | {:.2} |",
            subject.name,
            median(own.clone()),
            median(ratios.clone()),
            quantile(ratios.clone(), 0.0),
            quantile(ratios, 1.0),
            worked * 1e6,
        );
    }
}

async fn start(serve: &Serve) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    serve(listener);
    address
}

const CONNECTIONS: u32 = 16;

struct Burst {
    requests: f64,
    a_second: f64,
}

fn burst(address: SocketAddr, seconds: u32) -> Burst {
    let output = Command::new("wrk")
        .args(["-t", "1", "-c", &CONNECTIONS.to_string()])
        .args(["-d", &format!("{seconds}s")])
        .arg(format!("http://{address}/users/7"))
        .output()
        .expect("wrk was there a moment ago");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        !text.contains("Non-2xx") && !text.contains("Socket errors"),
        "{text}"
    );
    let number = |line: &str| line.split_whitespace().find_map(|word| word.parse().ok());
    let of = |what| {
        text.lines()
            .find(|line| line.contains(what))
            .and_then(number)
    };
    let burst = || {
        Some(Burst {
            requests: of(" requests in ")?,
            a_second: of("Requests/sec:")?,
        })
    };
    burst().unwrap_or_else(|| panic!("wrk said {text}"))
}
