//! [`TraceId`]: the identifier of a trace, for exemplars.

use std::fmt;
use std::num::NonZeroU128;

/// The identifier of a trace, attached as an exemplar to the duration bucket of a request.
///
/// Exemplars are exported in OpenMetrics, and in protobuf to scrapers that name an `escaping`, as Prometheus does from
/// 3.0. The text format 0.0.4 has no exemplars, and recorders of other crates drop them. Prometheus stores them with
/// `--enable-feature=exemplar-storage`.
///
/// ```
/// use tower_prometheus::{HttpMetrics, Registry};
/// use tower_prometheus::http::TraceId;
///
/// let layer = HttpMetrics::server()
///     .exemplar(TraceId::from_traceparent)
///     .build(Registry::new())?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

impl TraceId {
    /// Creates the identifier from a number; `None` for 0, which is invalid in W3C Trace Context.
    #[must_use]
    pub const fn new(id: u128) -> Option<Self> {
        match NonZeroU128::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }
}

/// Writes 32 hexadecimal digits, as in `traceparent`.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}
