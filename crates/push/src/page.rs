//! Reads response bodies: the metrics page to push, and the Pushgateway's error message.

use bytes::Bytes;
use http::Request;
use http_body::Body;
use tower_prometheus::MetricsHandler;
use tower_service::Service;

use crate::error::{Cause, PushError};

/// Runs a scrape of the handler and returns its body, in the text format 0.0.4.
pub(crate) async fn gather(mut handler: MetricsHandler) -> Result<String, PushError> {
    let response = match handler.call(Request::new(())).await {
        Ok(response) => response,
        Err(impossible) => match impossible {},
    };
    let status = response.status();
    let mut text = Vec::new();
    read(response.into_body(), usize::MAX, &mut text).await;
    let text = String::from_utf8_lossy(&text);
    if status.is_success() {
        return Ok(text.into_owned());
    }
    let message = format!("the metrics to push could not be gathered: {}", text.trim());
    Err(PushError::new(Cause::Gather, message))
}

/// Reads a body to its end, its first error or the first frame that reaches `limit` bytes. If the future is dropped,
/// `bytes` has the part that was read.
pub(crate) async fn read(body: impl Body<Data = Bytes>, limit: usize, bytes: &mut Vec<u8>) {
    let mut body = std::pin::pin!(body);
    while bytes.len() < limit
        && let Some(Ok(frame)) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await
    {
        bytes.extend(frame.into_data().unwrap_or_default());
    }
}
