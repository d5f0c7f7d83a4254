//! `kubernetes.md`: every manifest has only fields of its schema, and the names in them refer to each other.

use axum::http::Method;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use test_support::skip_without;
use test_support::store::Store;
use tower_prometheus::scrape::MetricsServer;
use tower_prometheus::{HttpMetrics, Registry};

use crate::page::{KUBERNETES, blocks};

/// The fields that the page uses of `monitoring.coreos.com/v1`, whose definitions no Rust crate has in a current
/// version. Checked against `servicemonitor_types.go`, `podmonitor_types.go` and `types.go`.
mod monitoring {
    use super::*;

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct ServiceMonitor {
        api_version: String,
        kind: String,
        metadata: ObjectMeta,
        pub spec: ServiceMonitorSpec,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct ServiceMonitorSpec {
        #[serde(skip_serializing_if = "Option::is_none")]
        job_label: Option<String>,
        pub selector: LabelSelector,
        pub endpoints: Vec<Endpoint>,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct PodMonitor {
        api_version: String,
        kind: String,
        metadata: ObjectMeta,
        pub spec: PodMonitorSpec,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct PodMonitorSpec {
        #[serde(skip_serializing_if = "Option::is_none")]
        pub job_label: Option<String>,
        pub selector: LabelSelector,
        pub pod_metrics_endpoints: Vec<Endpoint>,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct Endpoint {
        pub port: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        interval: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        scheme: Option<Scheme>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tls_config: Option<TlsConfig>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub authorization: Option<Authorization>,
        #[serde(default)]
        pub relabelings: Vec<RelabelConfig>,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Scheme {
        Https,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct TlsConfig {
        pub ca: SecretOrConfigMap,
        server_name: String,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    pub struct SecretOrConfigMap {
        pub secret: k8s_openapi::api::core::v1::SecretKeySelector,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    pub struct RelabelConfig {
        action: Action,
        pub regex: String,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Action {
        Labeldrop,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    pub struct Authorization {
        pub credentials: k8s_openapi::api::core::v1::SecretKeySelector,
    }
}

/// Every manifest of the page.
fn manifests() -> Vec<Value> {
    let documents = blocks(KUBERNETES, "yaml");
    let documents = documents.iter().flat_map(|block| block.split("\n---\n"));
    documents
        .map(|text| yaml_serde::from_str(text).unwrap())
        .collect()
}

/// The manifests of a kind.
fn all<T: DeserializeOwned>(kind: &str) -> Vec<T> {
    let found = manifests()
        .into_iter()
        .filter(|manifest| manifest["kind"] == kind);
    let found: Vec<T> = found
        .map(|manifest| serde_json::from_value(manifest).unwrap())
        .collect();
    assert!(!found.is_empty(), "the page has no {kind}");
    found
}

/// Fields that the type does not have are lost when the manifest is read, and are missing when it is written again.
fn check<T: DeserializeOwned + Serialize>(manifest: &Value) -> Result<(), String> {
    let typed: T = T::deserialize(manifest).map_err(|error| error.to_string())?;
    let written = serde_json::to_value(&typed).map_err(|error| error.to_string())?;
    match written == *manifest {
        true => Ok(()),
        false => Err(format!("written again, it differs: {written:#}")),
    }
}

fn check_kind(manifest: &Value) -> Result<(), String> {
    let text = |field: &str| manifest[field].as_str().unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        ("apps/v1", "Deployment") => check::<Deployment>(manifest),
        ("v1", "Secret") => check::<Secret>(manifest),
        ("v1", "Service") => check::<Service>(manifest),
        ("networking.k8s.io/v1", "NetworkPolicy") => check::<NetworkPolicy>(manifest),
        ("monitoring.coreos.com/v1", "ServiceMonitor") => {
            check::<monitoring::ServiceMonitor>(manifest)
        }
        ("monitoring.coreos.com/v1", "PodMonitor") => check::<monitoring::PodMonitor>(manifest),
        (version, kind) => Err(format!("unknown kind {version} {kind}")),
    }
}

#[test]
fn manifests_have_only_fields_of_their_schema() {
    let manifests = manifests();
    assert_eq!(manifests.len(), 8);
    for manifest in manifests {
        let checked = check_kind(&manifest);
        checked.unwrap_or_else(|error| panic!("{error}\n{manifest:#}"));
    }
}

/// The check itself: misspelt and misplaced fields, and values of another type.
#[test]
fn wrong_fields_are_found() {
    let wrong = [
        (
            "Deployment",
            "/spec/template/spec/containers/0",
            "readynessProbe",
            "{}",
        ),
        ("Deployment", "/spec", "terminationGracePeriodSeconds", "60"),
        (
            "Deployment",
            "/spec/template/spec/containers/0/ports/0",
            "containerPort",
            "\"http\"",
        ),
        ("Deployment", "/spec/template/metadata", "annotation", "{}"),
        ("NetworkPolicy", "/spec/ingress/0", "port", "1"),
        ("ServiceMonitor", "/spec/endpoints/0", "prt", "\"metrics\""),
        ("ServiceMonitor", "/spec/endpoints/0", "relabelling", "[]"),
        ("PodMonitor", "/spec", "endpoints", "[]"),
        (
            "PodMonitor",
            "/spec/podMetricsEndpoints/0/relabelings/0",
            "action",
            "\"dropLabel\"",
        ),
    ];
    for (kind, place, field, value) in wrong {
        let mut manifests = manifests();
        let manifest = manifests
            .iter_mut()
            .find(|manifest| manifest["kind"] == kind)
            .unwrap();
        check_kind(manifest).unwrap();
        let object = manifest
            .pointer_mut(place)
            .unwrap()
            .as_object_mut()
            .unwrap();
        object.insert(field.to_owned(), serde_json::from_str(value).unwrap());
        assert!(check_kind(manifest).is_err(), "{kind} {place} {field}");
    }
}

/// The pods of the first Deployment, to which the other manifests refer.
struct Pods {
    labels: Value,
    ports: Vec<(String, i32)>,
}

fn pods() -> Pods {
    let deployment = all::<Deployment>("Deployment").swap_remove(0);
    let template = deployment.spec.unwrap().template;
    let container = template.spec.unwrap().containers.swap_remove(0);
    let ports = container.ports.unwrap().into_iter();
    Pods {
        labels: serde_json::to_value(template.metadata.unwrap().labels).unwrap(),
        ports: ports
            .map(|port| (port.name.unwrap(), port.container_port))
            .collect(),
    }
}

impl Pods {
    fn has_port(&self, name: &str) -> bool {
        self.ports.iter().any(|(port, _)| port == name)
    }
}

#[test]
fn selectors_and_port_names_refer_to_the_pods() {
    let pods = pods();
    let labels = |selector: LabelSelector| serde_json::to_value(selector.match_labels).unwrap();
    for deployment in all::<Deployment>("Deployment") {
        let spec = deployment.spec.unwrap();
        assert_eq!(labels(spec.selector), pods.labels);
        let pod = spec.template.spec.unwrap();
        for container in pod.containers {
            for probe in [container.liveness_probe, container.readiness_probe]
                .into_iter()
                .flatten()
            {
                let port = serde_json::to_value(probe.http_get.unwrap().port).unwrap();
                assert!(pods.has_port(port.as_str().unwrap()), "{port}");
            }
        }
    }
    let service = all::<Service>("Service").swap_remove(0);
    let spec = service.spec.unwrap();
    assert_eq!(serde_json::to_value(spec.selector).unwrap(), pods.labels);
    let service_labels = serde_json::to_value(service.metadata.labels).unwrap();
    let service_ports: Vec<_> = spec
        .ports
        .unwrap()
        .into_iter()
        .map(|port| port.name.unwrap())
        .collect();
    assert!(service_ports.iter().all(|name| pods.has_port(name)));
    for monitor in all::<monitoring::ServiceMonitor>("ServiceMonitor") {
        assert_eq!(labels(monitor.spec.selector), service_labels);
        assert!(
            monitor
                .spec
                .endpoints
                .iter()
                .all(|endpoint| service_ports.contains(&endpoint.port))
        );
    }
    let secret = all::<Secret>("Secret").swap_remove(0);
    let keys = secret.string_data.unwrap();
    for monitor in all::<monitoring::PodMonitor>("PodMonitor") {
        assert_eq!(labels(monitor.spec.selector), pods.labels);
        assert!(pods.labels.get(monitor.spec.job_label.unwrap()).is_some());
        for endpoint in monitor.spec.pod_metrics_endpoints {
            assert!(pods.has_port(&endpoint.port));
            let credentials = endpoint.authorization.map(|header| header.credentials);
            let ca = endpoint.tls_config.map(|tls| tls.ca.secret);
            for selector in [credentials, ca].into_iter().flatten() {
                assert_eq!(Some(selector.name), secret.metadata.name);
                assert!(keys.contains_key(&selector.key));
            }
        }
    }
    let policy = all::<NetworkPolicy>("NetworkPolicy")
        .swap_remove(0)
        .spec
        .unwrap();
    assert_eq!(labels(policy.pod_selector.unwrap()), pods.labels);
    for rule in policy.ingress.unwrap() {
        for port in rule.ports.unwrap() {
            let port = serde_json::to_value(port.port).unwrap();
            assert!(pods.has_port(port.as_str().unwrap()), "{port}");
        }
    }
}

/// The labels that the Operator gives to targets (`promcfg.go`), and then the relabelings of the page's monitors, which the
/// Operator adds after its own.
#[test]
fn routes_keep_their_label_with_the_relabelings_of_the_monitors() {
    skip_without!(Prometheus);
    let services = all::<monitoring::ServiceMonitor>("ServiceMonitor").into_iter();
    let pods = all::<monitoring::PodMonitor>("PodMonitor").into_iter();
    let services = services.flat_map(|monitor| monitor.spec.endpoints);
    let pods = pods.flat_map(|monitor| monitor.spec.pod_metrics_endpoints);
    let services = services.map(|endpoint| ("{ endpoint: metrics, service: operator }", endpoint));
    let pods = pods.map(|endpoint| ("{ endpoint: metrics }", endpoint));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let target = runtime.block_on(async {
        let registry = Registry::builder().constant_label("service", "shop");
        let registry = registry.build().unwrap();
        let routes = HttpMetrics::server().preregister(Method::GET, "/users/{id}", [200]);
        routes.build(&registry).unwrap();
        let server = MetricsServer::bind("127.0.0.1:0").await.unwrap();
        let target = server.local_addr().unwrap();
        tokio::spawn(server.serve(registry.handler(), std::future::pending()));
        target
    });
    let mut config = "global: { scrape_interval: 1s }\nscrape_configs:\n".to_owned();
    let mut add = |job: &str, labels: &str, rules: &str| {
        config += &format!(
            "  - {{ job_name: {job}, static_configs: [{{ targets: ['{target}'], labels: {labels} }}], relabel_configs: {rules} }}\n"
        );
    };
    add("without", "{ endpoint: metrics, service: operator }", "[]");
    let mut jobs = 0;
    for (labels, endpoint) in services.chain(pods) {
        let rules = serde_json::to_string(&endpoint.relabelings).unwrap();
        add(&format!("monitor-{jobs}"), labels, &rules);
        jobs += 1;
    }
    let prometheus = Store::prometheus(&config, &[]);
    let found = prometheus.wait_for_values(&format!(
        "count(http_requests_total{{job=~\"monitor-.*\", endpoint=\"/users/{{id}}\", service=\"shop\"}}) == {jobs}"
    ));
    assert_eq!(found, [3.0]);
    let exported = prometheus.wait_for_values(
        "count by (job) (http_requests_total{exported_endpoint=\"/users/{id}\", exported_service=\"shop\"})",
    );
    assert_eq!(exported, [1.0]);
}

#[test]
fn metrics_port_is_the_same_everywhere() {
    let metrics = pods()
        .ports
        .into_iter()
        .find(|(name, _)| name == "metrics")
        .unwrap();
    let port = metrics.1.to_string();
    let mut found = 0;
    for deployment in all::<Deployment>("Deployment") {
        let template = deployment.spec.unwrap().template;
        for variable in template
            .spec
            .unwrap()
            .containers
            .swap_remove(0)
            .env
            .into_iter()
            .flatten()
        {
            assert_eq!(
                (variable.name.as_str(), variable.value.as_deref()),
                ("METRICS_PORT", Some(&*port))
            );
            found += 1;
        }
        if let Some(annotations) = template.metadata.unwrap().annotations {
            assert_eq!(annotations["prometheus.io/port"], port);
            found += 1;
        }
    }
    assert_eq!(found, 2);
}

/// The time before SIGKILL covers the steps of `shutdown.md`.
#[test]
fn termination_grace_period_covers_the_shutdown() {
    let deployment = all::<Deployment>("Deployment").swap_remove(0);
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    let pre_stop = pod.containers[0]
        .lifecycle
        .as_ref()
        .unwrap()
        .pre_stop
        .as_ref()
        .unwrap();
    let pre_stop = pre_stop.sleep.as_ref().unwrap().seconds;
    let (requests, last_scrape, running_scrapes) = (10, 20, 10);
    assert!(crate::page::SHUTDOWN.contains("requests: Duration::from_secs(10)"));
    assert!(crate::page::SHUTDOWN.contains("last_scrape: Duration::from_secs(20)"));
    let steps = pre_stop + requests + last_scrape + running_scrapes;
    assert!(pod.termination_grace_period_seconds.unwrap() > steps);
}
