//! The page in axum, nested twice, and in plain hyper.

use axum::Router;
use test_support::server::Server;
use tower_prometheus::Registry;

use crate::viewer::Viewer;

/// The files that the HTML requests by query, and those that scripts request by name.
const FILES: [(&str, &str); 4] = [
    ("?start.js", "text/javascript"),
    ("?live.css", "text/css"),
    ("?icon.svg", "image/svg+xml"),
    ("/app.js", "text/javascript"),
];

async fn assert_page_works(server: &Server, mount: &str) {
    for path in [mount.to_owned(), format!("{mount}/")] {
        let (status, page) = server.get(&path).await;
        assert_eq!(status, 200, "{path}");
        assert!(page.starts_with("<!doctype html>"), "{path}: {page}");
        for (file, media_type) in FILES {
            let path = format!("{}{file}", path.trim_end_matches('/'));
            let (_client, response) = crate::viewer::get(server, &path, &[]).await;
            assert_eq!(response.status(), 200, "{path}");
            let actual = response.headers()["content-type"].to_str().unwrap();
            assert!(actual.starts_with(media_type), "{path}: {actual}");
        }
    }
    let (status, _) = server.get(&format!("{mount}/none.js")).await;
    assert_eq!(status, 404);
    let mut viewer = Viewer::connect(server, &format!("{mount}/data")).await;
    viewer.tick().await;
    assert_eq!(viewer.value("answer"), 42.0);
}

fn metrics() -> Registry {
    let metrics = Registry::new();
    metrics.gauge("answer", "Answer.", || 42_u64).unwrap();
    metrics
}

#[tokio::test]
async fn page_works_in_axum_with_and_without_a_slash() {
    let page = tower_prometheus_live::page(&metrics());
    let app = Router::new().nest_service("/live", page);
    assert_page_works(&Server::start(app).await, "/live").await;
}

#[tokio::test]
async fn page_works_in_nested_routers() {
    let page = tower_prometheus_live::page(&metrics());
    let admin = Router::new().nest_service("/live", page);
    let app = Router::new().nest("/admin", admin);
    assert_page_works(&Server::start(app).await, "/admin/live").await;
}

#[tokio::test]
async fn page_works_in_hyper_with_the_whole_path() {
    let server = Server::start(tower_prometheus_live::page(&metrics())).await;
    assert_page_works(&server, "/live").await;
}

#[tokio::test]
async fn page_works_in_the_metrics_server_and_does_not_delay_its_shutdown() {
    use tower_prometheus::scrape::MetricsServer;

    let metrics = metrics();
    let server = MetricsServer::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = server.nest_service("/live", tower_prometheus_live::page(&metrics));
    let shutdown = async { stopped.await.unwrap() };
    let serving = tokio::spawn(server.serve(metrics.handler(), shutdown));

    // Requests are sent to the address of the metrics server.
    let client = Server::at(address);
    assert_page_works(&client, "/live").await;
    assert_eq!(client.get("/metrics").await.0, 200);
    assert_eq!(client.get("/lively").await.0, 404);
    let mut viewer = Viewer::connect(&client, "/live/data").await;
    viewer.tick().await;
    stop.send(()).unwrap();
    // The stream ends with its next sample, not with the shutdown timeout.
    while viewer.next_line().await.is_some() {}
    serving.await.unwrap();
}

#[tokio::test]
async fn path_in_the_metrics_server_needs_no_slashes_around_it() {
    use tower_prometheus::scrape::MetricsServer;

    for path in ["live", "/live", "/live/"] {
        let metrics = metrics();
        let server = MetricsServer::bind("127.0.0.1:0").await.unwrap();
        let client = Server::at(server.local_addr().unwrap());
        let server = server.nest_service(path, tower_prometheus_live::page(&metrics));
        let serving = tokio::spawn(server.serve(metrics.handler(), std::future::pending()));
        assert_eq!(client.get("/live/app.js").await.0, 200, "{path:?}");
        assert_eq!(client.get("/other").await.0, 404, "{path:?}");
        serving.abort();
    }
}

#[test]
fn page_can_be_built_outside_of_a_runtime() {
    let page = tower_prometheus_live::page(&metrics());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let server = Server::start(page).await;
        assert_page_works(&server, "/live").await;
    });
}

#[test]
fn page_works_again_after_its_runtime_has_ended() {
    let page = tower_prometheus_live::page(&metrics());
    for _ in 0..2 {
        let page = page.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let server = Server::start(page).await;
            assert_page_works(&server, "/live").await;
        });
    }
}
