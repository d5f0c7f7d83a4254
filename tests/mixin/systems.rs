//! What each system deploys: made by the compositions of the examples.

#[path = "../../examples/agentos/mixin.rs"]
pub mod agentos;
#[expect(dead_code, reason = "only its families are of interest here")]
#[path = "../../examples/agentos/metrics.rs"]
pub mod agentos_metrics;
#[path = "../../examples/aria/mixin.rs"]
pub mod aria;
#[expect(dead_code, reason = "what is asked here is what it describes")]
#[path = "../../examples/aria/metrics.rs"]
pub mod aria_metrics;
#[path = "../../examples/asdlc/mixin.rs"]
pub mod asdlc;
#[expect(dead_code, reason = "only its families are of interest here")]
#[path = "../../examples/asdlc/metrics.rs"]
pub mod asdlc_metrics;
#[path = "../../examples/openclaw/mixin.rs"]
pub mod openclaw;
#[expect(dead_code, reason = "only its families are of interest here")]
#[path = "../../examples/openclaw/metrics.rs"]
pub mod openclaw_metrics;
#[path = "../../examples/zerostate/mixin.rs"]
pub mod zerostate;
#[expect(dead_code, reason = "what is asked here is what it describes")]
#[path = "../../examples/zerostate/metrics.rs"]
pub mod zerostate_metrics;

use std::collections::BTreeMap;
use std::path::PathBuf;

use tower_prometheus::mixin::{
    Dashboard, Definitions, Mixin, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Slo,
};
use tower_prometheus::{Family, GrpcMetrics, HttpMetrics};

use crate::families;

/// Every mixin whose files are in the repository, by its directory.
pub fn all() -> Vec<(&'static str, Mixin)> {
    vec![
        (
            "agentos",
            agentos::mixin(&agentos_metrics::AgentOs::families()).unwrap(),
        ),
        ("aria", aria::mixin(&aria_metrics::families()).unwrap()),
        (
            "asdlc",
            asdlc::mixin(&asdlc_metrics::families().unwrap()).unwrap(),
        ),
        ("layers", layers()),
        (
            "openclaw",
            openclaw::mixin(&openclaw_metrics::families().unwrap()).unwrap(),
        ),
        (
            "zerostate",
            zerostate::mixin(&zerostate_metrics::families()).unwrap(),
        ),
    ]
}

/// What a service with the default layers and the collectors deploys.
fn layers() -> Mixin {
    let http = HttpMetrics::server().measure(Family::ResponseBodySize);
    let otel = HttpMetrics::open_telemetry();
    let grpc = GrpcMetrics::server();
    let collectors = families::process();
    let definitions = Definitions::new(http.families().unwrap())
        .and(grpc.families().unwrap())
        .and(collectors.clone());
    let rules = Rules::new(definitions.clone())
        .job("service")
        .group(RuleGroup::http("http", &http).unwrap())
        .group(RuleGroup::grpc("grpc", &grpc).unwrap())
        .group(slo(Slo::http_availability("http", 0.999, &http)))
        .group(slo(Slo::http_latency("http_fast", 0.99, 0.25, &http)))
        .group(slo(Slo::grpc_availability("grpc", 0.999, &grpc)))
        .group(slo(Slo::grpc_latency("grpc_fast", 0.99, 1.0, &grpc)))
        .group(RuleGroup::health("health", definitions));
    let otel_rules = Rules::new(otel.families().unwrap())
        .group(RuleGroup::http("otel", &otel).unwrap())
        .group(slo(Slo::http_availability("otel", 0.999, &otel)))
        .group(slo(Slo::http_latency("otel_slow", 0.99, 5.0, &otel)));
    Mixin::new()
        .dashboard(Dashboard::http("http", "HTTP", &http).unwrap())
        .dashboard(Dashboard::http("http-opentelemetry", "HTTP, OpenTelemetry", &otel).unwrap())
        .dashboard(Dashboard::grpc("grpc", "gRPC", &grpc).unwrap())
        .dashboard(Dashboard::process(
            "process",
            "Process and runtime",
            collectors,
        ))
        .rules("service", rules)
        .rules("service-opentelemetry", otel_rules)
        .scrape_config(
            ScrapeConfig::new()
                .interval("15s")
                .job(ScrapeJob::new("service").target("service:3000"))
                .rule_file("rules/*.yml"),
        )
}

fn slo(made: Result<Slo, tower_prometheus::Error>) -> RuleGroup {
    made.unwrap().group().unwrap()
}

/// Every file of every mixin, by its path below `mixin/`.
pub fn files() -> BTreeMap<PathBuf, String> {
    let mut all_files = BTreeMap::new();
    for (system, mixin) in all() {
        let files = mixin.files().unwrap();
        all_files.extend(files.into_iter().map(|(path, text)| {
            let path = PathBuf::from(system).join(path);
            (path, text)
        }));
    }
    all_files
}

/// The files whose path ends so.
pub fn files_ending(end: &str) -> Vec<(PathBuf, String)> {
    let files = files().into_iter();
    let files: Vec<_> = files
        .filter(|(path, _)| path.to_string_lossy().ends_with(end))
        .collect();
    assert!(!files.is_empty(), "no file ends with {end}");
    files
}
