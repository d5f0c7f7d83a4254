//! A recorder that is installed while the sync server already serves requests. The only test that installs one in this
//! process: the others start programs.

use std::io::Read;

use super::common::{assert_series, start_download, status, upload_large_records};
use services::sync_server;
use services::token::Token;
use test_support::process::curl;
use test_support::skip_without;
use tokio::net::TcpListener;
use tower_prometheus::scrape::MetricsServer;

const TOKEN: &str = "authorization: Bearer secret";

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_from_the_installation_of_the_recorder() {
    skip_without!(Curl);
    let app = sync_server::app(Token::new("secret").unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async { axum::serve(listener, app).await });
    let tabs = format!("http://{address}/records/tabs");
    let upload = || status(&["-H", TOKEN, "-d", "record", &tabs]);
    assert_eq!(upload(), 201);
    assert_eq!(status(&[&tabs]), 401);

    // This request starts before the recorder is installed, and ends after it.
    upload_large_records(&address, TOKEN);
    let mut early = start_download(&address, TOKEN);

    let registry = sync_server::install_recorder().unwrap();
    let server = MetricsServer::bind("127.0.0.1:0").await.unwrap();
    let page = format!("http://{}/metrics", server.local_addr().unwrap());
    tokio::spawn(server.serve(registry.handler(), std::future::pending()));
    assert_eq!(curl(&[&page]), "");

    early.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(upload(), 201);
    assert_eq!(status(&[&tabs]), 401);
    assert_series(
        &curl(&[&page]),
        &[
            (
                r#"http_requests_duration_seconds_count{method="GET",path="/records/{collection}",status="401"}"#,
                1.0,
            ),
            (
                r#"http_requests_duration_seconds_count{method="POST",path="/records/{collection}",status="201"}"#,
                1.0,
            ),
            (
                r#"http_requests_in_progress{method="GET",path="/records/{collection}"}"#,
                0.0,
            ),
            (
                r#"http_requests_in_progress{method="POST",path="/records/{collection}"}"#,
                0.0,
            ),
            (
                r#"http_requests_total{method="GET",path="/records/{collection}",status="401"}"#,
                1.0,
            ),
            (
                r#"http_requests_total{method="POST",path="/records/{collection}",status="201"}"#,
                1.0,
            ),
            ("sync_record_size_bytes_count", 1.0),
            (r#"sync_records_total{collection="tabs"}"#, 1.0),
            // Set, not incremented, so it has the record from before.
            (r#"sync_stored_records{collection="tabs"}"#, 2.0),
        ],
    );
}
