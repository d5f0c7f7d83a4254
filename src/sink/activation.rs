//! [`Activation`]: whether a layer measures, is turned off, or waits for a global recorder.

use std::sync::OnceLock;

use crate::error::Error;
use crate::sink::Sink;

/// Whether a layer measures. `S` is the type of its settings, `T` that of its series.
pub(crate) enum Activation<S, T: 'static> {
    Active,
    /// The layer is turned off.
    Off,
    /// No global recorder is installed yet.
    Waiting(Waiting<S, T>),
}

/// A layer that measures once a global recorder is installed.
pub(crate) struct Waiting<S, T: 'static> {
    settings: S,
    register: Register<S, T>,
    /// Set by the first request that finds a recorder; `None` if the recorder refuses the metrics.
    series: OnceLock<Option<&'static T>>,
}

type Register<S, T> = fn(&S, &Sink) -> Result<&'static T, Error>;

impl<S, T> Activation<S, T> {
    pub(crate) fn waiting(settings: S, register: Register<S, T>) -> Self {
        Self::Waiting(Waiting {
            settings,
            register,
            series: OnceLock::new(),
        })
    }

    /// The series that measure: `own`, or those that were registered once a recorder was installed.
    #[inline]
    pub(crate) fn active(&self, own: &'static T) -> Option<&'static T> {
        match self {
            Self::Active => Some(own),
            Self::Off => None,
            Self::Waiting(waiting) => waiting.series(),
        }
    }
}

impl<S, T> Waiting<S, T> {
    fn series(&self) -> Option<&'static T> {
        match self.series.get() {
            Some(series) => *series,
            None => self.look_for_recorder(),
        }
    }

    #[cold]
    fn look_for_recorder(&self) -> Option<&'static T> {
        let sink = Sink::installed()?;
        *self.series.get_or_init(|| {
            let series = (self.register)(&self.settings, &sink);
            let log = |error| tracing::error!("a metrics layer records nothing: {error}");
            series.map_err(log).ok()
        })
    }
}
