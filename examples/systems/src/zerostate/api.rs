//! The gRPC API: its messages, as `prost-build` would generate them, and a client. Amounts are in
//! thousandths of a credit.

use futures_util::Stream;
use http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

pub const SERVICE: &str = "zerostate.Economy";

/// The request message of a unary method, with the name of the method and the type of its reply.
pub trait Call: prost::Message + Default + 'static {
    const METHOD: &'static str;
    type Reply: prost::Message + Default + 'static;
}

macro_rules! calls {
    ($($call:ident -> $reply:ty),+ $(,)?) => {
        $(impl Call for $call {
            const METHOD: &'static str = stringify!($call);
            type Reply = $reply;
        })+

        /// Names of the unary methods.
        pub const UNARY: &[&str] = &[$(<$call as Call>::METHOD),+];
    };
}

calls! {
    OpenChannel -> ChannelStatus,
    Deposit -> ChannelStatus,
    Pay -> ChannelStatus,
    CloseChannel -> ChannelStatus,
    ResolveDispute -> ChannelStatus,
    SubmitTask -> TaskEnded,
    OpenAuction -> AuctionOpened,
    Bid -> BidAccepted,
    Deliver -> Delivered,
    ListContent -> ContentIds,
    FetchContent -> Content,
}

/// Name of the client-streaming method, which receives the heartbeats of a peer.
pub const MONITOR: &str = "Monitor";

#[derive(Clone, PartialEq, prost::Message)]
pub struct OpenChannel {
    /// `client` or `provider`.
    #[prost(string, tag = "1")]
    pub opened_by: String,
    #[prost(uint64, tag = "2")]
    pub client_deposit: u64,
    /// A channel is pending until both parties have paid a deposit.
    #[prost(uint64, tag = "3")]
    pub provider_deposit: u64,
}

/// The state of a channel after a call.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ChannelStatus {
    #[prost(string, tag = "1")]
    pub channel_id: String,
    /// `pending`, `open`, `disputed` or `settled`.
    #[prost(string, tag = "2")]
    pub state: String,
    #[prost(uint64, tag = "3")]
    pub client_balance: u64,
    #[prost(uint64, tag = "4")]
    pub provider_balance: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Deposit {
    #[prost(string, tag = "1")]
    pub channel_id: String,
    #[prost(string, tag = "2")]
    pub party: String,
    #[prost(uint64, tag = "3")]
    pub amount: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Pay {
    #[prost(string, tag = "1")]
    pub channel_id: String,
    /// The party that pays.
    #[prost(string, tag = "2")]
    pub party: String,
    #[prost(uint64, tag = "3")]
    pub amount: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct CloseChannel {
    #[prost(string, tag = "1")]
    pub channel_id: String,
    /// The claimed balance. If it differs from that of the ledger, a dispute is opened.
    #[prost(uint64, tag = "2")]
    pub client_balance: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ResolveDispute {
    #[prost(string, tag = "1")]
    pub channel_id: String,
    /// Whether the claim of the closing party is upheld.
    #[prost(bool, tag = "2")]
    pub upheld: bool,
}

/// A task for a peer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SubmitTask {
    /// `compute`, `inference` or `storage`.
    #[prost(string, tag = "1")]
    pub r#type: String,
    #[prost(string, tag = "2")]
    pub peer_id: String,
    #[prost(uint64, tag = "3")]
    pub cost: u64,
    /// Simulated duration of the task.
    #[prost(uint64, tag = "4")]
    pub work_ms: u64,
    /// Timeout of the task.
    #[prost(uint64, tag = "5")]
    pub limit_ms: u64,
    /// Whether the peer reports an error after `work_ms`.
    #[prost(bool, tag = "6")]
    pub fails: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct TaskEnded {
    /// Reputation of the peer after the task.
    #[prost(double, tag = "1")]
    pub reputation: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct OpenAuction {
    /// `english` or `sealed`.
    #[prost(string, tag = "1")]
    pub r#type: String,
    #[prost(uint64, tag = "2")]
    pub duration_ms: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct AuctionOpened {
    #[prost(string, tag = "1")]
    pub auction_id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Bid {
    #[prost(string, tag = "1")]
    pub auction_id: String,
    #[prost(uint64, tag = "2")]
    pub amount: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct BidAccepted {}

/// Confirms the delivery of an auctioned item, which releases its price from escrow.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Deliver {
    #[prost(string, tag = "1")]
    pub auction_id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Delivered {
    #[prost(uint64, tag = "1")]
    pub price: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ListContent {}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ContentIds {
    #[prost(string, repeated, tag = "1")]
    pub content_ids: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct FetchContent {
    #[prost(string, tag = "1")]
    pub content_id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Content {
    #[prost(bytes = "bytes", tag = "1")]
    pub bytes: bytes::Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Heartbeat {
    #[prost(string, tag = "1")]
    pub peer_id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Monitored {
    #[prost(uint64, tag = "1")]
    pub heartbeats: u64,
}

/// A client of the API. Clones share one connection.
#[derive(Clone, Debug)]
pub struct Client(tonic::client::Grpc<Channel>);

impl Client {
    pub fn new(channel: Channel) -> Self {
        Self(tonic::client::Grpc::new(channel))
    }

    pub async fn call<C: Call>(&self, call: C) -> Result<C::Reply, Status> {
        let mut grpc = self.ready().await?;
        let codec = ProstCodec::<C, C::Reply>::default();
        let reply = grpc.unary(Request::new(call), path(C::METHOD)?, codec);
        reply.await.map(Response::into_inner)
    }

    /// Sends heartbeats until the stream ends; the peer is monitored meanwhile.
    pub async fn monitor(
        &self,
        heartbeats: impl Stream<Item = Heartbeat> + Send + 'static,
    ) -> Result<Monitored, Status> {
        let mut grpc = self.ready().await?;
        let codec = ProstCodec::<Heartbeat, Monitored>::default();
        let reply = grpc.client_streaming(Request::new(heartbeats), path(MONITOR)?, codec);
        reply.await.map(Response::into_inner)
    }

    async fn ready(&self) -> Result<tonic::client::Grpc<Channel>, Status> {
        let mut grpc = self.0.clone();
        let ready = grpc.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(grpc)
    }
}

fn path(method: &str) -> Result<PathAndQuery, Status> {
    let path = PathAndQuery::try_from(format!("/{SERVICE}/{method}"));
    path.map_err(|error| Status::internal(error.to_string()))
}
