//! The API: its messages as `prost-build` would write them, and a client. Amounts are thousandths of a credit.

use futures_util::Stream;
use http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

pub const SERVICE: &str = "zerostate.Economy";

/// What can be asked once, its name, and what is answered.
pub trait Call: prost::Message + Default + 'static {
    const METHOD: &'static str;
    type Answer: prost::Message + Default + 'static;
}

macro_rules! calls {
    ($($call:ident -> $answer:ty),+ $(,)?) => {
        $(impl Call for $call {
            const METHOD: &'static str = stringify!($call);
            type Answer = $answer;
        })+

        /// The names of all of them.
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

/// The one that takes a stream: heartbeats of a peer.
pub const MONITOR: &str = "Monitor";

#[derive(Clone, PartialEq, prost::Message)]
pub struct OpenChannel {
    /// `client` or `provider`.
    #[prost(string, tag = "1")]
    pub opened_by: String,
    #[prost(uint64, tag = "2")]
    pub client_deposit: u64,
    /// A channel is pending until both have paid.
    #[prost(uint64, tag = "3")]
    pub provider_deposit: u64,
}

/// A channel after a call.
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
    /// Another one than the ledger's is a dispute.
    #[prost(uint64, tag = "2")]
    pub client_balance: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ResolveDispute {
    #[prost(string, tag = "1")]
    pub channel_id: String,
    /// Whether who closed the channel is right.
    #[prost(bool, tag = "2")]
    pub upheld: bool,
}

/// Work for a peer: so long, against a limit.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SubmitTask {
    /// `compute`, `inference` or `storage`.
    #[prost(string, tag = "1")]
    pub r#type: String,
    #[prost(string, tag = "2")]
    pub peer_id: String,
    #[prost(uint64, tag = "3")]
    pub cost: u64,
    #[prost(uint64, tag = "4")]
    pub work_ms: u64,
    #[prost(uint64, tag = "5")]
    pub limit_ms: u64,
    /// Whether the peer gives up in the end.
    #[prost(bool, tag = "6")]
    pub fails: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct TaskEnded {
    /// The peer's reputation now.
    #[prost(double, tag = "1")]
    pub reputation: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct OpenAuction {
    /// `english` or `sealed`.
    #[prost(string, tag = "1")]
    pub r#type: String,
    #[prost(uint64, tag = "2")]
    pub lasts_ms: u64,
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

/// What was sold is there: its price leaves escrow.
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

/// A caller of the API; its clones share one connection.
#[derive(Clone, Debug)]
pub struct Client(tonic::client::Grpc<Channel>);

impl Client {
    pub fn new(channel: Channel) -> Self {
        Self(tonic::client::Grpc::new(channel))
    }

    pub async fn call<C: Call>(&self, call: C) -> Result<C::Answer, Status> {
        let mut grpc = self.ready().await?;
        let codec = ProstCodec::<C, C::Answer>::default();
        let answer = grpc.unary(Request::new(call), path(C::METHOD)?, codec);
        answer.await.map(Response::into_inner)
    }

    /// Is monitored until there are no more heartbeats.
    pub async fn monitor(
        &self,
        heartbeats: impl Stream<Item = Heartbeat> + Send + 'static,
    ) -> Result<Monitored, Status> {
        let mut grpc = self.ready().await?;
        let codec = ProstCodec::<Heartbeat, Monitored>::default();
        let answer = grpc.client_streaming(Request::new(heartbeats), path(MONITOR)?, codec);
        answer.await.map(Response::into_inner)
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
