//! The three endpoints, with upstreams that work, fail, hang or send invalid responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get as route;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, SET_COOKIE, VARY};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_prometheus_query::QueryProxy;

use crate::fake_upstream::{FakeUpstream, VALID_QUERY, get, hanging, send, send_and_read};
use test_support::server::Server;
use test_support::wait_until;
use test_support::warnings::Warnings;

const SHORT: Duration = Duration::from_millis(200);

/// Returns a URL whose port refuses connections.
async fn unused_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn valid_query_and_its_response_are_forwarded() {
    let upstream = FakeUpstream::with_text(r#"{"status":"success"}"#).await;
    let proxy = upstream.proxy().build().unwrap();
    let target = "/query_range?query=sum(rate(x%7Ba%3D%22b%20c%22%7D%5B5m%5D))%2B1&start=2023-11-14T22:13:20Z&end=1700000060.5";
    let response = get(&proxy, target).await;
    assert_eq!(
        (response.status, response.text.as_str()),
        (200, r#"{"status":"success"}"#)
    );
    let request = upstream.only_request();
    assert!(
        request.target.starts_with("/api/v1/query_range?"),
        "{request:?}"
    );
    let parameter = |name| request.parameter(name).unwrap();
    assert_eq!(parameter("query"), r#"sum(rate(x{a="b c"}[5m]))+1"#);
    assert_eq!(parameter("start"), "1700000000");
    assert_eq!(parameter("end"), "1700000060.500");
    assert_eq!(parameter("step"), "15", "the default");
}

#[tokio::test]
async fn errors_of_the_upstream_keep_status_and_body() {
    for status in [400_u16, 401, 404, 422, 429, 500, 503] {
        let status = StatusCode::from_u16(status).unwrap();
        let upstream = FakeUpstream::start(move |_| (status, "the message of the upstream")).await;
        let proxy = upstream.proxy().build().unwrap();
        let response = get(&proxy, VALID_QUERY).await;
        assert_eq!(response.status, status.as_u16());
        assert_eq!(response.text, "the message of the upstream");
        assert!(
            response.headers[CONTENT_TYPE]
                .to_str()
                .unwrap()
                .starts_with("text/plain")
        );
    }
}

#[tokio::test]
async fn only_listed_response_headers_are_forwarded() {
    let upstream = FakeUpstream::start(|_| {
        let headers = [
            (CONTENT_TYPE, "text/html"),
            (CONTENT_ENCODING, "identity"),
            (SET_COOKIE, "session=1"),
        ];
        (
            headers,
            [("x-internal", "1"), ("access-control-allow-origin", "*")],
            "<script>",
        )
    })
    .await;
    let proxy = upstream.proxy().build().unwrap();
    let response = get(&proxy, VALID_QUERY).await;
    let mut names: Vec<_> = response.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    // The security headers keep a browser from rendering the upstream's HTML.
    assert_eq!(
        names,
        [
            "content-encoding",
            "content-security-policy",
            "content-type",
            "x-content-type-options"
        ]
    );
    assert_eq!(response.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn all_lines_of_a_response_header_are_forwarded() {
    let upstream = FakeUpstream::start(|_| {
        let response = Response::builder().header(VARY, "accept-encoding");
        let response = response.header(VARY, "x-scope-orgid");
        response.body(Body::empty()).unwrap()
    })
    .await;
    let proxy = upstream.proxy().build().unwrap();
    let response = get(&proxy, VALID_QUERY).await;
    let vary: Vec<_> = response.headers.get_all(VARY).iter().collect();
    assert_eq!(vary, ["accept-encoding", "x-scope-orgid"]);
}

/// The proxy reads the responses for `/services` and `/health` itself.
#[tokio::test]
async fn only_range_queries_ask_for_compressed_responses() {
    let upstream = FakeUpstream::with_text("ok").await;
    let forwarded = upstream.proxy().forward_header("accept-encoding");
    let constant = upstream.proxy().header("accept-encoding", "gzip");
    for proxy in [forwarded, constant] {
        let proxy = proxy.build().unwrap();
        for (target, expected) in [
            (VALID_QUERY, Some("gzip")),
            ("/services", None),
            ("/health", None),
        ] {
            let request = Request::get(target).header(ACCEPT_ENCODING, "gzip");
            send_and_read(&proxy, request.body(()).unwrap()).await;
            let received = upstream.requests().pop().unwrap();
            let encoding = received.headers.get(ACCEPT_ENCODING);
            let encoding = encoding.map(|encoding| encoding.to_str().unwrap());
            assert_eq!(encoding, expected, "{target}");
        }
    }
}

#[tokio::test]
async fn response_is_streamed() {
    let upstream = FakeUpstream::start(|_| hanging(vec!["first ", "second"])).await;
    let proxy = upstream.proxy().build().unwrap();
    let response = send(&proxy, Request::get(VALID_QUERY).body(()).unwrap()).await;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"first "));
}

#[tokio::test]
async fn unreachable_upstream_is_503_with_the_reason() {
    let proxy = QueryProxy::builder(unused_url().await).build().unwrap();
    let reason = get(&proxy, VALID_QUERY)
        .await
        .assert_error(503, "unavailable");
    assert!(reason.contains("refused"), "{reason}");
    let health = get(&proxy, "/health").await;
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &"unhealthy".into())
    );
    assert!(health.json()["error"].as_str().unwrap().contains("refused"));
}

#[tokio::test]
async fn upstream_that_does_not_speak_http_is_503() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"SSH-2.0-not http\r\n\r\n").await;
        }
    };
    let query = async {
        let proxy = QueryProxy::builder(url).build().unwrap();
        get(&proxy, VALID_QUERY)
            .await
            .assert_error(503, "unavailable");
        assert_eq!(get(&proxy, "/health").await.json()["status"], "unhealthy");
    };
    tokio::select! { () = serve => {}, () = query => {} }
}

#[tokio::test]
async fn hanging_upstream_is_504_unhealthy_and_gives_fallback_services() {
    // The kernel accepts the connection, but no response is sent.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = QueryProxy::builder(format!("http://{}", listener.local_addr().unwrap()))
        .query_timeout(SHORT)
        .services_timeout(SHORT)
        .health_timeout(SHORT)
        .fallback_services(["workers", "orchestrator"])
        .build()
        .unwrap();
    let limit = get(&proxy, VALID_QUERY).await.assert_error(504, "timeout");
    assert!(limit.contains("200ms"), "{limit}");
    assert_eq!(get(&proxy, "/health").await.json()["status"], "unhealthy");
    let services = get(&proxy, "/services").await;
    assert_eq!(services.text, r#"["workers","orchestrator"]"#);
}

/// Returns the messages and fields of the proxy's log events.
fn events(warnings: &Warnings) -> Vec<String> {
    let lines = warnings.all().into_iter();
    let events = lines.filter_map(|line| Some(line.split_once("query proxy: ")?.1.to_owned()));
    events.collect()
}

#[tokio::test]
async fn log_tells_slow_and_unreachable_upstreams_apart() {
    let warnings = Warnings::capture_all();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let proxy = QueryProxy::builder(&url).health_timeout(SHORT);
    let proxy = proxy.build().unwrap();
    let respond = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(response).await;
        }
    };
    let events = || events(&warnings);
    for _ in 0..2 {
        assert_eq!(get(&proxy, "/health").await.json()["status"], "unhealthy");
    }
    let slow = "the upstream does not respond in time reason=\"the upstream timed out: the time limit is 200ms\"";
    assert_eq!(events(), [slow]);
    tokio::select! {
        () = respond => unreachable!("the accept loop does not end"),
        response = get(&proxy, VALID_QUERY) => assert_eq!(response.status, 200),
    }
    assert_eq!(events()[1..], ["the upstream responds again"]);
    drop(listener);
    for _ in 0..2 {
        assert_eq!(get(&proxy, "/health").await.json()["status"], "unhealthy");
    }
    let events = events();
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(
        events[2].starts_with("the upstream is unreachable reason="),
        "{events:?}"
    );
    assert!(events[2].contains("refused"), "{events:?}");
}

/// A query can be slow although the upstream works.
#[tokio::test]
async fn slow_range_query_is_not_logged() {
    let warnings = Warnings::capture();
    let app = Router::new()
        .route("/-/healthy", route("ok"))
        .fallback(std::future::pending::<()>);
    let upstream = Server::start(app).await;
    let proxy = QueryProxy::builder(upstream.url("")).query_timeout(SHORT);
    let proxy = proxy.build().unwrap();
    for _ in 0..2 {
        get(&proxy, VALID_QUERY).await.assert_error(504, "timeout");
        assert_eq!(get(&proxy, "/health").await.json()["status"], "healthy");
    }
    assert_eq!(events(&warnings), [""; 0]);
}

#[tokio::test]
async fn failed_services_query_is_logged_once() {
    let warnings = Warnings::capture();
    let works = Arc::new(AtomicBool::new(false));
    let is_working = Arc::clone(&works);
    let upstream = FakeUpstream::start(move |_| match is_working.load(Ordering::Relaxed) {
        true => (
            StatusCode::OK,
            r#"{"status":"success","data":{"result":[]}}"#,
        ),
        false => (StatusCode::UNPROCESSABLE_ENTITY, ""),
    })
    .await;
    let proxy = upstream.proxy().fallback_services(["a"]).build().unwrap();
    for _ in 0..2 {
        assert_eq!(get(&proxy, "/services").await.text, r#"["a"]"#);
    }
    let failed = "the query of /services fails; it returns the fallback reason=\"the query failed: it answered 422 Unprocessable Entity\"";
    assert_eq!(events(&warnings), [failed]);
    works.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(get(&proxy, "/services").await.text, "[]");
    }
    let again = "the query of /services succeeds again";
    assert_eq!(events(&warnings), [failed, again]);
    assert_eq!(warnings.about("/services fails").len(), 1);
}

#[tokio::test]
async fn endless_response_is_aborted_at_the_time_limit() {
    let upstream = FakeUpstream::start(|_| hanging(vec!["first"])).await;
    let proxy = upstream.proxy().query_timeout(SHORT).build().unwrap();
    let response = send(&proxy, Request::get(VALID_QUERY).body(()).unwrap()).await;
    assert_eq!(response.status(), 200);
    let error = response.into_body().collect().await.unwrap_err();
    assert!(error.to_string().contains("longer than allowed"), "{error}");
}

#[tokio::test]
async fn truncated_response_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"status\":";
        stream.write_all(response).await.unwrap();
    };
    let proxy = QueryProxy::builder(url).build().unwrap();
    let query = send(&proxy, Request::get(VALID_QUERY).body(()).unwrap());
    let ((), response) = tokio::join!(serve, query);
    assert_eq!(response.status(), 200);
    let error = response.into_body().collect().await.unwrap_err();
    assert!(error.to_string().contains("incomplete"), "{error}");
}

#[tokio::test]
async fn redirects_are_neither_followed_nor_forwarded() {
    for status in [301_u16, 302, 307, 308] {
        let status = StatusCode::from_u16(status).unwrap();
        let upstream =
            FakeUpstream::start(move |_| (status, [(LOCATION, "http://internal/secret")])).await;
        let proxy = upstream.proxy().build().unwrap();
        let response = get(&proxy, VALID_QUERY).await;
        response.assert_error(502, "bad_gateway");
        assert!(!response.headers.contains_key(LOCATION));
        assert!(!response.text.contains("internal"), "{response:?}");
        upstream.only_request();
        assert_eq!(get(&proxy, "/health").await.json()["status"], "degraded");
    }
}

#[tokio::test]
async fn health_distinguishes_healthy_from_degraded() {
    let upstream = FakeUpstream::start(|path| match path {
        "/-/healthy" => StatusCode::OK,
        "/elsewhere" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::NOT_FOUND,
    })
    .await;
    let health = get(&upstream.proxy().build().unwrap(), "/health").await;
    assert_eq!(
        (health.status, health.text.as_str()),
        (200, r#"{"status":"healthy"}"#)
    );
    for path in ["/elsewhere", "/health"] {
        let proxy = upstream.proxy().health_path(path).build().unwrap();
        let health = get(&proxy, "/health").await;
        assert_eq!(
            (health.status, &health.json()["status"]),
            (200, &"degraded".into())
        );
    }
}

#[tokio::test]
async fn services_are_sorted_and_distinct() {
    let response = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"service":"workers"},"value":[1,"1"]},{"metric":{"service":"api"},"value":[1,"1"]},
        {"metric":{"service":"workers"},"value":[1,"1"]},{"metric":{},"value":[1,"1"]},
        {"metric":{"service":""},"value":[1,"1"]},{"metric":{"service":"a\"<b"},"value":[1,"1"]}]}}"#;
    let upstream = FakeUpstream::with_text(response).await;
    let proxy = upstream
        .proxy()
        .services_of("asdlc_service_info", "service");
    let proxy = proxy.fallback_services(["fallback"]).build().unwrap();
    let services = get(&proxy, "/services").await;
    assert_eq!(services.status, 200);
    assert_eq!(services.headers[CONTENT_TYPE], "application/json");
    assert_eq!(
        services.json(),
        serde_json::json!(["a\"<b", "api", "workers"])
    );
    let request = upstream.only_request();
    assert!(request.target.starts_with("/api/v1/query?"), "{request:?}");
    assert_eq!(
        request.parameter("query").unwrap(),
        "group by (service) (asdlc_service_info)"
    );
}

#[tokio::test]
async fn empty_list_of_services_is_not_replaced_by_the_fallback() {
    let upstream = FakeUpstream::with_text(r#"{"status":"success","data":{"result":[]}}"#).await;
    let proxy = upstream
        .proxy()
        .fallback_services(["fallback"])
        .build()
        .unwrap();
    assert_eq!(get(&proxy, "/services").await.text, "[]");
}

#[tokio::test]
async fn invalid_services_response_is_replaced_by_the_fallback() {
    let large = format!(
        r#"{{"status":"success","data":{{"result":[]}},"x":"{}"}}"#,
        "x".repeat(1024 * 1024)
    );
    let responses = [
        (200, "not JSON".to_owned()),
        (200, "{}".to_owned()),
        (200, "[".repeat(10_000)),
        (200, r#"{"status":"error","data":{"result":[]}}"#.to_owned()),
        (
            200,
            r#"{"status":"success","data":{"result":{}}}"#.to_owned(),
        ),
        (200, large),
        (
            422,
            r#"{"status":"success","data":{"result":[]}}"#.to_owned(),
        ),
        (
            302,
            r#"{"status":"success","data":{"result":[]}}"#.to_owned(),
        ),
    ];
    for (status, text) in responses {
        let status = StatusCode::from_u16(status).unwrap();
        let upstream = FakeUpstream::start(move |_| (status, text.clone())).await;
        let proxy = upstream
            .proxy()
            .fallback_services(["a", "b"])
            .build()
            .unwrap();
        let services = get(&proxy, "/services").await;
        assert_eq!(
            (services.status, services.text.as_str()),
            (200, r#"["a","b"]"#)
        );
    }
}

#[tokio::test]
async fn other_methods_are_405_and_other_paths_are_404() {
    let upstream = FakeUpstream::with_text("").await;
    let proxy = upstream.proxy().build().unwrap();
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT"] {
        for target in [VALID_QUERY, "/services", "/health"] {
            let request = Request::builder()
                .method(method)
                .uri(target)
                .body(())
                .unwrap();
            let response = crate::fake_upstream::send_and_read(&proxy, request).await;
            response.assert_error(405, "method_not_allowed");
            assert_eq!(response.headers["allow"], "GET");
        }
    }
    for target in [
        "/",
        "/query",
        "/query_range/",
        "/health/x",
        "/services/../health",
        "/%68ealth",
        "//health",
    ] {
        get(&proxy, target).await.assert_error(404, "not_found");
    }
    assert!(upstream.requests().is_empty());
}

/// Repeats a query until the concurrency limit admits it, and returns its status.
async fn status_once_admitted(proxy: &QueryProxy) -> u16 {
    let wait = async {
        loop {
            let request = Request::get(VALID_QUERY).body(()).unwrap();
            match send(proxy, request).await.status().as_u16() {
                503 => tokio::task::yield_now().await,
                status => return status,
            }
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
    waited.expect("no permit was released")
}

#[tokio::test]
async fn queries_beyond_the_concurrency_limit_are_503() {
    let upstream = FakeUpstream::start(|path| match path {
        "/-/healthy" => hanging(vec![]),
        _ => hanging(vec!["first"]),
    })
    .await;
    let proxy = upstream
        .proxy()
        .max_concurrent(2)
        .fallback_services(["busy"])
        .build()
        .unwrap();
    let request = || Request::get(VALID_QUERY).body(()).unwrap();
    let first = send(&proxy, request()).await;
    let second = send(&proxy.clone(), request()).await;
    assert_eq!(
        (first.status(), second.status()),
        (StatusCode::OK, StatusCode::OK)
    );
    let response = get(&proxy, VALID_QUERY).await;
    let detail = response.assert_error(503, "too_many_queries");
    assert!(detail.contains("at most 2"), "{detail}");
    assert_eq!(response.headers["retry-after"], "1");
    assert_eq!(get(&proxy, "/services").await.text, r#"["busy"]"#);
    assert_eq!(get(&proxy, "/health").await.json()["status"], "healthy");
    // Dropping a response releases its permit.
    drop(first);
    assert_eq!(status_once_admitted(&proxy).await, 200);
}

/// The permit is released at the time limit, although the client keeps its response.
#[tokio::test]
async fn unread_response_releases_its_permit_at_the_time_limit() {
    let upstream = FakeUpstream::start(|_| hanging(vec!["first"])).await;
    let proxy = upstream
        .proxy()
        .max_concurrent(1)
        .query_timeout(SHORT)
        .build()
        .unwrap();
    let request = || Request::get(VALID_QUERY).body(()).unwrap();
    let unread = send(&proxy, request()).await;
    assert_eq!(send(&proxy, request()).await.status(), 503);
    assert_eq!(status_once_admitted(&proxy).await, 200);
    drop(unread);
}

#[tokio::test]
async fn disconnected_client_cancels_its_query() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let proxy = QueryProxy::builder(url).build().unwrap();
    let query = tokio::spawn(async move { get(&proxy, VALID_QUERY).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
    query.abort();
    let closed = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut [0; 1])).await;
    assert_eq!(closed.unwrap().unwrap(), 0, "the connection is closed");
    wait_until("the task ends", || query.is_finished()).await;
}

#[tokio::test]
async fn maximum_timeout_does_not_expire_immediately() {
    let upstream = FakeUpstream::with_text("ok").await;
    let proxy = upstream.proxy().query_timeout(Duration::MAX);
    let response = get(&proxy.build().unwrap(), VALID_QUERY).await;
    assert_eq!((response.status, response.text.as_str()), (200, "ok"));
}
