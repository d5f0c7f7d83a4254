//! The catalogue of the economy, and a method per event that updates all metrics of the event.
//!
//! # Labels with unbounded cardinality
//!
//! **Peers and auctions:** the labels have limits, [`MAX_PEERS`] and [`MAX_AUCTIONS`]. The first
//! values get separate series; further values are recorded as `overflow` and counted in
//! `metrics_label_overflow_total`. Sums of counters stay correct. Gauges of further
//! peers are not set.
//!
//! **Channels** end, but a recorded series exists until the process ends. So a collector exports
//! the balances at scrape time. A settled channel is missing from the next scrape (it does not stay
//! at 0), and another channel can take its place. At most [`MAX_CHANNELS`] are exported: those that
//! have been open the longest, so that a series exists until its channel is settled. `overflow` is
//! the sum over all others.

use std::time::Duration;

use tower_prometheus::{
    Counter, Gauge, Histogram, InProgress, Unit, buckets, catalogue,
    custom::InProgressGuard,
    labels,
    model::{FamilyDescription, LabelDescription, MetricKind},
};

/// Limit of the label `peer_id`.
pub const MAX_PEERS: usize = 100;
/// Limit of the label `auction_id`.
pub const MAX_AUCTIONS: usize = 50;
/// Maximum number of channels that are exported separately.
pub const MAX_CHANNELS: usize = 50;

/// The unit of amounts in code: thousandths of a credit. Metrics are in credits.
pub type Millicredits = u64;

labels! {
    /// The state of a channel that is not settled.
    pub enum ChannelState {
        /// Only one party has paid its deposit.
        Pending = "pending",
        Open = "open",
        /// Closed with a balance other than the ledger's.
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
        /// A bid must exceed the previous ones.
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
        /// The peer reported an error.
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
        /// The delivery was late.
        Expired = "expired",
        /// The holder was dropped.
        Abandoned = "abandoned",
    }
}

catalogue! {
    /// An economy of agents.
    #[prefix = "zerostate_economic_"]
    pub struct ZeroState {
        /// Total number of channels opened, by initial state and opening party.
        pub channels_total: Counter<Channels>,
        /// Number of channels that are not settled, by state and opening party.
        pub channels_active: InProgress<Channels>,
        /// Time from the opening of a channel to its settlement in seconds.
        pub channel_duration_seconds: Histogram { buckets: buckets::DURATION },

        /// Total number of payments, by whether the ledger accepted them.
        pub payments_total: Counter<PaymentStatus>,
        /// Amount of accepted payments in credits.
        pub payment_amount: Histogram { buckets: buckets::COST },
        /// Duration of payments in seconds.
        pub payment_duration_seconds: Histogram { buckets: buckets::DURATION },

        /// Reputation of a peer, from 0 to 1.
        pub reputation_scores: Gauge<Peer>,
        /// Total number of tasks that a peer executed, failed ones included.
        pub tasks_executed_total: Counter<Peer>,
        /// Share of a peer's tasks that succeeded, from 0 to 1.
        pub success_rate: Gauge<Peer>,
        /// Average duration of a peer's tasks in seconds.
        pub average_task_duration_seconds: Gauge<Peer>,
        /// Average cost of a peer's tasks in credits.
        pub average_task_cost: Gauge<Peer>,

        /// Total number of channels settled, by whether there was a dispute.
        pub settlements_total: Counter<SettlementStatus>,
        /// Time from the closing of a channel to its settlement in seconds.
        pub settlement_duration_seconds: Histogram { buckets: buckets::DURATION },
        /// Total number of disputes, opened and decided.
        pub disputes_total: Counter<DisputeStatus>,

        /// Total number of auctions, opened and ended.
        pub auctions_total: Counter<Auctions>,
        /// Total number of accepted bids.
        pub bids_total: Counter<Auction>,
        /// Amount of accepted bids in credits.
        pub bid_amount: Histogram { buckets: buckets::COST },
        /// Duration of auctions in seconds.
        pub auction_duration_seconds: Histogram { buckets: buckets::DURATION },

        /// Total number of tasks submitted.
        pub tasks_submitted_total: Counter<TaskType>,
        /// Total number of tasks completed, by type and status.
        pub tasks_completed_total: Counter<CompletedTasks>,
        /// Duration of tasks in seconds.
        pub task_duration_seconds: Histogram<TaskType> { buckets: buckets::DURATION },
        /// Cost of tasks in credits.
        pub task_cost: Histogram<TaskType> { buckets: buckets::COST },
        /// Total number of failed tasks, by type and error.
        pub task_errors_total: Counter<TaskErrors>,

        /// Total number of escrows created.
        pub escrows_created_total: Counter<EscrowType>,
        /// Total number of escrows released to the earning party, by outcome.
        pub escrow_releases_total: Counter<EscrowOutcome>,
        /// Total number of escrows refunded, by reason.
        pub escrow_refunds_total: Counter<RefundReason>,
        /// Amount of escrows in credits.
        pub escrow_amount: Histogram<EscrowType> { buckets: buckets::COST },

        /// Number of peers whose heartbeats are monitored.
        pub active_peer_monitors: InProgress { name: "active_peer_monitors" },
        /// Number of connections to the origin of the content.
        pub connection_pool_size: InProgress { name: "connection_pool_size" },
        /// Duration of content verification in seconds.
        pub content_verification_latency: Histogram {
            name: "content_verification_latency",
            unit: Unit::Seconds,
            buckets: buckets::DURATION,
        },
        /// Number of entries in the cache.
        pub cache_entries: Gauge { name: "cache_entries" },
        /// Size of the cache in bytes.
        pub cache_memory_bytes: Gauge { name: "cache_memory_bytes" },
        /// Share of cache look-ups that were hits, from 0 to 1.
        pub cache_hit_ratio: Gauge { name: "cache_hit_ratio" },
        /// Total number of entries evicted from the cache.
        pub cache_evictions_total: Counter { name: "cache_evictions_total" },
    }
}

/// The balances of channels that are not settled.
pub const CHANNEL_BALANCES: &str = "zerostate_economic_channel_balances";
pub const CHANNEL_BALANCES_HELP: &str =
    "Balance of each party in a channel that is not settled, in credits.";

/// Every metric family of the economy: the recorded ones, and the one of the collector.
pub fn families() -> Vec<FamilyDescription> {
    let parties = Party::ALL.iter().map(|party| party.as_str());
    let balances = FamilyDescription::new(CHANNEL_BALANCES, MetricKind::Gauge)
        .help(CHANNEL_BALANCES_HELP)
        .label(LabelDescription::new("channel_id"))
        .label(LabelDescription::new("party").values(parties));
    let mut families = ZeroState::families();
    families.push(balances);
    families
}

/// A completed task.
#[derive(Clone, Copy, Debug)]
pub struct Execution<'a> {
    pub kind: TaskType,
    pub peer_id: &'a str,
    pub result: Result<(), TaskError>,
    pub duration: Duration,
    pub cost: Millicredits,
}

/// The statistics of a peer.
#[derive(Clone, Copy, Debug)]
pub struct PeerStatistics {
    pub reputation: f64,
    pub success_rate: f64,
    pub average_duration: Duration,
    pub average_cost: Millicredits,
}

/// The end of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Settlement {
    pub status: SettlementStatus,
    /// Time since the channel was opened.
    pub channel_duration: Duration,
    /// Time since the channel was closed.
    pub settlement_duration: Duration,
}

/// The statistics of the cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheStatistics {
    pub entries: usize,
    pub bytes: usize,
    pub hit_ratio: f64,
    /// Evictions since the last update.
    pub evicted: u64,
}

impl ZeroState {
    /// Records an opened channel. It counts as active until the guard is dropped.
    pub fn channel_opened(&self, state: ChannelState, party: Party) -> InProgressGuard {
        let channels = Channels { state, party };
        self.channels_total.with(channels).increment();
        self.channels_active.with(channels).start()
    }

    /// Records a new state of a channel. The guard replaces the previous guard of the channel.
    pub fn channel_changed(&self, state: ChannelState, party: Party) -> InProgressGuard {
        self.channels_active.with(Channels { state, party }).start()
    }

    pub fn payment(&self, status: PaymentStatus, amount: Millicredits, duration: Duration) {
        self.payments_total.with(status).increment();
        self.payment_duration_seconds.observe_duration(duration);
        if status == PaymentStatus::Success {
            self.payment_amount.observe(credits(amount));
        }
    }

    pub fn reputation_updated(&self, peer_id: &str, statistics: &PeerStatistics) {
        let PeerStatistics {
            reputation,
            success_rate,
            average_duration,
            average_cost,
        } = *statistics;
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
            channel_duration,
            settlement_duration,
        } = *settlement;
        self.settlements_total.with(status).increment();
        self.settlement_duration_seconds
            .observe_duration(settlement_duration);
        self.channel_duration_seconds
            .observe_duration(channel_duration);
    }

    pub fn dispute(&self, status: DisputeStatus) {
        self.disputes_total.with(status).increment();
    }

    pub fn auction_opened(&self, auction_id: &str, r#type: AuctionType) {
        // Exports the series as 0: `rate` misses the bids before the first scrape of a series.
        self.bids_total.with(Auction { auction_id }).add(0);
        let status = AuctionStatus::Opened;
        self.auctions_total
            .with(Auctions { r#type, status })
            .increment();
    }

    pub fn auction_ended(&self, r#type: AuctionType, status: AuctionStatus, duration: Duration) {
        self.auctions_total
            .with(Auctions { r#type, status })
            .increment();
        self.auction_duration_seconds.observe_duration(duration);
    }

    pub fn bid_accepted(&self, auction_id: &str, amount: Millicredits) {
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
            duration,
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
        self.task_duration_seconds
            .with(kind)
            .observe_duration(duration);
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

    pub fn content_verified(&self, duration: Duration) {
        self.content_verification_latency.observe_duration(duration);
    }

    pub fn cache_updated(&self, cache: &CacheStatistics) {
        let CacheStatistics {
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
