//! The catalogues of three systems, recorded into directly: the whole metrics page, names that
//! differ from the Rust fields, and the limits of labels.

use systems::aria::metrics::{self as aria, Aria};
use systems::openclaw::metrics::{self as openclaw, Assignment, AttemptResult, OpenClaw};
use systems::zerostate::metrics::{self as zerostate, ChannelState, Party, ZeroState};
use test_support::page::{
    assert_valid_open_metrics, assert_valid_text, render_open_metrics, samples,
};
use tower_prometheus::{Registry, Unit, model::FamilyDescription};

/// Renders the metrics page, and asserts that parsers of the text format and of OpenMetrics read it.
fn page_of(registry: &Registry) -> String {
    let page = registry.render();
    assert_valid_text(&page);
    assert_valid_open_metrics(&render_open_metrics(registry));
    page
}

#[track_caller]
fn assert_samples(page: &str, expected: &[(&str, f64)]) {
    let samples = samples(page);
    for (sample, value) in expected {
        assert_eq!(samples.get(*sample), Some(value), "{sample}\n{page}");
    }
}

/// Asserts that the HELP and TYPE lines of every family are those of its description.
#[track_caller]
fn assert_described(page: &str, families: &[FamilyDescription]) {
    for family in families {
        let kind = match family.kind.as_str() {
            "info" => "gauge",
            kind => kind,
        };
        let name = &family.name;
        let lines = format!("# HELP {name} {}\n# TYPE {name} {kind}\n", family.help);
        assert!(page.contains(&lines), "{lines}\n{page}");
    }
}

fn recover(claw: &OpenClaw, r#type: &str) {
    let status = AttemptResult::Success;
    claw.recovery_operations_total
        .with(openclaw::Recovery { r#type, status })
        .increment();
    claw.recovery_duration_seconds
        .with(openclaw::RecoveryType { r#type })
        .observe(3.0);
}

#[test]
fn openclaw_page_has_every_enum_label_value() {
    let registry = Registry::new();
    let claw = OpenClaw::on(&registry).unwrap();
    claw.task_assignments_total
        .with(Assignment::NoCapableNodes)
        .increment();
    claw.leases_expired_total.add(3);
    recover(&claw, "disk");
    claw.build_info.set(openclaw::Build {
        version: "1.0",
        rust_version: "1.95",
    });

    let page = page_of(&registry);
    let samples: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(samples.join("\n"), OPENCLAW.trim());
    let families = OpenClaw::families();
    assert_described(&page, &families);
    let types = page.lines().filter(|line| line.starts_with("# TYPE "));
    assert_eq!(types.count(), families.len());
}

const OPENCLAW: &str = r#"
openclaw_audit_events_total{type="lease_issued"} 0
openclaw_audit_events_total{type="lease_revoked"} 0
openclaw_audit_events_total{type="message_rejected"} 0
openclaw_audit_events_total{type="node_crashed"} 0
openclaw_audit_events_total{type="node_joined"} 0
openclaw_audit_events_total{type="task_abandoned"} 0
openclaw_audit_events_total{type="task_completed"} 0
openclaw_audit_events_total{type="task_submitted"} 0
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
openclaw_partition_events_total{type="detected"} 0
openclaw_partition_events_total{type="recovered"} 0
openclaw_recovery_duration_seconds_bucket{type="disk",le="0.005"} 0
openclaw_recovery_duration_seconds_bucket{type="disk",le="0.01"} 0
openclaw_recovery_duration_seconds_bucket{type="disk",le="0.025"} 0
openclaw_recovery_duration_seconds_bucket{type="disk",le="0.05"} 0
openclaw_recovery_duration_seconds_bucket{type="disk",le="0.1"} 0
openclaw_recovery_duration_seconds_bucket{type="disk",le="0.25"} 0
openclaw_recovery_duration_seconds_bucket{type="disk",le="0.5"} 0
openclaw_recovery_duration_seconds_bucket{type="disk",le="1"} 0
openclaw_recovery_duration_seconds_bucket{type="disk",le="2.5"} 0
openclaw_recovery_duration_seconds_bucket{type="disk",le="5"} 1
openclaw_recovery_duration_seconds_bucket{type="disk",le="10"} 1
openclaw_recovery_duration_seconds_bucket{type="disk",le="+Inf"} 1
openclaw_recovery_duration_seconds_sum{type="disk"} 3
openclaw_recovery_duration_seconds_count{type="disk"} 1
openclaw_recovery_operations_total{status="failed",type="disk"} 0
openclaw_recovery_operations_total{status="success",type="disk"} 1
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

/// Recovery types beyond the limit of 20 share the series `overflow`, and are counted.
#[test]
fn recovery_types_beyond_the_limit_are_overflow() {
    let registry = Registry::new();
    let claw = OpenClaw::on(&registry).unwrap();
    for i in 0..22 {
        recover(&claw, &format!("type-{i}"));
    }
    let page = page_of(&registry);
    assert_samples(
        &page,
        &[
            (
                r#"openclaw_recovery_operations_total{status="success",type="type-19"}"#,
                1.0,
            ),
            (
                r#"openclaw_recovery_operations_total{status="success",type="overflow"}"#,
                2.0,
            ),
            (
                r#"openclaw_recovery_operations_total{status="failed",type="overflow"}"#,
                0.0,
            ),
            (
                r#"openclaw_recovery_duration_seconds_bucket{type="overflow",le="2.5"}"#,
                0.0,
            ),
            (
                r#"openclaw_recovery_duration_seconds_bucket{type="overflow",le="5"}"#,
                2.0,
            ),
            (
                r#"openclaw_recovery_duration_seconds_sum{type="overflow"}"#,
                6.0,
            ),
            (
                r#"metrics_label_overflow_total{family="openclaw_recovery_operations_total",label="type"}"#,
                2.0,
            ),
            (
                r#"metrics_label_overflow_total{family="openclaw_recovery_duration_seconds",label="type"}"#,
                2.0,
            ),
        ],
    );
    assert!(
        !page.contains("type-20") && !page.contains("type-21"),
        "{page}"
    );
    let families = OpenClaw::families();
    let described = families
        .iter()
        .filter(|family| family.name != "openclaw_build_info");
    assert_described(&page, &described.cloned().collect::<Vec<_>>());
    let types = page.lines().filter(|line| line.starts_with("# TYPE "));
    // Plus `metrics_label_overflow_total`, minus `openclaw_build_info`, which is not set.
    assert_eq!(types.count(), families.len());
}

#[test]
fn aria_records_fractions_escaped_labels_and_a_gauge_named_like_a_counter() {
    let registry = Registry::new();
    let metrics = Aria::on(&registry).unwrap();
    let model = "a \"quoted\" model";
    metrics.build_info.set(aria::Build {
        version: "2.0.0",
        rust: "1.95",
        engine: "x",
    });
    let cost = metrics.llm_token_cost_estimate_total;
    cost.with(aria::Model { model }).add(0.0125);
    cost.with(aria::Model { model }).add(0.5);
    let method = String::from("chat");
    let request = metrics
        .requests_in_progress
        .with(aria::Method { method: &method })
        .start();
    metrics
        .requests_total
        .with(aria::Request {
            method: method.as_str(),
            status: aria::Status::Ok,
        })
        .increment();
    metrics
        .scheduler_jobs_total
        .with(aria::JobStatus::Active)
        .set(3.0);
    let job_id = "a \"quoted\" job";
    metrics
        .scheduler_last_run_timestamp
        .with(aria::Job { job_id })
        .set(1_794_000_000.5);
    metrics
        .errors_total
        .with(aria::Failure {
            error_type: "Timeout",
            component: "llm",
        })
        .increment();
    metrics.session_duration_seconds.observe(90.0);

    assert_samples(
        &page_of(&registry),
        &[
            (
                r#"aria_build_info{engine="x",rust="1.95",version="2.0.0"}"#,
                1.0,
            ),
            (
                r#"aria_llm_token_cost_estimate_total{model="a \"quoted\" model"}"#,
                0.5125,
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
                r#"aria_scheduler_last_run_timestamp{job_id="a \"quoted\" job"}"#,
                1_794_000_000.5,
            ),
            (
                r#"aria_errors_total{component="llm",error_type="Timeout"}"#,
                1.0,
            ),
            ("aria_session_duration_seconds_sum", 90.0),
            ("aria_sessions_created_total", 0.0),
        ],
    );
    drop(request);
    assert_eq!(registry.sum("aria_requests_in_progress", &[]), Some(0.0));
}

#[test]
fn zerostate_exports_names_without_prefix_and_overflow_of_peers() {
    let registry = Registry::new();
    let zero = ZeroState::on(&registry).unwrap();
    zero.payment_amount.observe(0.01);
    let mut channels = Vec::new();
    for i in 0..zerostate::MAX_PEERS + 7 {
        if i < 10 {
            channels.push(zero.channel_opened(ChannelState::Open, Party::Client));
        }
        let peer_id = format!("peer-{i}");
        zero.tasks_executed_total
            .with(zerostate::Peer { peer_id: &peer_id })
            .increment();
        zero.reputation_scores
            .with(zerostate::Peer { peer_id })
            .set(i as f64);
    }
    zero.cache_evictions_total.increment();
    zero.content_verification_latency.observe(0.5);
    zero.task_errors_total
        .with(zerostate::TaskErrors {
            r#type: zerostate::TaskType::Compute,
            error: zerostate::TaskError::Timeout,
        })
        .increment();

    let page = page_of(&registry);
    // A gauge of several peers would have the value of one of them.
    let overflow = r#"zerostate_economic_reputation_scores{peer_id="overflow"}"#;
    assert!(!page.contains(overflow), "{page}");
    assert_samples(
        &page,
        &[
            (
                r#"zerostate_economic_channels_total{party="client",state="open"}"#,
                10.0,
            ),
            (
                r#"zerostate_economic_channels_active{party="client",state="open"}"#,
                10.0,
            ),
            (
                r#"zerostate_economic_channels_total{party="provider",state="pending"}"#,
                0.0,
            ),
            (
                r#"zerostate_economic_tasks_executed_total{peer_id="peer-0"}"#,
                1.0,
            ),
            (
                r#"zerostate_economic_tasks_executed_total{peer_id="overflow"}"#,
                7.0,
            ),
            (
                r#"zerostate_economic_reputation_scores{peer_id="peer-2"}"#,
                2.0,
            ),
            (
                r#"zerostate_economic_payment_amount_bucket{le="0.001"}"#,
                0.0,
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
                r#"zerostate_economic_task_errors_total{error="timeout",type="compute"}"#,
                1.0,
            ),
            ("active_peer_monitors", 0.0),
            ("cache_entries", 0.0),
            ("cache_evictions_total", 1.0),
            ("content_verification_latency_count", 1.0),
        ],
    );
    let unit = ZeroState::families()
        .into_iter()
        .find(|family| family.name == "content_verification_latency");
    assert_eq!(unit.unwrap().unit, Some(Unit::Seconds));
}
