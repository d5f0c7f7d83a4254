//! A gRPC service and a client, generated from `proto/shop.proto` and both measured. The client makes every kind of call.
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
//! The client also sends an invalid order and calls an unknown method. Its metrics, `grpc_client_…`, are on the same
//! page. `PORT` sets the port, 50051 by default.

use std::error::Error;

use futures_util::{StreamExt, stream, stream::BoxStream};
use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::ServiceBuilder;
use tower_prometheus::grpc::{GrpcMetricsService, GrpcType, MapRequestBodyService};
use tower_prometheus::{GrpcMetrics, Registry};

use crate::shop::orders_client::OrdersClient;
use crate::shop::orders_server::{Orders, OrdersServer};
use crate::shop::{Imported, Order};

#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
mod shop {
    tonic::include_proto!("shop");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let metrics = Registry::new();
    let layer = with_methods(GrpcMetrics::server()).build(&metrics)?;

    // The metrics page is on the port of the services. Scrapers use HTTP/1, so the server must accept it.
    let page = axum::Router::new().route_service("/metrics", metrics.handler());
    let port = std::env::var("PORT").unwrap_or_else(|_| "50051".to_owned());
    let incoming = TcpIncoming::bind(format!("127.0.0.1:{port}").parse()?)?;
    let address = incoming.local_addr()?;
    let server = Server::builder()
        .accept_http1(true)
        .layer(layer)
        .add_routes(Routes::from(page).add_service(OrdersServer::new(Shop)));
    let server = tokio::spawn(server.serve_with_incoming(incoming));

    let channel = Endpoint::from_shared(format!("http://{address}"))?;
    let mut customer = Customer::new(&metrics, channel.connect().await?)?;
    customer.call_every_method().await?;
    println!("The client has finished. To see the metrics:\n");
    println!("  curl -s http://{address}/metrics | grep -v -e '^#' -e ' 0$'");
    Ok(server.await??)
}

fn with_methods(metrics: GrpcMetrics) -> GrpcMetrics {
    metrics
        .method("shop.Orders", "Place", GrpcType::Unary)
        .method("shop.Orders", "Import", GrpcType::ClientStream)
        .method("shop.Orders", "Watch", GrpcType::ServerStream)
        .method("shop.Orders", "Haggle", GrpcType::BidiStream)
}

/// The measured transport of a generated client.
type MeasuredChannel = GrpcMetricsService<MapRequestBodyService<Channel, Body>>;

struct Customer {
    orders: OrdersClient<MeasuredChannel>,
    /// For a method that the service does not have.
    channel: MeasuredChannel,
}

impl Customer {
    fn new(metrics: &Registry, channel: Channel) -> Result<Self, tower_prometheus::Error> {
        let layer = with_methods(GrpcMetrics::client()).build(metrics)?;
        let channel = ServiceBuilder::new()
            .layer(layer.map_request_body(Body::new))
            .service(channel);
        let orders = OrdersClient::new(channel.clone());
        Ok(Self { orders, channel })
    }

    /// Makes all four kinds of call, one that fails, and one to an unknown method.
    async fn call_every_method(&mut self) -> Result<(), Box<dyn Error>> {
        let orders = |count| stream::iter((0..count).map(|number| Order { number }));
        let placed = self.orders.place(Order { number: 1 }).await?;
        println!("placed {}", placed.into_inner().number);
        let refused = self.orders.place(Order { number: 0 }).await;
        println!("refused: {:?}", refused.map_err(|status| status.code()));
        println!("stolen: {:?}", self.steal().await.map_err(|s| s.code()));
        let imported = self.orders.import(orders(10)).await?;
        println!("imported {}", imported.into_inner().orders);
        let watched = self.orders.watch(Imported { orders: 3 }).await?;
        println!("watched {}", watched.into_inner().count().await);
        let haggled = self.orders.haggle(orders(5)).await?;
        println!("haggled {}", haggled.into_inner().count().await);
        Ok(())
    }

    async fn steal(&self) -> Result<(), Status> {
        let mut orders = tonic::client::Grpc::new(self.channel.clone());
        let ready = orders.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = PathAndQuery::from_static("/shop.Orders/Steal");
        let codec = ProstCodec::<Order, Order>::default();
        let request = Request::new(Order { number: 1 });
        orders.unary(request, path, codec).await.map(drop)
    }
}

struct Shop;

#[tonic::async_trait]
impl Orders for Shop {
    type WatchStream = BoxStream<'static, Result<Order, Status>>;
    type HaggleStream = Streaming<Order>;

    async fn place(&self, order: Request<Order>) -> Result<Response<Order>, Status> {
        match order.into_inner() {
            Order { number: 0 } => Err(Status::invalid_argument("order must be at least 1, got 0")),
            order => Ok(Response::new(order)),
        }
    }

    async fn import(
        &self,
        orders: Request<Streaming<Order>>,
    ) -> Result<Response<Imported>, Status> {
        let orders = orders.into_inner().count().await as u32;
        Ok(Response::new(Imported { orders }))
    }

    async fn watch(&self, last: Request<Imported>) -> Result<Response<Self::WatchStream>, Status> {
        let orders = (0..last.into_inner().orders).map(|number| Ok(Order { number }));
        Ok(Response::new(stream::iter(orders).boxed()))
    }

    async fn haggle(
        &self,
        orders: Request<Streaming<Order>>,
    ) -> Result<Response<Self::HaggleStream>, Status> {
        Ok(Response::new(orders.into_inner()))
    }
}
