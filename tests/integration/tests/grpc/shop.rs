//! A gRPC service with all four types of calls, its server and its client, written like code that tonic generates.

#![allow(
    unreachable_pub,
    clippy::allow_attributes,
    reason = "as in test-support"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt, future, stream};
use http_body::Body;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tonic::body::Body as TonicBody;
use tonic::client::GrpcService;
use tonic::codec::CompressionEncoding;
use tonic::codegen::{BoxFuture, StdError};
use tonic::metadata::MetadataValue;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};
use tower_prometheus::{Registry, grpc::GrpcMetricsLayer};

#[derive(Clone, PartialEq, prost::Message)]
pub struct Text {
    #[prost(string, tag = "1")]
    pub text: String,
}

pub fn text(text: &str) -> Text {
    let text = text.to_owned();
    Text { text }
}

type Texts = Pin<Box<dyn Stream<Item = Result<Text, Status>> + Send>>;

/// A service whose calls act on the text of the request: `fail`, `panic`, `hang` and so on.
#[derive(Clone, Default)]
pub struct Shop {
    pub gzip: bool,
}

impl tonic::server::NamedService for Shop {
    const NAME: &'static str = "test.Shop";
}

async fn say(request: Request<Text>) -> Result<Response<Text>, Status> {
    match &*request.into_inner().text {
        "fail" => Err(Status::not_found("no such thing")),
        "unimplemented" => Err(Status::unimplemented("not yet")),
        "panic" => panic!("the shop is on fire"),
        "hang" => future::pending().await,
        other => Ok(Response::new(text(other))),
    }
}

async fn collect(request: Request<Streaming<Text>>) -> Result<Response<Text>, Status> {
    let mut all = String::new();
    let mut texts = request.into_inner();
    while let Some(next) = texts.message().await? {
        all.push_str(&next.text);
    }
    Ok(Response::new(text(&all)))
}

/// Sends two messages, then does what the text of the request says.
async fn list(request: Request<Text>) -> Result<Response<Texts>, Status> {
    let messages = stream::iter([Ok(text("one")), Ok(text("two"))]);
    Ok(Response::new(match &*request.into_inner().text {
        "refuse" => return Err(Status::permission_denied("not you")),
        "fail" => Box::pin(messages.chain(stream::iter([Err(Status::data_loss("lost"))]))),
        "panic" => Box::pin(messages.chain(stream::once(async { panic!("on fire") }))),
        "hang" => Box::pin(messages.chain(stream::pending())),
        _ => Box::pin(messages),
    }))
}

async fn chat(request: Request<Streaming<Text>>) -> Result<Response<Texts>, Status> {
    Ok(Response::new(Box::pin(request.into_inner())))
}

impl<B> Service<http::Request<B>> for Shop
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<TonicBody>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<Text, Text>::default());
        if self.gzip {
            grpc = grpc
                .accept_compressed(CompressionEncoding::Gzip)
                .send_compressed(CompressionEncoding::Gzip);
        }
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/test.Shop/Say" => grpc.unary(service_fn(say), request).await,
                "/test.Shop/Collect" => grpc.client_streaming(service_fn(collect), request).await,
                "/test.Shop/List" => grpc.server_streaming(service_fn(list), request).await,
                "/test.Shop/Chat" => grpc.streaming(service_fn(chat), request).await,
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

fn authenticate(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("authorization") {
        Some(_) => Ok(request),
        None => Err(Status::unauthenticated("no token")),
    }
}

/// Adds the token that [`Server::start_with_auth`] requires.
pub fn with_token<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let token = MetadataValue::from_static("Bearer token");
    request.metadata_mut().insert("authorization", token);
    request
}

/// A tonic server on a free port of the loopback interface, stopped when dropped.
pub struct Server {
    pub address: SocketAddr,
    task: AbortHandle,
}

impl Server {
    /// Starts the shop, with its metrics page on the same port.
    pub async fn start(registry: &Registry, layer: GrpcMetricsLayer) -> Self {
        Self::start_shop(registry, layer, Shop::default()).await
    }

    pub async fn start_shop(registry: &Registry, layer: GrpcMetricsLayer, shop: Shop) -> Self {
        Self::start_routes(registry, layer, |routes| routes.add_service(shop)).await
    }

    /// Starts the shop with an interceptor that rejects calls without a token, as `UNAUTHENTICATED`.
    pub async fn start_with_auth(registry: &Registry, layer: GrpcMetricsLayer) -> Self {
        let shop = InterceptedService::new(Shop::default(), authenticate);
        Self::start_routes(registry, layer, |routes| routes.add_service(shop)).await
    }

    async fn start_routes(
        registry: &Registry,
        layer: GrpcMetricsLayer,
        add_shop: impl FnOnce(Routes) -> Routes,
    ) -> Self {
        let page = axum::Router::new().route_service("/metrics", registry.handler());
        let routes = add_shop(Routes::from(page));
        let (incoming, address) = listen().await;
        let server = tonic::transport::Server::builder()
            .accept_http1(true)
            .layer(layer)
            .add_routes(routes);
        Self::run(address, server.serve_with_incoming(incoming))
    }

    pub fn run<E: Send + 'static>(
        address: SocketAddr,
        serving: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> Self {
        let task = tokio::spawn(serving).abort_handle();
        Self { address, task }
    }

    pub async fn connect(&self) -> Client<Channel> {
        Client::new(self.endpoint().connect().await.unwrap())
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    /// Requests the metrics page over HTTP/1. Returns the status and the whole response.
    pub async fn page(&self) -> (u16, String) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        let status = response.split(' ').nth(1).unwrap().parse().unwrap();
        (status, response)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn listen() -> (TcpIncoming, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (TcpIncoming::from(listener), address)
}

/// A client like those that tonic generates.
#[derive(Clone)]
pub struct Client<T> {
    grpc: tonic::client::Grpc<T>,
}

impl<T> Client<T>
where
    T: GrpcService<TonicBody>,
    T::Error: Into<StdError>,
    T::ResponseBody: Body<Data = bytes::Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    pub fn new(transport: T) -> Self {
        let grpc = tonic::client::Grpc::new(transport);
        Self { grpc }
    }

    pub fn gzip(mut self) -> Self {
        self.grpc = self
            .grpc
            .send_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Gzip);
        self
    }

    async fn ready(&mut self) -> Result<ProstCodec<Text, Text>, Status> {
        let ready = self.grpc.ready().await;
        ready.map_err(|error| Status::unknown(error.into().to_string()))?;
        Ok(ProstCodec::default())
    }

    pub async fn unary(
        &mut self,
        path: &'static str,
        request: Request<Text>,
    ) -> Result<Text, Status> {
        let codec = self.ready().await?;
        let path = http::uri::PathAndQuery::from_static(path);
        let response = self.grpc.unary(request, path, codec).await?;
        Ok(response.into_inner())
    }

    pub async fn say(&mut self, what: &str) -> Result<Text, Status> {
        self.unary("/test.Shop/Say", Request::new(text(what))).await
    }

    /// Calls `Say` with a timeout.
    pub async fn say_within(&mut self, what: &str, timeout: Duration) -> Result<Text, Status> {
        let mut request = Request::new(text(what));
        request.set_timeout(timeout);
        self.unary("/test.Shop/Say", request).await
    }

    pub async fn collect(&mut self, of: &[&str]) -> Result<Text, Status> {
        let codec = self.ready().await?;
        let path = http::uri::PathAndQuery::from_static("/test.Shop/Collect");
        let texts: Vec<_> = of.iter().map(|t| text(t)).collect();
        let request = Request::new(stream::iter(texts));
        let response = self.grpc.client_streaming(request, path, codec).await?;
        Ok(response.into_inner())
    }

    pub async fn list(&mut self, what: &str) -> Result<Streaming<Text>, Status> {
        self.list_with(Request::new(text(what))).await
    }

    pub async fn list_with(&mut self, request: Request<Text>) -> Result<Streaming<Text>, Status> {
        let codec = self.ready().await?;
        let path = http::uri::PathAndQuery::from_static("/test.Shop/List");
        let response = self.grpc.server_streaming(request, path, codec).await?;
        Ok(response.into_inner())
    }

    pub async fn chat(
        &mut self,
        texts: impl Stream<Item = Text> + Send + 'static,
    ) -> Result<Streaming<Text>, Status> {
        let codec = self.ready().await?;
        let path = http::uri::PathAndQuery::from_static("/test.Shop/Chat");
        let response = self
            .grpc
            .streaming(Request::new(texts), path, codec)
            .await?;
        Ok(response.into_inner())
    }
}

/// Reads a stream to its end. Returns the number of messages and the final code.
pub async fn read(mut texts: Streaming<Text>) -> (usize, Code) {
    let mut count = 0;
    loop {
        match texts.message().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => return (count, Code::Ok),
            Err(status) => return (count, status.code()),
        }
    }
}
