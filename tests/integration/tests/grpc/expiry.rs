//! A stream of a real client and server lasts longer than the series of its method.

use std::time::Duration;

use futures_util::stream;
use tokio::sync::mpsc;
use tower_prometheus::grpc::GrpcMetric;
use tower_prometheus::{GrpcMetrics, Registry};

use crate::clients::measured_by;
use crate::shop::{Server, text};
use test_support::page::assert_valid_text;
use test_support::{render_until_gone, wait_until};

#[tokio::test]
async fn stream_whose_method_is_forgotten_is_recorded_in_its_series() {
    let registry = Registry::builder().idle_timeout(Duration::from_millis(1));
    let registry = registry.build().unwrap();
    let metrics = |metrics: GrpcMetrics| metrics.max_methods(1).without(GrpcMetric::InProgress);
    let layer = metrics(GrpcMetrics::server()).build(&registry).unwrap();
    let server = Server::start(&registry, layer).await;
    let channel = server.endpoint().connect().await.unwrap();
    let mut client = measured_by(metrics(GrpcMetrics::client()), &registry, channel);

    let (sender, receiver) = mpsc::channel(1);
    let texts = stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    });
    sender.send(text("a")).await.unwrap();
    let mut echo = client.chat(texts).await.unwrap();
    assert_eq!(echo.message().await.unwrap(), Some(text("a")));
    let _ = render_until_gone(&registry, "\"Chat\"");
    // `Say` takes the place of `Chat`, which has expired.
    client.say("hello").await.unwrap();
    sender.send(text("b")).await.unwrap();
    assert_eq!(echo.message().await.unwrap(), Some(text("b")));
    drop(sender);
    assert_eq!(echo.message().await.unwrap(), None);

    for side in ["server", "client"] {
        let value = |metric: &str, method| {
            registry.sum(&format!("grpc_{side}_{metric}"), &[("grpc_method", method)])
        };
        wait_until("the stream has ended", || {
            value("handled_total", "Chat") == Some(1.0)
        })
        .await;
        for metric in [
            "msg_sent_total",
            "msg_received_total",
            "handling_seconds_count",
        ] {
            assert_eq!(value(metric, "Chat"), Some(1.0), "{side} {metric}");
            assert_eq!(value(metric, "Say"), Some(1.0), "{side} {metric}");
            assert_eq!(value(metric, "overflow"), None, "{side} {metric}");
        }
    }
    assert_valid_text(&registry.render());
    for method in ["\"Chat\"", "\"Say\""] {
        let _ = render_until_gone(&registry, method);
    }
    client.collect(&["a", "b"]).await.unwrap();
    let page = registry.render();
    assert!(
        page.contains("\"Collect\"") && !page.contains("overflow"),
        "{page}"
    );
}
