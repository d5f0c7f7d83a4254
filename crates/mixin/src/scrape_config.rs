//! [`ScrapeConfig`] and [`ScrapeJob`]: scrape configurations of Prometheus and vmagent.

use serde::Serialize;

use crate::error::Error;
use crate::text::check_duration;
use crate::yaml;

/// A scrape configuration for Prometheus, and for vmagent and VictoriaMetrics (`-promscrape.config`).
///
/// ```
/// use tower_prometheus_mixin::{ScrapeConfig, ScrapeJob};
///
/// let config = ScrapeConfig::new()
///     .interval("15s")
///     .job(ScrapeJob::new("shop").target("shop:8080"))
///     .job(ScrapeJob::new("shop-api").target("api.example:443").https())
///     .job(ScrapeJob::kubernetes_pods("shop-pods", "shop"))
///     .rule_file("rules/*.yml");
/// assert!(config.to_prometheus_yaml()?.contains("rule_files"));
/// // vmagent does not evaluate rules, and does not start if its configuration has `rule_files`.
/// assert!(!config.to_vmagent_yaml()?.contains("rule_files"));
/// # Ok::<(), tower_prometheus_mixin::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a configuration does nothing until it is written"]
pub struct ScrapeConfig {
    interval: Option<String>,
    jobs: Vec<ScrapeJob>,
    rule_files: Vec<String>,
}

/// A scrape job: targets that are scraped with the same settings.
///
/// The name of the job becomes the label `job` of all series.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a job does nothing until it is added to a configuration"]
pub struct ScrapeJob {
    name: String,
    targets: Vec<String>,
    namespace: Option<String>,
    path: Option<String>,
    interval: Option<String>,
    https: bool,
}

impl ScrapeConfig {
    /// Creates a configuration without jobs. Add at least one with [`job`](Self::job).
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the scrape interval of all jobs, such as `15s`. Default: 1 minute, the default of Prometheus and vmagent.
    pub fn interval(mut self, interval: impl Into<String>) -> Self {
        self.interval = Some(interval.into());
        self
    }

    /// Adds a job. Names of jobs must be unique.
    pub fn job(mut self, job: ScrapeJob) -> Self {
        self.jobs.push(job);
        self
    }

    /// Adds files of rules for Prometheus: a path or a pattern such as `rules/*.yml`, relative to the configuration file.
    ///
    /// The configuration of vmagent omits them.
    pub fn rule_file(mut self, file: impl Into<String>) -> Self {
        self.rule_files.push(file.into());
        self
    }

    /// Returns the file for Prometheus, as YAML.
    ///
    /// # Errors
    ///
    /// Returns an error if no job was added, two jobs have the same name, a job has no name or no target, a target is not
    /// `host:port`, a path does not start with `/`, or an interval is not a duration.
    pub fn to_prometheus_yaml(&self) -> Result<String, Error> {
        self.yaml(&self.rule_files)
    }

    /// Returns the file for vmagent and VictoriaMetrics, as YAML. It omits keys that only Prometheus accepts.
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
            return Err(Error::new("no job; add at least one"));
        }
        let mut scrape_configs: Vec<JobYaml<'_>> = Vec::new();
        for job in &self.jobs {
            if scrape_configs
                .iter()
                .any(|other| other.job_name == job.name)
            {
                return Err(Error::new(format!(
                    "two jobs have the name {:?}; rename one",
                    job.name
                )));
            }
            let yaml = job.to_yaml_model();
            let yaml = yaml.map_err(|error| error.within(format_args!("job {:?}", job.name)));
            scrape_configs.push(yaml?);
        }
        let config = ConfigYaml {
            global: interval.map(|scrape_interval| GlobalYaml { scrape_interval }),
            rule_files,
            scrape_configs,
        };
        yaml::write(&config, "a scrape configuration")
    }
}

impl ScrapeJob {
    /// Creates a job that scrapes its [`target`](Self::target)s over HTTP at `/metrics`, unless [`https`](Self::https) or
    /// [`path`](Self::path) is set.
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

    /// Creates a job that scrapes the annotated pods of a Kubernetes namespace.
    ///
    /// | annotation of the pod | meaning | default |
    /// |---|---|---|
    /// | `prometheus.io/scrape: "true"` | scrape the pod | not scraped |
    /// | `prometheus.io/path` | path of the metrics page | [`path`](Self::path), else `/metrics` |
    /// | `prometheus.io/port` | port | the port of the container |
    ///
    /// Series have the labels `namespace` and `pod`. Add them with
    /// [`Definitions::common_label`](crate::Definitions::common_label) to use them in queries.
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

    /// Sets the path of the metrics page. Default: `/metrics`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Sets the scrape interval of this job. Default: the interval of the [`ScrapeConfig`].
    pub fn interval(mut self, interval: impl Into<String>) -> Self {
        self.interval = Some(interval.into());
        self
    }

    /// Scrapes over HTTPS. Certificates are verified with the CA certificates of Prometheus' or vmagent's system.
    pub fn https(mut self) -> Self {
        self.https = true;
        self
    }

    fn to_yaml_model(&self) -> Result<JobYaml<'_>, Error> {
        self.check()?;
        let discovery = self.namespace.as_deref().map(|namespace| PodDiscovery {
            role: "pod",
            namespaces: Namespaces { names: [namespace] },
        });
        Ok(JobYaml {
            job_name: &self.name,
            scrape_interval: self.interval.as_deref(),
            metrics_path: self.path.as_deref(),
            scheme: self.https.then_some("https"),
            static_configs: match &*self.targets {
                [] => Vec::new(),
                targets => vec![StaticTargets { targets }],
            },
            relabel_configs: match discovery {
                Some(_) => annotation_rules(),
                None => Vec::new(),
            },
            kubernetes_sd_configs: discovery.into_iter().collect(),
        })
    }

    fn check(&self) -> Result<(), Error> {
        if self.name.is_empty() {
            return Err(Error::new("name is missing"));
        }
        if self.targets.is_empty() && self.namespace.is_none() {
            return Err(Error::new("no target; add at least one"));
        }
        for target in &self.targets {
            let port = target.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            let is_port = port.is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            if !is_port || target.contains('/') {
                return Err(Error::new(format!(
                    "target must be host:port, without scheme or path, got {target:?}"
                )));
            }
        }
        if let Some(path) = self.path.as_ref().filter(|path| !path.starts_with('/')) {
            return Err(Error::new(format!(
                "path must start with '/', got {path:?}"
            )));
        }
        self.interval.as_deref().map(check_duration).transpose()?;
        Ok(())
    }
}

/// Returns relabeling rules for the annotations that most Helm charts use.
fn annotation_rules() -> Vec<Relabel> {
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
struct ConfigYaml<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    global: Option<GlobalYaml<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rule_files: &'a [String],
    scrape_configs: Vec<JobYaml<'a>>,
}

#[derive(Serialize)]
struct GlobalYaml<'a> {
    scrape_interval: &'a str,
}

#[derive(Serialize)]
struct JobYaml<'a> {
    job_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scrape_interval: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    static_configs: Vec<StaticTargets<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kubernetes_sd_configs: Vec<PodDiscovery<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    relabel_configs: Vec<Relabel>,
}

#[derive(Serialize)]
struct StaticTargets<'a> {
    targets: &'a [String],
}

#[derive(Serialize)]
struct PodDiscovery<'a> {
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
