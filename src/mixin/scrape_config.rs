//! [`ScrapeConfig`] and [`ScrapeJob`]: what is scraped, for Prometheus and for vmagent.

use serde::Serialize;

use super::selector::check_duration;
use super::yaml;
use crate::Error;

/// A configuration of Prometheus, or of vmagent and VictoriaMetrics (`-promscrape.config`).
///
/// ```
/// use tower_prometheus::mixin::{ScrapeConfig, ScrapeJob};
///
/// let config = ScrapeConfig::new()
///     .interval("15s")
///     .job(ScrapeJob::new("shop").target("shop:8080"))
///     .job(ScrapeJob::new("shop-api").target("api.example:443").https())
///     .job(ScrapeJob::kubernetes_pods("shop-pods", "shop"))
///     .rule_file("rules/*.yml");
/// assert!(config.to_prometheus_yaml()?.contains("rule_files"));
/// // vmagent evaluates no rules, and refuses to start when it is told of some.
/// assert!(!config.to_vmagent_yaml()?.contains("rule_files"));
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a configuration does nothing until it is written"]
pub struct ScrapeConfig {
    interval: Option<String>,
    jobs: Vec<ScrapeJob>,
    rule_files: Vec<String>,
}

/// Targets that are scraped in one way; the name is their label `job`.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a job does nothing until a configuration has it"]
pub struct ScrapeJob {
    name: String,
    targets: Vec<String>,
    namespace: Option<String>,
    path: Option<String>,
    interval: Option<String>,
    https: bool,
}

impl ScrapeConfig {
    /// A configuration without jobs.
    pub fn new() -> Self {
        Self::default()
    }

    /// How often to scrape; as often as the scraper does by default unless said otherwise.
    pub fn interval(mut self, interval: impl Into<String>) -> Self {
        self.interval = Some(interval.into());
        self
    }

    /// Adds a job.
    pub fn job(mut self, job: ScrapeJob) -> Self {
        self.jobs.push(job);
        self
    }

    /// Files of rules that Prometheus evaluates, relative to its configuration.
    pub fn rule_file(mut self, file: impl Into<String>) -> Self {
        self.rule_files.push(file.into());
        self
    }

    /// The file for Prometheus, as YAML.
    ///
    /// # Errors
    ///
    /// When there is no job, two have one name, one has no target, or a target is not `host:port`.
    pub fn to_prometheus_yaml(&self) -> Result<String, Error> {
        self.yaml(&self.rule_files)
    }

    /// The file for vmagent, as YAML: it refuses keys that are Prometheus' alone.
    ///
    /// # Errors
    ///
    /// As [`to_prometheus_yaml`](Self::to_prometheus_yaml).
    pub fn to_vmagent_yaml(&self) -> Result<String, Error> {
        self.yaml(&[])
    }

    fn yaml(&self, rule_files: &[String]) -> Result<String, Error> {
        let interval = self.interval.as_deref();
        interval.map(check_duration).transpose()?;
        if self.jobs.is_empty() {
            return Err(Error::new("there is no job to scrape"));
        }
        let mut scrape_configs: Vec<WrittenJob<'_>> = Vec::new();
        for job in &self.jobs {
            if scrape_configs
                .iter()
                .any(|other| other.job_name == job.name)
            {
                return Err(Error::new(format!(
                    "there are two jobs called {:?}",
                    job.name
                )));
            }
            let about = |error| Error::new(format!("job {:?}: {error}", job.name));
            scrape_configs.push(job.written().map_err(about)?);
        }
        let written = Written {
            global: interval.map(|scrape_interval| Global { scrape_interval }),
            rule_files,
            scrape_configs,
        };
        yaml::write(&written, "a scrape configuration")
    }
}

impl ScrapeJob {
    /// A job that scrapes [`target`](Self::target)s over plain HTTP at `/metrics`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            targets: Vec::new(),
            namespace: None,
            path: None,
            interval: None,
            https: false,
        }
    }

    /// A job that scrapes the pods of a Kubernetes namespace that are annotated for it:
    /// `prometheus.io/scrape: "true"`, and if it is not `/metrics` and the container's port
    /// `prometheus.io/path` and `prometheus.io/port`. Series get the labels `namespace` and `pod`.
    pub fn kubernetes_pods(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        let mut job = Self::new(name);
        job.namespace = Some(namespace.into());
        job
    }

    /// Adds a target, `host:port`.
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.targets.push(target.into());
        self
    }

    /// Where the page is, if not at `/metrics`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// How often to scrape this job, if not as often as the others.
    pub fn interval(mut self, interval: impl Into<String>) -> Self {
        self.interval = Some(interval.into());
        self
    }

    /// Over TLS, with the system's certificates.
    pub fn https(mut self) -> Self {
        self.https = true;
        self
    }

    fn written(&self) -> Result<WrittenJob<'_>, Error> {
        self.check()?;
        let discovered = self.namespace.as_deref().map(|namespace| Discovery {
            role: "pod",
            namespaces: Namespaces { names: [namespace] },
        });
        Ok(WrittenJob {
            job_name: &self.name,
            scrape_interval: self.interval.as_deref(),
            metrics_path: self.path.as_deref(),
            scheme: self.https.then_some("https"),
            static_configs: match &*self.targets {
                [] => Vec::new(),
                targets => vec![Static { targets }],
            },
            relabel_configs: match discovered {
                Some(_) => of_annotations(),
                None => Vec::new(),
            },
            kubernetes_sd_configs: discovered.into_iter().collect(),
        })
    }

    fn check(&self) -> Result<(), Error> {
        if self.name.is_empty() {
            return Err(Error::new("it has no name"));
        }
        if self.targets.is_empty() && self.namespace.is_none() {
            return Err(Error::new("it has no target"));
        }
        for target in &self.targets {
            let port = target.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            let is_port = port.is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            if !is_port || target.contains('/') {
                return Err(Error::new(format!(
                    "target {target:?} is not allowed: it is host:port, without scheme or path"
                )));
            }
        }
        if let Some(path) = self.path.as_ref().filter(|path| !path.starts_with('/')) {
            return Err(Error::new(format!("path {path:?} does not start with '/'")));
        }
        self.interval.as_deref().map(check_duration).transpose()?;
        Ok(())
    }
}

/// What the annotations of a pod say, by the names that most charts use.
fn of_annotations() -> Vec<Relabel> {
    const SCRAPE: &str = "__meta_kubernetes_pod_annotation_prometheus_io_scrape";
    const PATH: &str = "__meta_kubernetes_pod_annotation_prometheus_io_path";
    const PORT: &str = "__meta_kubernetes_pod_annotation_prometheus_io_port";
    vec![
        Relabel {
            action: Some("keep"),
            ..Relabel::new(&[SCRAPE], Some("true"))
        },
        Relabel {
            target_label: Some("__metrics_path__"),
            ..Relabel::new(&[PATH], Some("(.+)"))
        },
        Relabel {
            target_label: Some("__address__"),
            replacement: Some("$1:$2"),
            ..Relabel::new(&["__address__", PORT], Some(r"([^:]+)(?::\d+)?;(\d+)"))
        },
        Relabel {
            target_label: Some("namespace"),
            ..Relabel::new(&["__meta_kubernetes_namespace"], None)
        },
        Relabel {
            target_label: Some("pod"),
            ..Relabel::new(&["__meta_kubernetes_pod_name"], None)
        },
    ]
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    global: Option<Global<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rule_files: &'a [String],
    scrape_configs: Vec<WrittenJob<'a>>,
}

#[derive(Serialize)]
struct Global<'a> {
    scrape_interval: &'a str,
}

#[derive(Serialize)]
struct WrittenJob<'a> {
    job_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scrape_interval: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    static_configs: Vec<Static<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kubernetes_sd_configs: Vec<Discovery<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    relabel_configs: Vec<Relabel>,
}

#[derive(Serialize)]
struct Static<'a> {
    targets: &'a [String],
}

#[derive(Serialize)]
struct Discovery<'a> {
    role: &'static str,
    namespaces: Namespaces<'a>,
}

#[derive(Serialize)]
struct Namespaces<'a> {
    names: [&'a str; 1],
}

#[derive(Serialize)]
struct Relabel {
    source_labels: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    regex: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_label: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
}

impl Relabel {
    fn new(source_labels: &[&'static str], regex: Option<&'static str>) -> Self {
        Self {
            source_labels: source_labels.to_vec(),
            regex,
            target_label: None,
            replacement: None,
            action: None,
        }
    }
}
