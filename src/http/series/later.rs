//! [`Later`]: the series of a layer whose global recorder is installed after the layer is built.

use std::sync::OnceLock;

use crate::http::config::settings::HttpSettings;
use crate::http::series::layer::LayerSeries;
use crate::sink::Sink;

/// The series of a layer whose global recorder is installed after the layer is built.
pub(super) struct Later {
    settings: HttpSettings,
    /// Set by the first request that finds a global recorder; `None` if the recorder refuses the metrics.
    series: OnceLock<Option<&'static LayerSeries>>,
}

impl Later {
    pub(super) fn new(settings: HttpSettings) -> Self {
        Self {
            settings,
            series: OnceLock::new(),
        }
    }

    /// The series, once a global recorder is installed.
    pub(super) fn series(&self) -> Option<&'static LayerSeries> {
        match self.series.get() {
            Some(series) => *series,
            None => self.register(),
        }
    }

    #[cold]
    fn register(&self) -> Option<&'static LayerSeries> {
        let sink = Sink::installed()?;
        *self.series.get_or_init(|| {
            let series = LayerSeries::shared(&self.settings, &sink);
            let error = |error| {
                tracing::error!("the HTTP metrics layer records nothing: {error}");
            };
            series.map_err(error).ok()
        })
    }
}
