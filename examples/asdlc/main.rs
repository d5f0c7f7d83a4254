//! aSDLC: an orchestrator on axum and workers on plain hyper, with queues in Redis between them.
//!
//! ```text
//! $ cargo run --example asdlc --features mixin,process,query
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
//! Events go through a queue in Redis to the workers, and what came of them through another one back to the
//! orchestrator. Each service has a registry of its own, whose constant label `service` tells them apart. Redis
//! may go away and come back at any time: `asdlc_redis_connection_up` is a PING under the scraper's
//! deadline, and the page is there either way.
//!
//! The policy for collectors: one that fails (`queue`, without Redis) costs its own samples, and there is a warning
//! in the log. With `--strict` such a page is a 500 with the reason. Nothing else of a page can fail.
//!
//! | | |
//! |---|---|
//! | `orchestrator`, `workers` | only that service, on a Redis that both reach (`REDIS_URL`) |
//! | `--no-traffic` | without the client that is built in |
//! | `--strict` | no page rather than one with a part missing |
//! | `REDIS_URL` | `redis://…`; without it a `redis-server` is started, and stopped at the end |
//! | `INSTANCE` | tells processes of one service on one Redis apart; a process that takes over another's name takes over its work |
//! | `ORCHESTRATOR_PORT`, `WORKERS_PORT` | 8080 and 8081, or free ones if those are taken |
//! | `VICTORIAMETRICS_URL` | the store behind `/api/metrics` |
//!
//! Ctrl-C or SIGTERM ends it: events at work are finished first.

#![expect(
    unreachable_pub,
    reason = "a program's modules are public to each other"
)]

mod broker;
mod collectors;
mod event;
#[expect(
    dead_code,
    reason = "its families are described for `mixin/asdlc`, by a test"
)]
mod metrics;
#[expect(
    dead_code,
    reason = "the files in `mixin/asdlc` are made from it by a test"
)]
mod mixin;
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

use crate::redis_server::RedisServer;
use crate::shutdown::Shutdown;

/// How long a shutdown may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the command line says.
#[derive(Debug)]
pub struct Options {
    orchestrator: bool,
    workers: bool,
    traffic: bool,
    /// A page with a part missing is a 500.
    pub strict: bool,
    /// Tells processes of one service apart.
    pub instance: String,
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
                        "{other:?}: there are `orchestrator`, `workers`, `--no-traffic`, `--strict`"
                    ));
                }
            }
        }
        match options.orchestrator || options.workers {
            true => Ok(options),
            false => Err("both services: that is neither `orchestrator` nor `workers`".into()),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let options = Options::parse(env::args().skip(1))?;
    let shutdown = Shutdown::on_signals()?;
    let (redis, own_redis) = redis(&options).await?;
    let run = run(&redis, &options, &shutdown);
    let late = async {
        shutdown.begun().await;
        tokio::time::sleep(PATIENCE).await;
    };
    let result = tokio::select! {
        result = run => result,
        () = late => Err("it did not end in time".into()),
    };
    if let Some(server) = own_redis {
        server.stop().await;
    }
    result
}

/// The Redis of the environment, or one of our own.
async fn redis(options: &Options) -> Result<(String, Option<RedisServer>), Box<dyn Error>> {
    match env::var("REDIS_URL") {
        Ok(url) if !url.is_empty() => Ok((url, None)),
        Err(VarError::NotUnicode(_)) => Err("REDIS_URL is not UTF-8".into()),
        _ if !(options.orchestrator && options.workers) => {
            Err("one service alone needs a Redis that the other one reaches: set REDIS_URL".into())
        }
        _ => {
            let server = RedisServer::start().await?;
            Ok((server.url(), Some(server)))
        }
    }
}

/// Serves until the shutdown.
async fn run(redis: &str, options: &Options, shutdown: &Shutdown) -> Result<(), Box<dyn Error>> {
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

/// Listens on the port that a variable says; without it on the usual one, or a free one if that is taken.
async fn listen(variable: &str, usual: u16) -> Result<TcpListener, Box<dyn Error>> {
    let bind = async |port: u16| {
        let bound = TcpListener::bind(("127.0.0.1", port)).await;
        bound.map_err(|error| format!("port {port} of {variable}: {error}"))
    };
    match env::var(variable) {
        Ok(port) => {
            let port = port
                .parse()
                .map_err(|_| format!("{variable}: {port:?} is no port"))?;
            Ok(bind(port).await?)
        }
        Err(_) => match bind(usual).await {
            Ok(listener) => Ok(listener),
            Err(_) => Ok(bind(0).await?),
        },
    }
}
