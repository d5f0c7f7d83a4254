//! [`GrpcSettings`]: the settings of a gRPC layer and their validation.

use crate::error::Error;
use crate::grpc::code::Code;
use crate::model::bounds::Buckets;
use crate::model::names::{check_constant_label, check_metric_name};

/// Whether a layer is on a server or a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

impl Side {
    /// The code of an error of the service or body. On a client, it is an error of the connection.
    pub(crate) fn code_of_errors(self) -> Code {
        match self {
            Self::Server => Code::Unknown,
            Self::Client => Code::Unavailable,
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// The settings of a layer. Layers with equal settings share their series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GrpcSettings {
    pub(crate) side: Side,
    pub(crate) prefix: Option<String>,
    pub(crate) constant_labels: Vec<(String, String)>,
    pub(crate) handling_buckets: Option<Vec<f64>>,
    pub(crate) max_methods: usize,
    pub(crate) declared: Vec<DeclaredMethod>,
    /// Why a descriptor set could not be decoded.
    pub(crate) undecoded: Option<String>,
}

/// A method preregistered in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeclaredMethod {
    pub(crate) service: String,
    pub(crate) method: String,
    pub(crate) kind: GrpcType,
}

/// The type of a method: whether requests and responses are streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrpcType {
    /// One request message, one response message: `unary`.
    Unary,
    /// A stream of request messages, one response message: `client_stream`.
    ClientStream,
    /// One request message, a stream of response messages: `server_stream`.
    ServerStream,
    /// A stream of request messages, a stream of response messages: `bidi_stream`.
    BidiStream,
}

/// A metric of a gRPC layer. The [table](crate::grpc#metrics) has names and labels.
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

/// The labels of the layer's metrics. Constant labels must have other names.
const LABELS: [&str; 4] = ["grpc_type", "grpc_service", "grpc_method", "grpc_code"];

impl GrpcSettings {
    /// Validates the settings.
    pub(crate) fn check(&self) -> Result<(), Error> {
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
                "max_methods must be at most {MOST_METHODS}, got {max_methods}"
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
            return Err(Error::new(format!(
                "file_descriptor_set: cannot be decoded: {error}"
            )));
        }
        check_methods(declared)
    }

    /// All labels of this layer. The registry must not have a constant label with one of these names.
    pub(crate) fn own_labels(&self) -> impl Iterator<Item = &str> {
        let constant = self.constant_labels.iter().map(|(name, _)| name.as_str());
        constant.chain(LABELS)
    }
}

fn check_methods(declared: &[DeclaredMethod]) -> Result<(), Error> {
    let mut types = std::collections::HashMap::new();
    for DeclaredMethod {
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
                "method {method:?} of service {service:?} cannot be preregistered: \
                 names must not be empty and must not contain '/'"
            )));
        }
        if let Some(other) = types.insert((service, method), kind) {
            return Err(Error::new(format!(
                "method {method:?} of service {service:?} is preregistered as {other:?} and as {kind:?}"
            )));
        }
    }
    Ok(())
}
