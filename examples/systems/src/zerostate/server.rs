//! [`EconomyServer`]: the gRPC service, as `tonic-prost-build` would generate it.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::codegen::BoxFuture;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};
use tower_prometheus::{GrpcMetrics, grpc::GrpcType};

use super::api::{self, Call};
use super::economy::{Economy, Handle};

#[derive(Clone)]
pub struct EconomyServer(pub Arc<Economy>);

/// Returns the configuration of the layer for this service.
pub fn grpc_metrics() -> GrpcMetrics {
    let methods = api::UNARY.iter().map(|method| (*method, GrpcType::Unary));
    let methods = methods.chain([(api::MONITOR, GrpcType::ClientStream)]);
    methods.fold(GrpcMetrics::server(), |metrics, (method, kind)| {
        metrics.method(api::SERVICE, method, kind)
    })
}

impl tonic::server::NamedService for EconomyServer {
    const NAME: &'static str = api::SERVICE;
}

impl<B> Service<http::Request<B>> for EconomyServer
where
    B: http_body::Body<Error: Into<Box<dyn Error + Send + Sync>> + Send> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let economy = Arc::clone(&self.0);
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let method = path.rsplit('/').next().unwrap_or_default();
            Ok(match method {
                api::OpenChannel::METHOD => unary::<api::OpenChannel, _>(economy, request).await,
                api::Deposit::METHOD => unary::<api::Deposit, _>(economy, request).await,
                api::Pay::METHOD => unary::<api::Pay, _>(economy, request).await,
                api::CloseChannel::METHOD => unary::<api::CloseChannel, _>(economy, request).await,
                api::ResolveDispute::METHOD => {
                    unary::<api::ResolveDispute, _>(economy, request).await
                }
                api::SubmitTask::METHOD => unary::<api::SubmitTask, _>(economy, request).await,
                api::OpenAuction::METHOD => unary::<api::OpenAuction, _>(economy, request).await,
                api::Bid::METHOD => unary::<api::Bid, _>(economy, request).await,
                api::Deliver::METHOD => unary::<api::Deliver, _>(economy, request).await,
                api::ListContent::METHOD => unary::<api::ListContent, _>(economy, request).await,
                api::FetchContent::METHOD => unary::<api::FetchContent, _>(economy, request).await,
                api::MONITOR => monitor(economy, request).await,
                _ => Status::unimplemented(format!("unknown method {method:?}")).into_http(),
            })
        })
    }
}

async fn unary<C, B>(
    economy: Arc<Economy>,
    request: http::Request<B>,
) -> http::Response<tonic::body::Body>
where
    C: Call,
    Economy: Handle<C>,
    B: http_body::Body<Error: Into<Box<dyn Error + Send + Sync>> + Send> + Send + 'static,
{
    let mut grpc = tonic::server::Grpc::new(ProstCodec::<C::Reply, C>::default());
    let handle = service_fn(|call: Request<C>| {
        let economy = Arc::clone(&economy);
        async move { economy.handle(call.into_inner()).await.map(Response::new) }
    });
    grpc.unary(handle, request).await
}

async fn monitor<B>(
    economy: Arc<Economy>,
    request: http::Request<B>,
) -> http::Response<tonic::body::Body>
where
    B: http_body::Body<Error: Into<Box<dyn Error + Send + Sync>> + Send> + Send + 'static,
{
    let codec = ProstCodec::<api::Monitored, api::Heartbeat>::default();
    let mut grpc = tonic::server::Grpc::new(codec);
    let handle = service_fn(|heartbeats: Request<Streaming<api::Heartbeat>>| {
        let economy = Arc::clone(&economy);
        async move {
            let monitored = economy.monitor(heartbeats.into_inner()).await;
            monitored.map(Response::new)
        }
    });
    grpc.client_streaming(handle, request).await
}
