use bb8::{ManageConnection, Pool, PooledConnection, RunError};

use crate::pools::{ConnectionPool, PoolSize};

impl<M: ManageConnection> ConnectionPool for Pool<M> {
    type Connection = PooledConnection<'static, M>;
    type Error = RunError<M::Error>;

    async fn acquire(&self) -> Result<Self::Connection, Self::Error> {
        self.get_owned().await
    }

    fn is_timeout(error: &Self::Error) -> bool {
        matches!(error, RunError::TimedOut)
    }

    fn size(&self) -> PoolSize {
        let state = self.state();
        PoolSize {
            open: state.connections.into(),
            idle: state.idle_connections.into(),
            max: self.config().max_size.into(),
        }
    }

    async fn can_connect(&self) -> bool {
        self.dedicated_connection().await.is_ok()
    }
}
