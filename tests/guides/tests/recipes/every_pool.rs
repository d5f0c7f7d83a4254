//! The metrics of each kind of pool that the page shows.

use std::fmt::Debug;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use test_support::store::Directory;
use test_support::wait_until;
use tower_prometheus::Registry;

use crate::database::Database;
use crate::pools::{ConnectionPool, MeasuredPool};
use crate::{connections, of_pool, scrape};

/// Long enough to see that a task waits, which needs one poll.
const TIMEOUT: Duration = Duration::from_millis(200);

/// A pool of SQLite connections to a file.
pub fn sqlite(directory: &Directory, max: u32) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(directory.0.join("orders.db"))
        .create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(max);
    pool.acquire_timeout(TIMEOUT).connect_lazy_with(options)
}

/// Takes the only two connections of a pool, waits for a third in vain, and returns them.
async fn assert_measured<P>(pool: P)
where
    P: ConnectionPool,
    P::Error: Debug,
{
    let registry = Registry::new();
    let measured = MeasuredPool::new(&registry, "orders", pool.clone()).unwrap();
    let page = scrape(&registry).await;
    assert_eq!(connections(&page, "orders"), [0.0, 0.0, 2.0]);
    assert_eq!(of_pool(&page, "db_pool_waiting", "orders"), 0.0);
    assert_eq!(of_pool(&page, "db_pool_timeouts_total", "orders"), 0.0);
    assert_eq!(of_pool(&page, "db_pool_up", "orders"), 1.0);

    let held = [
        measured.acquire().await.unwrap(),
        measured.acquire().await.unwrap(),
    ];
    let mut third = pin!(measured.acquire());
    let is_pending = poll_fn(|cx| Poll::Ready(third.as_mut().poll(cx).is_pending())).await;
    assert!(is_pending);
    assert_eq!(
        registry.sum("db_pool_waiting", &[("pool", "orders")]),
        Some(1.0)
    );
    let Err(error) = third.await else {
        panic!("there is no third connection")
    };
    assert!(P::is_timeout(&error), "{error:?}");
    let page = scrape(&registry).await;
    assert_eq!(connections(&page, "orders"), [0.0, 2.0, 2.0]);
    assert_eq!(of_pool(&page, "db_pool_waiting", "orders"), 0.0);
    assert_eq!(of_pool(&page, "db_pool_timeouts_total", "orders"), 1.0);
    // An exhausted pool is not a database that is down.
    assert_eq!(of_pool(&page, "db_pool_up", "orders"), 1.0);

    drop(held);
    // sqlx returns connections in a task.
    wait_until("the connections are idle", || pool.size().idle == 2).await;
    let page = scrape(&registry).await;
    assert_eq!(connections(&page, "orders"), [2.0, 0.0, 2.0]);
    assert_eq!(of_pool(&page, "db_pool_timeouts_total", "orders"), 1.0);
}

#[tokio::test]
async fn sqlx_pool_reports_connections_waiting_tasks_and_timeouts() {
    let directory = Directory::new();
    assert_measured(sqlite(&directory, 2)).await;
}

#[tokio::test]
async fn deadpool_pool_reports_connections_waiting_tasks_and_timeouts() {
    let database = Database::start().await;
    assert_measured(database.client().deadpool(2, TIMEOUT)).await;
}

#[tokio::test]
async fn bb8_pool_reports_connections_waiting_tasks_and_timeouts() {
    let database = Database::start().await;
    assert_measured(database.client().bb8(2, TIMEOUT)).await;
}
