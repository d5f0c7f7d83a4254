//! A gRPC service with metrics, and a client that makes every kind of call.
//!
//! ```text
//! $ cargo run --release -p integrations --bin tonic
//! $ curl -s http://127.0.0.1:50051/metrics | grep -E '(handled|sent)_total{' | grep -v ' 0$'
//! grpc_server_handled_total{grpc_code="InvalidArgument",grpc_method="Place",grpc_service="shop.Orders",grpc_type="unary"} 1
//! grpc_server_handled_total{grpc_code="OK",grpc_method="Haggle",grpc_service="shop.Orders",grpc_type="bidi_stream"} 1
//! grpc_server_handled_total{grpc_code="OK",grpc_method="Import",grpc_service="shop.Orders",grpc_type="client_stream"} 1
//! grpc_server_handled_total{grpc_code="OK",grpc_method="Place",grpc_service="shop.Orders",grpc_type="unary"} 1
//! grpc_server_handled_total{grpc_code="OK",grpc_method="Watch",grpc_service="shop.Orders",grpc_type="server_stream"} 1
//! grpc_server_handled_total{grpc_code="Unimplemented",grpc_method="unknown",grpc_service="unknown",grpc_type="unknown"} 1
//! grpc_server_msg_sent_total{grpc_method="Haggle",grpc_service="shop.Orders",grpc_type="bidi_stream"} 5
//! grpc_server_msg_sent_total{grpc_method="Import",grpc_service="shop.Orders",grpc_type="client_stream"} 1
//! grpc_server_msg_sent_total{grpc_method="Place",grpc_service="shop.Orders",grpc_type="unary"} 1
//! grpc_server_msg_sent_total{grpc_method="Watch",grpc_service="shop.Orders",grpc_type="server_stream"} 3
//! ```
//!
//! The client also sends an invalid order and calls an unknown method. The service is written by hand, as
//! `tonic-prost-build` would generate it. `PORT` sets the port, 50051 by default.

use std::convert::Infallible;
use std::error::Error;
use std::task::{Context, Poll};

use futures_util::{StreamExt, stream, stream::BoxStream};
use http::uri::PathAndQuery;
use tonic::codegen::BoxFuture;
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tonic::{Request, Response, Status, Streaming, service::Routes};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};
use tower_prometheus::{GrpcMetrics, Registry, grpc::GrpcType};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let metrics = Registry::new();
    let layer = GrpcMetrics::server()
        .method("shop.Orders", "Place", GrpcType::Unary)
        .method("shop.Orders", "Import", GrpcType::ClientStream)
        .method("shop.Orders", "Watch", GrpcType::ServerStream)
        .method("shop.Orders", "Haggle", GrpcType::BidiStream)
        .build(&metrics)?;

    // The metrics page is on the port of the services. Scrapers use HTTP/1, so the server must accept it.
    let page = axum::Router::new().route_service("/metrics", metrics.handler());
    let port = std::env::var("PORT").unwrap_or_else(|_| "50051".to_owned());
    let incoming = TcpIncoming::bind(format!("127.0.0.1:{port}").parse()?)?;
    let address = incoming.local_addr()?;
    let server = Server::builder()
        .accept_http1(true)
        .layer(layer)
        .add_routes(Routes::from(page).add_service(Shop));
    let server = tokio::spawn(server.serve_with_incoming(incoming));

    call_every_method(Endpoint::from_shared(format!("http://{address}"))?).await?;
    println!("The client has finished. To see the metrics:\n");
    println!("  curl -s http://{address}/metrics | grep -v -e '^#' -e ' 0$'");
    Ok(server.await??)
}

/// Makes all four kinds of call, one that fails, and one to an unknown method.
async fn call_every_method(shop: Endpoint) -> Result<(), Box<dyn Error>> {
    let mut shop = tonic::client::Grpc::<Channel>::new(shop.connect().await?);
    let path = PathAndQuery::from_static;
    let orders = |count| Request::new(stream::iter(0..count));
    for (order, method) in [(1, "Place"), (0, "Place"), (1, "Steal")] {
        shop.ready().await?;
        let path = PathAndQuery::try_from(format!("/shop.Orders/{method}"))?;
        let placed = shop.unary(Request::new(order), path, Codec::default());
        println!(
            "{method} {order}: {:?}",
            placed.await.map(Response::into_inner).map_err(|s| s.code())
        );
    }
    shop.ready().await?;
    let imported = shop.client_streaming(orders(10), path("/shop.Orders/Import"), Codec::default());
    println!("imported {}", imported.await?.into_inner());
    shop.ready().await?;
    let three = Request::new(3);
    let watched = shop.server_streaming(three, path("/shop.Orders/Watch"), Codec::default());
    println!("watched {}", watched.await?.into_inner().count().await);
    shop.ready().await?;
    let haggled = shop.streaming(orders(5), path("/shop.Orders/Haggle"), Codec::default());
    println!("haggled {}", haggled.await?.into_inner().count().await);
    Ok(())
}

/// Orders are plain numbers here; a custom message would derive `prost::Message`.
type Codec = ProstCodec<u32, u32>;
type Orders = BoxStream<'static, Result<u32, Status>>;

async fn place(order: Request<u32>) -> Result<Response<u32>, Status> {
    match order.into_inner() {
        0 => Err(Status::invalid_argument("order must be at least 1, got 0")),
        order => Ok(Response::new(order)),
    }
}

async fn import(orders: Request<Streaming<u32>>) -> Result<Response<u32>, Status> {
    Ok(Response::new(orders.into_inner().count().await as u32))
}

async fn watch(last: Request<u32>) -> Result<Response<Orders>, Status> {
    Ok(Response::new(
        stream::iter((0..last.into_inner()).map(Ok)).boxed(),
    ))
}

async fn haggle(orders: Request<Streaming<u32>>) -> Result<Response<Orders>, Status> {
    Ok(Response::new(orders.into_inner().boxed()))
}

#[derive(Clone)]
struct Shop;

impl tonic::server::NamedService for Shop {
    const NAME: &'static str = "shop.Orders";
}

impl<B> Service<http::Request<B>> for Shop
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
        let mut grpc = tonic::server::Grpc::new(Codec::default());
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/shop.Orders/Place" => grpc.unary(service_fn(place), request).await,
                "/shop.Orders/Import" => grpc.client_streaming(service_fn(import), request).await,
                "/shop.Orders/Watch" => grpc.server_streaming(service_fn(watch), request).await,
                "/shop.Orders/Haggle" => grpc.streaming(service_fn(haggle), request).await,
                _ => Status::unimplemented("unknown method").into_http(),
            })
        })
    }
}
