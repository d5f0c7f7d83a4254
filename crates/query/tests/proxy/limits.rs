//! What would hurt the store is refused, with the limit in the answer.

use std::time::Duration;

use http::Request;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use tower_prometheus::query::QueryProxy;

use crate::store::{GOOD, Store, get, hanging, head};

/// A range query's parameters in place of the good one's.
fn asking(parameters: &str) -> String {
    format!("/query_range?{parameters}")
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let store = Store::saying("").await;
    let proxy = store.proxy().build().unwrap();
    let wrong = [
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
    for (parameters, detail) in wrong {
        let said = get(&proxy, &asking(parameters))
            .await
            .assert_problem(400, "bad_data");
        assert!(said.contains(detail), "{parameters}: {said}");
    }
    assert!(store.asked().is_empty());
}

#[tokio::test]
async fn windows_points_and_lengths_have_limits() {
    let store = Store::saying("ok").await;
    let proxy = store.proxy();
    let proxy = proxy
        .max_window(Duration::from_secs(86_400))
        .max_points(100)
        .max_query_bytes(10);
    let proxy = proxy.build().unwrap();
    for (parameters, detail) in [
        ("query=up&start=0&end=86400.001&step=1d", "at most 86400"),
        ("query=up&start=0&end=101&step=1s", "at most 100"),
        ("query=up&start=0&end=101&step=1", "101 for each"),
        ("query=up&start=0&end=1.01&step=0.01", "at most 100"),
        // A step is cut to milliseconds before it is divided by, as the store does.
        ("query=up&start=0&end=0.101&step=0.0019", "101 for each"),
        ("query=12345678901&start=0&end=1", "at most 10"),
    ] {
        let said = get(&proxy, &asking(parameters))
            .await
            .assert_problem(400, "bad_data");
        assert!(said.contains(detail), "{parameters}: {said}");
    }
    assert!(store.asked().is_empty());
    for parameters in [
        "query=up&start=0&end=86400&step=1d",
        "query=up&start=0&end=100&step=1s",
        "query=1234567890&start=5&end=5",
    ] {
        let answer = get(&proxy, &asking(parameters)).await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (200, "ok"),
            "{parameters}"
        );
    }
}

#[tokio::test]
async fn the_limits_without_settings() {
    let store = Store::saying("ok").await;
    let proxy = store.proxy().build().unwrap();
    let days = |days: u32, step| {
        asking(&format!(
            "query=up&start=0&end={}&step={step}",
            days * 86_400
        ))
    };
    assert_eq!(get(&proxy, &days(31, "1h")).await.status, 200);
    assert_eq!(get(&proxy, &days(32, "1h")).await.status, 400);
    assert_eq!(
        get(&proxy, &asking("query=up&start=0&end=11000&step=1"))
            .await
            .status,
        200
    );
    assert_eq!(
        get(&proxy, &asking("query=up&start=0&end=11001&step=1"))
            .await
            .status,
        400
    );
    let query = |bytes| asking(&format!("query={}&start=0&end=1", "x".repeat(bytes)));
    assert_eq!(get(&proxy, &query(8192)).await.status, 200);
    assert_eq!(get(&proxy, &query(8193)).await.status, 400);
}

/// However it is encoded, what was allowed fits a request line.
#[tokio::test]
async fn a_query_that_fits_no_url_is_refused() {
    let store = Store::saying("ok").await;
    let proxy = store.proxy().max_query_bytes(1_000_000).build().unwrap();
    let quotes = asking(&format!("query={}&start=0&end=1", "%22".repeat(20_500)));
    assert!(quotes.len() > 60_000 && quotes.len() < 65_000);
    get(&proxy, &quotes).await.assert_problem(400, "bad_data");
    assert!(store.asked().is_empty());
}

#[tokio::test]
async fn only_known_parameters_are_sent_on_and_none_can_be_smuggled() {
    let store = Store::saying("ok").await;
    let proxy = store.proxy().build().unwrap();
    let target = asking(
        "timeout=1h&query=up%26extra_label%3Da%3Db%26nocache%3D1%0d%0aX:%20y%23%00&start=1&end=2&dedup=false&extra_filters[]=%7B%7D&%26query=x&Query=x",
    );
    assert_eq!(get(&proxy, &target).await.status, 200);
    let asked = store.asked_once();
    assert_eq!(asked.parameters(), ["query", "start", "end", "step"]);
    let query = asked.parameter("query").unwrap();
    assert_eq!(query, "up&extra_label=a=b&nocache=1\r\nX: y#\0");
    assert!(!asked.headers.contains_key("x"));
}

#[tokio::test]
async fn nothing_below_the_mount_reaches_another_path() {
    let store = Store::saying("ok").await;
    let proxy = QueryProxy::builder(store.server.url("/select/0/prometheus/"))
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
    assert!(store.asked().is_empty());
    get(&proxy, GOOD).await;
    get(&proxy, "/services").await;
    get(&proxy, "/health").await;
    let asked: Vec<_> = store
        .asked()
        .into_iter()
        .map(|asked| asked.target.split('?').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        asked,
        [
            "/select/0/prometheus/api/v1/query_range",
            "/select/0/prometheus/api/v1/query",
            "/select/0/prometheus/-/healthy"
        ]
    );
}

#[tokio::test]
async fn an_answer_that_says_it_is_too_large_is_a_502() {
    let store = Store::saying("0123456789").await;
    let proxy = store.proxy().max_response_bytes(9).build().unwrap();
    let answer = get(&proxy, GOOD).await;
    let detail = answer.assert_problem(502, "bad_gateway");
    assert_eq!(detail, "10 bytes; at most 9");
    let proxy = store.proxy().max_response_bytes(10).build().unwrap();
    let response = head(&proxy, Request::get(GOOD).body(()).unwrap()).await;
    assert_eq!(
        http_body::Body::size_hint(response.body()).exact(),
        Some(10)
    );
    assert!(
        !response.headers().contains_key(CONTENT_LENGTH),
        "the server writes it from the hint"
    );
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "0123456789"
    );
}

#[tokio::test]
async fn an_answer_that_grows_too_large_is_broken_off() {
    let store = Store::start(|_| hanging(vec!["01234", "56789"])).await;
    let proxy = store.proxy().max_response_bytes(9).build().unwrap();
    let response = head(&proxy, Request::get(GOOD).body(()).unwrap()).await;
    assert_eq!(response.status(), 200);
    let error = response.into_body().collect().await.unwrap_err();
    assert!(error.to_string().contains("larger than allowed"), "{error}");
}
