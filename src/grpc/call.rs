//! [`GrpcCall`]: one call, opened before the service runs and closed exactly once, at the latest when it
//! is dropped.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use http_body::Body;

use crate::clock::Instant;
use crate::grpc::code::Code;
use crate::grpc::series::{GrpcSeries, MethodSeries};
use crate::lifecycle::panic_guard::OnPanic;

pub(crate) struct GrpcCall {
    methods: &'static GrpcSeries,
    place: CallState,
    started: Instant,
    /// What the client allows, in seconds.
    timeout: Option<f64>,
    /// The code that holds unless trailers say another one, once the head is there and says one.
    head: Option<Code>,
}

/// Where a call is in progress.
enum CallState {
    Open(&'static MethodSeries),
    /// Nobody knows yet whether there is such a method.
    DeferredCall(Arc<DeferredCall>),
    /// Ended, or not gRPC.
    Closed,
}

/// How a call ended. One value for each row of the table in the [module's documentation](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallEnd {
    /// The response is complete; its trailers had that code, or none.
    Complete(Option<Code>),
    /// The service returned an error, or the body gave one.
    Failed,
    /// Nobody waits any more: the client left, or a timeout outside.
    Dropped,
    /// The service or the body panicked.
    Panicked,
}

/// A call to a method that is not known yet, and the messages that came before it is.
pub(crate) struct DeferredCall {
    path: Box<str>,
    series: OnceLock<&'static MethodSeries>,
    early: AtomicU64,
}

/// Where the messages of a request are counted.
pub(crate) enum MessageCounter {
    Of(&'static MethodSeries),
    OfUnlabelled(Arc<DeferredCall>),
    Nowhere,
}

impl GrpcCall {
    #[inline]
    pub(crate) fn open<B>(
        methods: &'static GrpcSeries,
        request: &Request<B>,
    ) -> (Self, MessageCounter) {
        let headers = request.headers();
        let (place, messages) = if !is_grpc(headers) {
            (CallState::Closed, MessageCounter::Nowhere)
        } else if let Some(series) = methods.find(request.uri().path()) {
            series.begin();
            (CallState::Open(series), MessageCounter::Of(series))
        } else {
            let call = Arc::new(DeferredCall {
                path: request.uri().path().into(),
                series: OnceLock::new(),
                early: AtomicU64::new(0),
            });
            let messages = MessageCounter::OfUnlabelled(Arc::clone(&call));
            (CallState::DeferredCall(call), messages)
        };
        let call = Self {
            methods,
            place,
            started: Instant::now(),
            timeout: timeout(headers),
            head: None,
        };
        (call, messages)
    }

    /// Hands the open call on, leaving a closed one behind.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        let place = std::mem::replace(&mut self.place, CallState::Closed);
        Self { place, ..*self }
    }

    /// The head of the response is there; it may be all there is.
    #[inline]
    pub(crate) fn answer<B: Body>(&mut self, response: &Response<B>) {
        if let CallState::Closed = self.place {
            return;
        }
        let status = response.status();
        // The status of HTTP decides only where it is no success: else trailers will.
        self.head = Code::of_headers(response.headers())
            .or_else(|| (status != StatusCode::OK).then(|| Code::of_http(status)));
        if let CallState::DeferredCall(_) = self.place {
            // Whoever answers in gRPC's own way, and not that there is no such method, has it.
            let proven =
                is_grpc(response.headers()) && self.head.is_none_or(|c| c != Code::Unimplemented);
            self.label(proven);
        }
        if response.body().is_end_stream() {
            self.close(CallEnd::Complete(None));
        }
    }

    /// MessageCounter of the response passed.
    #[inline]
    pub(crate) fn count_messages(&self, messages: u64) {
        if let CallState::Open(series) = self.place {
            series.response_messages.add(messages);
        }
    }

    /// Gives an unlabelled call its labels: those of its path, or `unknown`.
    #[cold]
    fn label(&mut self, proven: bool) {
        let CallState::DeferredCall(call) = &self.place else {
            return;
        };
        let series = if proven {
            self.methods.register(&call.path)
        } else {
            self.methods.unknown()
        };
        series.begin();
        call.settle(series);
        self.place = CallState::Open(series);
    }

    /// Closes the call. Only the first time counts.
    #[inline]
    pub(crate) fn close(&mut self, end: CallEnd) {
        if let CallState::DeferredCall(_) = self.place {
            self.label(false);
        }
        let CallState::Open(series) = std::mem::replace(&mut self.place, CallState::Closed) else {
            return;
        };
        let seconds = self.started.elapsed_seconds();
        let code = self.code(end, seconds);
        series.handling.observe(seconds);
        self.methods.count(series, code);
        series.in_progress.end();
    }

    #[inline]
    fn code(&self, end: CallEnd, seconds: f64) -> Code {
        let or_given_up = |code| match self.timeout {
            Some(timeout) if has_passed(timeout, seconds) => Code::DeadlineExceeded,
            _ => code,
        };
        match end {
            CallEnd::Complete(trailers) => trailers.or(self.head).unwrap_or(Code::Unknown),
            CallEnd::Failed => self
                .head
                .unwrap_or_else(|| or_given_up(self.methods.side().code_of_errors())),
            CallEnd::Dropped => self.head.unwrap_or_else(|| or_given_up(Code::Canceled)),
            CallEnd::Panicked => Code::Internal,
        }
    }
}

impl OnPanic for GrpcCall {
    fn on_panic(&mut self) {
        self.close(CallEnd::Panicked);
    }
}

impl Drop for GrpcCall {
    fn drop(&mut self) {
        self.close(CallEnd::Dropped);
    }
}

impl DeferredCall {
    fn settle(&self, series: &'static MethodSeries) {
        let series = self.series.get_or_init(|| series);
        self.flush(series);
    }

    fn count(&self, messages: u64) {
        self.early.fetch_add(messages, Ordering::SeqCst);
        // Whoever comes second sees what the other did, so nothing stays behind.
        if let Some(series) = self.series.get() {
            self.flush(series);
        }
    }

    fn flush(&self, series: &MethodSeries) {
        let early = self.early.swap(0, Ordering::SeqCst);
        series.request_messages.add(early);
    }
}

impl MessageCounter {
    #[inline]
    pub(crate) fn count(&self, messages: u64) {
        match self {
            Self::Of(series) => series.request_messages.add(messages),
            Self::OfUnlabelled(call) => call.count(messages),
            Self::Nowhere => {}
        }
    }
}

/// `application/grpc`, `application/grpc+proto`, …, but not `application/grpc-web`, whose trailers
/// are in its body.
#[inline]
fn is_grpc(headers: &HeaderMap) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    headers.get(CONTENT_TYPE).is_some_and(|content_type| {
        let content_type = content_type.as_bytes();
        content_type
            .split_at_checked(GRPC.len())
            .is_some_and(|(start, rest)| {
                start.eq_ignore_ascii_case(GRPC)
                    && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
            })
    })
}

static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The header `grpc-timeout` in seconds: at most eight digits and a unit.
#[inline]
fn timeout(headers: &HeaderMap) -> Option<f64> {
    const MOST_DIGITS: usize = 8;
    let (unit, digits) = headers.get(&GRPC_TIMEOUT)?.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = digits.iter();
    let number = digits.fold(0.0, |n, digit| n * 10.0 + f64::from(digit - b'0'));
    let seconds = match unit {
        b'H' => 3600.0,
        b'M' => 60.0,
        b'S' => 1.0,
        b'm' => 1e-3,
        b'u' => 1e-6,
        b'n' => 1e-9,
        _ => return None,
    };
    Some(number * seconds)
}

/// Whether the time was up. A client's clock started before ours, and its cancellation may be here
/// before our time is up: a tenth of it, at most 10 ms, does not count.
fn has_passed(timeout: f64, seconds: f64) -> bool {
    seconds >= timeout - (timeout * 0.1).min(0.01)
}

impl fmt::Debug for GrpcCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = !matches!(self.place, CallState::Closed);
        f.debug_struct("GrpcCall")
            .field("open", &open)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MessageCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageCounter")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::stepped;
    use crate::grpc::config::GrpcMetrics;
    use crate::registry::Registry;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn a_content_type_is_of_grpc_or_not() {
        for yes in [
            "application/grpc",
            "application/grpc+proto",
            "Application/GRPC; charset=utf-8",
            "application/grpc;x=y",
        ] {
            assert!(is_grpc(&headers("content-type", yes)), "{yes}");
        }
        for no in [
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grp",
            "application/json",
            "",
        ] {
            assert!(!is_grpc(&headers("content-type", no)), "{no}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        let read = |value| timeout(&headers("grpc-timeout", value));
        assert_eq!(read("2H"), Some(7200.0));
        assert_eq!(read("3M"), Some(180.0));
        assert_eq!(read("4S"), Some(4.0));
        assert_eq!(read("250m"), Some(0.25));
        assert_eq!(read("5u").map(|t| (t * 1e6).round()), Some(5.0));
        assert_eq!(
            read("99999999n").map(|t| (t * 1e9).round()),
            Some(99_999_999.0)
        );
        for wrong in ["", "S", "1", "1s", "-1S", "1.5S", "123456789S", "1 S"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    /// The code of a call that is dropped so long after its begin.
    fn dropped_after(timeout: &str, millis: u64) -> &'static str {
        let registry = Registry::new();
        let layer = GrpcMetrics::server().build(&registry).unwrap();
        let request = Request::builder()
            .header("content-type", "application/grpc")
            .header("grpc-timeout", timeout)
            .body(())
            .unwrap();
        let (call, _) = GrpcCall::open(layer.methods(), &request);
        stepped::advance(Duration::from_millis(millis));
        drop(call);
        let handled = |code| registry.sum("grpc_server_handled_total", &[("grpc_code", code)]);
        ["Canceled", "DeadlineExceeded"]
            .into_iter()
            .find(|code| handled(code) == Some(1.0))
            .unwrap()
    }

    #[test]
    fn a_drop_after_the_deadline_is_not_the_clients_will() {
        assert_eq!(dropped_after("1S", 500), "Canceled");
        assert_eq!(dropped_after("1S", 980), "Canceled");
        assert_eq!(dropped_after("1S", 995), "DeadlineExceeded");
        assert_eq!(dropped_after("1S", 1500), "DeadlineExceeded");
        assert_eq!(dropped_after("1M", 1500), "Canceled");
        assert_eq!(dropped_after("nonsense", 1500), "Canceled");
    }
}
