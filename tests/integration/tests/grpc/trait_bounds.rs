//! The gRPC layers wrap services with few trait bounds, and compose with other layers.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tonic::Code;
use tonic::service::Routes;
use tower::{Layer, Service, ServiceBuilder};
use tower_prometheus::grpc::{GrpcRequestBody, GrpcResponseBody, GrpcResponseFuture};
use tower_prometheus::{Registry, grpc::GrpcMetricsService};

use crate::shop::{Client, Server, Shop, listen};
use test_support::grpc::{handled_calls, wait_for_calls_to_end};
use test_support::server;

/// A service that is neither `Send` nor `Clone`, and whose error implements no traits.
struct LocalService(Rc<RefCell<u32>>);

struct OwnError;

impl Service<Request<GrpcRequestBody<Full<Bytes>>>> for LocalService {
    type Response = Response<Full<Bytes>>;
    type Error = OwnError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, OwnError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OwnError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<GrpcRequestBody<Full<Bytes>>>) -> Self::Future {
        let calls = Rc::clone(&self.0);
        Box::pin(async move {
            *calls.borrow_mut() += 1;
            match request.into_body().collect().await {
                Ok(body) if *calls.borrow() == 1 => Ok(Response::new(Full::new(body.to_bytes()))),
                _ => Err(OwnError),
            }
        })
    }
}

#[tokio::test]
async fn inner_service_needs_no_send_no_clone_and_no_error_trait() {
    let registry = Registry::new();
    let calls = Rc::default();
    let mut service = registry
        .grpc_client_layer()
        .layer(LocalService(Rc::clone(&calls)));
    let request = || {
        let request = Request::post("/a.B/C").header("content-type", "application/grpc");
        request.body(Full::from("\0\0\0\0\x01x")).unwrap()
    };
    let response: Result<_, OwnError> = service.call(request()).await;
    let Ok(response) = response else {
        panic!("the first call must succeed")
    };
    assert_eq!(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .len(),
        6
    );
    assert!(matches!(service.call(request()).await, Err(OwnError)));
    assert_eq!(*calls.borrow(), 2);
    wait_for_calls_to_end(&registry, "client", 2).await;
    assert_eq!(registry.sum("grpc_client_msg_sent_total", &[]), Some(2.0));
    assert_eq!(
        registry.sum("grpc_client_msg_received_total", &[]),
        Some(1.0)
    );
}

/// The wrappers are `Send`, `Sync` and `Unpin` if the wrapped types are.
#[test]
fn wrappers_keep_auto_traits() {
    fn is_send_sync_unpin<T: Send + Sync + Unpin>() {}
    is_send_sync_unpin::<GrpcMetricsService<()>>();
    is_send_sync_unpin::<GrpcRequestBody<()>>();
    is_send_sync_unpin::<GrpcResponseBody<()>>();
    is_send_sync_unpin::<GrpcResponseFuture<Pin<Box<()>>>>();
}

#[tokio::test]
async fn layer_works_on_an_axum_router_with_tonic_routes() {
    let registry = Registry::new();
    let app = Routes::new(Shop::default())
        .into_axum_router()
        .layer(registry.grpc_layer());
    let server = server::Server::start(app).await;
    let endpoint = tonic::transport::Endpoint::from_shared(server.url("")).unwrap();
    let mut client = Client::new(endpoint.connect().await.unwrap());
    client.say("hello").await.unwrap();
    wait_for_calls_to_end(&registry, "server", 1).await;
    assert_eq!(handled_calls(&registry, "Say", "OK"), 1.0);
}

/// The error types of the other layers are compatible, on server and client.
#[tokio::test]
async fn layer_works_between_layers_of_tower_and_tonic() {
    let registry = Registry::new();
    let (incoming, address) = listen().await;
    let serving = tonic::transport::Server::builder()
        .timeout(std::time::Duration::from_millis(50))
        .concurrency_limit_per_connection(10)
        .layer(
            ServiceBuilder::new()
                .layer(registry.grpc_layer())
                .load_shed()
                .concurrency_limit(10)
                .into_inner(),
        )
        .layer(tonic::service::InterceptorLayer::new(|request| {
            Ok::<_, tonic::Status>(request)
        }))
        .add_service(Shop::default())
        .serve_with_incoming(incoming);
    let server = Server::run(address, serving);
    let channel = server.endpoint().connect().await.unwrap();
    let transport = ServiceBuilder::new()
        .load_shed()
        .layer(
            registry
                .grpc_client_layer()
                .map_request_body(tonic::body::Body::new),
        )
        .timeout(std::time::Duration::from_secs(10))
        .service(channel);
    let mut client = Client::new(transport);
    client.say("hello").await.unwrap();
    // The timeout of the server is an outer layer: it drops the call, and the request has no deadline.
    let code = client.say("hang").await.unwrap_err().code();
    assert_ne!(code, Code::Ok);
    wait_for_calls_to_end(&registry, "server", 2).await;
    wait_for_calls_to_end(&registry, "client", 2).await;
    assert_eq!(handled_calls(&registry, "Say", "Canceled"), 1.0);
}
