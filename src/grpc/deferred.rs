//! [`DeferredCall`]: a call to a method that is not known yet. [`MessageRecorder`]: records the messages of a
//! request, also those of a deferred call.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::grpc::method_ref::CallRef;
use crate::sync::lock;

/// The maximum number of sizes that a deferred call keeps. Clients choose how many messages they send.
const MAX_SIZES: usize = 1024;

/// A call to a method that is not known yet.
pub(crate) struct DeferredCall {
    pub(crate) path: Box<str>,
    keeps_sizes: bool,
    request: Mutex<RequestMessages>,
}

/// The messages of the request of a deferred call.
enum RequestMessages {
    /// Messages that passed before the series was known.
    Early { count: u64, sizes: Vec<u32> },
    /// The call has its series.
    In(CallRef),
}

/// Records the messages of a request.
pub(crate) enum MessageRecorder {
    Of(CallRef),
    Deferred(Arc<DeferredCall>),
    Ignored,
}

impl DeferredCall {
    pub(crate) fn new(path: &str, keeps_sizes: bool) -> Self {
        Self {
            path: path.into(),
            keeps_sizes,
            request: Mutex::new(RequestMessages::Early {
                count: 0,
                sizes: Vec::new(),
            }),
        }
    }

    /// Records the messages so far, and all further ones, in these series.
    pub(crate) fn register(&self, call: CallRef) {
        let mut request = lock(&self.request);
        if let RequestMessages::Early { count, sizes } = &*request {
            call.record_early_requests(*count, sizes);
        }
        *request = RequestMessages::In(call);
    }

    fn record(&self, bytes: u32) {
        match &mut *lock(&self.request) {
            RequestMessages::In(call) => call.record_request(bytes),
            RequestMessages::Early { count, sizes } => {
                *count += 1;
                if self.keeps_sizes && sizes.len() < MAX_SIZES {
                    sizes.push(bytes);
                }
            }
        }
    }
}

impl MessageRecorder {
    /// Records a message of this many bytes.
    #[inline]
    pub(crate) fn record(&self, bytes: u32) {
        match self {
            Self::Of(call) => call.record_request(bytes),
            Self::Deferred(call) => call.record(bytes),
            Self::Ignored => {}
        }
    }
}

impl fmt::Debug for MessageRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageRecorder")
    }
}
