//! Services and requests of one line.

use std::future::ready;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::{Layer, ServiceExt, service_fn};
use tower_prometheus::{Registry, http::Endpoint};

use super::body::ScriptedBody;

/// Responds with 200 and an empty body.
pub async fn ok(_: Request<()>) -> Result<Response<String>, ()> {
    Ok(Response::new(String::new()))
}

/// A request with an `Endpoint` extension.
pub fn request_to(endpoint: &str) -> Request<()> {
    let mut request = Request::new(());
    request.extensions_mut().insert(Endpoint::new(endpoint));
    request
}

/// Sends a request through a new `http_layer` of a registry to a service that returns `response`.
pub async fn measured_response(
    registry: &Registry,
    method: &str,
    response: Response<ScriptedBody>,
) -> Response<impl Body<Data = Bytes, Error = &'static str>> {
    let mut response = Some(response);
    let respond = move |_: Request<()>| ready(Ok::<_, ()>(response.take().unwrap()));
    let service = registry.http_layer().layer(service_fn(respond));
    let request = Request::builder().method(method).body(()).unwrap();
    service.oneshot(request).await.unwrap()
}
