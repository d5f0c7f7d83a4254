//! [`Mixin`]: everything that a team deploys, as files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::dashboard::Dashboard;
use super::rules::Rules;
use super::scrape_config::ScrapeConfig;
use crate::Error;

/// Dashboards, rules and scrape configurations, written to a directory in one call.
///
/// | file | what |
/// |---|---|
/// | `dashboards/{uid}.json` | a dashboard, for Grafana's import page and its provisioning |
/// | `dashboards/{uid}.api.json` | the same for `POST /api/dashboards/db` |
/// | `rules/{name}.yml` | alerts and recordings |
/// | `prometheus.yml`, `vmagent.yml` | the scrape configuration |
///
/// ```no_run
/// use tower_prometheus::HttpMetrics;
/// use tower_prometheus::mixin::{Dashboard, Mixin, RuleGroup, Rules, ScrapeConfig, ScrapeJob};
///
/// let http = HttpMetrics::server();
/// Mixin::new()
///     .dashboard(Dashboard::http("shop-http", "Shop: HTTP", &http)?)
///     .rules("shop", Rules::new(http.families()?).group(RuleGroup::http("shop-http", &http)?))
///     .scrape_config(ScrapeConfig::new().job(ScrapeJob::new("shop").target("shop:8080")))
///     .write_to("deploy/monitoring")?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a mixin does nothing until it is written"]
pub struct Mixin {
    dashboards: Vec<Dashboard>,
    rules: Vec<(String, Rules)>,
    scrape_config: Option<ScrapeConfig>,
}

impl Mixin {
    /// Nothing to write yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a dashboard; its file is called by its `uid`.
    pub fn dashboard(mut self, dashboard: Dashboard) -> Self {
        self.dashboards.push(dashboard);
        self
    }

    /// Adds a file of rules, `rules/{name}.yml`.
    pub fn rules(mut self, name: impl Into<String>, rules: Rules) -> Self {
        self.rules.push((name.into(), rules));
        self
    }

    /// What is scraped.
    pub fn scrape_config(mut self, config: ScrapeConfig) -> Self {
        self.scrape_config = Some(config);
        self
    }

    /// The text of each file, by its path in the directory.
    ///
    /// # Errors
    ///
    /// When one of them cannot be made, or two have one name.
    pub fn files(&self) -> Result<BTreeMap<PathBuf, String>, Error> {
        let mut files = Files::default();
        for dashboard in &self.dashboards {
            let path = |kind| format!("dashboards/{}{kind}", dashboard.uid());
            files.add(path(".json"), dashboard.to_json()?)?;
            files.add(path(".api.json"), dashboard.to_api_json()?)?;
        }
        for (name, rules) in &self.rules {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || !name.chars().all(is_name) {
                return Err(Error::new(format!(
                    "{name:?} cannot be a file of rules: it is letters, digits, '-' and '_'"
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

    /// Writes every file below a directory, which is made if it is not there; files of the same names are
    /// replaced, others left alone. Nothing is written when one of them cannot be made.
    ///
    /// # Errors
    ///
    /// As [`files`](Self::files), and when a file cannot be written.
    pub fn write_to(&self, directory: impl AsRef<Path>) -> Result<(), Error> {
        for (path, text) in self.files()? {
            let path = directory.as_ref().join(path);
            let above = path.parent().unwrap_or(&path);
            std::fs::create_dir_all(above)
                .and_then(|()| std::fs::write(&path, text))
                .map_err(|error| Error::new(format!("cannot write {}: {error}", path.display())))?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Files(BTreeMap<PathBuf, String>);

impl Files {
    fn add(&mut self, path: String, text: String) -> Result<(), Error> {
        let path = PathBuf::from(path);
        if self.0.contains_key(&path) {
            let path = path.display();
            return Err(Error::new(format!("two files would be called {path}")));
        }
        self.0.insert(path, text);
        Ok(())
    }
}
