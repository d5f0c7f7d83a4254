//! [`GrpcMetric`]: the metrics of a gRPC layer.

use metrics::Unit;

use crate::model::kind::Instrument;

/// A metric that a gRPC layer can record.
///
/// The variants are described with the names of a server under
/// [`GrpcNaming::go_grpc_middleware`](crate::grpc::GrpcNaming::go_grpc_middleware). The
/// [table](crate::grpc#metrics) lists their labels.
///
/// The first six are on by default in [`GrpcMetrics::server`](crate::GrpcMetrics::server) and
/// [`client`](crate::GrpcMetrics::client). [`measure`](crate::GrpcMetrics::measure) and
/// [`without`](crate::GrpcMetrics::without) change that.
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
    /// `grpc_server_msg_size_received_bytes`: size of each message received, in bytes. Off by default.
    ///
    /// It is the size of the message as it passes: compressed, if it is compressed, and without the five bytes
    /// before each message. Sizes of at most 1024 request messages are recorded before a call has its labels.
    ReceivedMessageSize,
    /// `grpc_server_msg_size_sent_bytes`: size of each message sent, in bytes, as for
    /// [`ReceivedMessageSize`](Self::ReceivedMessageSize). Off by default.
    SentMessageSize,
}

impl GrpcMetric {
    pub(crate) const COUNT: usize = 8;

    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Started,
        Self::Handled,
        Self::Handling,
        Self::MessagesReceived,
        Self::MessagesSent,
        Self::InProgress,
        Self::ReceivedMessageSize,
        Self::SentMessageSize,
    ];

    pub(crate) fn is_size(self) -> bool {
        matches!(self, Self::ReceivedMessageSize | Self::SentMessageSize)
    }

    /// The instrument, the unit and the HELP text.
    pub(crate) fn about(self) -> (Instrument, Option<Unit>, &'static str) {
        match self {
            Self::Started => (
                Instrument::Counter,
                None,
                "Total number of gRPC calls started.",
            ),
            Self::Handled => (
                Instrument::Counter,
                None,
                "Total number of gRPC calls ended, by status code.",
            ),
            Self::Handling => (
                Instrument::Histogram,
                Some(Unit::Seconds),
                "Duration of gRPC calls in seconds.",
            ),
            Self::MessagesReceived => (
                Instrument::Counter,
                None,
                "Total number of gRPC messages received.",
            ),
            Self::MessagesSent => (
                Instrument::Counter,
                None,
                "Total number of gRPC messages sent.",
            ),
            Self::InProgress => (
                Instrument::InProgress,
                None,
                "Number of gRPC calls in progress.",
            ),
            Self::ReceivedMessageSize => (
                Instrument::Histogram,
                Some(Unit::Bytes),
                "Size of gRPC messages received in bytes, compressed.",
            ),
            Self::SentMessageSize => (
                Instrument::Histogram,
                Some(Unit::Bytes),
                "Size of gRPC messages sent in bytes, compressed.",
            ),
        }
    }
}
