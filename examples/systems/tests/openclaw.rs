//! OpenClaw, started as a program and called over HTTP: its metric families and its counts.

use tower_prometheus::{Registry, buckets};

use systems::openclaw::leases::LeaseService;
use systems::openclaw::metrics::{Complexity, OpenClaw};
use systems::openclaw::partition::{Network, PartitionDetector};
use systems::openclaw::results::ResultBuffer;
use systems::openclaw::task::{Needs, Task};
use systems::openclaw::{audit::AuditLog, collectors};
use test_support::page::{assert_valid_text, samples};
use test_support::process::{RunningProgram, curl, program};
use test_support::server::Server;
use test_support::skip_without;
use test_support::system::{Row, assert_page_matches_table, histogram_row, row, wait_for_page};

const TABLE: &[Row] = &[
    row(
        "counter",
        "openclaw_task_assignments_total",
        &[("status", &["success", "failed", "no_capable_nodes"])],
    ),
    row(
        "counter",
        "openclaw_leases_issued_total",
        &[("complexity", &["low", "medium", "high"])],
    ),
    row("counter", "openclaw_leases_expired_total", &[]),
    row(
        "counter",
        "openclaw_leases_revoked_total",
        &[("reason", &["crash", "manual", "expired"])],
    ),
    row("counter", "openclaw_node_crashes_total", &[]),
    row(
        "counter",
        "openclaw_tasks_requeued_total",
        &[("result", &["success", "permanently_failed"])],
    ),
    row(
        "counter",
        "openclaw_partition_events_total",
        &[("type", &["detected", "recovered"])],
    ),
    row("counter", "openclaw_results_buffered_total", &[]),
    row(
        "counter",
        "openclaw_results_flushed_total",
        &[("result", &["success", "failed"])],
    ),
    row(
        "counter",
        "openclaw_capability_validations_total",
        &[(
            "result",
            &[
                "valid",
                "capability_missing",
                "resource_exceeded",
                "scope_violation",
            ],
        )],
    ),
    row("counter", "openclaw_tokens_issued_total", &[]),
    row(
        "counter",
        "openclaw_tokens_revoked_total",
        &[("reason", &["rotation", "compromise", "manual"])],
    ),
    row(
        "counter",
        "openclaw_audit_events_total",
        &[(
            "type",
            &[
                "task_submitted",
                "task_completed",
                "task_abandoned",
                "lease_issued",
                "lease_revoked",
                "node_joined",
                "node_crashed",
                "token_revoked",
                "message_rejected",
            ],
        )],
    ),
    row(
        "counter",
        "openclaw_messages_verified_total",
        &[("result", &["success", "failed"])],
    ),
    row("gauge", "openclaw_active_leases", &[]),
    row("gauge", "openclaw_buffer_size", &[]),
    row("gauge", "openclaw_buffer_utilization_percent", &[]),
    row("gauge", "openclaw_partition_degraded", &[]),
    row(
        "gauge",
        "openclaw_build_info",
        &[("version", &[]), ("rust_version", &[])],
    ),
];

/// Families with a free-form label: exported after the first recovery.
const RECOVERIES: &[Row] = &[
    row(
        "counter",
        "openclaw_recovery_operations_total",
        &[("type", &[]), ("status", &["success", "failed"])],
    ),
    histogram_row(
        "histogram",
        "openclaw_recovery_duration_seconds",
        &[("type", &[])],
        &buckets::DEFAULT,
    ),
];

fn assert_all_families(page: &str) {
    assert_page_matches_table(page, &[], TABLE);
    assert_page_matches_table(page, &[], RECOVERIES);
}

/// The running example; dropping it stops the program.
struct Claw {
    process: RunningProgram,
    url: String,
}

impl Claw {
    fn start(arguments: &[&str]) -> Self {
        let mut process =
            RunningProgram::start(program(env!("CARGO_BIN_EXE_openclaw")).args(arguments));
        let url = format!("http://{}", process.read_line_after("http://"));
        let url = url.strip_suffix("/metrics").unwrap().to_owned();
        let claw = Self { process, url };
        claw.wait_for_values(&[(r#"audit_events_total{type="node_joined"}"#, 2.0)]);
        claw
    }

    /// Sends a request and returns the status of the response.
    fn send(&self, method: &str, path: &str, body: &str) -> String {
        let url = format!("{}{path}", self.url);
        let status = ["-o", "/dev/null", "-w", "%{http_code}"];
        let json = ["-H", "content-type: application/json", "-d", body];
        curl(&[&status[..], &json, &["-X", method, &url]].concat())
    }

    fn submit(&self, task: &str) -> String {
        self.send("POST", "/tasks", task)
    }

    fn metrics_url(&self) -> String {
        format!("{}/metrics", self.url)
    }

    /// Scrapes until one metrics page has all these values: metrics are updated while a page is
    /// rendered, so the first pages can have only some of them.
    #[track_caller]
    fn wait_for_values(&self, expected: &[(&str, f64)]) {
        wait_for_page(&self.metrics_url(), &format!("{expected:?}"), |page| {
            let samples = samples(page);
            let has_value = |(name, value): &(&str, f64)| {
                samples.get(&format!("openclaw_{name}")) == Some(value)
            };
            expected.iter().all(has_value)
        });
    }
}

#[test]
fn every_family_is_exported_before_the_first_request() {
    skip_without!(Curl);
    let claw = Claw::start(&["--no-traffic"]);
    let page = curl(&[&claw.metrics_url()]);
    assert_page_matches_table(&page, &[], TABLE);
    for row in RECOVERIES {
        assert!(!page.contains(&format!("\n{}", row.name)), "{page}");
    }
    // The three collectors succeed. Process metrics are not registered.
    for collector in ["leases", "buffer", "partition"] {
        let success = format!("scrape_collector_success{{collector=\"{collector}\"}} 1\n");
        assert!(page.contains(&success), "{page}");
    }
    assert!(!page.contains("process_"), "{page}");
}

#[test]
fn built_in_traffic_updates_every_family() {
    skip_without!(Curl);
    let claw = Claw::start(&[]);
    // Returns a counter that is missing or 0.
    let not_updated = |page: &str| -> Option<String> {
        let samples = samples(page);
        let counters = TABLE
            .iter()
            .chain(RECOVERIES)
            .filter(|row| row.kind == "counter");
        let mut not_updated = counters.filter_map(|row| {
            let is_of_row = |name: &str| name.split('{').next() == Some(row.name);
            let mut of_row = samples
                .iter()
                .filter(|(name, _)| is_of_row(name))
                .peekable();
            if of_row.peek().is_none() {
                return Some(row.name.to_owned());
            }
            // A node restart never fails.
            let mut zero = of_row.filter(|(_, value)| **value == 0.0);
            Some(
                zero.find(|(name, _)| !name.contains("node_restart"))?
                    .0
                    .clone(),
            )
        });
        not_updated.next()
    };
    let page = wait_for_page(&claw.metrics_url(), "every counter was updated", |page| {
        not_updated(page).is_none()
    });
    assert_all_families(&page);
    let is_above_zero = |page: &str, name: &str| samples(page)[name] > 0.0;
    for gauge in [
        "openclaw_active_leases",
        "openclaw_buffer_size",
        "openclaw_buffer_utilization_percent",
        "openclaw_partition_degraded",
    ] {
        wait_for_page(&claw.metrics_url(), gauge, |page| {
            is_above_zero(page, gauge)
        });
    }
    let http = "openclaw_http_requests_total{endpoint=\"/tasks\",method=\"POST\",status=\"202\"}";
    assert!(samples(&page)[http] > 0.0, "{page}");
}

#[test]
fn tasks_are_assigned_to_capable_nodes() {
    skip_without!(Curl);
    let claw = Claw::start(&["--no-traffic"]);
    for complexity in ["low", "medium", "high", "high"] {
        let task = format!(r#"{{"capability":"compile","complexity":"{complexity}"}}"#);
        assert_eq!(claw.submit(&task), "202");
        claw.wait_for_values(&[("active_leases", 0.0)]);
    }
    for task in [
        r#"{"capability":"levitate","complexity":"low"}"#,
        r#"{"capability":"train","complexity":"low","memory_mb":100000}"#,
        r#"{"capability":"train","complexity":"low","scope":"secret"}"#,
    ] {
        assert_eq!(claw.submit(task), "503");
    }
    // The node executes one task and its inbox holds four. It may not have taken the first task
    // yet, so two or three are rejected.
    let hangs = r#"{"capability":"train","complexity":"high","work_ms":60000}"#;
    let rejected = (0..7).filter(|_| claw.submit(hangs) == "503").count();
    assert!((2..=3).contains(&rejected), "{rejected}");
    let rejected = rejected as f64;

    claw.wait_for_values(&[
        (r#"task_assignments_total{status="no_capable_nodes"}"#, 3.0),
        (r#"leases_issued_total{complexity="low"}"#, 1.0),
        (
            r#"task_assignments_total{status="success"}"#,
            11.0 - rejected,
        ),
        (r#"task_assignments_total{status="failed"}"#, rejected),
        (r#"leases_issued_total{complexity="medium"}"#, 1.0),
        (r#"leases_issued_total{complexity="high"}"#, 9.0 - rejected),
        ("active_leases", 7.0 - rejected),
        (r#"messages_verified_total{result="success"}"#, 4.0),
        (r#"messages_verified_total{result="failed"}"#, 0.0),
        (r#"audit_events_total{type="task_submitted"}"#, 14.0),
        (r#"audit_events_total{type="task_completed"}"#, 4.0),
        // Atlas is checked first. Only Borealis can train, so each training task fails the check of Atlas.
        (r#"capability_validations_total{result="valid"}"#, 11.0),
        (
            r#"capability_validations_total{result="capability_missing"}"#,
            11.0,
        ),
        (
            r#"capability_validations_total{result="resource_exceeded"}"#,
            1.0,
        ),
        (
            r#"capability_validations_total{result="scope_violation"}"#,
            1.0,
        ),
    ]);
}

#[test]
fn hanging_task_is_abandoned_after_three_expired_leases() {
    skip_without!(Curl);
    let claw = Claw::start(&["--no-traffic"]);
    let hangs = r#"{"capability":"train","complexity":"low","work_ms":60000}"#;
    assert_eq!(claw.submit(hangs), "202");
    claw.wait_for_values(&[("active_leases", 1.0)]);
    claw.wait_for_values(&[
        (r#"tasks_requeued_total{result="permanently_failed"}"#, 1.0),
        (r#"leases_issued_total{complexity="low"}"#, 3.0),
        ("leases_expired_total", 3.0),
        (r#"leases_revoked_total{reason="expired"}"#, 3.0),
        (r#"leases_revoked_total{reason="crash"}"#, 0.0),
        (r#"tasks_requeued_total{result="success"}"#, 2.0),
        (r#"task_assignments_total{status="success"}"#, 3.0),
        (r#"audit_events_total{type="task_completed"}"#, 0.0),
        ("active_leases", 0.0),
    ]);
}

#[test]
fn task_of_a_crashed_node_is_requeued() {
    skip_without!(Curl);
    let claw = Claw::start(&["--no-traffic"]);
    // Assigned to Atlas, the first by name; requeued, Borealis can execute it too.
    let task = r#"{"capability":"compile","complexity":"high","work_ms":1000}"#;
    assert_eq!(claw.submit(task), "202");
    assert_eq!(claw.send("POST", "/nodes/atlas/crash", ""), "204");
    assert_eq!(claw.send("POST", "/nodes/unknown/crash", ""), "404");
    claw.wait_for_values(&[
        (r#"audit_events_total{type="task_completed"}"#, 1.0),
        ("node_crashes_total", 1.0),
        (r#"leases_revoked_total{reason="crash"}"#, 1.0),
        (r#"tasks_requeued_total{result="success"}"#, 1.0),
        (r#"task_assignments_total{status="success"}"#, 2.0),
        (r#"audit_events_total{type="node_joined"}"#, 3.0),
        (
            r#"recovery_operations_total{status="success",type="node_restart"}"#,
            1.0,
        ),
        (
            r#"recovery_operations_total{status="failed",type="node_restart"}"#,
            0.0,
        ),
        (
            r#"recovery_duration_seconds_count{type="node_restart"}"#,
            1.0,
        ),
    ]);
}

#[test]
fn leases_and_tokens_are_revoked_manually_and_after_forgery() {
    skip_without!(Curl);
    let claw = Claw::start(&["--no-traffic"]);
    let task = r#"{"capability":"train","complexity":"high","work_ms":1000}"#;
    assert_eq!(claw.submit(task), "202");
    assert_eq!(claw.send("DELETE", "/leases/1", ""), "204");
    assert_eq!(claw.send("DELETE", "/leases/1", ""), "404");
    assert_eq!(claw.send("DELETE", "/nodes/atlas/token", ""), "204");
    let forged = r#"{"node":"borealis","lease":2,"signature":1}"#;
    assert_eq!(claw.send("POST", "/messages", forged), "403");
    claw.wait_for_values(&[
        (r#"messages_verified_total{result="success"}"#, 1.0),
        (r#"leases_revoked_total{reason="manual"}"#, 1.0),
        ("leases_expired_total", 0.0),
        (r#"messages_verified_total{result="failed"}"#, 1.0),
        (r#"tokens_revoked_total{reason="compromise"}"#, 1.0),
        (r#"tokens_revoked_total{reason="manual"}"#, 1.0),
        (r#"audit_events_total{type="message_rejected"}"#, 1.0),
    ]);
    // One token per node at start, and one for each revoked token. Tokens rotate meanwhile, so
    // compare within one page.
    wait_for_page(
        &claw.metrics_url(),
        "a new token for each revoked token",
        |page| {
            let samples = samples(page);
            let of =
                |reason| samples[&format!("openclaw_tokens_revoked_total{{reason=\"{reason}\"}}")];
            let revoked = of("rotation") + of("compromise") + of("manual");
            samples["openclaw_tokens_issued_total"] == 2.0 + revoked
        },
    );
}

#[test]
fn results_are_buffered_during_a_partition() {
    skip_without!(Curl);
    let claw = Claw::start(&["--no-traffic"]);
    assert_eq!(claw.send("POST", "/network/cut", ""), "204");
    claw.wait_for_values(&[
        ("partition_degraded", 1.0),
        (r#"partition_events_total{type="detected"}"#, 1.0),
        (r#"partition_events_total{type="recovered"}"#, 0.0),
    ]);
    for _ in 0..2 {
        assert_eq!(
            claw.submit(r#"{"capability":"test","complexity":"low"}"#),
            "202"
        );
    }
    claw.wait_for_values(&[
        ("buffer_size", 2.0),
        ("results_buffered_total", 2.0),
        ("buffer_utilization_percent", 1.0),
        (r#"results_flushed_total{result="failed"}"#, 0.0),
    ]);
    assert_eq!(claw.send("POST", "/results/flush", ""), "503");
    assert_eq!(claw.send("POST", "/network/heal", ""), "204");
    claw.wait_for_values(&[
        ("buffer_size", 0.0),
        ("partition_degraded", 0.0),
        (r#"partition_events_total{type="recovered"}"#, 1.0),
        (r#"results_flushed_total{result="failed"}"#, 1.0),
        (
            r#"recovery_operations_total{status="failed",type="buffer_flush"}"#,
            1.0,
        ),
    ]);
    claw.wait_for_values(&[(r#"results_flushed_total{result="success"}"#, 2.0)]);
    assert_all_families(&curl(&[&claw.metrics_url()]));
}

#[test]
fn failing_collector_loses_only_its_own_gauge() {
    skip_without!(Curl);
    let claw = Claw::start(&["--no-traffic"]);
    assert_eq!(claw.send("DELETE", "/partition-detector", ""), "204");
    let failed = "scrape_collector_success{collector=\"partition\"} 0\n";
    let page = wait_for_page(&claw.metrics_url(), failed, |page| page.contains(failed));
    assert!(!page.contains("openclaw_partition_degraded"), "{page}");
    let rest = TABLE
        .iter()
        .filter(|row| row.name != "openclaw_partition_degraded");
    let rest: Vec<_> = rest.map(|row| Row { ..*row }).collect();
    assert_page_matches_table(&page, &[], &rest);
    // Tasks still complete.
    assert_eq!(
        claw.submit(r#"{"capability":"test","complexity":"low"}"#),
        "202"
    );
    claw.wait_for_values(&[(r#"audit_events_total{type="task_completed"}"#, 1.0)]);
}

/// The collectors of the services are registered one by one.
#[tokio::test]
async fn gauges_appear_when_their_collector_is_registered() {
    let registry = Registry::new();
    let metrics = OpenClaw::on(&registry).unwrap();
    let app = axum::Router::new().route_service("/metrics", registry.handler());
    let server = Server::start(app).await;
    let page = async || {
        let (_, page) = server.get("/metrics").await;
        assert_valid_text(&page);
        page
    };
    let exported_gauges = async || -> Vec<String> {
        let samples = samples(&page().await).into_keys();
        let gauges = [
            "openclaw_active",
            "openclaw_buffer",
            "openclaw_partition_degraded",
        ];
        samples
            .filter(|name| gauges.iter().any(|gauge| name.starts_with(gauge)))
            .collect()
    };
    assert!(exported_gauges().await.is_empty());

    let audit = std::sync::Arc::new(AuditLog::new(metrics));
    let (leases, mut revoked) = LeaseService::new(metrics, audit);
    registry
        .collector("leases", collectors::lease_collector(leases.clone()))
        .unwrap();
    assert_eq!(exported_gauges().await, ["openclaw_active_leases"]);
    let needs = Needs {
        capability: "compile".to_owned(),
        complexity: Complexity::Low,
        memory_mb: 0,
        scope: "public".to_owned(),
        work_ms: 0,
    };
    let grant = leases.issue(
        "atlas",
        Task {
            id: 1,
            needs,
            attempt: 1,
        },
    );
    assert!(page().await.contains("openclaw_active_leases 1\n"));
    // The lease is not released, so it expires, and the node is notified.
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), grant.ended).await;
    ended.expect("the lease should expire").unwrap_err();
    assert_eq!(revoked.recv().await.unwrap().id, 1);
    assert!(page().await.contains("openclaw_active_leases 0\n"));
    assert_eq!(
        registry.sum("openclaw_leases_expired_total", &[]),
        Some(1.0)
    );

    let network = Network::default();
    let detector = PartitionDetector::start(network.clone(), metrics);
    let buffer = ResultBuffer::new(metrics, network, detector.clone());
    registry
        .collector("buffer", collectors::buffer_collector(buffer))
        .unwrap();
    registry
        .collector("partition", collectors::partition_collector(detector))
        .unwrap();
    assert_eq!(
        exported_gauges().await,
        [
            "openclaw_active_leases",
            "openclaw_buffer_size",
            "openclaw_buffer_utilization_percent",
            "openclaw_partition_degraded",
        ]
    );
}

/// The built-in client sends requests meanwhile.
#[test]
fn program_ends_after_sigterm_and_sigint() {
    for signal in ["TERM", "INT"] {
        let mut claw = Claw::start(&[]);
        claw.process.signal(signal);
        let status = claw.process.wait_for_exit();
        assert!(status.success(), "{signal}: {status}");
    }
}

#[test]
fn families_flag_prints_the_table() {
    let output = program(env!("CARGO_BIN_EXE_openclaw"))
        .arg("--families")
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    for row in TABLE.iter().chain(RECOVERIES) {
        assert!(table.contains(&format!("| `{}` |", row.name)), "{table}");
    }
}
