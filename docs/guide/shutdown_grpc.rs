use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::Server;
use tower_prometheus::Registry;

/// Serves axum and, on another port, tonic. `stop` is two calls of `stop_signal`.
pub async fn two_ports(
    (app, listener): (Router, TcpListener),
    (services, address): (Routes, SocketAddr),
    metrics: &Registry,
    stop: [impl Future<Output = ()> + Send + 'static; 2],
) -> io::Result<()> {
    let [stop_http, stop_grpc] = stop;
    let http = axum::serve(listener, app).with_graceful_shutdown(stop_http);
    let grpc = Server::builder()
        .layer(metrics.grpc_layer())
        .add_routes(services)
        .serve_with_shutdown(address, stop_grpc);
    let grpc = async { grpc.await.map_err(io::Error::other) };
    tokio::try_join!(http.into_future(), grpc)?;
    Ok(())
}

/// Adds gRPC services to a router. The HTTP layer of the router does not measure their calls.
pub fn one_port(app: Router, services: Routes, metrics: &Registry) -> Router {
    app.merge(services.into_axum_router().layer(metrics.grpc_layer()))
}
