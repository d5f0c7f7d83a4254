//! [`TraceId::from_traceparent`]: reads the trace of a request from its header.

use crate::http::labels::head::RequestHead;
use crate::model::trace::TraceId;

impl TraceId {
    /// Returns the trace in the `traceparent` header; `None` if the header is missing, invalid or not sampled.
    ///
    /// A trace that is not sampled is usually not stored, so its exemplar would lead nowhere.
    ///
    /// The format is W3C Trace Context, version 00. Later versions are accepted if they start with the same
    /// fields.
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
