//! What OpenClaw measures: its families, and what happens to them at once.

use tower_prometheus::{
    Counter, Error, FamilyDescription, FamilyKind, Histogram, HttpMetrics, Info, Operation,
    Outcome, catalogue, labels,
};

labels! {
    pub enum Assignment("status") {
        Success = "success",
        Failed = "failed",
        NoCapableNodes = "no_capable_nodes",
    }

    #[derive(serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Complexity("complexity") { Low = "low", Medium = "medium", High = "high" }

    pub enum LeaseRevocation("reason") { Crash = "crash", Manual = "manual", Expired = "expired" }

    pub enum Requeue("result") { Success = "success", PermanentlyFailed = "permanently_failed" }

    pub enum Partition("type") { Detected = "detected", Recovered = "recovered" }

    /// Whether something worked.
    pub enum Verdict("result") { Success = "success", Failed = "failed" }

    pub enum Validation("result") {
        Valid = "valid",
        CapabilityMissing = "capability_missing",
        ResourceExceeded = "resource_exceeded",
        ScopeViolation = "scope_violation",
    }

    pub enum TokenRevocation("reason") {
        Rotation = "rotation",
        Compromise = "compromise",
        Manual = "manual",
    }

    /// What is worth a line in the audit log.
    pub enum Audit("type") {
        TaskSubmitted = "task_submitted",
        TaskCompleted = "task_completed",
        TaskAbandoned = "task_abandoned",
        LeaseIssued = "lease_issued",
        LeaseRevoked = "lease_revoked",
        NodeJoined = "node_joined",
        NodeCrashed = "node_crashed",
        TokenRevoked = "token_revoked",
        MessageRejected = "message_rejected",
    }

    pub struct Recovery { r#type: open(20), status: Verdict }
    pub struct RecoveryType { r#type: open(20) }
    pub struct Build { version: open, rust_version: open }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Error | Outcome::Cancelled | Outcome::Panicked => Self::Failed,
        }
    }
}

catalogue! {
    /// What OpenClaw counts where it happens.
    #[prefix = "openclaw_"]
    pub struct OpenClaw {
        /// Tasks that were to be given to a node.
        pub task_assignments_total: Counter<Assignment>,
        /// Leases given with a task.
        pub leases_issued_total: Counter<Complexity>,
        /// Leases that ran out before there was a result.
        pub leases_expired_total: Counter,
        /// Leases taken back, those that ran out among them.
        pub leases_revoked_total: Counter<LeaseRevocation>,
        /// Nodes that died.
        pub node_crashes_total: Counter,
        /// Tasks without a result that were to be tried again.
        pub tasks_requeued_total: Counter<Requeue>,
        /// Times that the result store went out of reach, or came back.
        pub partition_events_total: Counter<Partition>,
        /// Results kept until the store can be reached.
        pub results_buffered_total: Counter,
        /// Attempts to bring a kept result to the store.
        pub results_flushed_total: Counter<Verdict>,
        /// Nodes looked at for a task, by why they can take it or not.
        pub capability_validations_total: Counter<Validation>,
        /// Tokens given to nodes.
        pub tokens_issued_total: Counter,
        /// Tokens that are not valid any more.
        pub tokens_revoked_total: Counter<TokenRevocation>,
        /// Lines of the audit log.
        pub audit_events_total: Counter<Audit>,
        /// Messages whose signature was checked.
        pub messages_verified_total: Counter<Verdict>,
        /// Recoveries by what was recovered.
        pub recovery_operations_total: Counter<Recovery>,
        /// How long recoveries take.
        pub recovery_duration_seconds: Histogram<RecoveryType>,
        /// What runs here: its version, and the oldest Rust that compiles it.
        pub build_info: Info<Build>,
    }
}

/// One call, one event, all of its families.
impl OpenClaw {
    pub fn started(&self) {
        self.build_info.set(Build {
            version: env!("CARGO_PKG_VERSION"),
            rust_version: env!("CARGO_PKG_RUST_VERSION"),
        });
    }

    pub fn assigned(&self, assignment: Assignment) {
        self.task_assignments_total.with(assignment).increment();
    }

    pub fn validated(&self, validation: Validation) {
        self.capability_validations_total
            .with(validation)
            .increment();
    }

    pub fn lease_issued(&self, complexity: Complexity) {
        self.leases_issued_total.with(complexity).increment();
    }

    /// A lease that expired is both: run out, and taken back for it.
    pub fn lease_revoked(&self, reason: LeaseRevocation) {
        if reason == LeaseRevocation::Expired {
            self.leases_expired_total.increment();
        }
        self.leases_revoked_total.with(reason).increment();
    }

    pub fn node_crashed(&self) {
        self.node_crashes_total.increment();
    }

    pub fn requeued(&self, requeue: Requeue) {
        self.tasks_requeued_total.with(requeue).increment();
    }

    pub fn partition(&self, event: Partition) {
        self.partition_events_total.with(event).increment();
    }

    pub fn result_buffered(&self) {
        self.results_buffered_total.increment();
    }

    pub fn result_flushed(&self, verdict: Verdict) {
        self.results_flushed_total.with(verdict).increment();
    }

    pub fn token_issued(&self) {
        self.tokens_issued_total.increment();
    }

    pub fn token_revoked(&self, reason: TokenRevocation) {
        self.tokens_revoked_total.with(reason).increment();
    }

    pub fn audited(&self, event: Audit) {
        self.audit_events_total.with(event).increment();
    }

    pub fn message_verified(&self, verdict: Verdict) {
        self.messages_verified_total.with(verdict).increment();
    }

    /// Anything that recovers something: counted and timed, however it ends.
    pub async fn recovery<T, E>(
        self,
        r#type: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        Operation::new()
            .duration(|_| self.recovery_duration_seconds.with(RecoveryType { r#type }))
            .total(|end| {
                let status = end.outcome.into();
                self.recovery_operations_total
                    .with(Recovery { r#type, status })
            })
            .run(work)
            .await
    }
}

/// A gauge that a service is asked for, see [`pulled`](super::pulled).
#[derive(Clone, Copy)]
pub struct PulledGauge {
    pub name: &'static str,
    pub help: &'static str,
}

const fn pulled(name: &'static str, help: &'static str) -> PulledGauge {
    PulledGauge { name, help }
}

pub const ACTIVE_LEASES: PulledGauge = pulled("openclaw_active_leases", "Leases held now.");
pub const BUFFER_SIZE: PulledGauge =
    pulled("openclaw_buffer_size", "Results that wait for the store.");
pub const BUFFER_UTILIZATION: PulledGauge = pulled(
    "openclaw_buffer_utilization_percent",
    "How full the buffer of results is.",
);
pub const PARTITION_DEGRADED: PulledGauge = pulled(
    "openclaw_partition_degraded",
    "Whether the result store is out of reach.",
);

/// How requests to the API are measured.
pub fn http() -> HttpMetrics {
    HttpMetrics::server().prefix("openclaw")
}

/// Every family of the page.
pub fn families() -> Result<Vec<FamilyDescription>, Error> {
    let pulled = [
        ACTIVE_LEASES,
        BUFFER_SIZE,
        BUFFER_UTILIZATION,
        PARTITION_DEGRADED,
    ];
    let mut families = OpenClaw::families();
    families.extend(pulled.map(|PulledGauge { name, help }| {
        let mut family = FamilyDescription::new(name, FamilyKind::Gauge);
        family.help = help.to_owned();
        family
    }));
    families.extend(http().families()?);
    Ok(families)
}
