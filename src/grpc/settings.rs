//! [`GrpcSettings`]: the settings of a gRPC layer and their validation.

use std::iter;

use crate::error::{Error, Errors};
use crate::grpc::code::Code;
use crate::sink::layer_options::LayerOptions;

/// Whether a layer is on a server or a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

impl Side {
    /// The code of a call whose service or body returned an error. On a client, such an error comes from the
    /// connection.
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

/// The name of the setting for the buckets of durations.
pub(crate) const HANDLING_BUCKETS: &str = "handling_buckets";

/// The settings of a layer. Layers with equal settings share their series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GrpcSettings {
    pub(crate) side: Side,
    pub(crate) options: LayerOptions,
    pub(crate) max_methods: usize,
    pub(crate) preregistered: Vec<PreregisteredMethod>,
    /// Why the file descriptor set could not be decoded.
    pub(crate) descriptor_error: Option<String>,
}

/// A method preregistered in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PreregisteredMethod {
    pub(crate) service: String,
    pub(crate) method: String,
    pub(crate) kind: GrpcType,
}

/// The type of a gRPC method: whether requests and responses are streams.
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

/// A metric of a gRPC layer. The [table](crate::grpc#metrics) lists their labels.
///
/// The variants are described with the names of a server; those of a client start with `grpc_client_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrpcMetric {
    /// `grpc_server_started_total`: number of calls that started.
    Started,
    /// `grpc_server_handled_total`: number of calls that ended, by status code.
    Handled,
    /// `grpc_server_handling_seconds`: time from the start of a call to the end of its response.
    Handling,
    /// `grpc_server_msg_received_total`: number of messages received.
    MessagesReceived,
    /// `grpc_server_msg_sent_total`: number of messages sent.
    MessagesSent,
    /// `grpc_server_in_progress`: number of calls that have started and not ended.
    InProgress,
}

/// The labels of the layer's metrics. Constant labels must have other names.
pub(crate) const LABELS: [&str; 4] = ["grpc_type", "grpc_service", "grpc_method", "grpc_code"];

impl GrpcSettings {
    pub(crate) fn check(&self) -> Result<(), Error> {
        const MAX_METHODS: usize = 1_000_000;
        let Self {
            side: _,
            options,
            max_methods,
            preregistered,
            descriptor_error,
        } = self;
        let mut errors = Errors::default();
        errors.add_range("max_methods", *max_methods, 0..=MAX_METHODS);
        options.check(
            LABELS.into_iter(),
            iter::empty(),
            HANDLING_BUCKETS,
            &mut errors,
        );
        if let Some(error) = descriptor_error {
            errors.push(format!("file_descriptor_set: cannot be decoded: {error}"));
        }
        check_methods(preregistered, &mut errors);
        errors.into_result()
    }
}

fn check_methods(preregistered: &[PreregisteredMethod], errors: &mut Errors) {
    let mut types = std::collections::HashMap::new();
    for PreregisteredMethod {
        service,
        method,
        kind,
    } in preregistered
    {
        if service.is_empty()
            || method.is_empty()
            || [service, method].iter().any(|name| name.contains('/'))
        {
            errors.push(format!(
                "method {method:?} of service {service:?} cannot be preregistered: \
                 names must not be empty and must not contain '/'"
            ));
        }
        if let Some(other) = types.insert((service, method), kind) {
            errors.push(format!(
                "method {method:?} of service {service:?} is preregistered as {other:?} and as {kind:?}"
            ));
        }
    }
}
