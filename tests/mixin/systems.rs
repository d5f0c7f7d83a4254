//! What a service with the default layers and the collectors deploys.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tower_prometheus::mixin::{
    Dashboard, Definitions, Mixin, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Slo,
};
use tower_prometheus::{Family, GrpcMetrics, HttpMetrics};

use crate::families;

/// What a service with the default layers and the collectors deploys.
pub fn layers() -> Mixin {
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

/// Its files, by their path below `mixin/`.
pub fn files() -> BTreeMap<PathBuf, String> {
    let files = layers().files().unwrap().into_iter();
    files
        .map(|(path, text)| (PathBuf::from("layers").join(path), text))
        .collect()
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
