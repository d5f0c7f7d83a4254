//! [`ScrapeConfig`] and [`ScrapeJob`]: scrape configurations of Prometheus and vmagent.

use serde::Serialize;

use crate::error::Error;
use crate::native_scrapes::{NativeScrapes, NativeSettings};
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
    native: NativeScrapes,
}

/// A scrape job: targets that are scraped with the same settings.
///
/// The name of the job becomes the label `job` of all series, unless [`honor_labels`](Self::honor_labels) keeps another.
///
/// # Credentials
///
/// Credentials are read from files by Prometheus and vmagent. They cannot be written into the configuration, because
/// generated files are usually in a repository, and Prometheus shows its configuration on a page. The paths are those on the
/// machine of Prometheus or vmagent, relative to the configuration file.
///
/// ```
/// use tower_prometheus_mixin::{ScrapeConfig, ScrapeJob};
///
/// let config = ScrapeConfig::new()
///     .job(
///         ScrapeJob::new("shop")
///             .target("shop:8443")
///             .https()
///             .ca_file("/etc/prometheus/ca.pem")
///             .authorization("Bearer", "/etc/prometheus/shop-token"),
///     )
///     .job(
///         ScrapeJob::new("pushgateway")
///             .target("pushgateway:9091")
///             .honor_labels()
///             .basic_auth("prometheus", "/etc/prometheus/pushgateway-password"),
///     );
/// assert!(config.to_prometheus_yaml()?.contains("credentials_file: /etc/prometheus/shop-token"));
/// # Ok::<(), tower_prometheus_mixin::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a job does nothing until it is added to a configuration"]
pub struct ScrapeJob {
    name: String,
    targets: Vec<String>,
    namespace: Option<String>,
    path: Option<String>,
    interval: Option<String>,
    https: bool,
    honor_labels: bool,
    basic_auth: Option<BasicAuthYaml>,
    authorization: Option<AuthorizationYaml>,
    tls: TlsYaml,
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

    /// Makes all jobs scrape native histograms, with the settings of this version of Prometheus, such as `3.8` or `2.42.0`.
    ///
    /// | version | in the file | needed besides the file |
    /// |---|---|---|
    /// | 3.8 and later | `scrape_native_histograms: true` | nothing |
    /// | 2.40 to 3.7 | a comment that names the flag | the flag `--enable-feature=native-histograms` of Prometheus, for all jobs; see [`prometheus_flags`](Self::prometheus_flags) |
    /// | before 2.40 | an error | |
    ///
    /// Prometheus then prefers protobuf, the only format that has native histograms. If you set `scrape_protocols`
    /// yourself, `PrometheusProto` must be the first. A histogram that has native buckets is stored with these only, unless
    /// [`always_scrape_classic_histograms`](Self::always_scrape_classic_histograms) is set.
    ///
    /// The configuration is for this version. For servers of several versions, generate one for each: Prometheus before 3.8
    /// does not load a file with `scrape_native_histograms`, and from 3.9 the flag has no effect.
    ///
    /// The configuration of vmagent does not change, because VictoriaMetrics scrapes text only. It gets classic buckets, so
    /// keep them: of a histogram
    /// [without classic buckets](tower_prometheus::NativeHistogram::without_classic_buckets), it gets only the sum and the
    /// count.
    ///
    /// ```
    /// use tower_prometheus_mixin::{ScrapeConfig, ScrapeJob};
    ///
    /// let config = |version: &str| {
    ///     let job = ScrapeJob::new("shop").target("shop:8080");
    ///     ScrapeConfig::new().job(job).native_histograms(version)
    /// };
    /// assert!(config("3.8").to_prometheus_yaml()?.contains("scrape_native_histograms: true"));
    /// assert!(config("3.8").prometheus_flags()?.is_empty());
    /// assert_eq!(config("2.42.0").prometheus_flags()?, ["--enable-feature=native-histograms"]);
    /// # Ok::<(), tower_prometheus_mixin::Error>(())
    /// ```
    pub fn native_histograms(mut self, prometheus_version: impl Into<String>) -> Self {
        self.native.version = Some(prometheus_version.into());
        self
    }

    /// Makes all jobs also scrape the classic buckets of histograms that have native ones. Needs
    /// [`native_histograms`](Self::native_histograms).
    ///
    /// | version | in the file |
    /// |---|---|
    /// | 3.0 and later | `always_scrape_classic_histograms: true` |
    /// | 2.45 to 2.55 | `scrape_classic_histograms: true` |
    /// | before 2.45 | an error |
    ///
    /// Set it while queries of classic buckets are still in use, such as dashboards that are not generated. It stores both
    /// kinds.
    pub fn always_scrape_classic_histograms(mut self) -> Self {
        self.native.classic_too = true;
        self
    }

    /// Returns the command-line flags that Prometheus needs besides the file: `--enable-feature=native-histograms` if
    /// [`native_histograms`](Self::native_histograms) is set for a version before 3.8, else none.
    ///
    /// Prometheus accepts `--enable-feature` several times, so the flag can be added to others.
    ///
    /// # Errors
    ///
    /// Returns an error if the version is not valid or too old for the settings.
    pub fn prometheus_flags(&self) -> Result<Vec<&'static str>, Error> {
        Ok(self.native.settings()?.flag.into_iter().collect())
    }

    /// Returns the file for Prometheus, as YAML.
    ///
    /// # Errors
    ///
    /// Returns an error if no job was added, two jobs have the same name, a job has no name or no target, a target is not
    /// `host:port`, a path does not start with `/`, an interval is not a duration, a job has both
    /// [`basic_auth`](ScrapeJob::basic_auth) and [`authorization`](ScrapeJob::authorization), the type of an authorization is
    /// `Basic`, TLS settings are set without [`https`](ScrapeJob::https), the path of a file is empty, or the version of
    /// Prometheus is not valid or too old for [`native_histograms`](Self::native_histograms) and
    /// [`always_scrape_classic_histograms`](Self::always_scrape_classic_histograms).
    pub fn to_prometheus_yaml(&self) -> Result<String, Error> {
        let native = self.native.settings()?;
        let yaml = self.yaml(&self.rule_files, native)?;
        Ok(match native.flag {
            Some(flag) => format!("# Native histograms: start Prometheus with {flag}\n{yaml}"),
            None => yaml,
        })
    }

    /// Returns the file for vmagent and VictoriaMetrics, as YAML. It omits keys that only Prometheus accepts.
    ///
    /// # Errors
    ///
    /// As [`to_prometheus_yaml`](Self::to_prometheus_yaml), except those of the version of Prometheus.
    pub fn to_vmagent_yaml(&self) -> Result<String, Error> {
        self.yaml(&[], NativeSettings::default())
    }

    fn yaml(&self, rule_files: &[String], native: NativeSettings) -> Result<String, Error> {
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
            let yaml = job.to_yaml_model(native);
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
            honor_labels: false,
            basic_auth: None,
            authorization: None,
            tls: TlsYaml::default(),
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

    /// Scrapes over HTTPS. Certificates are verified with the CA certificates of Prometheus' or vmagent's system, unless
    /// [`ca_file`](Self::ca_file) is set. The verification cannot be disabled.
    pub fn https(mut self) -> Self {
        self.https = true;
        self
    }

    /// Sets the CA certificates that targets are verified with, as a PEM file. Needs [`https`](Self::https).
    pub fn ca_file(mut self, file: impl Into<String>) -> Self {
        self.tls.ca_file = Some(file.into());
        self
    }

    /// Sets the client certificate and its key, as PEM files, for targets that verify the client. Needs
    /// [`https`](Self::https).
    pub fn client_certificate(
        mut self,
        certificate_file: impl Into<String>,
        key_file: impl Into<String>,
    ) -> Self {
        self.tls.cert_file = Some(certificate_file.into());
        self.tls.key_file = Some(key_file.into());
        self
    }

    /// Sets the name that the certificates of the targets must have. Default: the host of the target. Needs
    /// [`https`](Self::https).
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.tls.server_name = Some(name.into());
        self
    }

    /// Authenticates with a user name and a password from a file.
    pub fn basic_auth(
        mut self,
        username: impl Into<String>,
        password_file: impl Into<String>,
    ) -> Self {
        self.basic_auth = Some(BasicAuthYaml {
            username: username.into(),
            password_file: password_file.into(),
        });
        self
    }

    /// Authenticates with the header `Authorization: {kind} {credentials}`, with the credentials from a file.
    ///
    /// `kind` is usually `Bearer`. For `Basic`, use [`basic_auth`](Self::basic_auth).
    pub fn authorization(
        mut self,
        kind: impl Into<String>,
        credentials_file: impl Into<String>,
    ) -> Self {
        self.authorization = Some(AuthorizationYaml {
            kind: kind.into(),
            credentials_file: credentials_file.into(),
        });
        self
    }

    /// Keeps the labels `job` and `instance` of the scraped series, instead of the job's name and the target's address.
    ///
    /// Set it for a Pushgateway or another Prometheus. The series of a Pushgateway then have the `job` that was pushed, and
    /// no `instance`: see [`Definitions::without_instance`](crate::Definitions::without_instance).
    pub fn honor_labels(mut self) -> Self {
        self.honor_labels = true;
        self
    }

    fn to_yaml_model(&self, native: NativeSettings) -> Result<JobYaml<'_>, Error> {
        self.check()?;
        let discovery = self.namespace.as_deref().map(|namespace| PodDiscovery {
            role: "pod",
            namespaces: Namespaces { names: [namespace] },
        });
        Ok(JobYaml {
            job_name: &self.name,
            scrape_interval: self.interval.as_deref(),
            scrape_native_histograms: native.scrape_native_histograms,
            scrape_classic_histograms: native.scrape_classic_histograms,
            always_scrape_classic_histograms: native.always_scrape_classic_histograms,
            honor_labels: self.honor_labels,
            metrics_path: self.path.as_deref(),
            scheme: self.https.then_some("https"),
            basic_auth: self.basic_auth.as_ref(),
            authorization: self.authorization.as_ref(),
            tls_config: Some(&self.tls).filter(|tls| **tls != TlsYaml::default()),
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
        self.check_authentication()?;
        self.check_tls()
    }

    fn check_authentication(&self) -> Result<(), Error> {
        if self.basic_auth.is_some() && self.authorization.is_some() {
            return Err(Error::new(
                "basic_auth and authorization are both set; remove one",
            ));
        }
        if let Some(BasicAuthYaml {
            username,
            password_file,
        }) = &self.basic_auth
        {
            check_not_empty("the user name of basic_auth", username)?;
            check_not_empty("the password file of basic_auth", password_file)?;
        }
        if let Some(AuthorizationYaml {
            kind,
            credentials_file,
        }) = &self.authorization
        {
            let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-';
            if kind.is_empty() || !kind.chars().all(is_token) || kind.eq_ignore_ascii_case("basic")
            {
                return Err(Error::new(format!(
                    "the type of authorization must be letters, digits and '-', such as \"Bearer\", got {kind:?}; for \
                     \"Basic\", use basic_auth"
                )));
            }
            check_not_empty("the credentials file of authorization", credentials_file)?;
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), Error> {
        let settings = [
            ("ca_file", &self.tls.ca_file),
            ("the file of client_certificate", &self.tls.cert_file),
            ("the key file of client_certificate", &self.tls.key_file),
            ("server_name", &self.tls.server_name),
        ];
        for (setting, value) in settings {
            let Some(value) = value else {
                continue;
            };
            check_not_empty(setting, value)?;
            if !self.https {
                return Err(Error::new(format!(
                    "{setting} is set without https; add it"
                )));
            }
        }
        Ok(())
    }
}

fn check_not_empty(setting: &str, value: &str) -> Result<(), Error> {
    match value.is_empty() {
        true => Err(Error::new(format!("{setting} is empty"))),
        false => Ok(()),
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
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    scrape_native_histograms: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    scrape_classic_histograms: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    always_scrape_classic_histograms: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    honor_labels: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    basic_auth: Option<&'a BasicAuthYaml>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<&'a AuthorizationYaml>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_config: Option<&'a TlsYaml>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    static_configs: Vec<StaticTargets<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kubernetes_sd_configs: Vec<PodDiscovery<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    relabel_configs: Vec<Relabel>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct BasicAuthYaml {
    username: String,
    password_file: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct AuthorizationYaml {
    #[serde(rename = "type")]
    kind: String,
    credentials_file: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct TlsYaml {
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
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
