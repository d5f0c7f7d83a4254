use sqlx::pool::PoolConnection;
use sqlx::{ConnectOptions, Connection, Database, Pool};

use crate::pools::{ConnectionPool, PoolSize};

impl<DB: Database> ConnectionPool for Pool<DB> {
    type Connection = PoolConnection<DB>;
    type Error = sqlx::Error;

    async fn acquire(&self) -> Result<Self::Connection, Self::Error> {
        Pool::acquire(self).await
    }

    fn is_timeout(error: &Self::Error) -> bool {
        matches!(error, sqlx::Error::PoolTimedOut)
    }

    fn size(&self) -> PoolSize {
        PoolSize {
            open: self.size().into(),
            idle: self.num_idle() as u64,
            max: self.options().get_max_connections().into(),
        }
    }

    async fn can_connect(&self) -> bool {
        match self.connect_options().connect().await {
            Ok(connection) => connection.close().await.is_ok(),
            Err(_) => false,
        }
    }
}
