//! [`PageSource`]: the source of a metrics page.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use http::HeaderMap;

use crate::exposition::negotiate::Format;
use crate::registry::Registry;
use crate::registry::collectors::Collectors;

/// The source of the page that a [`MetricsHandler`](crate::MetricsHandler) serves: a [`Registry`], or a
/// page rendered by other code.
///
/// ```
/// use tower_prometheus::MetricsHandler;
/// use tower_prometheus::scrape::PageSource;
///
/// let page = PageSource::rendered(|| "# TYPE up gauge\nup 1\n".to_owned());
/// let handler = MetricsHandler::new(page);
/// ```
#[derive(Clone)]
pub struct PageSource(pub(crate) SourceKind);

#[derive(Clone)]
pub(crate) enum SourceKind {
    Registry(Registry),
    Rendered {
        render: Arc<dyn Render>,
        /// The registry whose collectors are on the page.
        collectors: Option<Registry>,
    },
}

/// A renderer of a metrics page in the text format 0.0.4.
///
/// It is implemented for closures, and with the feature `exporter` for
/// `metrics_exporter_prometheus::PrometheusHandle`.
pub trait Render: Send + Sync + 'static {
    /// Returns the page, whose last line must end with a newline.
    ///
    /// It is called on the thread that serves the metrics page, so it must not block. Scrapes that share a run
    /// share one call. A panic propagates to the task that polls the response body.
    fn render(&self) -> String;
}

impl<F: Fn() -> String + Send + Sync + 'static> Render for F {
    fn render(&self) -> String {
        self()
    }
}

#[cfg(feature = "exporter")]
#[cfg_attr(docsrs, doc(cfg(feature = "exporter")))]
impl Render for metrics_exporter_prometheus::PrometheusHandle {
    fn render(&self) -> String {
        self.render()
    }
}

impl PageSource {
    /// Creates a source from a page rendered by other code, such as another exporter.
    ///
    /// The page is served in the text format 0.0.4, whatever formats the scraper accepts.
    pub fn rendered(render: impl Render) -> Self {
        Self(SourceKind::Rendered {
            render: Arc::new(render),
            collectors: None,
        })
    }

    /// Adds the metrics of the collectors of `registry` to a [rendered](Self::rendered) page.
    ///
    /// The other metrics of `registry` are not added. If a metric of a collector is already on the rendered
    /// page, that collector loses all its metrics. Metrics of the rendered page are recognized by their `# TYPE`
    /// lines.
    ///
    /// This has no effect on the page of a registry, which has its own collectors.
    #[must_use]
    pub fn collectors(mut self, registry: &Registry) -> Self {
        if let SourceKind::Rendered { collectors, .. } = &mut self.0 {
            *collectors = Some(registry.clone());
        }
        self
    }
}

impl SourceKind {
    pub(crate) fn format(&self, headers: &HeaderMap) -> Format {
        match self {
            Self::Registry(_) => Format::negotiate(headers),
            Self::Rendered { .. } => Format::Text,
        }
    }

    /// Returns the registry whose collectors are on the page.
    fn registry(&self) -> Option<&Registry> {
        match self {
            Self::Registry(registry) => Some(registry),
            Self::Rendered { collectors, .. } => collectors.as_ref(),
        }
    }

    /// Returns the collectors to call; `None` if none are registered.
    pub(crate) fn collectors(&self) -> Option<&Collectors> {
        let collectors = self.registry()?.collectors();
        (!collectors.is_empty()).then_some(collectors)
    }

    /// Returns the constant labels of collectors, in the text format.
    pub(crate) fn constant_labels(&self) -> Arc<str> {
        let registry = self.registry();
        registry.map_or_else(Arc::default, |registry| {
            registry.collectors().constant_labels()
        })
    }

    pub(crate) fn is_worth_compressing(&self) -> bool {
        match self {
            Self::Registry(registry) => {
                registry.is_worth_compressing() || !registry.collectors().is_empty()
            }
            Self::Rendered { .. } => true,
        }
    }
}

/// Returns the names of the samples of a rendered page, from its TYPE lines.
pub(crate) fn sample_names(page: &str) -> HashSet<String> {
    let families = page.lines().filter_map(|line| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some((name, matches!(kind, "histogram" | "summary")))
    });
    let names = families.flat_map(|(name, has_suffixes)| {
        const SUFFIXES: [&str; 4] = ["", "_bucket", "_sum", "_count"];
        let suffixes = &SUFFIXES[..if has_suffixes { SUFFIXES.len() } else { 1 }];
        suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
    });
    names.collect()
}

impl From<&Registry> for PageSource {
    fn from(registry: &Registry) -> Self {
        Self(SourceKind::Registry(registry.clone()))
    }
}

impl From<Registry> for PageSource {
    fn from(registry: Registry) -> Self {
        Self(SourceKind::Registry(registry))
    }
}

#[cfg(feature = "exporter")]
#[cfg_attr(docsrs, doc(cfg(feature = "exporter")))]
impl From<metrics_exporter_prometheus::PrometheusHandle> for PageSource {
    fn from(handle: metrics_exporter_prometheus::PrometheusHandle) -> Self {
        Self::rendered(handle)
    }
}

impl fmt::Debug for PageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SourceKind::Registry(registry) => f.debug_tuple("PageSource").field(registry).finish(),
            SourceKind::Rendered { .. } => f.write_str("PageSource(rendered)"),
        }
    }
}
