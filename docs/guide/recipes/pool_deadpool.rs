use deadpool::managed::{Manager, Object, Pool, PoolError, TimeoutType};

use crate::pools::{ConnectionPool, PoolSize};

impl<M: Manager + 'static> ConnectionPool for Pool<M> {
    type Connection = Object<M>;
    type Error = PoolError<M::Error>;

    async fn acquire(&self) -> Result<Self::Connection, Self::Error> {
        self.get().await
    }

    fn is_timeout(error: &Self::Error) -> bool {
        matches!(error, PoolError::Timeout(TimeoutType::Wait))
    }

    fn size(&self) -> PoolSize {
        let status = self.status();
        PoolSize {
            open: status.size as u64,
            idle: status.available as u64,
            max: status.max_size as u64,
        }
    }

    async fn can_connect(&self) -> bool {
        self.manager().create().await.is_ok()
    }
}
