//! Several pools on one page, some of whose databases are dead.

use std::time::Duration;

use test_support::page::{assert_valid_text, samples};
use test_support::scrape::{collector_succeeded, scrape_with_timeout};
use test_support::skip_without;
use test_support::store::{Directory, assert_promtool_accepts};
use tower_prometheus::Registry;

use crate::database::{Database, hanging};
use crate::every_pool::sqlite;
use crate::pools::{ConnectionPool, MeasuredPool};
use crate::{connections, of_pool, scrape, scrape_within_2_seconds};

const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn metrics_of_a_pool_are_complete_while_the_database_of_another_hangs() {
    let directory = Directory::new();
    let (_listener, client) = hanging();
    let registry = Registry::new();
    let orders = MeasuredPool::new(&registry, "orders", sqlite(&directory, 5)).unwrap();
    MeasuredPool::new(&registry, "users", client.deadpool(3, TIMEOUT)).unwrap();
    MeasuredPool::new(&registry, "events", client.bb8(4, TIMEOUT)).unwrap();
    let _held = orders.acquire().await.unwrap();

    let (status, text) = scrape_with_timeout(&registry.handler(), 2.0).await;
    assert_eq!(status, 200);
    assert_valid_text(&text);
    let page = samples(&text);
    assert_eq!(connections(&page, "orders"), [0.0, 1.0, 5.0]);
    assert_eq!(of_pool(&page, "db_pool_up", "orders"), 1.0);
    for (pool, max) in [("users", 3.0), ("events", 4.0)] {
        assert_eq!(connections(&page, pool), [0.0, 0.0, max], "{pool}");
        assert_eq!(of_pool(&page, "db_pool_up", pool), 0.0, "{pool}");
        assert_eq!(
            of_pool(&page, "db_pool_timeouts_total", pool),
            0.0,
            "{pool}"
        );
    }
    for pool in ["orders", "users", "events"] {
        assert!(
            collector_succeeded(&text, &format!("db_pool_{pool}")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn connections_of_a_pool_are_reported_after_its_database_died() {
    let database = Database::start().await;
    let other = Database::start().await;
    let registry = Registry::new();
    let client = database.client();
    let users = MeasuredPool::new(&registry, "users", client.deadpool(3, TIMEOUT)).unwrap();
    let events = client.bb8(4, TIMEOUT);
    let measured_events = MeasuredPool::new(&registry, "events", events.clone()).unwrap();
    MeasuredPool::new(&registry, "orders", other.client().deadpool(5, TIMEOUT)).unwrap();
    let (held, idle) = (
        users.acquire().await.unwrap(),
        users.acquire().await.unwrap(),
    );
    drop(idle);
    let held_event = measured_events.acquire().await.unwrap();
    let page = scrape(&registry).await;
    for pool in ["users", "events", "orders"] {
        assert_eq!(of_pool(&page, "db_pool_up", pool), 1.0, "{pool}");
    }

    database.stop().await;
    let page = scrape_within_2_seconds(&registry).await;
    for (pool, up) in [("users", 0.0), ("events", 0.0), ("orders", 1.0)] {
        assert_eq!(of_pool(&page, "db_pool_up", pool), up, "{pool}");
    }
    assert_eq!(connections(&page, "users"), [1.0, 1.0, 3.0]);
    assert_eq!(connections(&page, "events"), [0.0, 1.0, 4.0]);

    // A refused connection is an error, not a timeout.
    let Err(error) = users.acquire().await else {
        panic!("the database is down")
    };
    assert!(
        matches!(error, deadpool::managed::PoolError::Backend(_)),
        "{error}"
    );
    let page = scrape_within_2_seconds(&registry).await;
    assert_eq!(of_pool(&page, "db_pool_timeouts_total", "users"), 0.0);
    // The idle connection was found to be broken.
    assert_eq!(connections(&page, "users"), [0.0, 1.0, 3.0]);
    drop((held, held_event));
}

/// The file of the database cannot be opened, as after its volume was lost.
#[tokio::test]
async fn sqlx_pool_whose_file_cannot_be_opened_is_down() {
    let directory = Directory::new();
    let pool = sqlite(&directory, 2);
    let registry = Registry::new();
    let orders = MeasuredPool::new(&registry, "orders", pool.clone()).unwrap();
    let held = orders.acquire().await.unwrap();
    let page = scrape(&registry).await;
    assert_eq!(of_pool(&page, "db_pool_up", "orders"), 1.0);
    drop(directory);
    let page = scrape(&registry).await;
    assert_eq!(of_pool(&page, "db_pool_up", "orders"), 0.0);
    assert_eq!(connections(&page, "orders"), [0.0, 1.0, 2.0]);
    let Err(error) = orders.acquire().await else {
        panic!("the file is gone")
    };
    assert!(
        !<sqlx::SqlitePool as ConnectionPool>::is_timeout(&error),
        "{error}"
    );
    let page = scrape(&registry).await;
    assert_eq!(of_pool(&page, "db_pool_timeouts_total", "orders"), 0.0);
    drop(held);
}

#[tokio::test]
async fn page_of_two_pools_is_valid() {
    skip_without!(Promtool);
    let directory = Directory::new();
    let (_listener, client) = hanging();
    let registry = Registry::new();
    MeasuredPool::new(&registry, "orders", sqlite(&directory, 5)).unwrap();
    MeasuredPool::new(&registry, "users", client.deadpool(3, TIMEOUT)).unwrap();
    let (_, text) = scrape_with_timeout(&registry.handler(), 2.0).await;
    assert_promtool_accepts(&text);
}

/// bb8 tries to connect until its timeout. The connections that it tries to open are not in use.
#[tokio::test]
async fn bb8_pool_of_a_dead_database_times_out_without_connections_in_use() {
    let database = Database::start().await;
    let client = database.client();
    database.stop().await;
    let registry = Registry::new();
    let pool = client.bb8(4, Duration::from_millis(200));
    let events = MeasuredPool::new(&registry, "events", pool).unwrap();
    assert!(events.acquire().await.is_err());
    let page = scrape_within_2_seconds(&registry).await;
    assert_eq!(connections(&page, "events"), [0.0, 0.0, 4.0]);
    assert_eq!(of_pool(&page, "db_pool_timeouts_total", "events"), 1.0);
    assert_eq!(of_pool(&page, "db_pool_up", "events"), 0.0);
}
