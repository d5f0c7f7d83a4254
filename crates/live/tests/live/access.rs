//! Which requests are answered, and the headers of all responses.

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderName, Method};
use test_support::server::{BOTH_PROTOCOLS, Protocol, Server};
use tower_prometheus::Registry;
use tower_prometheus_live::LivePage;

use crate::protocol::service;
use crate::viewer::{get, status};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

async fn default_page() -> Server {
    let metrics = Registry::new();
    service(&metrics, tower_prometheus_live::page(&metrics)).await
}

#[tokio::test]
async fn foreign_hosts_are_refused() {
    let server = default_page().await;
    for (host, expected) in [
        ("localhost", 200),
        ("localhost:3000", 200),
        ("LOCALHOST:3000", 200),
        ("shop.localhost:3000", 200),
        ("127.0.0.1", 200),
        ("192.168.1.7:80", 200),
        ("[::1]:3000", 200),
        ("[2001:db8::1]", 200),
        ("evil.example", 403),
        ("evil.example:3000", 403),
        ("localhost.evil.example", 403),
        ("notlocalhost", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ] {
        for path in ["/live", "/live/app.js", "/live/data"] {
            let actual = status(&server, path, &[(HOST, host)]).await;
            assert_eq!(actual, expected, "{host:?} {path}");
        }
    }
}

#[tokio::test]
async fn allowed_hosts_are_answered() {
    let metrics = Registry::new();
    let page = LivePage::builder(&metrics).allow_host("Shop.example.com");
    let server = service(&metrics, page.build().unwrap()).await;
    for (host, expected) in [
        ("shop.example.com", 200),
        ("SHOP.example.com:8443", 200),
        ("localhost", 200),
        ("example.com", 403),
        ("a.shop.example.com", 403),
    ] {
        let actual = status(&server, "/live/data", &[(HOST, host)]).await;
        assert_eq!(actual, expected, "{host}");
    }
}

#[tokio::test]
async fn foreign_origins_are_refused() {
    let metrics = Registry::new();
    let page = LivePage::builder(&metrics).allow_host("shop.example.com");
    let server = service(&metrics, page.build().unwrap()).await;
    let own = format!("http://{}", server.address);
    for (origin, expected) in [
        (own.as_str(), 200),
        // A proxy may have changed the host.
        ("https://shop.example.com", 200),
        ("http://127.0.0.1:1", 403),
        ("http://localhost", 403),
        ("https://evil.example", 403),
        ("https://shop.example.com.evil.example", 403),
        ("null", 403),
        ("", 403),
    ] {
        for path in ["/live", "/live/data"] {
            let actual = status(&server, path, &[(ORIGIN, origin)]).await;
            assert_eq!(actual, expected, "{origin:?} {path}");
        }
    }
}

#[tokio::test]
async fn data_is_sent_to_the_page_itself_only() {
    let server = default_page().await;
    for (site, data, page) in [
        ("same-origin", 200, 200),
        ("none", 200, 200),
        ("same-site", 403, 200),
        ("cross-site", 403, 200),
    ] {
        assert_eq!(status(&server, "/live/data", &[(SITE, site)]).await, data);
        // A link from another site opens the page.
        assert_eq!(status(&server, "/live", &[(SITE, site)]).await, page);
    }
}

#[tokio::test]
async fn data_requires_the_token_if_one_is_set() {
    let metrics = Registry::new();
    let page = LivePage::builder(&metrics).token("s3cret");
    let server = service(&metrics, page.build().unwrap()).await;
    for (authorization, expected) in [
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
        ("Bearer s3cre", 401),
        ("Bearer s3cretx", 401),
        ("Bearer S3cret", 401),
        ("Bearer ", 401),
        ("Basic s3cret", 401),
        ("s3cret", 401),
    ] {
        let headers = [(AUTHORIZATION, authorization)];
        let actual = status(&server, "/live/data", &headers).await;
        assert_eq!(actual, expected, "{authorization:?}");
    }
    let (_client, refused) = get(&server, "/live/data", &[]).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    // The page can ask for the token only if it is there.
    assert_eq!(status(&server, "/live", &[]).await, 200);
}

#[test]
fn token_is_not_in_debug_output() {
    let page = LivePage::builder(&Registry::new()).token("s3cret");
    assert!(!format!("{page:?}").contains("s3cret"));
    assert!(!format!("{:?}", page.build().unwrap()).contains("s3cret"));
}

#[test]
fn invalid_settings_are_errors_that_name_the_setting() {
    let page = LivePage::builder(&Registry::new())
        .token("")
        .allow_host("https://shop.example.com")
        .allow_host("shop.example.com:80")
        .max_viewers(0)
        .max_series(0);
    let message = page.build().unwrap_err().to_string();
    let lines: Vec<_> = message.lines().collect();
    assert_eq!(
        lines,
        [
            "token: must be one or more visible ASCII characters without spaces",
            "allow_host: must be a host name without scheme and port, got \"https://shop.example.com\"",
            "allow_host: must be a host name without scheme and port, got \"shop.example.com:80\"",
            "max_viewers: must be at least 1, got 0",
            "max_series: must be at least 1, got 0",
        ]
    );
    let with_space = LivePage::builder(&Registry::new()).token("a b").build();
    assert!(with_space.is_err());
}

#[tokio::test]
async fn every_response_has_the_safety_headers_and_sets_no_cookie() {
    let server = default_page().await;
    for (path, host) in [
        ("/live", "localhost"),
        ("/live/app.js", "localhost"),
        ("/live/data", "localhost"),
        ("/live/none.js", "localhost"),
        ("/live", "evil.example"),
    ] {
        let (_client, response) = get(&server, path, &[(HOST, host)]).await;
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        for directive in [
            "default-src 'none'",
            "script-src 'self';",
            "style-src 'self';",
            "connect-src 'self';",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(directive), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert!(!headers.contains_key("set-cookie"));
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn only_get_and_head_are_allowed() {
    let server = default_page().await;
    for protocol in BOTH_PROTOCOLS {
        let mut client = server.connect(protocol).await;
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let response = client.send(method.as_str(), "/live/data").await.unwrap();
            assert_eq!(response.status(), 405, "{protocol:?} {method}");
            assert_eq!(response.headers()["allow"], "GET, HEAD");
        }
        for path in ["/live", "/live/app.js", "/live/data"] {
            let (status, body) = client.fetch("HEAD", path).await;
            assert_eq!((status, body.len()), (200, 0), "{protocol:?} {path}");
        }
    }
}

#[tokio::test]
async fn files_are_compressed_if_the_client_accepts_gzip() {
    let server = default_page().await;
    for (encoding, is_compressed) in [
        ("gzip", true),
        ("br, gzip;q=0.5", true),
        ("identity", false),
        ("gzip;q=0", false),
    ] {
        let headers = [(ACCEPT_ENCODING, encoding)];
        let (_client, response) = get(&server, "/live/app.js", &headers).await;
        let actual = response.headers().contains_key("content-encoding");
        assert_eq!(actual, is_compressed, "{encoding}");
    }
}

#[tokio::test]
async fn http_2_requests_are_checked_by_their_authority() {
    let server = default_page().await;
    let mut client = server.connect(Protocol::Http2).await;
    for (uri, expected) in [
        ("http://localhost/live/data", 200),
        ("http://evil.example/live/data", 403),
    ] {
        let request = http::Request::get(uri).body(http_body_util::Empty::new());
        let response = client.send_request(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), expected, "{uri}");
    }
}
