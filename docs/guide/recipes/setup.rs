use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use tower_prometheus::Registry;

use crate::cgroup;
use crate::pools::MeasuredPool;
use crate::queue::{QueueSender, queue};

/// The resources that handlers share.
#[derive(Clone)]
pub struct Resources {
    pub orders: MeasuredPool<SqlitePool>,
    pub mails: Arc<QueueSender<String>>,
}

/// Opens the database, and starts the task that sends mails.
pub async fn resources(metrics: &Registry, database: &str) -> Result<Resources, Box<dyn Error>> {
    metrics.collector("cgroup", cgroup::collector("/sys/fs/cgroup"))?;
    let orders = SqlitePoolOptions::new()
        .max_connections(10)
        .acquire_timeout(Duration::from_secs(3))
        .connect(database)
        .await?;
    let (mails, mut receiver) = queue(metrics, "mails", 1000)?;
    tokio::spawn(async move {
        while let Some(result) = receiver.process(send).await {
            if let Err(error) = result {
                tracing::warn!(%error, "a mail was not sent");
            }
        }
    });
    Ok(Resources {
        orders: MeasuredPool::new(metrics, "orders", orders)?,
        mails: Arc::new(mails),
    })
}

async fn send(mail: String) -> Result<(), &'static str> {
    match mail.contains('@') {
        true => Ok(()),
        false => Err("no address"),
    }
}
