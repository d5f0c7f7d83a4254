//! Services of a line, and the requests they are asked with.

use std::future::ready;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::{Layer, ServiceExt, service_fn};
use tower_prometheus::{Registry, http::Endpoint};

use super::body::Scripted;

/// Answers at once, with nothing.
pub async fn ok(_: Request<()>) -> Result<Response<String>, ()> {
    Ok(Response::new(String::new()))
}

/// A request that brings its endpoint.
pub fn to(endpoint: &str) -> Request<()> {
    let mut request = Request::new(());
    request.extensions_mut().insert(Endpoint::new(endpoint));
    request
}

/// Asks a measured service that answers with that response.
pub async fn answered(
    registry: &Registry,
    method: &str,
    response: Response<Scripted>,
) -> Response<impl Body<Data = Bytes, Error = &'static str>> {
    let mut response = Some(response);
    let answer = move |_: Request<()>| ready(Ok::<_, ()>(response.take().unwrap()));
    let service = registry.http_layer().layer(service_fn(answer));
    let request = Request::builder().method(method).body(()).unwrap();
    service.oneshot(request).await.unwrap()
}
