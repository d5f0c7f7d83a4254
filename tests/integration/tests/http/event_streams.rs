//! Event streams of axum over sockets. A GET event stream is a long-lived connection; any other is a response like the
//! rest, in progress until its last event.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::response::sse::{Event, Sse};
use axum::response::{Extension, IntoResponse};
use axum::routing::any;
use futures_util::stream;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc::{self, UnboundedSender};
use tower_prometheus::http::{FiniteStream, HttpMetric, LongLived};
use tower_prometheus::{HttpMetrics, Registry};

use test_support::server::{BOTH_PROTOCOLS, Client, Protocol, Server};
use test_support::{
    aborted_bodies, assert_one_request_completed, requests_with_status, wait_for_requests_to_end,
    wait_until,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Events = UnboundedSender<Result<Event, BoxError>>;

/// Event streams that are responses like any other: method and path.
const FINITE: [(&str, &str); 3] = [("POST", "/"), ("PUT", "/"), ("GET", "/finite")];

/// Event streams that are long-lived connections: method, path and kind.
const ENDLESS: [(&str, &str, &str); 2] =
    [("GET", "/", "event-stream"), ("POST", "/marked", "agent")];

/// An event stream that the test sends and reads event by event.
struct EventStream {
    registry: Registry,
    /// Dropping it ends the stream.
    events: Events,
    body: Incoming,
    bytes_read: usize,
    client: Client,
    server: Server,
}

impl EventStream {
    /// Sends a request and reads the response head.
    async fn open(protocol: Protocol, method: &str, path: &str) -> Self {
        let registry = Registry::new();
        let layer = HttpMetrics::server()
            .measure(HttpMetric::ConnectionDuration)
            .measure(HttpMetric::ResponseBytes)
            .build(&registry)
            .unwrap();
        let (events, receiver) = mpsc::unbounded_channel();
        let receiver = Arc::new(Mutex::new(Some(receiver)));
        let answer = move || {
            let receiver = receiver.lock().unwrap().take().unwrap();
            Sse::new(stream::unfold(receiver, |mut receiver| async move {
                Some((receiver.recv().await?, receiver))
            }))
        };
        let (finite, marked) = (answer.clone(), answer.clone());
        let app = Router::new()
            .route("/", any(async move || answer().into_response()))
            .route(
                "/finite",
                any(async move || (Extension(FiniteStream), finite())),
            )
            .route(
                "/marked",
                any(async move || (Extension(LongLived::new("agent")), marked())),
            )
            .layer(layer);
        let server = Server::start(app).await;
        let mut client = server.connect(protocol).await;
        let response = client.send(method, path).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            registry,
            events,
            body: response.into_body(),
            bytes_read: 0,
            client,
            server,
        }
    }

    /// Sends one event and reads it.
    async fn pass_event(&mut self) {
        self.events
            .send(Ok(Event::default().data("token")))
            .unwrap();
        let frame = self.body.frame().await.unwrap().unwrap();
        self.bytes_read += frame.into_data().unwrap().len();
    }

    fn sum(&self, metric: &str) -> Option<f64> {
        self.registry.sum(metric, &[])
    }

    fn assert_bytes_are_counted(&self) {
        let bytes = self.sum("http_response_body_bytes_total");
        assert_eq!(bytes, Some(self.bytes_read as f64));
    }

    /// Asserts that the request is in progress, and that nothing else is recorded yet.
    fn assert_in_progress(&self) {
        assert_eq!(self.sum("http_requests_in_progress"), Some(1.0));
        assert_eq!(self.sum("http_requests_total"), None);
        assert_eq!(self.sum("http_request_duration_seconds_count"), None);
        self.assert_no_connection();
    }

    fn assert_no_connection(&self) {
        assert_eq!(self.sum("http_connections_open"), None);
        assert_eq!(self.sum("http_connection_duration_seconds_count"), None);
    }

    /// Asserts that the request has ended, and that its connection is open.
    fn assert_is_open(&self, kind: &str) {
        assert_eq!(self.sum("http_requests_in_progress"), Some(0.0));
        assert_eq!(requests_with_status(&self.registry, "200"), 1.0);
        let durations = self.sum("http_request_duration_seconds_count");
        assert_eq!(durations, Some(1.0));
        let open = self
            .registry
            .sum("http_connections_open", &[("kind", kind)]);
        assert_eq!(open, Some(1.0));
        let lifetimes = self.sum("http_connection_duration_seconds_count");
        assert_eq!(lifetimes.unwrap_or(0.0), 0.0);
    }

    /// Ends the stream and reads to its end.
    async fn end(self) -> Registry {
        drop(self.events);
        let rest = self.body.collect().await.unwrap().to_bytes();
        assert_eq!(rest, "");
        self.registry
    }

    /// The client leaves. Returns the source of the events and the server, which stay.
    fn disconnect(self) -> (Registry, (Events, Server)) {
        drop((self.body, self.client));
        (self.registry, (self.events, self.server))
    }

    /// Makes the body fail, and reads the failure.
    async fn fail(&mut self) {
        self.events.send(Err("the model failed".into())).unwrap();
        assert!(self.body.frame().await.unwrap().is_err());
    }
}

/// Waits until the connection is closed, and asserts that its lifetime is recorded.
async fn wait_until_closed(registry: &Registry, kind: &str) {
    let lifetimes = || registry.sum("http_connection_duration_seconds_count", &[("kind", kind)]);
    wait_until("the lifetime is recorded", || lifetimes() == Some(1.0)).await;
    wait_for_requests_to_end(registry, 1).await;
}

#[tokio::test]
async fn finite_event_stream_is_in_progress_until_its_last_event() {
    for protocol in BOTH_PROTOCOLS {
        for (method, path) in FINITE {
            let mut stream = EventStream::open(protocol, method, path).await;
            stream.assert_in_progress();
            for _ in 0..5 {
                stream.pass_event().await;
                stream.assert_in_progress();
                stream.assert_bytes_are_counted();
            }
            let registry = stream.end().await;
            wait_for_requests_to_end(&registry, 1).await;
            assert_eq!(requests_with_status(&registry, "200"), 1.0);
            assert_one_request_completed(&registry);
            assert_eq!(registry.sum("http_connections_open", &[]), None);
        }
    }
}

#[tokio::test]
async fn finite_event_stream_that_fails_is_aborted_with_reason_error() {
    for protocol in BOTH_PROTOCOLS {
        for (method, path) in FINITE {
            let mut stream = EventStream::open(protocol, method, path).await;
            for _ in 0..4 {
                stream.pass_event().await;
            }
            stream.assert_in_progress();
            stream.fail().await;
            wait_for_requests_to_end(&stream.registry, 1).await;
            assert_eq!(requests_with_status(&stream.registry, "200"), 1.0);
            assert_eq!(aborted_bodies(&stream.registry, "error"), 1.0);
            assert_eq!(aborted_bodies(&stream.registry, "dropped"), 0.0);
            stream.assert_bytes_are_counted();
            stream.assert_no_connection();
        }
    }
}

#[tokio::test]
async fn finite_event_stream_of_a_client_that_leaves_is_aborted_with_reason_dropped() {
    for protocol in BOTH_PROTOCOLS {
        for (method, path) in FINITE {
            let mut stream = EventStream::open(protocol, method, path).await;
            stream.pass_event().await;
            stream.assert_in_progress();
            let (registry, _still_running) = stream.disconnect();
            wait_for_requests_to_end(&registry, 1).await;
            assert_eq!(requests_with_status(&registry, "200"), 1.0);
            assert_eq!(aborted_bodies(&registry, "dropped"), 1.0);
            assert_eq!(aborted_bodies(&registry, "error"), 0.0);
            assert_eq!(registry.sum("http_connections_open", &[]), None);
        }
    }
}

#[tokio::test]
async fn endless_event_stream_is_an_open_connection_until_it_ends() {
    for protocol in BOTH_PROTOCOLS {
        for (method, path, kind) in ENDLESS {
            let mut stream = EventStream::open(protocol, method, path).await;
            stream.assert_is_open(kind);
            for _ in 0..5 {
                stream.pass_event().await;
                stream.assert_is_open(kind);
                stream.assert_bytes_are_counted();
            }
            let registry = stream.end().await;
            wait_until_closed(&registry, kind).await;
            assert_one_request_completed(&registry);
        }
    }
}

#[tokio::test]
async fn endless_event_stream_that_fails_is_aborted_with_reason_error() {
    for protocol in BOTH_PROTOCOLS {
        for (method, path, kind) in ENDLESS {
            let mut stream = EventStream::open(protocol, method, path).await;
            for _ in 0..4 {
                stream.pass_event().await;
            }
            stream.assert_is_open(kind);
            stream.fail().await;
            wait_until_closed(&stream.registry, kind).await;
            wait_until("the aborted body is counted", || {
                aborted_bodies(&stream.registry, "error") == 1.0
            })
            .await;
            assert_eq!(requests_with_status(&stream.registry, "200"), 1.0);
            assert_eq!(aborted_bodies(&stream.registry, "dropped"), 0.0);
            stream.assert_bytes_are_counted();
        }
    }
}

#[tokio::test]
async fn endless_event_stream_of_a_client_that_leaves_is_not_aborted() {
    for protocol in BOTH_PROTOCOLS {
        for (method, path, kind) in ENDLESS {
            let mut stream = EventStream::open(protocol, method, path).await;
            stream.pass_event().await;
            stream.assert_is_open(kind);
            let (registry, _still_running) = stream.disconnect();
            wait_until_closed(&registry, kind).await;
            assert_one_request_completed(&registry);
        }
    }
}
