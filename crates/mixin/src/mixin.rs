//! [`Mixin`]: all generated files of a deployment.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::dashboard::Dashboard;
use crate::error::Error;
use crate::rules::Rules;
use crate::scrape_config::ScrapeConfig;

/// A set of dashboards, rules and scrape configurations that is written to a directory.
///
/// | file | content |
/// |---|---|
/// | `dashboards/{uid}.json` | a dashboard, for Grafana's import page and for provisioning |
/// | `dashboards/{uid}.api.json` | the same dashboard, for `POST /api/dashboards/db` |
/// | `rules/{name}.yml` | alerts and recording rules |
/// | `prometheus.yml`, `vmagent.yml` | the scrape configurations |
///
/// ```no_run
/// use tower_prometheus::HttpMetrics;
/// use tower_prometheus_mixin::{Dashboard, Mixin, RuleGroup, Rules, ScrapeConfig, ScrapeJob};
///
/// let http = HttpMetrics::server();
/// Mixin::new()
///     .dashboard(Dashboard::http("shop-http", "Shop: HTTP", &http)?)
///     .rules("shop", Rules::new(http.families()?).group(RuleGroup::http("shop-http", &http)?))
///     .scrape_config(ScrapeConfig::new().job(ScrapeJob::new("shop").target("shop:8080")))
///     .write_to("deploy/monitoring")?;
/// # Ok::<(), tower_prometheus_mixin::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a mixin does nothing until it is written"]
pub struct Mixin {
    dashboards: Vec<Dashboard>,
    rules: Vec<(String, Rules)>,
    scrape_config: Option<ScrapeConfig>,
    custom_panels: Option<PathBuf>,
}

impl Mixin {
    /// Creates a mixin without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a dashboard, as `dashboards/{uid}.json` and `dashboards/{uid}.api.json`.
    pub fn dashboard(mut self, dashboard: Dashboard) -> Self {
        self.dashboards.push(dashboard);
        self
    }

    /// Adds a file of rules, `rules/{name}.yml`.
    ///
    /// `name` consists of letters, digits, `-` and `_`.
    pub fn rules(mut self, name: impl Into<String>, rules: Rules) -> Self {
        self.rules.push((name.into(), rules));
        self
    }

    /// Sets the scrape configuration, for `prometheus.yml` and `vmagent.yml`. Without it, these files are not written.
    pub fn scrape_config(mut self, config: ScrapeConfig) -> Self {
        self.scrape_config = Some(config);
        self
    }

    /// Keeps custom panels that users added in Grafana: those of the files `dashboards/{uid}.json` in this directory, usually
    /// the directory of [`write_to`](Self::write_to).
    ///
    /// By default, [`write_to`](Self::write_to) replaces existing dashboards. With this setting, export a changed dashboard
    /// from Grafana to its file, then generate again. [`Dashboard::keep_custom_panels`] lists what is kept. Dashboards
    /// without a file have no custom panels.
    ///
    /// ```no_run
    /// use tower_prometheus::HttpMetrics;
    /// use tower_prometheus_mixin::{Dashboard, Mixin};
    ///
    /// let directory = "deploy/monitoring";
    /// Mixin::new()
    ///     .dashboard(Dashboard::http("shop-http", "Shop: HTTP", HttpMetrics::server())?.editable(true))
    ///     .keep_custom_panels(directory)
    ///     .write_to(directory)?;
    /// # Ok::<(), tower_prometheus_mixin::Error>(())
    /// ```
    pub fn keep_custom_panels(mut self, directory: impl Into<PathBuf>) -> Self {
        self.custom_panels = Some(directory.into());
        self
    }

    /// Returns the content of each file, by its path in the directory.
    ///
    /// # Errors
    ///
    /// Returns an error if
    ///
    /// - a file cannot be generated: see [`Dashboard::to_json`], [`Rules::to_yaml`] and
    ///   [`ScrapeConfig::to_prometheus_yaml`];
    /// - two dashboards have the same `uid`, or two files of rules the same name;
    /// - the name of a file of rules has characters other than letters, digits, `-` and `_`;
    /// - an existing dashboard of [`keep_custom_panels`](Self::keep_custom_panels) cannot be read.
    pub fn files(&self) -> Result<BTreeMap<PathBuf, String>, Error> {
        let mut files = FilesByPath::default();
        for dashboard in &self.dashboards {
            let path = |kind| format!("dashboards/{}{kind}", dashboard.uid());
            let dashboard = &self.with_custom_panels(dashboard, &path(".json"))?;
            files.add(path(".json"), dashboard.to_json()?)?;
            files.add(path(".api.json"), dashboard.to_api_json()?)?;
        }
        for (name, rules) in &self.rules {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || !name.chars().all(is_name) {
                return Err(Error::new(format!(
                    "the name of a rule file must be letters, digits, '-' and '_', got {name:?}"
                )));
            }
            files.add(format!("rules/{name}.yml"), rules.to_yaml()?)?;
        }
        if let Some(config) = &self.scrape_config {
            files.add("prometheus.yml".to_owned(), config.to_prometheus_yaml()?)?;
            files.add("vmagent.yml".to_owned(), config.to_vmagent_yaml()?)?;
        }
        Ok(files.0)
    }

    fn with_custom_panels(&self, dashboard: &Dashboard, file: &str) -> Result<Dashboard, Error> {
        let Some(directory) = &self.custom_panels else {
            return Ok(dashboard.clone());
        };
        let path = directory.join(file);
        match std::fs::read_to_string(&path) {
            Ok(existing) => {
                let dashboard = dashboard.clone().keep_custom_panels(&existing);
                dashboard.map_err(|error| error.within(path.display()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(dashboard.clone()),
            Err(error) => Err(Error::io(
                format_args!("cannot read {}", path.display()),
                error,
            )),
        }
    }

    /// Writes all files to a directory. Creates the directory if it does not exist.
    ///
    /// Existing files of the same names are replaced; see [`keep_custom_panels`](Self::keep_custom_panels). Other files are left unchanged: delete files that are no longer
    /// generated yourself. All files are generated before the first one is written.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`files`](Self::files); nothing is written then. Returns an error with [`Error::is_io`] if a
    /// directory or file cannot be written; some files may be written already.
    pub fn write_to(&self, directory: impl AsRef<Path>) -> Result<(), Error> {
        for (path, text) in self.files()? {
            let path = directory.as_ref().join(path);
            let parent = path.parent().unwrap_or(&path);
            std::fs::create_dir_all(parent)
                .and_then(|()| std::fs::write(&path, text))
                .map_err(|error| {
                    Error::io(format_args!("cannot write {}", path.display()), error)
                })?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct FilesByPath(BTreeMap<PathBuf, String>);

impl FilesByPath {
    fn add(&mut self, path: String, text: String) -> Result<(), Error> {
        let path = PathBuf::from(path);
        if self.0.contains_key(&path) {
            let path = path.display();
            return Err(Error::new(format!(
                "two files have the path {path}; rename one"
            )));
        }
        self.0.insert(path, text);
        Ok(())
    }
}
