//! Catalogues of real systems, with all their odd names: the whole page of each, after real calls.

use tower_prometheus::{
    Counter, FractionalCounter, Gauge, Histogram, InProgress, Info, Registry, Unit, buckets,
    catalogue, labels,
};

use test_support::page::{assert_open_metrics, assert_readable, open_metrics, samples};

mod openclaw {
    use super::*;

    labels! {
        pub enum Assignment("status") { Success = "success", Failed = "failed", NoCapableNodes = "no_capable_nodes" }
        pub enum Complexity("complexity") { Low = "low", Medium = "medium", High = "high" }
        pub enum Revocation("reason") { Crash = "crash", Manual = "manual", Expired = "expired" }
        pub enum Requeue("result") { Success = "success", PermanentlyFailed = "permanently_failed" }
        pub enum Partition("type") { Detected = "detected", Recovered = "recovered" }
        pub enum Verdict("result") { Success = "success", Failed = "failed" }
        pub enum Validation("result") {
            Valid = "valid",
            CapabilityMissing = "capability_missing",
            ResourceExceeded = "resource_exceeded",
            ScopeViolation = "scope_violation",
        }
        pub enum TokenRevocation("reason") { Rotation = "rotation", Compromise = "compromise", Manual = "manual" }
        pub enum Audit("type") {
            Login = "login", Logout = "logout", Issued = "token_issued", Revoked = "token_revoked",
            Assigned = "task_assigned", Finished = "task_finished", Joined = "node_joined",
            Left = "node_left", Denied = "access_denied",
        }
        pub struct Recovery { r#type: open(2), status: Verdict }
        pub struct RecoveryType { r#type: open(2) }
        pub struct Build { version: open, rust_version: open }
    }

    catalogue! {
        /// Task orchestration.
        #[prefix = "openclaw_"]
        pub struct OpenClaw {
            /// Tasks given to nodes.
            pub task_assignments_total: Counter<Assignment>,
            /// Leases given.
            pub leases_issued_total: Counter<Complexity>,
            /// Leases that ran out.
            pub leases_expired_total: Counter,
            /// Leases taken back.
            pub leases_revoked_total: Counter<Revocation>,
            /// Nodes that crashed.
            pub node_crashes_total: Counter,
            /// Tasks put back.
            pub tasks_requeued_total: Counter<Requeue>,
            /// Partitions seen and gone.
            pub partition_events_total: Counter<Partition>,
            /// Results kept for later.
            pub results_buffered_total: Counter,
            /// Kept results that were sent.
            pub results_flushed_total: Counter<Verdict>,
            /// Capabilities checked.
            pub capability_validations_total: Counter<Validation>,
            /// Tokens given.
            pub tokens_issued_total: Counter,
            /// Tokens taken back.
            pub tokens_revoked_total: Counter<TokenRevocation>,
            /// What the audit log says.
            pub audit_events_total: Counter<Audit>,
            /// Messages whose signature was checked.
            pub messages_verified_total: Counter<Verdict>,
            /// Recoveries by what was lost.
            pub recovery_operations_total: Counter<Recovery>,
            /// Whether there is a partition.
            pub partition_degraded: Gauge,
            /// How long a recovery takes.
            pub recovery_duration_seconds: Histogram<RecoveryType> { buckets: [1.0, 60.0] },
            /// What runs.
            pub build_info: Info<Build>,
        }
    }
}

#[test]
fn openclaw() {
    use openclaw::*;
    let registry = Registry::new();
    let claw = OpenClaw::on(&registry).unwrap();
    claw.task_assignments_total
        .with(Assignment::NoCapableNodes)
        .increment();
    claw.leases_expired_total.add(3);
    for r#type in ["disk", "network", "power"] {
        let status = Verdict::Success;
        claw.recovery_operations_total
            .with(Recovery { r#type, status })
            .increment();
        claw.recovery_duration_seconds
            .with(RecoveryType { r#type })
            .observe(30.0);
    }
    claw.partition_degraded.set(1.0);
    claw.build_info.set(Build {
        version: "1.0",
        rust_version: "1.95",
    });

    let page = registry.render();
    assert_readable(&page);
    assert_open_metrics(&open_metrics(&registry));
    let samples: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(samples.join("\n"), OPENCLAW.trim());
    let families = OpenClaw::families();
    for family in &families {
        let kind = match family.kind.as_str() {
            "info" => "gauge",
            kind => kind,
        };
        let name = &family.name;
        assert!(page.contains(&format!(
            "# HELP {name} {}\n# TYPE {name} {kind}\n",
            family.help
        )));
    }
    let types = page.lines().filter(|line| line.starts_with("# TYPE "));
    // One more: that of what overflowed.
    assert_eq!(types.count(), families.len() + 1);
}

const OPENCLAW: &str = r#"
metrics_label_overflow_total{family="openclaw_recovery_duration_seconds",label="type"} 1
metrics_label_overflow_total{family="openclaw_recovery_operations_total",label="type"} 1
openclaw_audit_events_total{type="access_denied"} 0
openclaw_audit_events_total{type="login"} 0
openclaw_audit_events_total{type="logout"} 0
openclaw_audit_events_total{type="node_joined"} 0
openclaw_audit_events_total{type="node_left"} 0
openclaw_audit_events_total{type="task_assigned"} 0
openclaw_audit_events_total{type="task_finished"} 0
openclaw_audit_events_total{type="token_issued"} 0
openclaw_audit_events_total{type="token_revoked"} 0
openclaw_build_info{rust_version="1.95",version="1.0"} 1
openclaw_capability_validations_total{result="capability_missing"} 0
openclaw_capability_validations_total{result="resource_exceeded"} 0
openclaw_capability_validations_total{result="scope_violation"} 0
openclaw_capability_validations_total{result="valid"} 0
openclaw_leases_expired_total 3
openclaw_leases_issued_total{complexity="high"} 0
openclaw_leases_issued_total{complexity="low"} 0
openclaw_leases_issued_total{complexity="medium"} 0
openclaw_leases_revoked_total{reason="crash"} 0
openclaw_leases_revoked_total{reason="expired"} 0
openclaw_leases_revoked_total{reason="manual"} 0
openclaw_messages_verified_total{result="failed"} 0
openclaw_messages_verified_total{result="success"} 0
openclaw_node_crashes_total 0
openclaw_partition_degraded 1
openclaw_partition_events_total{type="detected"} 0
openclaw_partition_events_total{type="recovered"} 0
openclaw_recovery_duration_seconds_bucket{type="disk",le="1"} 0
openclaw_recovery_duration_seconds_bucket{type="disk",le="60"} 1
openclaw_recovery_duration_seconds_bucket{type="disk",le="+Inf"} 1
openclaw_recovery_duration_seconds_sum{type="disk"} 30
openclaw_recovery_duration_seconds_count{type="disk"} 1
openclaw_recovery_duration_seconds_bucket{type="network",le="1"} 0
openclaw_recovery_duration_seconds_bucket{type="network",le="60"} 1
openclaw_recovery_duration_seconds_bucket{type="network",le="+Inf"} 1
openclaw_recovery_duration_seconds_sum{type="network"} 30
openclaw_recovery_duration_seconds_count{type="network"} 1
openclaw_recovery_duration_seconds_bucket{type="overflow",le="1"} 0
openclaw_recovery_duration_seconds_bucket{type="overflow",le="60"} 1
openclaw_recovery_duration_seconds_bucket{type="overflow",le="+Inf"} 1
openclaw_recovery_duration_seconds_sum{type="overflow"} 30
openclaw_recovery_duration_seconds_count{type="overflow"} 1
openclaw_recovery_operations_total{status="failed",type="disk"} 0
openclaw_recovery_operations_total{status="failed",type="network"} 0
openclaw_recovery_operations_total{status="failed",type="overflow"} 0
openclaw_recovery_operations_total{status="success",type="disk"} 1
openclaw_recovery_operations_total{status="success",type="network"} 1
openclaw_recovery_operations_total{status="success",type="overflow"} 1
openclaw_results_buffered_total 0
openclaw_results_flushed_total{result="failed"} 0
openclaw_results_flushed_total{result="success"} 0
openclaw_task_assignments_total{status="failed"} 0
openclaw_task_assignments_total{status="no_capable_nodes"} 1
openclaw_task_assignments_total{status="success"} 0
openclaw_tasks_requeued_total{result="permanently_failed"} 0
openclaw_tasks_requeued_total{result="success"} 0
openclaw_tokens_issued_total 0
openclaw_tokens_revoked_total{reason="compromise"} 0
openclaw_tokens_revoked_total{reason="manual"} 0
openclaw_tokens_revoked_total{reason="rotation"} 0
"#;

mod aria {
    use super::*;

    labels! {
        pub enum Status { Ok = "200", Failed = "500", Cancelled = "cancelled", Panicked = "panicked" }
        pub enum Ended { Success = "success", Error = "error", Cancelled = "cancelled", Panicked = "panicked" }
        pub enum Job("status") { Active = "active", Paused = "paused" }
        pub enum Role("role") { User = "user", Assistant = "assistant", System = "system" }
        pub struct Build { version: open, rust: open, engine: open }
        pub struct Method { method: open(50) }
        pub struct Request { method: open(50), status: Status }
        pub struct Model { model: open(50) }
        pub struct Call { model: open(50), status: Ended }
        pub struct Routed { selected_agent: open(100) }
        pub struct Agent { agent_id: open(100) }
        pub struct AgentTask { agent_id: open(100), status: Ended }
        pub struct JobId { job_id: open(200) }
        pub struct Execution { job_id: open(200), status: Ended }
        pub struct Skill { skill_name: open(200) }
        pub struct SkillExecution { skill_name: open(200), status: Ended }
        pub struct Operation { operation: open(20) }
        pub struct Errors { error_type: open(100), component: open(50) }
    }

    const SESSIONS: [f64; 7] = [60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 86_400.0];

    catalogue! {
        #[prefix = "aria_"]
        /// An engine of agents.
        pub struct Aria {
            /// What runs here.
            pub build_info: Info<Build>,
            /// Requests that ended.
            pub requests_total: Counter<Request>,
            /// How long requests take.
            pub request_duration_seconds: Histogram<Method> { buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0] },
            /// Requests at work.
            pub requests_in_progress: InProgress<Method>,
            /// Calls of models.
            pub llm_requests_total: Counter<Call>,
            /// Time to the first token.
            pub llm_request_duration_seconds: Histogram<Model> { buckets: [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0] },
            /// Tokens read.
            pub llm_tokens_input_total: Counter<Model>,
            /// Tokens written.
            pub llm_tokens_output_total: Counter<Model>,
            /// What the tokens cost, in US dollars.
            pub llm_token_cost_estimate_total: FractionalCounter<Model>,
            /// 0 closed, 1 open, 2 half-open.
            pub llm_circuit_breaker_state: Gauge<Model>,
            /// How long a model thinks.
            pub llm_thinking_duration_seconds: Histogram<Model> { buckets: [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0] },
            /// Who was chosen.
            pub agent_routing_total: Counter<Routed>,
            /// How long choosing takes.
            pub agent_routing_duration_seconds: Histogram { buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5] },
            /// How attractive an agent is.
            pub agent_pheromone_score: Gauge<Agent>,
            /// Tasks of agents.
            pub agent_tasks_total: Counter<AgentTask>,
            /// Agents at work.
            pub agents_active: Gauge,
            /// Sessions open.
            pub sessions_active: Gauge,
            /// Sessions opened.
            pub sessions_created_total: Counter,
            /// Messages by who wrote them.
            pub sessions_messages_total: Counter<Role>,
            /// How long sessions last.
            pub session_duration_seconds: Histogram { buckets: SESSIONS },
            /// Jobs there are, a gauge whatever its name says.
            pub scheduler_jobs_total: Gauge<Job> { unconventional: true },
            /// Jobs that ran.
            pub scheduler_executions_total: Counter<Execution>,
            /// How long jobs run.
            pub scheduler_execution_duration_seconds: Histogram<JobId> { buckets: [0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0] },
            /// When a job ran last, in seconds since 1970.
            pub scheduler_last_run_timestamp: Gauge<JobId> { unit: Unit::Seconds },
            /// Skills that ran.
            pub skill_executions_total: Counter<SkillExecution>,
            /// How long skills run.
            pub skill_execution_duration_seconds: Histogram<Skill> { buckets: [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0] },
            /// Queries.
            pub db_queries_total: Counter<Operation>,
            /// How long queries take.
            pub db_query_duration_seconds: Histogram<Operation> { buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0] },
            /// Connections there are.
            pub db_pool_size: Gauge,
            /// Connections that are free.
            pub db_pool_available: Gauge,
            /// Errors by their type and where they were seen.
            pub errors_total: Counter<Errors>,
            /// Memory in use.
            pub memory_rss_bytes: Gauge,
        }
    }
}

#[test]
fn aria() {
    use aria::*;
    let registry = Registry::new();
    let aria = Aria::on(&registry).unwrap();
    let model = "a \"quoted\" model";
    aria.build_info.set(Build {
        version: "2.0.0",
        rust: "1.95",
        engine: "x",
    });
    aria.llm_token_cost_estimate_total
        .with(Model { model })
        .add(0.0125);
    aria.llm_token_cost_estimate_total
        .with(Model { model })
        .add(0.5);
    aria.llm_circuit_breaker_state
        .with(Model { model })
        .set(2.0);
    let method = String::from("chat");
    let request = aria
        .requests_in_progress
        .with(Method { method: &method })
        .begin();
    aria.requests_total
        .with(Request {
            method: method.as_str(),
            status: Status::Ok,
        })
        .increment();
    aria.scheduler_jobs_total.with(Job::Active).set(3.0);
    aria.scheduler_last_run_timestamp
        .with(JobId { job_id: "nightly" })
        .set(1_794_000_000.5);
    aria.errors_total
        .with(Errors {
            error_type: "Timeout",
            component: "llm",
        })
        .increment();
    aria.session_duration_seconds.observe(90.0);

    let page = registry.render();
    assert_readable(&page);
    assert_open_metrics(&open_metrics(&registry));
    let samples = samples(&page);
    for (sample, value) in [
        (
            r#"aria_build_info{engine="x",rust="1.95",version="2.0.0"}"#,
            1.0,
        ),
        (
            r#"aria_llm_token_cost_estimate_total{model="a \"quoted\" model"}"#,
            0.5125,
        ),
        (
            r#"aria_llm_circuit_breaker_state{model="a \"quoted\" model"}"#,
            2.0,
        ),
        (r#"aria_requests_in_progress{method="chat"}"#, 1.0),
        (r#"aria_requests_total{method="chat",status="200"}"#, 1.0),
        (r#"aria_requests_total{method="chat",status="500"}"#, 0.0),
        (
            r#"aria_requests_total{method="chat",status="cancelled"}"#,
            0.0,
        ),
        (r#"aria_scheduler_jobs_total{status="active"}"#, 3.0),
        (
            r#"aria_scheduler_last_run_timestamp{job_id="nightly"}"#,
            1_794_000_000.5,
        ),
        (
            r#"aria_errors_total{component="llm",error_type="Timeout"}"#,
            1.0,
        ),
        ("aria_session_duration_seconds_sum", 90.0),
        ("aria_agents_active", 0.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample}\n{page}");
    }
    drop(request);
    assert_eq!(registry.value("aria_requests_in_progress", &[]), Some(0.0));
}

mod zerostate {
    use super::*;

    labels! {
        pub enum State { Opening = "opening", Open = "open", Closed = "closed" }
        pub enum Party { Client = "client", Provider = "provider" }
        pub struct Channels { state: State, party: Party }
        pub struct Balance { channel_id: open(3), party: Party }
        pub struct Peer { peer_id: open(3) }
        pub struct TaskError { r#type: open, error: open }
    }

    catalogue! {
        #[prefix = "zerostate_economic_"]
        pub struct ZeroState {
            /// Channels that came to a state.
            pub channels_total: Counter<Channels>,
            /// Channels in a state.
            pub channels_active: Gauge<Channels>,
            /// How long channels are open.
            pub channel_duration_seconds: Histogram { buckets: buckets::DURATION },
            /// What is in a channel.
            pub channel_balances: Gauge<Balance>,
            /// What is paid.
            pub payment_amount: Histogram { buckets: buckets::COST },
            /// Reputation by peer.
            pub reputation_scores: Gauge<Peer>,
            /// Tasks by peer.
            pub tasks_executed_total: Counter<Peer>,
            /// How many of its tasks a peer ends well.
            pub success_rate: Gauge<Peer>,
            /// Errors by task.
            pub task_errors_total: Counter<TaskError>,
            /// Peers that are watched.
            pub active_peer_monitors: Gauge { name: "active_peer_monitors" },
            /// How long content is checked.
            pub content_verification_latency: Histogram { name: "content_verification_latency", unit: Unit::Seconds, buckets: buckets::DURATION },
            /// Bytes in the cache.
            pub cache_memory_bytes: Gauge { name: "cache_memory_bytes" },
            /// What the cache threw out.
            pub cache_evictions_total: Counter { name: "cache_evictions_total" },
        }
    }

    impl ZeroState {
        /// One event, several families.
        pub(crate) fn channel_opened(&self, party: Party, channel_id: &str, deposit: f64) {
            let channels = Channels {
                state: State::Open,
                party,
            };
            self.channels_total.with(channels).increment();
            self.channels_active.with(channels).increment();
            self.channel_balances
                .with(Balance { channel_id, party })
                .set(deposit);
        }
    }
}

#[test]
fn zerostate() {
    use zerostate::*;
    let registry = Registry::new();
    let zero = ZeroState::on(&registry).unwrap();
    zero.payment_amount.observe(0.01);
    for i in 0..10 {
        zero.channel_opened(Party::Client, &i.to_string(), 2.5);
        zero.tasks_executed_total
            .with(Peer {
                peer_id: i.to_string(),
            })
            .increment();
    }
    zero.cache_evictions_total.increment();
    zero.content_verification_latency.observe(0.5);
    zero.task_errors_total
        .with(TaskError {
            r#type: "render",
            error: "timeout",
        })
        .increment();

    let page = registry.render();
    assert_readable(&page);
    assert_open_metrics(&open_metrics(&registry));
    let samples = samples(&page);
    for (sample, value) in [
        (
            r#"zerostate_economic_channels_total{party="client",state="open"}"#,
            10.0,
        ),
        (
            r#"zerostate_economic_channels_total{party="provider",state="closed"}"#,
            0.0,
        ),
        (
            r#"zerostate_economic_channel_balances{channel_id="2",party="client"}"#,
            2.5,
        ),
        (
            r#"zerostate_economic_channel_balances{channel_id="2",party="provider"}"#,
            0.0,
        ),
        (
            r#"zerostate_economic_channel_balances{channel_id="overflow",party="client"}"#,
            2.5,
        ),
        (
            r#"zerostate_economic_tasks_executed_total{peer_id="0"}"#,
            1.0,
        ),
        (
            r#"zerostate_economic_tasks_executed_total{peer_id="overflow"}"#,
            7.0,
        ),
        (
            r#"zerostate_economic_payment_amount_bucket{le="0.01"}"#,
            1.0,
        ),
        (
            r#"zerostate_economic_payment_amount_bucket{le="1000"}"#,
            1.0,
        ),
        (
            r#"zerostate_economic_task_errors_total{error="timeout",type="render"}"#,
            1.0,
        ),
        ("active_peer_monitors", 0.0),
        ("cache_evictions_total", 1.0),
        ("content_verification_latency_count", 1.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample}\n{page}");
    }
    let unit = ZeroState::families()
        .into_iter()
        .find(|f| f.name == "content_verification_latency");
    assert_eq!(unit.unwrap().unit, Some(Unit::Seconds));
}
