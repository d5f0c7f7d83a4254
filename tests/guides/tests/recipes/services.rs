//! The service of the page.

use test_support::store::Directory;
use test_support::wait_until;
use tower_prometheus::Registry;

use crate::{connections, of_pool, scrape, setup};

#[tokio::test]
async fn service_of_the_page_reports_its_pool_and_its_queue() {
    let directory = Directory::new();
    let database = format!("sqlite:{}/shop.db?mode=rwc", directory.0.display());
    let registry = Registry::new();
    let resources = setup::resources(&registry, &database).await.unwrap();
    let mut connection = resources.orders.acquire().await.unwrap();
    let one: i64 = sqlx::query_scalar("SELECT 1")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    assert_eq!(one, 1);
    resources
        .mails
        .send("ada@example.com".to_owned())
        .await
        .unwrap();
    resources.mails.send("nobody".to_owned()).await.unwrap();
    let processed = |outcome| registry.sum("queue_items_total", &[("outcome", outcome)]);
    wait_until("both mails are processed", || {
        (processed("success"), processed("error")) == (Some(1.0), Some(1.0))
    })
    .await;
    let page = scrape(&registry).await;
    assert_eq!(connections(&page, "orders"), [0.0, 1.0, 10.0]);
    assert_eq!(of_pool(&page, "db_pool_up", "orders"), 1.0);
    assert_eq!(page["queue_length{queue=\"mails\"}"], 0.0);
    assert!(page.contains_key("scrape_collector_success{collector=\"cgroup\"}"));
}
