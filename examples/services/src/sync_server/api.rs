//! The HTTP API of the server. Its handlers record with the macros of `metrics`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use metrics::{counter, gauge, histogram};

use super::metrics::{RECORD_SIZE, RECORDS, STORED_RECORDS};
use super::store::Store;

pub fn routes() -> Router {
    Router::new()
        .route(
            "/records/{collection}",
            get(download).post(upload).delete(clear),
        )
        .with_state(Arc::new(Store::new()))
}

/// Adds a record to a collection.
async fn upload(
    State(store): State<Arc<Store>>,
    Path(collection): Path<String>,
    record: Bytes,
) -> Result<StatusCode, StatusCode> {
    let collection = store.collection(&collection).ok_or(StatusCode::NOT_FOUND)?;
    // The name of the collection, not the path of the request: labels of macros have no limit.
    counter!(RECORDS, "collection" => collection.name).increment(1);
    histogram!(RECORD_SIZE).record(record.len() as f64);
    let mut records = collection.lock();
    records.push(record);
    // `set`, not `increment`: it is right also if records were stored before the recorder was installed. The lock is
    // held, so that a concurrent upload does not set an older number.
    gauge!(STORED_RECORDS, "collection" => collection.name).set(records.len() as f64);
    Ok(StatusCode::CREATED)
}

/// Streams the records of a collection.
async fn download(
    State(store): State<Arc<Store>>,
    Path(collection): Path<String>,
) -> Result<Body, StatusCode> {
    let collection = store.collection(&collection).ok_or(StatusCode::NOT_FOUND)?;
    let records = collection.lock().clone();
    let records = records.into_iter().map(Ok::<_, Infallible>);
    Ok(Body::from_stream(stream::iter(records)))
}

/// Removes the records of a collection.
async fn clear(
    State(store): State<Arc<Store>>,
    Path(collection): Path<String>,
) -> Result<StatusCode, StatusCode> {
    let collection = store.collection(&collection).ok_or(StatusCode::NOT_FOUND)?;
    let mut records = collection.lock();
    records.clear();
    gauge!(STORED_RECORDS, "collection" => collection.name).set(0.0);
    Ok(StatusCode::NO_CONTENT)
}
