//! [`Auctions`]: one tokio task per auction, which accepts bids until the auction ends and then
//! waits for the delivery.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::escrow::Escrow;
use super::metrics::{
    AuctionStatus, AuctionType, EscrowOutcome, EscrowType, Millicredits, RefundReason, ZeroState,
};

/// How long the price is in escrow before it is refunded.
const DELIVERY_TIME: Duration = Duration::from_secs(3);
/// Capacity of the message queue of an auction.
const QUEUE: usize = 16;

pub struct Auctions {
    metrics: ZeroState,
    senders: Mutex<Senders>,
}

#[derive(Default)]
struct Senders {
    /// Number of auctions opened so far.
    opened: u64,
    by_auction: HashMap<String, mpsc::Sender<Message>>,
}

enum Message {
    Bid {
        amount: Millicredits,
        reply: oneshot::Sender<Result<(), Status>>,
    },
    Deliver {
        reply: oneshot::Sender<Result<Millicredits, Status>>,
    },
}

impl Auctions {
    pub fn new(metrics: ZeroState) -> Self {
        let senders = Mutex::default();
        Self { metrics, senders }
    }

    /// Opens an auction and returns its id.
    pub fn open(self: &Arc<Self>, kind: AuctionType, duration: Duration) -> String {
        let (sender, messages) = mpsc::channel(QUEUE);
        let id = {
            let mut senders = self.senders();
            senders.opened += 1;
            let id = format!("auction-{}", senders.opened);
            senders.by_auction.insert(id.clone(), sender);
            id
        };
        self.metrics.auction_opened(&id, kind);
        let auction = Auction {
            id: id.clone(),
            metrics: self.metrics,
            kind,
            highest: None,
            messages,
        };
        let auctions = Arc::clone(self);
        tokio::spawn(async move {
            let id = auction.id.clone();
            auction.run(duration).await;
            auctions.senders().by_auction.remove(&id);
        });
        id
    }

    pub async fn bid(&self, auction_id: &str, amount: Millicredits) -> Result<(), Status> {
        self.send(auction_id, |reply| Message::Bid { amount, reply })
            .await
    }

    /// Confirms the delivery of the sold item, and returns its price.
    pub async fn deliver(&self, auction_id: &str) -> Result<Millicredits, Status> {
        self.send(auction_id, |reply| Message::Deliver { reply })
            .await
    }

    /// Sends a message to the task of an auction, and waits for the reply.
    async fn send<T>(
        &self,
        auction_id: &str,
        message: impl FnOnce(oneshot::Sender<Result<T, Status>>) -> Message,
    ) -> Result<T, Status> {
        let not_found =
            || Status::not_found(format!("auction {auction_id:?} is unknown or has ended"));
        let auction = self.senders().by_auction.get(auction_id).cloned();
        let (sender, reply) = oneshot::channel();
        let sent = auction.ok_or_else(not_found)?.send(message(sender)).await;
        sent.map_err(|_| not_found())?;
        reply.await.map_err(|_| not_found())?
    }

    fn senders(&self) -> MutexGuard<'_, Senders> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Auction {
    id: String,
    metrics: ZeroState,
    kind: AuctionType,
    highest: Option<Millicredits>,
    messages: mpsc::Receiver<Message>,
}

impl Auction {
    async fn run(mut self, duration: Duration) {
        let opened = Instant::now();
        while let Ok(Some(message)) = timeout_at(opened + duration, self.messages.recv()).await {
            match message {
                // Sending a reply fails if the caller was cancelled; this is ignored here and below.
                Message::Bid { amount, reply } => drop(reply.send(self.bid(amount))),
                Message::Deliver { reply } => {
                    let early = Status::failed_precondition("the auction has not ended");
                    drop(reply.send(Err(early)));
                }
            }
        }
        let status = match self.highest {
            Some(_) => AuctionStatus::Sold,
            None => AuctionStatus::Unsold,
        };
        self.metrics
            .auction_ended(self.kind, status, opened.elapsed());
        if let Some(price) = self.highest {
            let escrow = Escrow::hold(self.metrics, EscrowType::Auction, price);
            self.wait_for_delivery(escrow).await;
        }
    }

    fn bid(&mut self, amount: Millicredits) -> Result<(), Status> {
        let highest = self.highest.unwrap_or(0);
        if self.kind == AuctionType::English && amount <= highest {
            return Err(Status::failed_precondition(format!(
                "bid must be higher than {highest}, got {amount}"
            )));
        }
        self.highest = Some(highest.max(amount));
        self.metrics.bid_accepted(&self.id, amount);
        Ok(())
    }

    async fn wait_for_delivery(&mut self, escrow: Escrow) {
        let deadline = Instant::now() + DELIVERY_TIME;
        while let Ok(Some(message)) = timeout_at(deadline, self.messages.recv()).await {
            match message {
                Message::Bid { reply, .. } => {
                    let late = Status::failed_precondition("the auction has ended");
                    drop(reply.send(Err(late)));
                }
                Message::Deliver { reply } => {
                    drop(reply.send(Ok(escrow.release(EscrowOutcome::Delivered))));
                    return;
                }
            }
        }
        escrow.refund(RefundReason::Expired);
    }
}
