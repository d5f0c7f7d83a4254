//! A little traffic, over the API like anybody's: agents that open channels, pay, work, bid and fetch.

use std::time::Duration;

use futures_util::stream;
use tonic::Status;

use super::api::{self, Client, Heartbeat};

/// Who works.
const PEERS: u64 = 8;
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(50);

/// Goes on until it is dropped, or the server is gone.
pub async fn run(client: Client) -> Result<(), Status> {
    let peers = (0..PEERS).map(|peer| heartbeats(&client, format!("peer-{peer}")));
    let peers = futures_util::future::try_join_all(peers);
    let content_ids = client.call(api::ListContent {}).await?.content_ids;
    let rounds = async {
        for round in 0_u64.. {
            let content_id = &content_ids[draw(round) as usize % content_ids.len()];
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

/// A channel from its opening to its settlement. One in three is pending at first, in one in five the two disagree
/// in the end, and one in seven is left open for a while.
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
    // The second one is more than there is.
    for amount in [1 + draw(round) % 4_000, 6_000] {
        let pay = api::Pay {
            channel_id: channel_id.clone(),
            party: "client".to_owned(),
            amount,
        };
        if let Some(paid) = refused(client.call(pay).await)? {
            channel = paid;
        }
    }
    if round.is_multiple_of(7) {
        tokio::time::sleep(PAUSE * 4).await;
    }
    let is_wrong = round.is_multiple_of(5);
    let close = api::CloseChannel {
        channel_id,
        client_balance: channel.client_balance + u64::from(is_wrong),
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

/// One task in ten fails, and one takes longer than it may.
async fn task(client: &Client, round: u64) -> Result<(), Status> {
    let task = api::SubmitTask {
        r#type: ["compute", "inference", "storage"][(round % 3) as usize].to_owned(),
        peer_id: format!("peer-{}", round % PEERS),
        cost: 1 + draw(round) % 2_000,
        work_ms: if round % 10 == 5 {
            100
        } else {
            draw(round) % 20
        },
        limit_ms: 50,
        fails: round.is_multiple_of(10),
    };
    refused(client.call(task).await).map(drop)
}

/// Nobody bids for one auction in ten, and what is sold in one of ten is not delivered.
async fn auction(client: &Client, round: u64) -> Result<(), Status> {
    let open = api::OpenAuction {
        r#type: ["english", "sealed"][(round % 2) as usize].to_owned(),
        lasts_ms: 20,
    };
    let auction_id = client.call(open).await?.auction_id;
    let bids = if round % 10 == 3 { 0 } else { 3 };
    for bid in 0..bids {
        let bid = api::Bid {
            auction_id: auction_id.clone(),
            amount: 100 + draw(round + bid) % 10_000,
        };
        refused(client.call(bid).await)?;
    }
    tokio::time::sleep(Duration::from_millis(30)).await;
    if round % 10 != 4 {
        refused(client.call(api::Deliver { auction_id }).await)?;
    }
    Ok(())
}

async fn fetch(client: &Client, content_id: &str) -> Result<(), Status> {
    let content_id = content_id.to_owned();
    let fetched = client.call(api::FetchContent { content_id }).await;
    refused(fetched).map(drop)
}

/// What was refused goes on; without a server there is nothing to go on with.
fn refused<T>(answer: Result<T, Status>) -> Result<Option<T>, Status> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(status) if status.code() == tonic::Code::Unavailable => Err(status),
        Err(_) => Ok(None),
    }
}

/// Numbers as if drawn at random, and the same in every run.
fn draw(n: u64) -> u64 {
    n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33
}
