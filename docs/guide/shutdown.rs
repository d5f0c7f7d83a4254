use std::error::Error;
use std::future::IntoFuture;
use std::time::Duration;
use std::{env, io};

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use tower_prometheus::{HttpMetrics, Registry, scrape::MetricsServer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (stop_server, stop) = (stop_signal()?, stop_signal()?);
    let metrics = Registry::builder().install()?;
    let app = Router::new()
        .route("/users/{id}", get(async || "ada"))
        .route("/ready", get(async || "ready")) // for probes
        .layer(HttpMetrics::server().skip(["/ready"]).build(&metrics)?);
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    let metrics_server = match MetricsServer::from_env().await? {
        Some(server) => server,
        None => MetricsServer::bind("127.0.0.1:8081").await?,
    };
    println!("listening on http://{}", listener.local_addr()?);
    if let Some(address) = metrics_server.local_addr() {
        println!("metrics at http://{address}/metrics");
    }
    let limits = Limits {
        requests: Duration::from_secs(10),
        last_scrape: Duration::from_secs(20),
    };
    let server = axum::serve(listener, app).with_graceful_shutdown(stop_server);
    serve(server.into_future(), &metrics, metrics_server, stop, limits).await;
    Ok(())
}

/// Returns a future that completes at SIGTERM, which Kubernetes, systemd and Docker send, or at SIGINT (Ctrl-C).
/// Each of several such futures completes.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// How long the steps after the signal may take.
pub struct Limits {
    /// For requests in progress, such as 10 s.
    pub requests: Duration,
    /// For the last scrape: a little more than one scrape interval, such as 20 s.
    pub last_scrape: Duration,
}

/// Runs the application, whose servers end gracefully after `stop`, and serves the metrics page on another port: until
/// one more scrape after that.
pub async fn serve(
    application: impl Future<Output = io::Result<()>>,
    metrics: &Registry,
    metrics_server: MetricsServer,
    stop: impl Future<Output = ()>,
    limits: Limits,
) {
    let time_limit = async {
        stop.await;
        sleep(limits.requests).await;
    };
    let last_scrape = async {
        tokio::select! {
            result = application => if let Err(error) = result {
                tracing::error!(%error, "the server failed");
            },
            () = time_limit => tracing::warn!("requests are still in progress"),
        }
        sleep(limits.last_scrape).await;
    };
    metrics_server.serve(metrics.handler(), last_scrape).await;
}
