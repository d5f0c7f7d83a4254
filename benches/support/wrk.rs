//! Compares servers on loopback under `wrk`, in alternating bursts.

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

/// Starts a server on the current runtime.
type Serve = dyn Fn(TcpListener);

/// A server, and the number of requests that it has counted, if it counts them.
pub struct Subject<'a> {
    name: &'static str,
    serve: Box<Serve>,
    counted: Box<dyn Fn() -> Option<f64> + 'a>,
}

impl<'a> Subject<'a> {
    /// A server run by axum, as in an application.
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

    /// A server run by hyper, which accepts any service and any body without boxes.
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
            // `wrk` closes its connections abruptly, so errors are expected.
            let _ = served.await;
        });
    }
}

/// Prints the requests per second of each server, relative to the first. Stops all servers before it returns.
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
    let mut sent = vec![0.0; subjects.len()];
    let mut cpu_time = vec![0.0; subjects.len()];
    for _ in 0..rounds {
        for (i, address) in addresses.iter().enumerate() {
            let before = cpu_seconds();
            let burst = burst(*address, seconds);
            cpu_time[i] += cpu_seconds() - before;
            sent[i] += burst.requests;
            bursts[i].push(burst.per_second);
        }
    }
    runtime.shutdown_background();
    for (subject, &sent) in subjects.iter().zip(&sent) {
        if let Some(counted) = (subject.counted)() {
            // `wrk` does not count the responses that are in flight when it stops.
            let in_flight = f64::from(rounds * CONNECTIONS);
            let name = subject.name;
            assert!(counted >= sent, "{name}: {counted} of {sent}");
            assert!(counted <= sent + in_flight, "{name}: {counted} of {sent}");
        }
    }
    let each: Vec<_> = cpu_time.iter().zip(&sent).map(|(s, n)| s / n).collect();
    print(subjects, &bursts, &each);
}

/// Returns the CPU time of this process in seconds, in user and kernel mode. It is more stable than requests per
/// second if `wrk` uses the same processors.
fn cpu_seconds() -> f64 {
    // Linux reports these times in units of 1/100 s.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The 12th and 13th field after the process name, which may contain any character.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let fields = fields.split_ascii_whitespace();
    let ticks = fields
        .skip(11)
        .take(2)
        .filter_map(|n| n.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

/// Compares the bursts of the same round, because the speed of a machine drifts.
fn print(subjects: &[Subject<'_>], bursts: &[Vec<f64>], cpu_time: &[f64]) {
    println!(
        "Requests per second under `wrk`, {CONNECTIONS} connections; {} bursts each:\n",
        bursts[0].len()
    );
    println!(
        "| | median | relative to the first | minimum | maximum | CPU time of the server, us per request |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for ((subject, own), cpu_time) in subjects.iter().zip(bursts).zip(cpu_time) {
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
            cpu_time * 1e6,
        );
    }
}

async fn start(serve: &Serve) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("the listener is bound");
    serve(listener);
    address
}

const CONNECTIONS: u32 = 16;

struct Burst {
    requests: f64,
    per_second: f64,
}

fn burst(address: SocketAddr, seconds: u32) -> Burst {
    let output = Command::new("wrk")
        .args(["-t", "1", "-c", &CONNECTIONS.to_string()])
        .args(["-d", &format!("{seconds}s")])
        .arg(format!("http://{address}/users/7"))
        .output()
        .expect("wrk is installed");
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
            per_second: of("Requests/sec:")?,
        })
    };
    burst().unwrap_or_else(|| panic!("unexpected output of wrk: {text}"))
}
