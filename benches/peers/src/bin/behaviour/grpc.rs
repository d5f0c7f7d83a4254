//! The inputs of gRPC layers.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Request, Response};
use peers::layers::Peer;
use tower::ServiceExt;

use crate::Row;
use crate::exported::Before;
use crate::streams::{self, End, Streamed};

/// A message of one byte, with its length before it.
const MESSAGE: &[u8] = &[0, 0, 0, 0, 1, 7];

const CALLS: &str = "tests/integration/tests/grpc/calls.rs";
const CODES: &str = "tests/grpc/codes.rs";
const METHODS: &str = "tests/integration/tests/grpc/methods.rs";
const METHOD_NAMES: &str = "tests/integration/tests/grpc/method_names.rs";

pub async fn rows(peers: &[&Peer]) -> Vec<Row> {
    let row = |input, tests| Row {
        input,
        cells: Vec::new(),
        tests,
    };
    let mut rows = [
        row(
            "`grpc_method` of 100 invented methods, answered `UNAUTHENTICATED`",
            &[METHOD_NAMES] as &[_],
        ),
        row("… lines of a page that they add", &[METHOD_NAMES]),
        row(
            "`grpc_method` of 100 invented methods, answered `UNIMPLEMENTED`",
            &[METHODS],
        ),
        row("response stream, while it streams", &[METHODS]),
        row("… after it ended with code 0 in the trailers", &[CODES]),
        row("… after it ended with code 13 in the trailers", &[CODES]),
        row("… after it failed with an error", &[CODES]),
        row("… after the client left midway", &[CODES]),
        row("call dropped before its response", &[CALLS, CODES]),
        row("error of the service", &[CODES]),
        row("panic", &[CODES]),
    ];
    for peer in peers {
        let (unauthenticated, unauthenticated_lines) = invented_methods(peer, "16").await;
        let complete = stream(peer, End::Trailers(status("0"))).await;
        let cells = [
            unauthenticated,
            unauthenticated_lines,
            invented_methods(peer, "12").await.0,
            complete.running,
            complete.ended,
            stream(peer, End::Trailers(status("13"))).await.ended,
            stream(peer, End::Fails).await.ended,
            stream(peer, End::Dropped).await.ended,
            streams::dropped_before_response(peer, request("shop.Orders/Place")),
            streams::failed(peer, request("shop.Orders/Place")).await,
            streams::panicked(peer, request("shop.Orders/Place")),
        ];
        for (row, cell) in rows.iter_mut().zip(cells) {
            row.cells.push(cell);
        }
    }
    rows.into()
}

fn request(method: &str) -> Request<Body> {
    let request = Request::post(format!("/{method}")).header("content-type", "application/grpc");
    request.body(Body::empty()).expect("the request is valid")
}

fn head() -> http::response::Builder {
    Response::builder().header("content-type", "application/grpc")
}

fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static(code),
    )])
}

async fn stream(peer: &Peer, end: End) -> Streamed {
    let response = streams::stream(head());
    streams::streamed(peer, request("shop.Orders/Watch"), response, MESSAGE, end).await
}

/// Calls methods that do not exist. The service answers with a status in the head. Returns the values of the label, and
/// the number of new lines.
async fn invented_methods(peer: &Peer, code: &str) -> (String, String) {
    let before = Before::new(peer);
    for i in 0..100 {
        let response = head().header("grpc-status", code).body(Body::empty());
        let response = response.expect("the head is valid");
        let service = peer.on_service(streams::respond_once(response));
        drop(
            service
                .oneshot(request(&format!("evil.S{code}/M{i}")))
                .await,
        );
    }
    (before.endpoints(), before.new_series().to_string())
}
