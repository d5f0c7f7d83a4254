//! [`GrpcSettings`]: the settings of a gRPC layer and their validation.

use crate::error::{Error, Errors};
use crate::grpc::metric::GrpcMetric;
use crate::grpc::naming::GrpcNaming;
use crate::http::config::http_label::{HttpLabel, On, check_labels};
use crate::sink::layer_options::{LayerOptions, check_buckets};
use crate::sink::side::Side;

/// The name of the setting for the buckets of durations.
const HANDLING_BUCKETS: &str = "handling_buckets";

/// The default bounds of message sizes in bytes: powers of 4 from 16 B to 16 MiB.
const SIZE_BUCKETS: [f64; 11] = [
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];

/// The settings of a layer. Layers with equal settings share their series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GrpcSettings {
    pub(crate) side: Side,
    /// `false` for a layer that passes all calls through.
    pub(crate) enabled: bool,
    pub(crate) options: LayerOptions,
    pub(crate) naming: GrpcNaming,
    pub(crate) measured: [bool; GrpcMetric::COUNT],
    pub(crate) labels: Vec<HttpLabel>,
    pub(crate) code_on_durations: bool,
    pub(crate) message_size_buckets: Vec<f64>,
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

impl PreregisteredMethod {
    pub(crate) fn path(&self) -> String {
        format!("/{}/{}", self.service, self.method)
    }
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

impl GrpcType {
    pub(crate) const ALL: [Self; 4] = [
        Self::Unary,
        Self::ClientStream,
        Self::ServerStream,
        Self::BidiStream,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ClientStream => "client_stream",
            Self::ServerStream => "server_stream",
            Self::BidiStream => "bidi_stream",
        }
    }
}

impl GrpcSettings {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            enabled: true,
            options: LayerOptions::default(),
            naming: GrpcNaming::go_grpc_middleware(),
            measured: GrpcMetric::ALL.map(|metric| !metric.is_size()),
            labels: Vec::new(),
            code_on_durations: false,
            message_size_buckets: SIZE_BUCKETS.to_vec(),
            max_methods: 1000,
            preregistered: Vec::new(),
            descriptor_error: None,
        }
    }

    pub(crate) fn is_measured(&self, metric: GrpcMetric) -> bool {
        self.measured[metric as usize]
    }

    pub(crate) fn measures_sizes(&self) -> bool {
        let mut metrics = GrpcMetric::ALL.into_iter();
        metrics.any(|metric| metric.is_size() && self.is_measured(metric))
    }

    /// The names of the settings that set buckets.
    pub(crate) fn bucket_settings(&self) -> Vec<&'static str> {
        let durations = self.options.duration_buckets.is_some();
        let sizes = self.message_size_buckets != SIZE_BUCKETS;
        let settings = [
            durations.then_some(HANDLING_BUCKETS),
            sizes.then_some("message_size_buckets"),
        ];
        settings.into_iter().flatten().collect()
    }

    /// The names of the labels of this layer, without constant labels.
    pub(crate) fn label_names(&self) -> impl Iterator<Item = &str> {
        let custom = self.labels.iter().map(|label| label.name.as_str());
        custom.chain(self.naming.labels())
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        const MAX_METHODS: usize = 1_000_000;
        let Self {
            side,
            enabled: _,
            options,
            naming,
            measured: _,
            labels,
            code_on_durations: _,
            message_size_buckets,
            max_methods,
            preregistered,
            descriptor_error,
        } = self;
        let mut errors = Errors::default();
        errors.add_range("max_methods", *max_methods, 0..=MAX_METHODS);
        check_buckets("message_size_buckets", message_size_buckets, &mut errors);
        errors.extend(naming.errors(*side, |metric| self.is_measured(metric)));
        let custom = labels.iter().map(|label| label.name.as_str());
        options.check(naming.labels(), custom, HANDLING_BUCKETS, &mut errors);
        let counters = "GrpcMetric::Handled is";
        check_labels(labels, |i| self.uses_label(i), counters, &mut errors);
        for label in labels.iter().filter(|label| label.reads_outcome()) {
            errors.push(format!(
                "label {:?}: from_outcome is only for HTTP layers; the code of a call is the label of the status code",
                label.name
            ));
        }
        if let Some(error) = descriptor_error {
            errors.push(format!("file_descriptor_set: cannot be decoded: {error}"));
        }
        check_methods(preregistered, &mut errors);
        self.check_combinations(&mut errors);
        errors.into_result()
    }

    fn check_combinations(&self, errors: &mut Errors) {
        const MAX_COMBINATIONS: usize = 10_000;
        let combinations = [On::Requests, On::Everything].map(|on| self.combinations(on));
        let combinations = combinations.into_iter().flatten().max().unwrap_or_default();
        // Without listed values, the number of methods has no limit.
        if combinations > MAX_COMBINATIONS.max(self.preregistered.len()) {
            errors.push(format!(
                "at most {MAX_COMBINATIONS} combinations of preregistered methods and listed label values are \
                 allowed, got {combinations}; preregister fewer methods, or use `max_values` instead of `values`"
            ));
        }
    }

    /// The number of combinations of preregistered methods and the values of the labels that a metric has; `None`
    /// if a label has no listed values.
    pub(crate) fn combinations(&self, on: On) -> Option<usize> {
        let mut labels = self.labels.iter().filter(|label| label.on >= on);
        let methods = self.preregistered.len();
        labels.try_fold(methods, |combinations, label| {
            Some(combinations.saturating_mul(label.values.listed()?.len()))
        })
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
