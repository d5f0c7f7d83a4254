//! A package index, with its packages in Redis and two metrics pages.
//!
//! ```text
//! $ redis-server --port 6379 --save '' &
//! $ METRICS_TOKEN=secret cargo run --release -p services --bin package_index
//! API at http://127.0.0.1:3000
//! $ curl -s -T archive http://127.0.0.1:3000/packages/serde/1.0.0
//! $ curl -s -H 'authorization: Bearer secret' http://127.0.0.1:3000/private/metrics/service
//! ```
//!
//! | metrics page | describes | scraped from |
//! |---|---|---|
//! | `/private/metrics/instance` | this process: its requests, its downloads | every instance |
//! | `/private/metrics/service` | the whole index, whose numbers are in the database | one instance; from several, the same numbers would be added up |
//!
//! Each page has its own [`Registry`]. Both need the token: without it, the response is 401. Scrapes are not counted as
//! requests, but a 401 is.
//!
//! If Redis is down, the collector of the service page fails: the page is still served, without the metrics of that
//! collector and with `scrape_collector_success` 0. The instance page does not need Redis.
//!
//! | module | |
//! |---|---|
//! | `metrics` | the HTTP layer, the catalogue and the collector |
//! | `api` | the HTTP API |
//! | `database` | the packages |
//!
//! | variable | |
//! |---|---|
//! | `METRICS_TOKEN` | the token of both metrics pages; required |
//! | `REDIS_URL` | `redis://127.0.0.1:6379` by default |
//! | `PORT` | 3000 by default |

mod api;
mod database;
mod metrics;

use std::env;
use std::error::Error;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tower_prometheus::Registry;

use self::database::Database;
use self::metrics::{IndexCollector, InstanceMetrics};
use crate::token::{self, Token};

/// Runs the index until the process is stopped.
pub async fn run() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let redis = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let app = app(Database::open(&redis)?, Token::from_env("METRICS_TOKEN")?)?;
    let listener = crate::listen(3000).await?;
    println!("API at http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

fn app(database: Database, token: Token) -> Result<Router, tower_prometheus::Error> {
    let instance = Registry::new();
    let service = Registry::new();
    service.collector("index", IndexCollector(database.clone()))?;

    let pages = Router::new()
        .route("/instance", get(instance.handler()))
        .route("/service", get(service.handler()))
        .route_layer(from_fn_with_state(token, token::require));
    let metrics = InstanceMetrics::on(&instance)?;
    Ok(api::routes(database, metrics)
        .nest("/private/metrics", pages)
        .layer(metrics::http_layer(&instance)?))
}
