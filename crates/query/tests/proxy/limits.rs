//! Queries and responses beyond a limit are rejected, and the response names the limit.

use std::time::Duration;

use http::Request;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use tower_prometheus_query::QueryProxy;

use crate::fake_upstream::{FakeUpstream, VALID_QUERY, get, hanging, send};

/// Returns the target of a range query with these parameters.
fn range_query(parameters: &str) -> String {
    format!("/query_range?{parameters}")
}

#[tokio::test]
async fn invalid_parameters_are_rejected() {
    let upstream = FakeUpstream::with_text("").await;
    let proxy = upstream.proxy().build().unwrap();
    let cases = [
        ("", "query"),
        ("start=1&end=2", "query"),
        ("query=&start=1&end=2", "query"),
        ("query=%20&start=1&end=2", "query"),
        ("query=up&end=2", "start"),
        ("query=up&start=1", "end"),
        ("query=up&start=now&end=2", "start"),
        ("query=up&start=1&end=-1h", "end"),
        ("query=up&start=1&end=NaN", "end"),
        ("query=up&start=1&end=1700000000000", "end"),
        ("query=up&start=1&end=2&step=0", "step"),
        ("query=up&start=1&end=2&step=-15s", "step"),
        ("query=up&start=1&end=2&step=NaN", "step"),
        ("query=up&start=1&end=2&step=inf", "step"),
        ("query=up&start=1&end=2&step=0.0009", "1ms"),
        ("query=up&start=1&end=2&step=1parsec", "step"),
        ("query=up&start=1&end=2&step=", "step"),
        ("query=up&query=up&start=1&end=2", "once"),
        ("query=up&start=1&%73tart=1&end=2", "once"),
        ("query=%ff&start=1&end=2", "UTF-8"),
        ("query=up&start=3&end=2", "start is 3"),
    ];
    for (parameters, detail) in cases {
        let actual = get(&proxy, &range_query(parameters))
            .await
            .assert_error(400, "bad_data");
        assert!(actual.contains(detail), "{parameters}: {actual}");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn time_range_points_and_query_length_are_limited() {
    let upstream = FakeUpstream::with_text("ok").await;
    let proxy = upstream.proxy();
    let proxy = proxy
        .max_time_range(Duration::from_secs(86_400))
        .max_points(100)
        .max_query_bytes(10);
    let proxy = proxy.build().unwrap();
    for (parameters, detail) in [
        ("query=up&start=0&end=86400.001&step=1d", "at most 86400"),
        ("query=up&start=0&end=101&step=1s", "at most 100"),
        ("query=up&start=0&end=101&step=1", "101 per series"),
        ("query=up&start=0&end=1.01&step=0.01", "at most 100"),
        // The step is truncated to milliseconds before the division, as in the upstream.
        ("query=up&start=0&end=0.101&step=0.0019", "101 per series"),
        ("query=12345678901&start=0&end=1", "at most 10"),
    ] {
        let actual = get(&proxy, &range_query(parameters))
            .await
            .assert_error(400, "bad_data");
        assert!(actual.contains(detail), "{parameters}: {actual}");
    }
    assert!(upstream.requests().is_empty());
    for parameters in [
        "query=up&start=0&end=86400&step=1d",
        "query=up&start=0&end=100&step=1s",
        "query=1234567890&start=5&end=5",
    ] {
        let response = get(&proxy, &range_query(parameters)).await;
        assert_eq!(
            (response.status, response.text.as_str()),
            (200, "ok"),
            "{parameters}"
        );
    }
}

#[tokio::test]
async fn default_limits() {
    let upstream = FakeUpstream::with_text("ok").await;
    let proxy = upstream.proxy().build().unwrap();
    let days = |days: u32, step| {
        range_query(&format!(
            "query=up&start=0&end={}&step={step}",
            days * 86_400
        ))
    };
    assert_eq!(get(&proxy, &days(31, "1h")).await.status, 200);
    assert_eq!(get(&proxy, &days(32, "1h")).await.status, 400);
    assert_eq!(
        get(&proxy, &range_query("query=up&start=0&end=11000&step=1"))
            .await
            .status,
        200
    );
    assert_eq!(
        get(&proxy, &range_query("query=up&start=0&end=11001&step=1"))
            .await
            .status,
        400
    );
    let query = |bytes| range_query(&format!("query={}&start=0&end=1", "x".repeat(bytes)));
    assert_eq!(get(&proxy, &query(8192)).await.status, 200);
    assert_eq!(get(&proxy, &query(8193)).await.status, 400);
}

/// The percent-encoded query is longer than allowed in a request line.
#[tokio::test]
async fn query_too_long_for_a_url_is_rejected() {
    let upstream = FakeUpstream::with_text("ok").await;
    let proxy = upstream.proxy().max_query_bytes(1_000_000).build().unwrap();
    let target = range_query(&format!("query={}&start=0&end=1", "%22".repeat(20_500)));
    assert!(target.len() > 60_000 && target.len() < 65_000);
    get(&proxy, &target).await.assert_error(400, "bad_data");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn only_known_parameters_are_forwarded() {
    let upstream = FakeUpstream::with_text("ok").await;
    let proxy = upstream.proxy().build().unwrap();
    let target = range_query(
        "timeout=1h&query=up%26extra_label%3Da%3Db%26nocache%3D1%0d%0aX:%20y%23%00&start=1&end=2&dedup=false&extra_filters[]=%7B%7D&%26query=x&Query=x",
    );
    assert_eq!(get(&proxy, &target).await.status, 200);
    let request = upstream.only_request();
    assert_eq!(request.parameters(), ["query", "start", "end", "step"]);
    let query = request.parameter("query").unwrap();
    assert_eq!(query, "up&extra_label=a=b&nocache=1\r\nX: y#\0");
    assert!(!request.headers.contains_key("x"));
}

#[tokio::test]
async fn requests_reach_only_fixed_paths_of_the_upstream() {
    let upstream = FakeUpstream::with_text("ok").await;
    let proxy = QueryProxy::builder(upstream.server.url("/select/0/prometheus/"))
        .build()
        .unwrap();
    for target in [
        "/query_range/../admin",
        "/../query_range",
        "/%2e%2e/api/v1/admin",
        "/api/v1/query_range",
        "/query_range%2f..%2fadmin",
    ] {
        assert_eq!(get(&proxy, target).await.status, 404);
    }
    assert!(upstream.requests().is_empty());
    get(&proxy, VALID_QUERY).await;
    get(&proxy, "/services").await;
    get(&proxy, "/health").await;
    let requests: Vec<_> = upstream
        .requests()
        .into_iter()
        .map(|request| request.target.split('?').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        requests,
        [
            "/select/0/prometheus/api/v1/query_range",
            "/select/0/prometheus/api/v1/query",
            "/select/0/prometheus/-/healthy"
        ]
    );
}

#[tokio::test]
async fn response_announced_as_too_large_is_502() {
    let upstream = FakeUpstream::with_text("0123456789").await;
    let proxy = upstream.proxy().max_response_bytes(9).build().unwrap();
    let response = get(&proxy, VALID_QUERY).await;
    let detail = response.assert_error(502, "bad_gateway");
    assert_eq!(detail, "10 bytes; at most 9");
    let proxy = upstream.proxy().max_response_bytes(10).build().unwrap();
    let response = send(&proxy, Request::get(VALID_QUERY).body(()).unwrap()).await;
    assert_eq!(
        http_body::Body::size_hint(response.body()).exact(),
        Some(10)
    );
    assert!(
        !response.headers().contains_key(CONTENT_LENGTH),
        "the server derives it from the size hint"
    );
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "0123456789"
    );
}

#[tokio::test]
async fn response_that_grows_too_large_is_aborted() {
    let upstream = FakeUpstream::start(|_| hanging(vec!["01234", "56789"])).await;
    let proxy = upstream.proxy().max_response_bytes(9).build().unwrap();
    let response = send(&proxy, Request::get(VALID_QUERY).body(()).unwrap()).await;
    assert_eq!(response.status(), 200);
    let error = response.into_body().collect().await.unwrap_err();
    assert!(error.to_string().contains("larger than allowed"), "{error}");
}
