//! Services whose responses end as the program decides, and the ways in which a request ends without a response.

use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Waker};

use axum::body::{Body, Bytes};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use peers::layers::{HttpService, Peer};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt, service_fn};

use crate::exported::Before;

/// How a stream ends.
pub enum End {
    Complete,
    Trailers(HeaderMap),
    Fails,
    /// The client leaves: the server drops the body.
    Dropped,
}

/// What a layer exported while a response was streaming, and after it ended.
pub struct Streamed {
    pub running: String,
    pub ended: String,
}

/// A response whose body the returned sender writes. It has the head of `response`.
pub fn stream(response: http::response::Builder) -> (Sender<Bytes, BoxError>, Response<Body>) {
    let (sender, body) = Channel::new(1);
    let response = response.body(Body::new(body));
    (sender, response.expect("the head is valid"))
}

/// Sends a request to a service that responds with `response`, streams four `frame`s of it, and ends it.
pub async fn streamed(
    peer: &Peer,
    request: Request<Body>,
    response: (Sender<Bytes, BoxError>, Response<Body>),
    frame: &'static [u8],
    end: End,
) -> Streamed {
    let before = Before::new(peer);
    let (mut sender, response) = response;
    let service = peer.on_service(respond_once(response));
    let response = service.oneshot(request).await.expect("it responds");
    let mut body = response.into_body();
    for _ in 0..4 {
        sender
            .send_data(Bytes::from_static(frame))
            .await
            .expect("the body is read");
        let data = body.frame().await.expect("a frame");
        assert!(data.expect("it has not failed").is_data());
    }
    let running = before.running();
    match end {
        End::Complete => {
            drop(sender);
            assert!(body.frame().await.is_none());
        }
        End::Trailers(trailers) => {
            let sent = sender.send_trailers(trailers).await;
            sent.expect("the body is read");
            drop(sender);
            assert!(body.collect().await.is_ok());
            body = Body::empty();
        }
        End::Fails => {
            sender.abort("the source of the stream failed".into());
            assert!(body.frame().await.expect("an error").is_err());
        }
        End::Dropped => {}
    }
    drop(body);
    let ended = before.ended();
    Streamed { running, ended }
}

/// A service that responds with `response`, once.
pub fn respond_once(response: Response<Body>) -> HttpService {
    let response = std::sync::Arc::new(Mutex::new(Some(response)));
    BoxCloneSyncService::new(service_fn(move |_: Request<Body>| {
        let response = response.lock().expect("no panics").take();
        std::future::ready(response.ok_or_else(|| BoxError::from("called twice")))
    }))
}

/// Drops a request before its response.
pub fn dropped_before_response(peer: &Peer, request: Request<Body>) -> String {
    let before = Before::new(peer);
    let hangs = service_fn(|_: Request<Body>| pending::<Result<Response<Body>, BoxError>>());
    let service = peer.on_service(BoxCloneSyncService::new(hangs));
    {
        let mut future = pin!(service.oneshot(request));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(cx).is_pending());
    }
    before.ended()
}

/// Sends a request to a service that returns an error.
pub async fn failed(peer: &Peer, request: Request<Body>) -> String {
    let before = Before::new(peer);
    let fails = service_fn(async |_: Request<Body>| Err::<Response<Body>, _>(BoxError::from("no")));
    let service = peer.on_service(BoxCloneSyncService::new(fails));
    assert!(service.oneshot(request).await.is_err());
    before.ended()
}

/// Sends a request to a service whose future panics.
pub fn panicked(peer: &Peer, request: Request<Body>) -> String {
    let before = Before::new(peer);
    let service =
        service_fn(async |_: Request<Body>| -> Result<Response<Body>, BoxError> { panic!() });
    let service = peer.on_service(BoxCloneSyncService::new(service));
    assert!(panics(|| {
        let cx = &mut Context::from_waker(Waker::noop());
        let _ = pin!(service.oneshot(request)).poll(cx);
    }));
    before.ended()
}

/// Returns whether a function panics, and prints no message if it does.
pub fn panics(f: impl FnOnce()) -> bool {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(f));
    std::panic::set_hook(hook);
    result.is_err()
}
