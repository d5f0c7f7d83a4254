//! The catalogue of OpenClaw, and a method per event that updates all metrics of the event.

use tower_prometheus::{
    Counter, Error, Histogram, HttpMetrics, Info, Operation, catalogue,
    custom::Outcome,
    labels,
    model::{FamilyDescription, MetricKind},
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

    /// The result of an attempt.
    pub enum AttemptResult("result") { Success = "success", Failed = "failed" }

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

    /// An entry of the audit log.
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

    pub struct Recovery { r#type: open(20), status: AttemptResult }
    pub struct RecoveryType { r#type: open(20) }
    pub struct Build { version: open, rust_version: open }
}

impl From<Outcome> for AttemptResult {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Error | Outcome::Cancelled | Outcome::Panicked => Self::Failed,
        }
    }
}

catalogue! {
    /// Metrics that are recorded where the event happens.
    #[prefix = "openclaw_"]
    pub struct OpenClaw {
        /// Total number of attempts to assign a task to a node, by result.
        pub task_assignments_total: Counter<Assignment>,
        /// Total number of leases issued, by the complexity of the task.
        pub leases_issued_total: Counter<Complexity>,
        /// Total number of leases that expired before a result.
        pub leases_expired_total: Counter,
        /// Total number of leases revoked, by reason, expired ones included.
        pub leases_revoked_total: Counter<LeaseRevocation>,
        /// Total number of node crashes.
        pub node_crashes_total: Counter,
        /// Total number of attempts to requeue a task without a result.
        pub tasks_requeued_total: Counter<Requeue>,
        /// Total number of network partitions of the result store, detected and recovered.
        pub partition_events_total: Counter<Partition>,
        /// Total number of results buffered because the store was unreachable.
        pub results_buffered_total: Counter,
        /// Total number of attempts to flush a buffered result to the store.
        pub results_flushed_total: Counter<AttemptResult>,
        /// Total number of checks whether a node can execute a task, by result.
        pub capability_validations_total: Counter<Validation>,
        /// Total number of tokens issued to nodes.
        pub tokens_issued_total: Counter,
        /// Total number of tokens revoked, by reason.
        pub tokens_revoked_total: Counter<TokenRevocation>,
        /// Total number of entries in the audit log, by type.
        pub audit_events_total: Counter<Audit>,
        /// Total number of message signatures verified, by result.
        pub messages_verified_total: Counter<AttemptResult>,
        /// Total number of recovery operations, by type and status.
        pub recovery_operations_total: Counter<Recovery>,
        /// Duration of recovery operations in seconds.
        pub recovery_duration_seconds: Histogram<RecoveryType>,
        /// Version of the program, and its minimum supported Rust version.
        pub build_info: Info<Build>,
    }
}

/// One method per event; it updates all metrics of the event.
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

    /// An expired lease counts twice: as expired, and as revoked because it expired.
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

    pub fn result_flushed(&self, result: AttemptResult) {
        self.results_flushed_total.with(result).increment();
    }

    pub fn token_issued(&self) {
        self.tokens_issued_total.increment();
    }

    pub fn token_revoked(&self, reason: TokenRevocation) {
        self.tokens_revoked_total.with(reason).increment();
    }

    pub fn audit_recorded(&self, event: Audit) {
        self.audit_events_total.with(event).increment();
    }

    pub fn message_verified(&self, result: AttemptResult) {
        self.messages_verified_total.with(result).increment();
    }

    /// Counts and times a recovery, however it ends.
    pub async fn recovery<T, E>(
        self,
        r#type: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        Operation::new()
            .duration(|_| self.recovery_duration_seconds.with(RecoveryType { r#type }))
            .count(|end| {
                let status = end.outcome.into();
                self.recovery_operations_total
                    .with(Recovery { r#type, status })
            })
            .run(work)
            .await
    }
}

/// A gauge that a collector exports, see [`collectors`](super::collectors).
#[derive(Clone, Copy)]
pub struct CollectedGauge {
    pub name: &'static str,
    pub help: &'static str,
}

const fn gauge(name: &'static str, help: &'static str) -> CollectedGauge {
    CollectedGauge { name, help }
}

pub const ACTIVE_LEASES: CollectedGauge = gauge("openclaw_active_leases", "Number of leases held.");
pub const BUFFER_SIZE: CollectedGauge =
    gauge("openclaw_buffer_size", "Number of results in the buffer.");
pub const BUFFER_UTILIZATION: CollectedGauge = gauge(
    "openclaw_buffer_utilization_percent",
    "Used share of the result buffer in percent.",
);
pub const PARTITION_DEGRADED: CollectedGauge = gauge(
    "openclaw_partition_degraded",
    "Whether the result store is unreachable (1) or not (0).",
);

/// The HTTP layer.
pub fn http() -> HttpMetrics {
    HttpMetrics::server().prefix("openclaw")
}

/// Every metric family of the metrics page.
pub fn families() -> Result<Vec<FamilyDescription>, Error> {
    let collected = [
        ACTIVE_LEASES,
        BUFFER_SIZE,
        BUFFER_UTILIZATION,
        PARTITION_DEGRADED,
    ];
    let mut families = OpenClaw::families();
    families.extend(collected.map(|CollectedGauge { name, help }| {
        let mut family = FamilyDescription::new(name, MetricKind::Gauge);
        family.help = help.to_owned();
        family
    }));
    families.extend(http().families()?);
    Ok(families)
}
