//! aSDLC: an orchestrator (axum) and workers (plain hyper), with Redis queues between them.
//!
//! ```text
//! $ cargo run --release -p systems --bin asdlc
//! http://127.0.0.1:8080/metrics
//! http://127.0.0.1:8081/metrics
//! $ curl -d 'fn pay() {}' http://127.0.0.1:8080/api/events/code_submitted
//! {"task":7}
//! $ curl http://127.0.0.1:8080/api/tasks/7
//! {"state":"success","task":7}
//! $ curl http://127.0.0.1:8080/api/metrics/services
//! ["orchestrator","workers"]
//! ```
//!
//! The orchestrator pushes events to a Redis queue; workers process them and push the results to
//! another queue. Each service has its own registry with the constant label `service`. If Redis is
//! down or slow, `asdlc_redis_connection_up` is 0 (a PING within the scraper's deadline), and the
//! rest of the metrics page is complete.
//!
//! A collector that fails (`queue`, without Redis) loses only its own samples, and a warning is
//! logged. With `--strict` such a scrape gets a 500 with the reason.
//!
//! | argument or variable | |
//! |---|---|
//! | `orchestrator`, `workers` | run only this service; both must use the same Redis (`REDIS_URL`) |
//! | `--no-traffic` | do not start the built-in client |
//! | `--strict` | a failed collector fails the scrape |
//! | `REDIS_URL` | `redis://…`; if not set, the program starts a `redis-server` and stops it at shutdown |
//! | `INSTANCE` | distinguishes processes of one service on one Redis; 1 by default. A process takes over the unfinished events of an earlier process with the same value |
//! | `ORCHESTRATOR_PORT`, `WORKERS_PORT` | 8080 and 8081 by default, or free ones if those are taken |
//! | `VICTORIAMETRICS_URL` | the store that `/api/metrics` queries; `http://victoriametrics:8428` by default |
//!
//! Ctrl-C or SIGTERM shuts it down after the events in progress.

mod broker;
mod collectors;
mod event;
pub mod metrics;
pub mod mixin;
mod orchestrator;
mod pool;
mod redis_server;
mod service;
mod shutdown;
mod traffic;
mod workers;

use std::env::{self, VarError};
use std::error::Error;
use std::io;
use std::time::Duration;

use tokio::net::TcpListener;

use self::redis_server::RedisServer;
use self::shutdown::Shutdown;

/// Limit for the events and requests in progress at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The command line.
#[derive(Debug)]
struct Options {
    orchestrator: bool,
    workers: bool,
    traffic: bool,
    /// Whether a failed collector fails the scrape.
    strict: bool,
    /// Distinguishes processes of one service.
    instance: String,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            orchestrator: true,
            workers: true,
            traffic: true,
            strict: false,
            instance: env::var("INSTANCE").unwrap_or_else(|_| "1".into()),
        };
        for argument in arguments {
            match argument.as_str() {
                "orchestrator" => options.workers = false,
                "workers" => options.orchestrator = false,
                "--no-traffic" => options.traffic = false,
                "--strict" => options.strict = true,
                other => {
                    return Err(format!(
                        "unknown argument {other:?}; the arguments are `orchestrator`, `workers`, `--no-traffic`, `--strict`"
                    ));
                }
            }
        }
        match options.orchestrator || options.workers {
            true => Ok(options),
            false => Err(
                "`orchestrator` and `workers` exclude each other; to run both, omit both".into(),
            ),
        }
    }
}

/// Runs the services until Ctrl-C or SIGTERM.
pub async fn run() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let options = Options::parse(env::args().skip(1))?;
    let shutdown = Shutdown::on_signals()?;
    let (redis, own_redis) = redis(&options).await?;
    let services = serve(&redis, &options, &shutdown);
    let timeout = async {
        shutdown.requested().await;
        tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
    };
    let result = tokio::select! {
        result = services => result,
        () = timeout => Err(format!("shutdown did not finish within {SHUTDOWN_TIMEOUT:?}").into()),
    };
    if let Some(server) = own_redis {
        server.stop().await;
    }
    result
}

/// Returns the URL of Redis: `REDIS_URL`, or that of a server that is started here.
async fn redis(options: &Options) -> Result<(String, Option<RedisServer>), Box<dyn Error>> {
    match env::var("REDIS_URL") {
        Ok(url) if !url.is_empty() => Ok((url, None)),
        Err(VarError::NotUnicode(_)) => Err("REDIS_URL must be UTF-8".into()),
        _ if !(options.orchestrator && options.workers) => {
            Err("REDIS_URL is required to run only one service: set REDIS_URL to the Redis that both use".into())
        }
        _ => {
            let server = RedisServer::start().await?;
            Ok((server.url(), Some(server)))
        }
    }
}

/// Serves until shutdown.
async fn serve(redis: &str, options: &Options, shutdown: &Shutdown) -> Result<(), Box<dyn Error>> {
    let orchestrator = match options.orchestrator {
        true => Some(listen("ORCHESTRATOR_PORT", 8080).await?),
        false => None,
    };
    let workers = match options.workers {
        true => Some(listen("WORKERS_PORT", 8081).await?),
        false => None,
    };
    let url = |listener: &Option<TcpListener>| -> Option<String> {
        let address = listener.as_ref()?.local_addr().ok()?;
        Some(format!("http://{address}"))
    };
    let urls = (url(&orchestrator), url(&workers));
    for url in [&urls.0, &urls.1].into_iter().flatten() {
        println!("{url}/metrics");
    }
    let orchestrator = async {
        match orchestrator {
            Some(listener) => orchestrator::serve(listener, redis, options, shutdown.clone()).await,
            None => Ok(()),
        }
    };
    let workers = async {
        match workers {
            Some(listener) => workers::serve(listener, redis, options, shutdown.clone()).await,
            None => Ok(()),
        }
    };
    let traffic = async {
        if let (Some(orchestrator), workers) = urls
            && options.traffic
        {
            traffic::drive(orchestrator, workers, shutdown.clone()).await;
        }
        Ok(())
    };
    tokio::try_join!(orchestrator, workers, traffic)?;
    Ok(())
}

/// Listens on the port in the environment variable. If it is not set: on `default`, or if that is
/// in use, on a free port.
async fn listen(variable: &str, default: u16) -> Result<TcpListener, Box<dyn Error>> {
    let bind = async |port: u16| {
        let bound = TcpListener::bind(("127.0.0.1", port)).await;
        bound.map_err(|error| format!("{variable}: cannot listen on port {port}: {error}"))
    };
    match env::var(variable) {
        Ok(port) => {
            let port = port.parse().map_err(|_| {
                format!("{variable} must be a port number, 0 to 65535, got {port:?}")
            })?;
            Ok(bind(port).await?)
        }
        Err(_) => match bind(default).await {
            Ok(listener) => Ok(listener),
            Err(_) => Ok(bind(0).await?),
        },
    }
}
