//! The generated files in the repository are up to date and complete. `MIXIN_OVERWRITE=1` writes them again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use test_support::process::example;
use test_support::skip_without;
use test_support::store::{Directory, promtool};
use tower_prometheus::{GrpcMetrics, HttpMetrics, http::HttpMetric};
use tower_prometheus_mixin::{
    Dashboard, Definitions, Error, Mixin, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Slo,
};

use crate::families;
use crate::generated::{files_in, layers_directory};

/// The mixin of a service with default layers and with collectors.
fn layers() -> Mixin {
    let http = HttpMetrics::server().measure(HttpMetric::ResponseBodySize);
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

fn slo(slo: Result<Slo, Error>) -> RuleGroup {
    slo.unwrap().group().unwrap()
}

#[test]
fn generated_files_are_up_to_date() {
    let (mixin, directory) = (layers(), layers_directory());
    if std::env::var_os("MIXIN_OVERWRITE").is_some() {
        mixin.write_to(&directory).unwrap();
    }
    let mut expected = BTreeSet::new();
    for (path, text) in mixin.files().unwrap() {
        let path = directory.join(path);
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "{} is not up to date: run `MIXIN_OVERWRITE=1 cargo test -p tower-prometheus-mixin` and check `git diff`",
            path.display()
        );
        expected.insert(path);
    }
    // Files that are no longer generated must be deleted.
    assert_eq!(files_in(&directory), expected);
}

#[test]
fn example_writes_files_that_promtool_accepts() {
    let temporary = Directory::new();
    let directory = temporary.0.join("mixin");
    let output = example("mixin").arg(&directory).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let files: BTreeSet<_> = files_in(&directory)
        .into_iter()
        .map(|path| path.strip_prefix(&directory).unwrap().to_owned())
        .collect();
    let expected = [
        "dashboards/shop-grpc.api.json",
        "dashboards/shop-grpc.json",
        "dashboards/shop-http.api.json",
        "dashboards/shop-http.json",
        "prometheus.yml",
        "rules/shop.yml",
        "vmagent.yml",
    ];
    assert_eq!(files, expected.into_iter().map(PathBuf::from).collect());
    skip_without!(Promtool);
    // The configuration includes the rules, so promtool checks both.
    promtool(&["check", "config", "prometheus.yml"], &directory);
}

#[test]
fn nothing_is_written_if_a_file_cannot_be_generated() {
    let good = || Dashboard::process("process", "Process", families::process());
    let bad = Dashboard::process("other", "Other", families::aria());
    let directory = Directory::new();
    let error_of = |mixin: Mixin| {
        let error = mixin.write_to(&directory.0).unwrap_err().to_string();
        assert!(files_in(&directory.0).is_empty(), "{error}");
        error
    };
    assert_eq!(
        error_of(Mixin::new().dashboard(good()).dashboard(bad)),
        "dashboard \"Other\": no panel queries a metric family; add a query"
    );
    assert_eq!(
        error_of(Mixin::new().dashboard(good()).dashboard(good())),
        "two files have the path dashboards/process.json; rename one"
    );
    let rules = Rules::new(families::process());
    assert!(error_of(Mixin::new().rules("../rules", rules)).contains("the name of a rule file"));
    // An I/O error names the path and has a source.
    let file = directory.write("file", "");
    let error = Mixin::new().dashboard(good()).write_to(&file).unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
    assert!(error.is_io());
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.is::<std::io::Error>(), "{source}");
}
