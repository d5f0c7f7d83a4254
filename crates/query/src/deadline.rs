//! [`Deadline`]: the time limit of one request.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error_response::ErrorResponse;

/// Replaces a time limit whose end is too late for an `Instant`.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// A deadline. It keeps the time limit for the error message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        let now = Instant::now();
        let at = now.checked_add(limit).unwrap_or_else(|| now + FAR_FUTURE);
        Self { at, limit }
    }

    /// Awaits a future. At the deadline, returns a timeout with this error message.
    pub(crate) async fn timeout<T>(
        self,
        error: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T, ErrorResponse> {
        let output = timeout_at(self.at, work).await;
        output.map_err(|_| ErrorResponse::timeout(error, self.limit))
    }
}
