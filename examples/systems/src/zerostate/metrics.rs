//! What the economy measures, and the events that move it: one call, all families of the event.
//!
//! # What grows without end
//!
//! Peers and auctions come and never stop coming. Each label takes so many values as its bound here says, in the
//! order they are first seen; all further ones share the series `overflow`, and are counted in
//! `metrics_label_overflow_total`. So sums over counters stay right. Of gauges that are set, `overflow` shows the
//! latest of the rest.
//!
//! Channels end. What is recorded stays for good, so their balances are not recorded: they are asked for when
//! Prometheus asks. A channel that is settled is not on the next page; nothing of it is left at 0, and its place is
//! free for another. At most [`MAX_CHANNELS`] are shown, those that are open longest, so that a series once there
//! stays until its channel is settled; what lies in all others together is `overflow`.

use std::time::Duration;

use tower_prometheus::{
    Counter, FamilyDescription, FamilyKind, Gauge, Histogram, InProgress, InProgressGuard,
    LabelDescription, LabelValues, Unit, buckets, catalogue, labels,
};

/// Peers with series of their own.
pub const MAX_PEERS: usize = 100;
/// Auctions with series of their own.
pub const MAX_AUCTIONS: usize = 50;
/// Channels with series of their own.
pub const MAX_CHANNELS: usize = 50;

/// What an amount is counted in. A thousand are one credit, in which the page shows them.
pub type Millicredits = u64;

labels! {
    /// A channel is over when it is settled, and then in no state.
    pub enum ChannelState {
        /// One party has paid its deposit.
        Pending = "pending",
        Open = "open",
        /// Closed with a balance that is not the ledger's.
        Disputed = "disputed",
    }

    pub enum Party {
        Client = "client",
        Provider = "provider",
    }

    /// A channel's state, and which party opened it.
    pub struct Channels {
        state: ChannelState,
        party: Party,
    }

    pub enum PaymentStatus("status") {
        Success = "success",
        Failed = "failed",
    }

    pub struct Peer {
        peer_id: open(MAX_PEERS),
    }

    pub enum SettlementStatus("status") {
        Success = "success",
        /// After a dispute.
        Disputed = "disputed",
    }

    pub enum DisputeStatus("status") {
        Opened = "opened",
        Upheld = "upheld",
        Dismissed = "dismissed",
    }

    pub enum AuctionType {
        /// A bid must be higher than those before.
        English = "english",
        Sealed = "sealed",
    }

    pub enum AuctionStatus {
        Opened = "opened",
        Sold = "sold",
        Unsold = "unsold",
    }

    pub struct Auctions {
        r#type: AuctionType,
        status: AuctionStatus,
    }

    pub struct Auction {
        auction_id: open(MAX_AUCTIONS),
    }

    pub enum TaskType("type") {
        Compute = "compute",
        Inference = "inference",
        Storage = "storage",
    }

    pub enum TaskStatus {
        Success = "success",
        Failed = "failed",
    }

    pub enum TaskError {
        /// The peer said so.
        Peer = "peer",
        Timeout = "timeout",
    }

    pub struct CompletedTasks {
        r#type: TaskType,
        status: TaskStatus,
    }

    pub struct TaskErrors {
        r#type: TaskType,
        error: TaskError,
    }

    pub enum EscrowType("type") {
        Task = "task",
        Auction = "auction",
    }

    pub enum EscrowOutcome("outcome") {
        TaskCompleted = "task_completed",
        Delivered = "delivered",
    }

    pub enum RefundReason("reason") {
        TaskFailed = "task_failed",
        /// Nothing was delivered in time.
        Expired = "expired",
        /// Whoever held it is gone.
        Abandoned = "abandoned",
    }
}

catalogue! {
    /// An economy of agents.
    #[prefix = "zerostate_economic_"]
    pub struct ZeroState {
        /// Channels that were opened: each counts once, in the state it begins in.
        pub channels_total: Counter<Channels>,
        /// Channels that are not settled.
        pub channels_active: InProgress<Channels>,
        /// Time from a channel's opening to its settlement.
        pub channel_duration_seconds: Histogram { buckets: buckets::DURATION },

        /// Payments by whether the ledger took them.
        pub payments_total: Counter<PaymentStatus>,
        /// Payments that the ledger took, in credits.
        pub payment_amount: Histogram { buckets: buckets::COST },
        /// How long a payment takes.
        pub payment_duration_seconds: Histogram { buckets: buckets::DURATION },

        /// What a peer is trusted, from 0 to 1.
        pub reputation_scores: Gauge<Peer>,
        /// Tasks that a peer executed, well or not.
        pub tasks_executed_total: Counter<Peer>,
        /// The part of a peer's tasks that ended well.
        pub success_rate: Gauge<Peer>,
        /// How long a peer's tasks take on average.
        pub average_task_duration_seconds: Gauge<Peer>,
        /// What a peer's tasks cost on average, in credits.
        pub average_task_cost: Gauge<Peer>,

        /// Channels that were settled, after a dispute or without.
        pub settlements_total: Counter<SettlementStatus>,
        /// Time from closing a channel to its settlement.
        pub settlement_duration_seconds: Histogram { buckets: buckets::DURATION },
        /// Disputes that were opened and decided.
        pub disputes_total: Counter<DisputeStatus>,

        /// Auctions that were opened and ended.
        pub auctions_total: Counter<Auctions>,
        /// Bids that were accepted.
        pub bids_total: Counter<Auction>,
        /// Bids that were accepted, in credits.
        pub bid_amount: Histogram { buckets: buckets::COST },
        /// How long auctions run.
        pub auction_duration_seconds: Histogram { buckets: buckets::DURATION },

        /// Tasks that were submitted.
        pub tasks_submitted_total: Counter<TaskType>,
        /// Tasks that ended.
        pub tasks_completed_total: Counter<CompletedTasks>,
        /// How long tasks take.
        pub task_duration_seconds: Histogram<TaskType> { buckets: buckets::DURATION },
        /// What tasks cost, in credits.
        pub task_cost: Histogram<TaskType> { buckets: buckets::COST },
        /// Why tasks failed.
        pub task_errors_total: Counter<TaskErrors>,

        /// Amounts that were put into escrow.
        pub escrows_created_total: Counter<EscrowType>,
        /// Amounts that went to who earned them.
        pub escrow_releases_total: Counter<EscrowOutcome>,
        /// Amounts that went back.
        pub escrow_refunds_total: Counter<RefundReason>,
        /// What is put into escrow, in credits.
        pub escrow_amount: Histogram<EscrowType> { buckets: buckets::COST },

        /// Peers whose heartbeats are listened to.
        pub active_peer_monitors: InProgress { name: "active_peer_monitors" },
        /// Connections to the content's origin.
        pub connection_pool_size: InProgress { name: "connection_pool_size" },
        /// How long it takes to check that content is what its name says.
        pub content_verification_latency: Histogram {
            name: "content_verification_latency",
            unit: Unit::Seconds,
            buckets: buckets::DURATION,
        },
        /// Contents in the cache.
        pub cache_entries: Gauge { name: "cache_entries" },
        /// What the contents in the cache take.
        pub cache_memory_bytes: Gauge { name: "cache_memory_bytes" },
        /// The part of all look-ups that found something in the cache.
        pub cache_hit_ratio: Gauge { name: "cache_hit_ratio" },
        /// Contents that made room for others.
        pub cache_evictions_total: Counter { name: "cache_evictions_total" },
    }
}

/// What is in channels that are not settled.
pub const CHANNEL_BALANCES: &str = "zerostate_economic_channel_balances";
pub const CHANNEL_BALANCES_HELP: &str =
    "What each party has in a channel that is not settled, in credits.";

/// All families of the economy: those that are recorded, and the one that is asked for.
pub fn families() -> Vec<FamilyDescription> {
    let mut balances = FamilyDescription::new(CHANNEL_BALANCES, FamilyKind::Gauge);
    CHANNEL_BALANCES_HELP.clone_into(&mut balances.help);
    let parties = Party::ALL.iter().map(|party| party.as_str().into());
    let labels = [
        ("channel_id", LabelValues::Open),
        ("party", LabelValues::Closed(parties.collect())),
    ];
    let labels = labels.map(|(name, values)| LabelDescription {
        name: name.into(),
        values,
    });
    balances.labels = labels.into();
    let mut families = ZeroState::families();
    families.push(balances);
    families
}

/// A task that ended.
#[derive(Clone, Copy, Debug)]
pub struct Execution<'a> {
    pub kind: TaskType,
    pub peer_id: &'a str,
    pub result: Result<(), TaskError>,
    pub took: Duration,
    pub cost: Millicredits,
}

/// What is known of a peer.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub reputation: f64,
    pub success_rate: f64,
    pub average_duration: Duration,
    pub average_cost: Millicredits,
}

/// A channel that is over.
#[derive(Clone, Copy, Debug)]
pub struct Settlement {
    pub status: SettlementStatus,
    /// Since it was opened.
    pub lasted: Duration,
    /// Since it was closed.
    pub took: Duration,
}

/// What the cache has and did.
#[derive(Clone, Copy, Debug)]
pub struct CacheUse {
    pub entries: usize,
    pub bytes: usize,
    pub hit_ratio: f64,
    pub evicted: u64,
}

impl ZeroState {
    /// The guard is the channel's place among the active ones.
    pub fn channel_opened(&self, state: ChannelState, party: Party) -> InProgressGuard {
        let channels = Channels { state, party };
        self.channels_total.with(channels).increment();
        self.channels_active.with(channels).begin()
    }

    /// Takes the place of the guard that the channel has.
    pub fn channel_changed(&self, state: ChannelState, party: Party) -> InProgressGuard {
        self.channels_active.with(Channels { state, party }).begin()
    }

    pub fn payment(&self, status: PaymentStatus, amount: Millicredits, took: Duration) {
        self.payments_total.with(status).increment();
        self.payment_duration_seconds.observe_duration(took);
        if status == PaymentStatus::Success {
            self.payment_amount.observe(credits(amount));
        }
    }

    pub fn reputation_updated(&self, peer_id: &str, standing: &Standing) {
        let Standing {
            reputation,
            success_rate,
            average_duration,
            average_cost,
        } = *standing;
        let peer = Peer { peer_id };
        self.reputation_scores.with(peer).set(reputation);
        self.success_rate.with(peer).set(success_rate);
        self.average_task_duration_seconds
            .with(peer)
            .set(average_duration.as_secs_f64());
        self.average_task_cost.with(peer).set(credits(average_cost));
    }

    pub fn settlement(&self, settlement: &Settlement) {
        let Settlement {
            status,
            lasted,
            took,
        } = *settlement;
        self.settlements_total.with(status).increment();
        self.settlement_duration_seconds.observe_duration(took);
        self.channel_duration_seconds.observe_duration(lasted);
    }

    pub fn dispute(&self, status: DisputeStatus) {
        self.disputes_total.with(status).increment();
    }

    pub fn auction_opened(&self, auction_id: &str, r#type: AuctionType) {
        // A rate needs a 0 to begin with: bids before a series is first scraped are in no rate.
        self.bids_total.with(Auction { auction_id }).add(0);
        let status = AuctionStatus::Opened;
        self.auctions_total
            .with(Auctions { r#type, status })
            .increment();
    }

    pub fn auction_ended(&self, r#type: AuctionType, status: AuctionStatus, lasted: Duration) {
        self.auctions_total
            .with(Auctions { r#type, status })
            .increment();
        self.auction_duration_seconds.observe_duration(lasted);
    }

    pub fn bid(&self, auction_id: &str, amount: Millicredits) {
        self.bids_total.with(Auction { auction_id }).increment();
        self.bid_amount.observe(credits(amount));
    }

    pub fn task_submitted(&self, kind: TaskType) {
        self.tasks_submitted_total.with(kind).increment();
    }

    pub fn task_executed(&self, execution: &Execution<'_>) {
        let Execution {
            kind,
            peer_id,
            result,
            took,
            cost,
        } = *execution;
        let status = match result {
            Ok(()) => TaskStatus::Success,
            Err(error) => {
                let errors = TaskErrors {
                    r#type: kind,
                    error,
                };
                self.task_errors_total.with(errors).increment();
                TaskStatus::Failed
            }
        };
        let completed = CompletedTasks {
            r#type: kind,
            status,
        };
        self.tasks_completed_total.with(completed).increment();
        self.task_duration_seconds.with(kind).observe_duration(took);
        self.task_cost.with(kind).observe(credits(cost));
        self.tasks_executed_total.with(Peer { peer_id }).increment();
    }

    pub fn escrow_created(&self, kind: EscrowType, amount: Millicredits) {
        self.escrows_created_total.with(kind).increment();
        self.escrow_amount.with(kind).observe(credits(amount));
    }

    pub fn escrow_released(&self, outcome: EscrowOutcome) {
        self.escrow_releases_total.with(outcome).increment();
    }

    pub fn escrow_refunded(&self, reason: RefundReason) {
        self.escrow_refunds_total.with(reason).increment();
    }

    pub fn content_verified(&self, took: Duration) {
        self.content_verification_latency.observe_duration(took);
    }

    pub fn cache_used(&self, cache: &CacheUse) {
        let CacheUse {
            entries,
            bytes,
            hit_ratio,
            evicted,
        } = *cache;
        self.cache_entries.set(entries as f64);
        self.cache_memory_bytes.set(bytes as f64);
        self.cache_hit_ratio.set(hit_ratio);
        self.cache_evictions_total.add(evicted);
    }
}

pub fn credits(amount: Millicredits) -> f64 {
    amount as f64 / 1000.0
}
