//! [`Economy`]: all parts of the system, and the handlers of the API.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::time::timeout;
use tonic::Status;

use super::api::{self, Call};
use super::auctions::Auctions;
use super::channels::{Balances, Ledger};
use super::content::ContentStore;
use super::metrics::{AuctionType, Party, TaskError, TaskType, ZeroState};
use super::origin::Origin;
use super::peers::{Peers, Task};
use super::pool::Pool;

/// Time without a heartbeat after which a peer is no longer monitored.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_CONNECTIONS: usize = 4;
/// Less than the size of all content, so that entries are evicted.
const CACHE_BYTES: usize = 64 * 1024;

pub struct Economy {
    pub ledger: Arc<Ledger>,
    pub auctions: Arc<Auctions>,
    pub peers: Arc<Peers>,
    content: ContentStore,
    content_ids: Vec<String>,
}

impl Economy {
    pub async fn start(metrics: ZeroState) -> io::Result<Self> {
        let (origin, content_ids) = Origin::start().await?;
        let pool = Pool::new(metrics, origin, MAX_CONNECTIONS);
        Ok(Self {
            ledger: Arc::new(Ledger::new(metrics)),
            auctions: Arc::new(Auctions::new(metrics)),
            peers: Arc::new(Peers::new(metrics)),
            content: ContentStore::new(metrics, pool, CACHE_BYTES),
            content_ids,
        })
    }

    /// Counts the heartbeats of a peer, until the stream ends or no heartbeat arrives within
    /// [`HEARTBEAT_TIMEOUT`].
    pub async fn monitor(
        &self,
        heartbeats: impl Stream<Item = Result<api::Heartbeat, Status>>,
    ) -> Result<api::Monitored, Status> {
        let _monitored = self.peers.monitor();
        let mut heartbeats = pin!(heartbeats);
        let mut count = 0;
        while let Ok(Some(heartbeat)) = timeout(HEARTBEAT_TIMEOUT, heartbeats.next()).await {
            heartbeat?;
            count += 1;
        }
        Ok(api::Monitored { heartbeats: count })
    }
}

/// The handler of a unary method.
pub trait Handle<C: Call> {
    fn handle(&self, call: C) -> impl Future<Output = Result<C::Reply, Status>> + Send;
}

impl Handle<api::OpenChannel> for Economy {
    async fn handle(&self, call: api::OpenChannel) -> Result<api::ChannelStatus, Status> {
        let opened_by = party(&call.opened_by)?;
        let balances = Balances {
            client: call.client_deposit,
            provider: call.provider_deposit,
        };
        Ok(self.ledger.open(opened_by, balances))
    }
}

impl Handle<api::Deposit> for Economy {
    async fn handle(&self, call: api::Deposit) -> Result<api::ChannelStatus, Status> {
        let party = party(&call.party)?;
        self.ledger.deposit(&call.channel_id, party, call.amount)
    }
}

impl Handle<api::Pay> for Economy {
    async fn handle(&self, call: api::Pay) -> Result<api::ChannelStatus, Status> {
        let from = party(&call.party)?;
        self.ledger.pay(&call.channel_id, from, call.amount)
    }
}

impl Handle<api::CloseChannel> for Economy {
    async fn handle(&self, call: api::CloseChannel) -> Result<api::ChannelStatus, Status> {
        self.ledger.close(&call.channel_id, call.client_balance)
    }
}

impl Handle<api::ResolveDispute> for Economy {
    async fn handle(&self, call: api::ResolveDispute) -> Result<api::ChannelStatus, Status> {
        self.ledger.resolve(&call.channel_id, call.upheld)
    }
}

impl Handle<api::SubmitTask> for Economy {
    async fn handle(&self, call: api::SubmitTask) -> Result<api::TaskEnded, Status> {
        let kind = one_of("type", TaskType::ALL, TaskType::as_str, &call.r#type)?;
        let task = Task {
            kind,
            peer_id: call.peer_id,
            cost: call.cost,
            work: Duration::from_millis(call.work_ms),
            limit: Duration::from_millis(call.limit_ms),
            fails: call.fails,
        };
        // Spawned, so that the task continues and the peer is paid if the caller disconnects.
        let peers = Arc::clone(&self.peers);
        let executed = tokio::spawn(async move { peers.execute(task).await }).await;
        let (result, statistics) = executed.map_err(|error| Status::internal(error.to_string()))?;
        match result {
            Ok(()) => Ok(api::TaskEnded {
                reputation: statistics.reputation,
            }),
            Err(TaskError::Peer) => Err(Status::aborted("the peer reported an error")),
            Err(TaskError::Timeout) => Err(Status::deadline_exceeded(
                "the peer exceeded the time limit",
            )),
        }
    }
}

impl Handle<api::OpenAuction> for Economy {
    async fn handle(&self, call: api::OpenAuction) -> Result<api::AuctionOpened, Status> {
        let kind = one_of("type", AuctionType::ALL, AuctionType::as_str, &call.r#type)?;
        let auction_id = (self.auctions).open(kind, Duration::from_millis(call.duration_ms));
        Ok(api::AuctionOpened { auction_id })
    }
}

impl Handle<api::Bid> for Economy {
    async fn handle(&self, call: api::Bid) -> Result<api::BidAccepted, Status> {
        self.auctions.bid(&call.auction_id, call.amount).await?;
        Ok(api::BidAccepted {})
    }
}

impl Handle<api::Deliver> for Economy {
    async fn handle(&self, call: api::Deliver) -> Result<api::Delivered, Status> {
        let price = self.auctions.deliver(&call.auction_id).await?;
        Ok(api::Delivered { price })
    }
}

impl Handle<api::ListContent> for Economy {
    async fn handle(&self, _: api::ListContent) -> Result<api::ContentIds, Status> {
        let content_ids = self.content_ids.clone();
        Ok(api::ContentIds { content_ids })
    }
}

impl Handle<api::FetchContent> for Economy {
    async fn handle(&self, call: api::FetchContent) -> Result<api::Content, Status> {
        let bytes = self.content.fetch(&call.content_id).await?;
        Ok(api::Content { bytes })
    }
}

fn party(text: &str) -> Result<Party, Status> {
    one_of("party", Party::ALL, Party::as_str, text)
}

/// Returns the value whose name is `text`.
fn one_of<V: Copy>(
    field: &str,
    all: &[V],
    as_str: fn(V) -> &'static str,
    text: &str,
) -> Result<V, Status> {
    let found = all.iter().copied().find(|value| as_str(*value) == text);
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|value| as_str(*value)).collect();
        Status::invalid_argument(format!(
            "{field} must be one of {}, got {text:?}",
            names.join(", ")
        ))
    })
}
