//! The inputs of HTTP layers.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{any, post};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use peers::layers::{self, Peer};
use tower::{BoxError, ServiceExt, service_fn};

use crate::exported::Before;
use crate::streams::{self, End, Streamed};
use crate::{Row, settings};

pub async fn rows(peers: &[&Peer]) -> Vec<Row> {
    let mut rows = streams(peers).await;
    rows.extend(without_response(peers).await);
    rows.extend(labels(peers).await);
    rows.push(uploads(peers).await);
    rows.extend(settings::rows(peers)); // The last: a prefix changes the names of the process.
    rows
}

fn request(method: &str, path: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("host", "localhost").body(Body::empty());
    request.expect("the request is valid")
}

async fn event_stream(peer: &Peer, method: &str, end: End) -> Streamed {
    let response = Response::builder().header("content-type", "text/event-stream");
    let response = streams::stream(response);
    streams::streamed(peer, request(method, "/"), response, b"data: 1\n\n", end).await
}

async fn streams(peers: &[&Peer]) -> Vec<Row> {
    const OPEN: &[&str] = &["tests/http/open_connections.rs"];
    let row = |input| Row {
        input,
        cells: Vec::new(),
        tests: OPEN,
    };
    let mut rows = [
        row("event stream in response to POST, while it streams"),
        row("… after it ended"),
        row("… after it failed with an error"),
        row("… after the client left midway"),
        row("GET event stream, while it streams"),
        row("… after the client left"),
        row("101, while the upgraded connection is open"),
    ];
    for peer in peers {
        let complete = event_stream(peer, "POST", End::Complete).await;
        let failed = event_stream(peer, "POST", End::Fails).await;
        let dropped = event_stream(peer, "POST", End::Dropped).await;
        let endless = event_stream(peer, "GET", End::Dropped).await;
        let cells = [
            complete.running,
            complete.ended,
            failed.ended,
            dropped.ended,
            endless.running,
            endless.ended,
            upgraded(peer).await,
        ];
        for (row, cell) in rows.iter_mut().zip(cells) {
            row.cells.push(cell);
        }
    }
    rows.into()
}

/// Upgrades a connection. A server drops the response at once: the connection outlives it.
async fn upgraded(peer: &Peer) -> String {
    let before = Before::new(peer);
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let response = response.body(Body::empty()).expect("the head is valid");
    let service = peer.on_service(streams::respond_once(response));
    drop(service.oneshot(request("GET", "/")).await);
    before.running()
}

async fn without_response(peers: &[&Peer]) -> [Row; 3] {
    const ENDS: &[&str] = &["tests/http/request_ends.rs"];
    let dropped = peers.iter();
    let dropped = dropped.map(|peer| streams::dropped_before_response(peer, request("GET", "/")));
    let panicked = peers.iter();
    let panicked = panicked.map(|peer| streams::panicked(peer, request("GET", "/")));
    let mut failed = Vec::new();
    for peer in peers {
        failed.push(streams::failed(peer, request("GET", "/")).await);
    }
    [
        Row {
            input: "request dropped before its response",
            cells: dropped.collect(),
            tests: ENDS,
        },
        Row {
            input: "error of the service",
            cells: failed,
            tests: ENDS,
        },
        Row {
            input: "panic",
            cells: panicked.collect(),
            tests: ENDS,
        },
    ]
}

/// Sends requests to a router with the layer on all routes, and reads the responses to their end.
async fn send(peer: &Peer, router: Router, requests: impl Iterator<Item = Request<Body>>) {
    let router = peer.on_router(router);
    for request in requests {
        let Ok(response) = router.clone().oneshot(request).await;
        assert!(response.into_body().collect().await.is_ok());
    }
}

fn paths(prefix: &str) -> impl Iterator<Item = Request<Body>> {
    (0..100).map(move |i| request("GET", &format!("{prefix}/{i}.php")))
}

fn users() -> Router {
    Router::new().route("/users/{id}", any(async || "ada"))
}

async fn labels(peers: &[&Peer]) -> [Row; 4] {
    let (mut paths_of, mut methods, mut nested) = (Vec::new(), Vec::new(), Vec::new());
    for peer in peers {
        let before = Before::new(peer);
        send(peer, users(), paths("/nowhere")).await;
        paths_of.push(before.endpoints());

        let before = Before::new(peer);
        let requests = (0..10).map(|i| request(&format!("M{i}"), "/users/7"));
        send(peer, users(), requests).await;
        methods.push(before.methods());

        nested.push(nest_service(peer).await);
    }
    [
        Row {
            input: "`endpoint` of 100 paths that no route matches",
            cells: paths_of,
            tests: &[
                "tests/http/routes.rs",
                "tests/http/known_bugs_of_other_crates.rs",
            ],
        },
        Row {
            input: "`method` of 10 unknown methods",
            cells: methods,
            tests: &["tests/http/known_bugs_of_other_crates.rs"],
        },
        Row {
            input: "`endpoint` of 100 paths in `nest_service`",
            cells: nested,
            tests: &["tests/http/endpoint_sources.rs"],
        },
        Row {
            input: "`endpoint` of a matched route, if the application's function returns `None`",
            cells: endpoint_functions(peers).await,
            tests: &["tests/http/endpoint_sources.rs"],
        },
    ]
}

/// The service of `nest_service`, with the name of an `EndpointLayer` where the layer knows it.
async fn nest_service(peer: &Peer) -> String {
    let files = service_fn(async |_: Request<Body>| {
        Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
    });
    let before = Before::new(peer);
    let router = Router::new().nest_service("/assets", files);
    send(peer, router, paths("/assets")).await;
    let endpoints = before.endpoints();
    if peer.names.requests != "http_requests_total" {
        return endpoints;
    }
    let before = Before::new(peer);
    let named = tower_prometheus::http::EndpointLayer::named("/assets/*");
    let router = Router::new().nest_service("/assets", tower::Layer::layer(&named, files));
    send(peer, router, paths("/assets")).await;
    format!("{endpoints}; with `EndpointLayer`, {}", before.endpoints())
}

async fn endpoint_functions(peers: &[&Peer]) -> Vec<String> {
    let mut cells = Vec::new();
    for peer in peers {
        let with_function = match peer.name {
            "tower-prometheus" => layers::ours_with_endpoint_fn(),
            "opentelemetry-instrumentation-tower" => {
                layers::opentelemetry_instrumentation_tower_with_route_fn()
            }
            // Its function returns a `String`, and is called only without a matched route.
            "axum-prometheus" => {
                cells.push("cannot return it".to_owned());
                continue;
            }
            _ => {
                cells.push("no function".to_owned());
                continue;
            }
        };
        let before = Before::new(&with_function);
        send(
            &with_function,
            users(),
            [request("GET", "/users/7")].into_iter(),
        )
        .await;
        cells.push(before.endpoints());
    }
    cells
}

async fn uploads(peers: &[&Peer]) -> Row {
    let mut cells = Vec::new();
    for peer in peers {
        let mut cell = upload(peer).await;
        if peer.name == "tower-prometheus" {
            let with_request_body = upload(&layers::ours_with_request_body()).await;
            cell = format!("{cell}; with `with_request_body`: {with_request_body}");
        }
        cells.push(cell);
    }
    Row {
        input: "upload that the client aborts, and the handler rejects",
        cells,
        tests: &["tests/http/optional_metrics.rs"],
    }
}

/// An upload that the client aborts after its first bytes.
async fn upload(peer: &Peer) -> String {
    let (mut sender, body) = Channel::<Bytes, BoxError>::new(1);
    let sent = sender.send_data(Bytes::from_static(b"half")).await;
    sent.expect("the channel has room");
    sender.abort("the client left".into());
    let mut request = request("POST", "/upload");
    *request.body_mut() = Body::new(body);
    let before = Before::new(peer);
    let router = Router::new().route("/upload", post(async |_: Bytes| "saved"));
    send(peer, router, [request].into_iter()).await;
    before.ended()
}
