//! The client against local HTTP servers with scripted responses.

mod configuration;
mod connectors;
mod credentials;
mod failures;
mod https;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method, Request, Response, Uri};
use hyper::body::Incoming;
use test_support::server::Server;
use tower_prometheus::Registry;

/// A fake Pushgateway. It responds with the given statuses in order, then always with the last one.
struct Gateway {
    server: Server,
    requests: Arc<Mutex<Vec<(Method, Uri, HeaderMap)>>>,
}

impl Gateway {
    async fn answering(statuses: &'static [u16]) -> Self {
        Self::start(statuses, |_| "the reason".to_owned()).await
    }

    async fn start(
        statuses: &'static [u16],
        body: impl Fn(&HeaderMap) -> String + Clone + Send + 'static,
    ) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&requests);
        let server = Server::start(tower::service_fn(move |request: Request<Incoming>| {
            let mut received = received.lock().unwrap();
            let status = statuses[received.len().min(statuses.len() - 1)];
            let (head, _) = request.into_parts();
            let response = Response::builder().status(status).body(body(&head.headers));
            received.push((head.method, head.uri, head.headers));
            std::future::ready(Ok::<_, std::io::Error>(response.unwrap()))
        }));
        Self {
            server: server.await,
            requests,
        }
    }

    fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Returns the requests received since the last call.
    fn requests(&self) -> Vec<(Method, Uri, HeaderMap)> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

/// Returns a local address that refuses connections.
fn unused_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn registry() -> Registry {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || metrics::counter!("jobs_total").increment(1));
    registry
}

/// Returns the messages of an error and all its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    let messages: Vec<_> = sources.map(ToString::to_string).collect();
    messages.join(": ")
}
