//! [`GrpcCall`]: one gRPC call. It starts before the inner service is called and ends exactly once, at the
//! latest when it is dropped.

use std::fmt;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use http_body::Body;

use crate::clock::Instant;
use crate::grpc::call_labels::CallLabels;
use crate::grpc::code::Code;
use crate::grpc::deferred::{DeferredCall, MessageRecorder};
use crate::grpc::method_ref::CallRef;
use crate::grpc::series::GrpcSeries;
use crate::http::labels::head::{RequestHead, ResponseHead};
use crate::lifecycle::end::{End, Exchange};
use crate::lifecycle::on_drop::OnDrop;

pub(crate) struct GrpcCall {
    layer: &'static GrpcSeries,
    state: CallState,
    labels: CallLabels,
    started: Instant,
    /// The timeout in the request, `grpc-timeout`, in seconds.
    timeout: Option<f64>,
    /// The code of the response head, replaced by that of the trailers if they have one.
    response_code: Option<Code>,
}

/// Whether a call is in progress, and in which series.
enum CallState {
    InProgress(CallRef),
    /// Not counted yet, because nothing has proven that the method exists. Only on a server.
    Deferred(Arc<DeferredCall>),
    /// Ended, or not a gRPC call.
    Ended,
}

/// Whether a response proves that the method of a deferred call exists.
#[derive(Clone, Copy)]
enum Proof {
    /// The response has a message or the code `OK`.
    Found,
    Missing,
}

impl GrpcCall {
    #[inline]
    pub(crate) fn start<B>(
        layer: &'static GrpcSeries,
        request: &Request<B>,
    ) -> (Self, MessageRecorder) {
        let mut call = Self {
            layer,
            state: CallState::Ended,
            labels: CallLabels::default(),
            started: Instant::now(),
            timeout: None,
            response_code: None,
        };
        let messages = match layer.active() {
            Some(active) if is_grpc(request.headers()) => {
                call.layer = active;
                call.start_grpc(request)
            }
            _ => MessageRecorder::Ignored,
        };
        (call, messages)
    }

    #[inline]
    fn start_grpc<B>(&mut self, request: &Request<B>) -> MessageRecorder {
        let layer = self.layer;
        let path = request.uri().path();
        self.timeout = timeout(request.headers());
        let (call, labels) = layer.start(path, RequestHead::new(request));
        self.labels = labels;
        if let Some(call) = call {
            call.start();
            self.state = CallState::InProgress(call.clone());
            return MessageRecorder::Of(call);
        }
        let call = Arc::new(DeferredCall::new(path, layer.settings.measures_sizes()));
        self.state = CallState::Deferred(Arc::clone(&call));
        MessageRecorder::Deferred(call)
    }

    /// Moves the call out and leaves an ended one.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        let state = std::mem::replace(&mut self.state, CallState::Ended);
        let labels = std::mem::take(&mut self.labels);
        Self {
            state,
            labels,
            ..*self
        }
    }

    /// Reads the response head. The call ends if the response has no body.
    #[inline]
    pub(crate) fn read_head<B: Body>(&mut self, response: &Response<B>) {
        if let CallState::Ended = self.state {
            return;
        }
        let status = response.status();
        // The HTTP status gives the code only if it is not 200; otherwise the trailers have it.
        self.response_code = Code::of_headers(response.headers())
            .or_else(|| (status != StatusCode::OK).then(|| Code::of_http(status)));
        let head = ResponseHead::new(status, response.headers(), response.extensions());
        let call = match &self.state {
            CallState::InProgress(call) => Some(call),
            _ => None,
        };
        self.layer.read_response(head, call, &mut self.labels);
        if let CallState::Deferred(_) = self.state {
            // Without a gRPC head, nothing in the body proves that the method exists.
            if status != StatusCode::OK || !is_grpc(response.headers()) {
                self.leave_deferred(Proof::Missing);
            }
        }
        if response.body().is_end_stream() {
            self.end(End::Complete);
        }
    }

    /// Records a response message of this many bytes. The first one proves that the method exists.
    #[inline]
    pub(crate) fn record_message(&mut self, bytes: u32) {
        if let CallState::Deferred(_) = self.state {
            self.leave_deferred(Proof::Found);
        }
        if let CallState::InProgress(call) = &self.state {
            call.record_response(bytes);
        }
    }

    /// Counts a deferred call as started, in the series that the proof allows.
    #[cold]
    fn leave_deferred(&mut self, proof: Proof) {
        let CallState::Deferred(deferred) = &self.state else {
            return;
        };
        let deferred = Arc::clone(deferred);
        let is_found = matches!(proof, Proof::Found);
        let labels = &mut self.labels;
        let call = self.layer.start_deferred(&deferred.path, is_found, labels);
        call.start();
        self.state = CallState::InProgress(call.clone());
        deferred.register(call);
    }

    /// Reads the code from the trailers. Without `grpc-status`, the code of the head is kept.
    pub(crate) fn read_trailers(&mut self, trailers: &HeaderMap) {
        self.response_code = Code::of_headers(trailers).or(self.response_code);
    }

    #[inline]
    fn record_end(&mut self, end: End) {
        if let CallState::Ended = self.state {
            return;
        }
        let seconds = self.started.elapsed_seconds();
        let code = self.code(end, seconds);
        if let CallState::Deferred(_) = self.state {
            self.leave_deferred(match code {
                Code::Ok => Proof::Found,
                _ => Proof::Missing,
            });
        }
        let state = std::mem::replace(&mut self.state, CallState::Ended);
        if let CallState::InProgress(call) = state {
            // The gauge is decremented last, and also if another crate's recorder or tracing subscriber panics.
            let _ending = OnDrop(|| call.end());
            let labels = std::mem::take(&mut self.labels);
            self.layer.record_end(&call.method, labels, code, seconds);
        }
    }

    #[inline]
    fn code(&self, end: End, seconds: f64) -> Code {
        let or_timed_out = |code| match self.timeout {
            Some(timeout) if has_passed(timeout, seconds) => Code::DeadlineExceeded,
            _ => code,
        };
        let failed = || or_timed_out(Code::of_error(self.layer.side()));
        match end {
            End::Complete => self.response_code.unwrap_or(Code::Unknown),
            End::Failed => self.response_code.unwrap_or_else(failed),
            End::Dropped => self
                .response_code
                .unwrap_or_else(|| or_timed_out(Code::Canceled)),
            End::Panicked => Code::Internal,
        }
    }
}

impl Exchange for GrpcCall {
    #[inline]
    fn end(&mut self, end: End) {
        self.record_end(end);
    }
}

impl Drop for GrpcCall {
    fn drop(&mut self) {
        self.record_end(End::Dropped);
    }
}

/// Matches `application/grpc`, `application/grpc+proto`, …, but not `application/grpc-web`, whose trailers
/// are in the body.
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

/// Parses the header `grpc-timeout`, at most eight digits and a unit, to seconds.
#[inline]
fn timeout(headers: &HeaderMap) -> Option<f64> {
    const MAX_DIGITS: usize = 8;
    let (unit, digits) = headers.get(&GRPC_TIMEOUT)?.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
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

/// Whether the timeout has expired. It counts as expired up to 10 ms early (at most a tenth of the timeout),
/// because the client's clock started earlier: its cancellation may arrive before the timeout expires here.
fn has_passed(timeout: f64, seconds: f64) -> bool {
    seconds >= timeout - (timeout * 0.1).min(0.01)
}

impl fmt::Debug for GrpcCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = !matches!(self.state, CallState::Ended);
        f.debug_struct("GrpcCall")
            .field("open", &open)
            .finish_non_exhaustive()
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
    fn grpc_content_types_are_recognized() {
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
    fn grpc_timeout_header_is_parsed() {
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

    /// Returns the code of a call that is dropped `millis` after its start.
    fn dropped_after(timeout: &str, millis: u64) -> &'static str {
        let registry = Registry::new();
        let layer = GrpcMetrics::server().build(&registry).unwrap();
        let request = Request::builder()
            .header("content-type", "application/grpc")
            .header("grpc-timeout", timeout)
            .body(())
            .unwrap();
        let (call, _) = GrpcCall::start(layer.series(), &request);
        stepped::advance(Duration::from_millis(millis));
        drop(call);
        let handled = |code| registry.sum("grpc_server_handled_total", &[("grpc_code", code)]);
        ["Canceled", "DeadlineExceeded"]
            .into_iter()
            .find(|code| handled(code) == Some(1.0))
            .unwrap()
    }

    #[test]
    fn call_dropped_at_its_deadline_is_deadline_exceeded_and_earlier_canceled() {
        assert_eq!(dropped_after("1S", 500), "Canceled");
        assert_eq!(dropped_after("1S", 980), "Canceled");
        assert_eq!(dropped_after("1S", 995), "DeadlineExceeded");
        assert_eq!(dropped_after("1S", 1500), "DeadlineExceeded");
        assert_eq!(dropped_after("1M", 1500), "Canceled");
        assert_eq!(dropped_after("nonsense", 1500), "Canceled");
    }
}
