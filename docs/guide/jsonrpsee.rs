use jsonrpsee::BatchResponseBuilder;
use jsonrpsee::server::MethodResponse;
use jsonrpsee::server::middleware::rpc::{Batch, BatchEntry, Notification, Request, RpcServiceT};
use jsonrpsee::types::ErrorCode;
use tower_prometheus::custom::Outcome;
use tower_prometheus::{Counter, Histogram, InProgress, Operation, catalogue, labels};

labels! {
    /// The methods of the service. Clients can call others, which share one value.
    pub enum Method("method") { Add = "add", Wait = "wait", Unknown = "unknown" }
    pub struct Call { method: Method, outcome: Outcome }
    pub struct Failure { method: Method, error_type: open(10) }
}

catalogue! {
    #[prefix = "rpc_"]
    pub struct RpcMetrics {
        /// Total number of calls, by method and outcome.
        pub calls_total: Counter<Call>,
        /// Total number of calls that failed, by method and error.
        pub errors_total: Counter<Failure>,
        /// Duration of calls in seconds.
        pub call_duration_seconds: Histogram<Method>,
        /// Number of calls in progress.
        pub calls_in_progress: InProgress<Method>,
    }
}

impl RpcMetrics {
    async fn measure(
        self,
        name: &str,
        call: impl Future<Output = MethodResponse>,
    ) -> MethodResponse {
        let known = Method::ALL.iter().find(|method| method.as_str() == name);
        let method = *known.unwrap_or(&Method::Unknown);
        Operation::new()
            .in_progress(self.calls_in_progress.with(method))
            .duration(|_| self.call_duration_seconds.with(method))
            .count(|end| {
                self.calls_total.with(Call {
                    method,
                    outcome: end.outcome,
                })
            })
            .errors(|_, error_type| self.errors_total.with(Failure { method, error_type }))
            .run_output(call, |operation, response| {
                if let Some(code) = response.as_error_code() {
                    operation.set_error(error_type(code));
                }
            })
            .await
    }
}

fn error_type(code: i32) -> &'static str {
    match ErrorCode::from(code) {
        ErrorCode::ParseError => "parse_error",
        ErrorCode::InvalidRequest => "invalid_request",
        ErrorCode::MethodNotFound => "method_not_found",
        ErrorCode::InvalidParams => "invalid_params",
        ErrorCode::InternalError => "internal_error",
        _ => "other",
    }
}

/// The RPC middleware: `RpcServiceBuilder::new().layer_fn(move |service| Measured { service, … })`.
#[derive(Clone)]
pub struct Measured<S> {
    pub service: S,
    pub metrics: RpcMetrics,
    /// As in the server's configuration. It limits the response of a batch.
    pub max_response_body_size: usize,
}

impl<S> RpcServiceT for Measured<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse, NotificationResponse = MethodResponse>,
    S: Clone + Send + Sync + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let Self {
            service, metrics, ..
        } = self.clone();
        async move {
            let name = request.method.clone();
            metrics.measure(&name, service.call(request)).await
        }
    }

    /// The server calls this for a batch, and does not call [`call`](Self::call) for its entries.
    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move {
            let mut responses = BatchResponseBuilder::new_with_limit(this.max_response_body_size);
            let mut has_notification = false;
            for entry in batch {
                let response = match entry {
                    Ok(BatchEntry::Call(request)) => this.call(request).await,
                    Ok(BatchEntry::Notification(notification)) => {
                        has_notification = true;
                        this.notification(notification).await;
                        continue;
                    }
                    Err(invalid) => {
                        let (error, id) = invalid.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if let Err(too_large) = responses.append(response) {
                    return too_large;
                }
            }
            match responses.is_empty() && has_notification {
                true => MethodResponse::notification(),
                false => MethodResponse::from_batch(responses.finish()),
            }
        }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.service.clone();
        async move { service.notification(notification).await }
    }
}
