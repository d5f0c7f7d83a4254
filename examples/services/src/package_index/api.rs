//! The HTTP API of the index.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use redis::RedisError;

use super::database::Database;
use super::metrics::InstanceMetrics;

#[derive(Clone)]
struct Index {
    database: Database,
    metrics: InstanceMetrics,
}

pub fn routes(database: Database, metrics: InstanceMetrics) -> Router {
    Router::new()
        .route("/packages/{name}", get(versions))
        .route("/packages/{name}/{version}", get(download).put(publish))
        .with_state(Index { database, metrics })
}

/// The database does not answer.
struct Unavailable(RedisError);

impl From<RedisError> for Unavailable {
    fn from(error: RedisError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        tracing::error!("database: {}", self.0);
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

async fn versions(
    State(index): State<Index>,
    Path(name): Path<String>,
) -> Result<Response, Unavailable> {
    let versions = index.database.versions(&name).await?;
    Ok(match versions.is_empty() {
        true => StatusCode::NOT_FOUND.into_response(),
        false => (versions.join("\n") + "\n").into_response(),
    })
}

async fn publish(
    State(index): State<Index>,
    Path((name, version)): Path<(String, String)>,
    archive: Bytes,
) -> Result<StatusCode, Unavailable> {
    let is_new = index.database.publish(&name, &version, &archive).await?;
    Ok(match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::CONFLICT,
    })
}

async fn download(
    State(index): State<Index>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Response, Unavailable> {
    let Some(archive) = index.database.archive(&name, &version).await? else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    index.metrics.downloads_total.increment();
    Ok(archive.into_response())
}
