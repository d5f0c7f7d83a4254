//! [`ConnectionSeries`]: the series of the long-lived connections of an endpoint.

use crate::http::series::label_values::LabelIds;
use crate::lifecycle::on_drop::OnDrop;
use crate::maps::slots::SlotKey;
use crate::sink::handles::{HistogramHandle, InProgressHandle};

/// The series of connections with the same endpoint, kind and labels; `None` for those that are not measured.
pub(crate) struct ConnectionSeries {
    pub(super) open: Option<InProgressHandle>,
    pub(super) duration: Option<HistogramHandle>,
}

/// The key of a [`ConnectionSeries`] within an endpoint.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct ConnectionKey {
    pub(super) kind: &'static str,
    pub(super) labels: LabelIds,
}

impl SlotKey for ConnectionKey {
    fn bits(self) -> u64 {
        self.kind.bits() ^ self.labels.bits()
    }
}

impl ConnectionSeries {
    pub(crate) fn open(&self) {
        if let Some(open) = &self.open {
            open.start();
        }
    }

    /// Closes a connection that was open for `seconds`.
    pub(crate) fn close(&self, seconds: f64) {
        // The gauge is decremented last, and also if another crate's recorder panics.
        let _closing = OnDrop(|| {
            if let Some(open) = &self.open {
                open.end();
            }
        });
        if let Some(duration) = &self.duration {
            duration.observe(seconds);
        }
    }
}
