//! [`Auctions`]: each is a task that takes bids until its time is up, and then waits for the delivery.

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

/// How long the price is held for what was sold.
const DELIVERY_TIME: Duration = Duration::from_secs(3);
/// Messages that wait for one auction.
const QUEUE: usize = 16;

pub struct Auctions {
    metrics: ZeroState,
    halls: Mutex<Halls>,
}

#[derive(Default)]
struct Halls {
    opened: u64,
    open: HashMap<String, mpsc::Sender<Message>>,
}

enum Message {
    Bid {
        amount: Millicredits,
        answer: oneshot::Sender<Result<(), Status>>,
    },
    Deliver {
        answer: oneshot::Sender<Result<Millicredits, Status>>,
    },
}

impl Auctions {
    pub fn new(metrics: ZeroState) -> Self {
        let halls = Mutex::default();
        Self { metrics, halls }
    }

    /// Opens an auction and gives its id.
    pub fn open(self: &Arc<Self>, kind: AuctionType, lasts: Duration) -> String {
        let (sender, messages) = mpsc::channel(QUEUE);
        let id = {
            let mut halls = self.halls();
            halls.opened += 1;
            let id = format!("auction-{}", halls.opened);
            halls.open.insert(id.clone(), sender);
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
            auction.run(lasts).await;
            auctions.halls().open.remove(&id);
        });
        id
    }

    pub async fn bid(&self, auction_id: &str, amount: Millicredits) -> Result<(), Status> {
        self.ask(auction_id, |answer| Message::Bid { amount, answer })
            .await
    }

    /// What was sold is there; gives its price.
    pub async fn deliver(&self, auction_id: &str) -> Result<Millicredits, Status> {
        self.ask(auction_id, |answer| Message::Deliver { answer })
            .await
    }

    async fn ask<T>(
        &self,
        auction_id: &str,
        message: impl FnOnce(oneshot::Sender<Result<T, Status>>) -> Message,
    ) -> Result<T, Status> {
        let over = || Status::not_found("there is no such auction, or it is over");
        let auction = self.halls().open.get(auction_id).cloned();
        let (sender, answer) = oneshot::channel();
        let sent = auction.ok_or_else(over)?.send(message(sender)).await;
        sent.map_err(|_| over())?;
        answer.await.map_err(|_| over())?
    }

    fn halls(&self) -> MutexGuard<'_, Halls> {
        self.halls.lock().unwrap_or_else(PoisonError::into_inner)
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
    async fn run(mut self, lasts: Duration) {
        let opened = Instant::now();
        while let Ok(Some(message)) = timeout_at(opened + lasts, self.messages.recv()).await {
            match message {
                // Who asked may be gone, here and below.
                Message::Bid { amount, answer } => drop(answer.send(self.bid(amount))),
                Message::Deliver { answer } => {
                    let early = Status::failed_precondition("the auction goes on");
                    drop(answer.send(Err(early)));
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
            return Err(Status::failed_precondition("there is a higher bid"));
        }
        self.highest = Some(highest.max(amount));
        self.metrics.bid(&self.id, amount);
        Ok(())
    }

    async fn wait_for_delivery(&mut self, escrow: Escrow) {
        let end = Instant::now() + DELIVERY_TIME;
        while let Ok(Some(message)) = timeout_at(end, self.messages.recv()).await {
            match message {
                Message::Bid { answer, .. } => {
                    let late = Status::failed_precondition("the auction has ended");
                    drop(answer.send(Err(late)));
                }
                Message::Deliver { answer } => {
                    drop(answer.send(Ok(escrow.release(EscrowOutcome::Delivered))));
                    return;
                }
            }
        }
        escrow.refund(RefundReason::Expired);
    }
}
