//! [`Settings`]: what a gRPC layer was asked to do, and whether that can be.

use super::methods::Side;
use crate::Error;
use crate::registry::{Buckets, check_constant_label, check_metric_name};

/// What a layer was asked to do; two layers that agree in all of it share their series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) side: Side,
    pub(super) prefix: Option<String>,
    pub(super) constant_labels: Vec<(String, String)>,
    pub(super) handling_buckets: Option<Vec<f64>>,
    pub(super) max_methods: usize,
    pub(super) declared: Vec<Declared>,
    /// What was wrong with a descriptor set.
    pub(super) undecoded: Option<String>,
}

/// A method that is known before it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) service: String,
    pub(super) method: String,
    pub(super) kind: GrpcType,
}

/// Which sides of a call are streams of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrpcType {
    /// One message there, one back: `unary`.
    Unary,
    /// Many there, one back: `client_stream`.
    ClientStream,
    /// One there, many back: `server_stream`.
    ServerStream,
    /// Many there, many back: `bidi_stream`.
    BidiStream,
}

/// A metric family that a gRPC layer records; see the [table](crate::grpc#what-is-recorded) for names and labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrpcMetric {
    /// Counter of calls that started.
    Started,
    /// Counter of calls that ended, by status code.
    Handled,
    /// Histogram of the time from the start of a call to the end of its response, in seconds.
    Handling,
    /// Counter of messages received.
    MessagesReceived,
    /// Counter of messages sent.
    MessagesSent,
    /// Gauge of calls that have started and not ended.
    InProgress,
}

/// All labels of the families, which no constant label may be called like.
const LABELS: [&str; 4] = ["grpc_type", "grpc_service", "grpc_method", "grpc_code"];

impl Settings {
    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<(), Error> {
        const MOST_METHODS: usize = 1_000_000;
        let Self {
            side: _,
            prefix,
            constant_labels,
            handling_buckets,
            max_methods,
            declared,
            undecoded,
        } = self;
        if let Some(prefix) = prefix {
            check_metric_name(prefix)?;
        }
        if *max_methods > MOST_METHODS {
            return Err(Error::new(format!(
                "max_methods is {max_methods}: it must be at most {MOST_METHODS}"
            )));
        }
        if let Some(bounds) = handling_buckets {
            Buckets::new(bounds.iter().copied())
                .map_err(|error| Error::new(format!("handling_buckets: {error}")))?;
        }
        let mut taken = LABELS.to_vec();
        for (name, _) in constant_labels {
            check_constant_label(name, taken.iter().copied())?;
            taken.push(name);
        }
        if let Some(error) = undecoded {
            return Err(Error::new(format!("file_descriptor_set: {error}")));
        }
        check_methods(declared)
    }

    /// Every label of this layer, which a registry may not have as a constant one.
    pub(super) fn own_labels(&self) -> impl Iterator<Item = &str> {
        let constant = self.constant_labels.iter().map(|(name, _)| name.as_str());
        constant.chain(LABELS)
    }
}

fn check_methods(declared: &[Declared]) -> Result<(), Error> {
    let mut types = std::collections::HashMap::new();
    for Declared {
        service,
        method,
        kind,
    } in declared
    {
        if service.is_empty()
            || method.is_empty()
            || [service, method].iter().any(|name| name.contains('/'))
        {
            return Err(Error::new(format!(
                "method {method:?} of service {service:?} cannot be declared: \
                 it is called as \"/package.Service/Method\""
            )));
        }
        if let Some(other) = types.insert((service, method), kind) {
            return Err(Error::new(format!(
                "method {method:?} of service {service:?} is declared as {other:?} and as {kind:?}"
            )));
        }
    }
    Ok(())
}
