//! Custom connectors: the URL that they receive, and the requests on their connections.

use std::sync::{Arc, Mutex};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_prometheus_push::{Connector, PushGateway};

use crate::{Gateway, chain, registry};

#[tokio::test]
async fn hyper_util_connector_is_accepted() {
    let gateway = Gateway::answering(&[202]).await;
    let connector = Connector::new(HttpConnector::new());
    let client = PushGateway::with_connector(&gateway.server.url(""), "nightly", connector);
    client.unwrap().push(&registry()).await.unwrap();
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test]
async fn connector_receives_url_without_credentials() {
    let gateway = Gateway::answering(&[202]).await;
    let address = gateway.address();
    let urls = Arc::new(Mutex::new(Vec::new()));
    let received = Arc::clone(&urls);
    let connector = Connector::new(tower::service_fn(move |url: Uri| {
        received.lock().unwrap().push(url.to_string());
        async move { TcpStream::connect(address).await.map(TokioIo::new) }
    }));
    assert_eq!(
        format!("{connector:?}"),
        "Connector { is_forward_proxy: false, .. }"
    );
    let url = "https://ada:s3cret@gateway.example";
    let client = PushGateway::with_connector(url, "nightly", connector).unwrap();
    client.push(&registry()).await.unwrap();
    assert_eq!(*urls.lock().unwrap(), ["https://gateway.example/"]);
    let (_, uri, headers) = gateway.requests().pop().unwrap();
    assert_eq!(uri, "/metrics/job/nightly");
    assert_eq!(headers["host"], "gateway.example");
    assert!(headers.contains_key("authorization"));
}

#[tokio::test]
async fn forward_proxy_receives_absolute_url() {
    let gateway = Gateway::answering(&[202]).await;
    let address = gateway.address();
    let connector = Connector::new(tower::service_fn(move |_: Uri| async move {
        TcpStream::connect(address).await.map(TokioIo::new)
    }));
    let connector = connector.forward_proxy();
    let url = "http://ada:s3cret@gateway.example";
    let client = PushGateway::with_connector(url, "nightly", connector).unwrap();
    client.push(&registry()).await.unwrap();
    let (_, uri, _) = gateway.requests().pop().unwrap();
    assert_eq!(uri, "http://gateway.example/metrics/job/nightly");
}

#[tokio::test]
async fn connector_error_is_a_connection_error() {
    let connector = Connector::new(tower::service_fn(async |_: Uri| {
        Err::<TokioIo<TcpStream>, _>("no route to the gateway")
    }));
    let client = PushGateway::with_connector("http://gateway", "nightly", connector).unwrap();
    let error = client.retries(0).push(&registry()).await.unwrap_err();
    assert!(error.is_connect());
    assert!(
        chain(&error).contains("no route to the gateway"),
        "{error:?}"
    );
}
