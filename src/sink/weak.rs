//! [`WeakSink`]: a sink that does not keep its registry.

use std::sync::Arc;

use metrics::{NoopRecorder, Recorder};

use crate::registry::WeakRegistry;
use crate::sink::{Sink, SinkKind};

/// A sink that does not keep its registry, for the state of layers and catalogues, which is never freed.
#[derive(Clone)]
pub(crate) struct WeakSink(WeakSinkKind);

#[derive(Clone)]
enum WeakSinkKind {
    Registry(WeakRegistry),
    Recorder(Arc<dyn Recorder + Send + Sync>),
    Global,
}

impl WeakSink {
    pub(super) fn of(sink: &Sink) -> Self {
        Self(match &sink.0 {
            SinkKind::Registry(registry) => WeakSinkKind::Registry(registry.downgrade()),
            SinkKind::Recorder(recorder) => WeakSinkKind::Recorder(Arc::clone(recorder)),
            SinkKind::Global => WeakSinkKind::Global,
        })
    }

    pub(crate) fn is_registry(&self) -> bool {
        matches!(self.0, WeakSinkKind::Registry(_))
    }

    /// Returns the sink. If its registry was dropped, the result is a sink that records nothing.
    ///
    /// Only for the registration of series: it changes a reference count that all threads share.
    pub(crate) fn upgrade(&self) -> Sink {
        match &self.0 {
            WeakSinkKind::Registry(registry) => match registry.upgrade() {
                Some(registry) => Sink(SinkKind::Registry(registry)),
                None => Sink::recorder(NoopRecorder),
            },
            WeakSinkKind::Recorder(recorder) => Sink(SinkKind::Recorder(Arc::clone(recorder))),
            WeakSinkKind::Global => Sink(SinkKind::Global),
        }
    }
}
