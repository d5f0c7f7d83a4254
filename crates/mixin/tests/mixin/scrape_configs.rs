//! Scrape configurations: their content, and that Prometheus and VictoriaMetrics load them.

use tower_prometheus_mixin::{ScrapeConfig, ScrapeJob};

use crate::generated::files_ending;
use test_support::server::Server;
use test_support::skip_without;
use test_support::store::{Directory, Store, promtool, with_static_target};

#[test]
fn promtool_accepts_all_scrape_configurations() {
    skip_without!(Promtool);
    let directory = Directory::new();
    directory.write("rules/none.yml", "groups: []\n");
    for file in ["prometheus.yml", "vmagent.yml"] {
        for (_, text) in files_ending(file) {
            directory.write(file, &with_static_target(&text));
            let output = promtool(&["check", "config", "--lint-fatal", file], &directory.0);
            assert!(output.contains("SUCCESS"), "{output}");
        }
    }
}

/// Both servers load all kinds of jobs and list their targets. The pod is not listed, because it has no annotation.
#[test]
fn prometheus_and_victoria_metrics_load_every_kind_of_job() {
    skip_without!(Curl, Prometheus, VictoriaMetrics);
    let config = ScrapeConfig::new()
        .interval("30s")
        .job(ScrapeJob::new("asdlc-orchestrator").target("orchestrator:8080"))
        .job(ScrapeJob::new("asdlc-workers").target("workers:8081"))
        .job(ScrapeJob::kubernetes_pods("asdlc-pods", "dox-asdlc"))
        .rule_file("rules/*.yml");
    for store in [
        Store::prometheus(
            &with_static_target(&config.to_prometheus_yaml().unwrap()),
            &[],
        ),
        Store::victoria_metrics(&config.to_vmagent_yaml().unwrap()),
    ] {
        assert_eq!(
            store.active_targets(2),
            [
                "asdlc-orchestrator orchestrator:8080 http://orchestrator:8080/metrics",
                "asdlc-workers workers:8081 http://workers:8081/metrics",
            ]
        );
    }
}

#[test]
fn job_settings_are_in_the_file() {
    let config = ScrapeConfig::new()
        .job(
            ScrapeJob::new("api")
                .target("api:443")
                .https()
                .path("/internal/prom")
                .interval("1m"),
        )
        .rule_file("rules/*.yml");
    let expected = "scrape_configs:\n- job_name: api\n  scrape_interval: 1m\n  metrics_path: /internal/prom\n  \
                    scheme: https\n  static_configs:\n  - targets:\n    - api:443\n";
    assert_eq!(config.to_vmagent_yaml().unwrap(), expected);
    let with_rules = format!("rule_files:\n- rules/*.yml\n{expected}");
    assert_eq!(config.to_prometheus_yaml().unwrap(), with_rules);
}

fn job_with_credentials() -> ScrapeConfig {
    ScrapeConfig::new()
        .job(
            ScrapeJob::new("shop")
                .target("shop:8443")
                .https()
                .ca_file("ca.pem")
                .client_certificate("client.pem", "client.key")
                .server_name("shop.internal")
                .authorization("Bearer", "token"),
        )
        .job(
            ScrapeJob::new("pushgateway")
                .target("pushgateway:9091")
                .honor_labels()
                .basic_auth("prometheus", "password"),
        )
}

#[test]
fn credentials_and_tls_are_in_the_file_as_paths() {
    let expected = "scrape_configs:\n- job_name: shop\n  scheme: https\n  authorization:\n    type: Bearer\n    \
                    credentials_file: token\n  tls_config:\n    ca_file: ca.pem\n    cert_file: client.pem\n    \
                    key_file: client.key\n    server_name: shop.internal\n  static_configs:\n  - targets:\n    - \
                    shop:8443\n- job_name: pushgateway\n  honor_labels: true\n  basic_auth:\n    username: \
                    prometheus\n    password_file: password\n  static_configs:\n  - targets:\n    - \
                    pushgateway:9091\n";
    let config = job_with_credentials();
    assert_eq!(config.to_prometheus_yaml().unwrap(), expected);
    assert_eq!(config.to_vmagent_yaml().unwrap(), expected);
}

/// promtool reads the certificate and its key, so they are real.
#[test]
fn promtool_accepts_credentials_and_tls() {
    skip_without!(Promtool);
    let directory = Directory::new();
    let certified = rcgen::generate_simple_self_signed(["shop.internal".to_owned()]).unwrap();
    directory.write("ca.pem", &certified.cert.pem());
    directory.write("client.pem", &certified.cert.pem());
    directory.write("client.key", &certified.signing_key.serialize_pem());
    directory.write("token", "canary-token");
    directory.write("password", "canary-password");
    let yaml = job_with_credentials().to_prometheus_yaml().unwrap();
    directory.write("prometheus.yml", &yaml);
    let output = promtool(
        &["check", "config", "--lint-fatal", "prometheus.yml"],
        &directory.0,
    );
    assert!(output.contains("SUCCESS"), "{output}");
}

/// The target answers only with the credentials of the file, and sends its own label `job`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_servers_authenticate_and_honor_labels() {
    skip_without!(Curl, Prometheus, VictoriaMetrics);
    let page = |expected: &'static str| {
        axum::routing::get(async move |headers: http::HeaderMap| {
            let is_allowed = headers.get("authorization").is_some_and(|v| v == expected);
            match is_allowed {
                true => Ok("own_value{job=\"own\",instance=\"\"} 7\n"),
                false => Err(http::StatusCode::UNAUTHORIZED),
            }
        })
    };
    let app = axum::Router::new()
        .route("/bearer", page("Token secret-token"))
        // prometheus:secret
        .route("/basic", page("Basic cHJvbWV0aGV1czpzZWNyZXQ="));
    let server = Server::start(app).await;
    let target = server.address.to_string();
    tokio::task::spawn_blocking(move || {
        let directory = Directory::new();
        let token = directory.write("token", "secret-token");
        let password = directory.write("password", "secret");
        let path = |path: &std::path::Path| path.display().to_string();
        let job = |name: &str, page: &str| {
            let job = ScrapeJob::new(name).target(target.clone());
            job.path(page).honor_labels()
        };
        let config = ScrapeConfig::new()
            .interval("1s")
            .job(job("bearer", "/bearer").authorization("Token", path(&token)))
            .job(job("basic", "/basic").basic_auth("prometheus", path(&password)))
            .job(job("anonymous", "/basic"));
        for store in [
            Store::prometheus(&config.to_prometheus_yaml().unwrap(), &[]),
            Store::victoria_metrics(&config.to_vmagent_yaml().unwrap()),
        ] {
            for job in ["bearer", "basic"] {
                let up = format!("up{{job=\"{job}\"}} == 1");
                assert_eq!(store.wait_for_values(&up), [1.0]);
            }
            let own = "own_value{job=\"own\",instance=\"\"}";
            assert_eq!(store.wait_for_values(own), [7.0]);
            assert_eq!(store.wait_for_values("up{job=\"anonymous\"}"), [0.0]);
        }
    })
    .await
    .unwrap();
}

#[test]
fn invalid_credentials_and_tls_settings_are_rejected() {
    let job = || ScrapeJob::new("shop").target("shop:8080");
    let error_of = |job: ScrapeJob| {
        let config = ScrapeConfig::new().job(job);
        assert!(config.to_vmagent_yaml().is_err());
        config.to_prometheus_yaml().unwrap_err().to_string()
    };
    assert_eq!(
        error_of(job().basic_auth("a", "b").authorization("Bearer", "c")),
        "job \"shop\": basic_auth and authorization are both set; remove one"
    );
    for kind in ["", "Basic", "basic", "Bearer x", "a\nb"] {
        let error = error_of(job().authorization(kind, "token"));
        assert!(error.contains("for \"Basic\", use basic_auth"), "{error}");
    }
    for (job, setting) in [
        (job().basic_auth("", "b"), "the user name of basic_auth"),
        (job().basic_auth("a", ""), "the password file of basic_auth"),
        (
            job().authorization("Bearer", ""),
            "the credentials file of authorization",
        ),
        (job().https().ca_file(""), "ca_file"),
        (job().https().server_name(""), "server_name"),
    ] {
        assert_eq!(error_of(job), format!("job \"shop\": {setting} is empty"));
    }
    for (job, setting) in [
        (job().ca_file("ca.pem"), "ca_file"),
        (job().server_name("shop"), "server_name"),
        (
            job().client_certificate("a.pem", "a.key"),
            "the file of client_certificate",
        ),
    ] {
        let expected = format!("job \"shop\": {setting} is set without https; add it");
        assert_eq!(error_of(job), expected);
    }
}

#[test]
fn invalid_jobs_are_rejected() {
    let error_of = |config: ScrapeConfig| {
        assert!(config.to_vmagent_yaml().is_err());
        config.to_prometheus_yaml().unwrap_err().to_string()
    };
    let job = || ScrapeJob::new("shop").target("shop:8080");
    assert_eq!(error_of(ScrapeConfig::new()), "no job; add at least one");
    assert_eq!(
        error_of(ScrapeConfig::new().job(job()).job(job())),
        "two jobs have the name \"shop\"; rename one"
    );
    assert_eq!(
        error_of(ScrapeConfig::new().job(ScrapeJob::new("shop"))),
        "job \"shop\": no target; add at least one"
    );
    assert!(
        error_of(ScrapeConfig::new().interval("often").job(job())).contains("is not a duration")
    );
    assert!(
        error_of(ScrapeConfig::new().job(job().path("metrics")))
            .contains("path must start with '/'")
    );
    for target in [
        "shop",
        "shop:",
        ":80",
        "http://shop:80",
        "shop:99999",
        "shop:80/metrics",
    ] {
        let error = error_of(ScrapeConfig::new().job(ScrapeJob::new("shop").target(target)));
        assert!(
            error.contains("target must be host:port, without scheme or path"),
            "{error}"
        );
    }
}

fn native(version: &str) -> ScrapeConfig {
    let job = ScrapeJob::new("shop").target("shop:8080");
    ScrapeConfig::new().job(job).native_histograms(version)
}

#[test]
fn native_histograms_have_the_settings_of_the_version() {
    const FLAG: &str = "--enable-feature=native-histograms";
    const COMMENT: &str =
        "# Native histograms: start Prometheus with --enable-feature=native-histograms\n";
    let file = |before: &str, settings: &str| {
        format!(
            "{before}scrape_configs:\n- job_name: shop\n{settings}  static_configs:\n  - targets:\n    - shop:8080\n"
        )
    };
    let classic = native("3.8").to_vmagent_yaml().unwrap();
    assert_eq!(classic, file("", ""));
    for (version, flags, before, of_native, of_classic) in [
        ("2.40", &[FLAG][..], COMMENT, "", None),
        ("2.44.0", &[FLAG], COMMENT, "", None),
        (
            "2.45",
            &[FLAG],
            COMMENT,
            "",
            Some("scrape_classic_histograms"),
        ),
        (
            "v2.55.1",
            &[FLAG],
            COMMENT,
            "",
            Some("scrape_classic_histograms"),
        ),
        (
            "3.0",
            &[FLAG],
            COMMENT,
            "",
            Some("always_scrape_classic_histograms"),
        ),
        (
            "3.7.3",
            &[FLAG],
            COMMENT,
            "",
            Some("always_scrape_classic_histograms"),
        ),
        (
            "3.8.0",
            &[],
            "",
            "  scrape_native_histograms: true\n",
            Some("always_scrape_classic_histograms"),
        ),
        (
            "4.0.0-rc.1",
            &[],
            "",
            "  scrape_native_histograms: true\n",
            Some("always_scrape_classic_histograms"),
        ),
    ] {
        let config = native(version);
        assert_eq!(config.prometheus_flags().unwrap(), flags, "{version}");
        assert_eq!(
            config.to_prometheus_yaml().unwrap(),
            file(before, of_native)
        );
        let both = config.always_scrape_classic_histograms();
        match of_classic {
            Some(key) => {
                let settings = format!("{of_native}  {key}: true\n");
                assert_eq!(both.to_prometheus_yaml().unwrap(), file(before, &settings));
            }
            None => assert_eq!(
                both.to_prometheus_yaml().unwrap_err().to_string(),
                format!(
                    "Prometheus {version} cannot scrape the classic buckets of histograms that have native ones: this \
                     needs 2.45 or later"
                )
            ),
        }
        // VictoriaMetrics does not start with unknown settings.
        assert_eq!(both.to_vmagent_yaml().unwrap(), classic);
    }
    let without = ScrapeConfig::new().job(ScrapeJob::new("shop").target("shop:8080"));
    assert!(without.prometheus_flags().unwrap().is_empty());
}

#[test]
fn versions_without_native_histograms_are_rejected() {
    let error_of = |config: ScrapeConfig| {
        let error = config.to_prometheus_yaml().unwrap_err().to_string();
        assert_eq!(config.prometheus_flags().unwrap_err().to_string(), error);
        error
    };
    assert_eq!(
        error_of(native("2.39.1")),
        "Prometheus 2.39.1 cannot scrape native histograms: this needs 2.40 or later"
    );
    for version in ["", "3", "latest", "3.x", "=3.8", "-3.8"] {
        assert_eq!(
            error_of(native(version)),
            format!(
                "the version of Prometheus must have the form \"3.8\" or \"3.8.1\", got {version:?}"
            )
        );
    }
    let without = ScrapeConfig::new().job(ScrapeJob::new("shop").target("shop:8080"));
    assert_eq!(
        error_of(without.always_scrape_classic_histograms()),
        "always_scrape_classic_histograms is set without native_histograms; add it"
    );
}

#[test]
fn promtool_accepts_the_settings_of_its_version() {
    skip_without!(Promtool);
    let directory = Directory::new();
    directory.write(
        "prometheus.yml",
        &native("2.42.0").to_prometheus_yaml().unwrap(),
    );
    let check = ["check", "config", "--lint-fatal", "prometheus.yml"];
    assert!(promtool(&check, &directory.0).contains("SUCCESS"));
}
