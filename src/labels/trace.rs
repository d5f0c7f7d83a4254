//! [`TraceId`]: which trace a request belongs to.

use std::fmt;
use std::num::NonZeroU128;

use super::RequestHead;

/// The identifier of a trace, as an exemplar on the duration bucket of a request.
///
/// Exemplars are on pages of OpenMetrics only; a scraper keeps them if it is told to (Prometheus:
/// `--enable-feature=exemplar-storage`).
///
/// ```
/// use tower_prometheus::{HttpMetrics, Registry, TraceId};
///
/// let layer = HttpMetrics::server()
///     .exemplar(TraceId::from_traceparent)
///     .layer(Registry::new())?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

impl TraceId {
    /// A trace by its number, of which 0 is none.
    #[must_use]
    pub const fn new(id: u128) -> Option<Self> {
        match NonZeroU128::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The trace that the `traceparent` header names, if that trace is sampled: one that nobody keeps is
    /// no example.
    ///
    /// Source: W3C Trace Context, version 00; later versions are read as far as they agree with it.
    #[must_use]
    pub fn from_traceparent(request: RequestHead<'_>) -> Option<Self> {
        let mut parts = request.header("traceparent")?.split('-');
        let (version, trace, parent, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, length| {
            let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            text.len() == length && text.bytes().all(digit)
        };
        let is_whole = version != "00" || parts.next().is_none();
        let is_known = is_hex(version, 2) && version != "ff" && is_whole;
        let is_parent = is_hex(parent, 16) && parent.bytes().any(|digit| digit != b'0');
        if !is_known || !is_hex(trace, 32) || !is_parent || !is_hex(flags, 2) {
            return None;
        }
        let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        let id = u128::from_str_radix(trace, 16)
            .ok()
            .filter(|_| is_sampled)?;
        Self::new(id)
    }
}

/// Thirty-two hexadecimal digits.
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
