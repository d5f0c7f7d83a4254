use reqwest::{Body, RequestBuilder, Response, ResponseBuilderExt};
use tower::{Layer, Service, service_fn};
use tower_prometheus::{HttpMetricsLayer, http::Endpoint};

/// Sends requests with reqwest, and measures them.
#[derive(Clone, Debug)]
pub struct MeasuredClient {
    pub reqwest: reqwest::Client,
    /// From `registry.http_client_layer()`.
    pub metrics: HttpMetricsLayer,
}

impl MeasuredClient {
    /// Sends a request. `endpoint` is a route template, such as `/users/{id}`, not the path.
    pub async fn send(
        &self,
        endpoint: &'static str,
        request: RequestBuilder,
    ) -> reqwest::Result<Response> {
        let mut request = http::Request::<Body>::try_from(request.build()?)?;
        let endpoint = Endpoint::from_static(endpoint);
        request.extensions_mut().insert(endpoint);
        let send = service_fn(async |request: http::Request<Body>| {
            let response = self.reqwest.execute(request.try_into()?).await?;
            // An `http::Response` has no URL. reqwest restores it from an extension.
            let url = http::Response::builder().url(response.url().clone());
            let (url, ()) = url.body(()).unwrap_or_default().into_parts();
            let mut response = http::Response::<Body>::from(response);
            response.extensions_mut().extend(url.extensions);
            Ok(response)
        });
        let response = self.metrics.layer(send).call(request).await?;
        Ok(response.map(Body::wrap).into())
    }
}
