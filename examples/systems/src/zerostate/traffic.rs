//! A built-in client that calls the gRPC API: opens channels, pays, submits tasks, bids in auctions
//! and fetches content.

use std::time::Duration;

use futures_util::stream;
use tonic::Status;

use super::api::{self, Client, Heartbeat};

/// Number of peers.
const PEERS: u64 = 8;
/// Pause between two rounds.
const PAUSE: Duration = Duration::from_millis(50);

/// Sends requests until the future is dropped or the server is unavailable.
pub async fn run(client: Client) -> Result<(), Status> {
    let peers = (0..PEERS).map(|peer| heartbeats(&client, format!("peer-{peer}")));
    let peers = futures_util::future::try_join_all(peers);
    let content_ids = client.call(api::ListContent {}).await?.content_ids;
    let rounds = async {
        for round in 0_u64.. {
            let content_id = &content_ids[pseudo_random(round) as usize % content_ids.len()];
            tokio::try_join!(
                channel(&client, round),
                task(&client, round),
                auction(&client, round),
                fetch(&client, content_id),
            )?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    tokio::try_join!(peers, rounds)?;
    Ok(())
}

async fn heartbeats(client: &Client, peer_id: String) -> Result<(), Status> {
    let heartbeats = stream::unfold(peer_id, |peer_id| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let heartbeat = Heartbeat {
            peer_id: peer_id.clone(),
        };
        Some((heartbeat, peer_id))
    });
    client.monitor(heartbeats).await?;
    Ok(())
}

/// Opens a channel, pays and settles it. One channel in three is pending at first, one in five ends
/// with a dispute, and one in seven stays open for longer.
async fn channel(client: &Client, round: u64) -> Result<(), Status> {
    let opened_by = ["client", "provider"][(round % 2) as usize].to_owned();
    let provider_deposit = if round.is_multiple_of(3) { 0 } else { 500 };
    let open = api::OpenChannel {
        opened_by,
        client_deposit: 5_000,
        provider_deposit,
    };
    let mut channel = client.call(open).await?;
    let channel_id = channel.channel_id.clone();
    if channel.state == "pending" {
        let deposit = api::Deposit {
            channel_id: channel_id.clone(),
            party: "provider".to_owned(),
            amount: 500,
        };
        client.call(deposit).await?;
    }
    // The second payment exceeds the balance.
    for amount in [1 + pseudo_random(round) % 4_000, 6_000] {
        let pay = api::Pay {
            channel_id: channel_id.clone(),
            party: "client".to_owned(),
            amount,
        };
        if let Some(paid) = unless_rejected(client.call(pay).await)? {
            channel = paid;
        }
    }
    if round.is_multiple_of(7) {
        tokio::time::sleep(PAUSE * 4).await;
    }
    let is_disputed = round.is_multiple_of(5);
    let close = api::CloseChannel {
        channel_id,
        client_balance: channel.client_balance + u64::from(is_disputed),
    };
    let closed = client.call(close).await?;
    if closed.state == "disputed" {
        let resolve = api::ResolveDispute {
            channel_id: closed.channel_id,
            upheld: round.is_multiple_of(2),
        };
        client.call(resolve).await?;
    }
    Ok(())
}

/// Submits a task. In ten tasks, one fails and one exceeds its time limit.
async fn task(client: &Client, round: u64) -> Result<(), Status> {
    let task = api::SubmitTask {
        r#type: ["compute", "inference", "storage"][(round % 3) as usize].to_owned(),
        peer_id: format!("peer-{}", round % PEERS),
        cost: 1 + pseudo_random(round) % 2_000,
        work_ms: if round % 10 == 5 {
            100
        } else {
            pseudo_random(round) % 20
        },
        limit_ms: 50,
        fails: round.is_multiple_of(10),
    };
    unless_rejected(client.call(task).await).map(drop)
}

/// Opens an auction, bids and delivers. In ten auctions, one has no bids and one is not delivered.
async fn auction(client: &Client, round: u64) -> Result<(), Status> {
    let open = api::OpenAuction {
        r#type: ["english", "sealed"][(round % 2) as usize].to_owned(),
        duration_ms: 20,
    };
    let auction_id = client.call(open).await?.auction_id;
    let bids = if round % 10 == 3 { 0 } else { 3 };
    for bid in 0..bids {
        let bid = api::Bid {
            auction_id: auction_id.clone(),
            amount: 100 + pseudo_random(round + bid) % 10_000,
        };
        unless_rejected(client.call(bid).await)?;
    }
    tokio::time::sleep(Duration::from_millis(30)).await;
    if round % 10 != 4 {
        unless_rejected(client.call(api::Deliver { auction_id }).await)?;
    }
    Ok(())
}

async fn fetch(client: &Client, content_id: &str) -> Result<(), Status> {
    let content_id = content_id.to_owned();
    let fetched = client.call(api::FetchContent { content_id }).await;
    unless_rejected(fetched).map(drop)
}

/// Returns the reply, or `None` if the call was rejected, as some are on purpose. Fails only if the
/// server is unavailable.
fn unless_rejected<T>(result: Result<T, Status>) -> Result<Option<T>, Status> {
    match result {
        Ok(reply) => Ok(Some(reply)),
        Err(status) if status.code() == tonic::Code::Unavailable => Err(status),
        Err(_) => Ok(None),
    }
}

/// Returns a pseudo-random number, the same in every run.
fn pseudo_random(n: u64) -> u64 {
    n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33
}
