//! [`GrpcSeries`]: the known methods of a gRPC layer and their series.

use std::sync::OnceLock;

use crate::error::Error;
use crate::grpc::code::Code;
use crate::grpc::settings::GrpcType;
use crate::grpc::settings::{GrpcMetric, GrpcSettings, PreregisteredMethod, Side};
use crate::maps::table::Table;
use crate::model::bounds::Buckets;
use crate::model::description::{FamilyDescription, LabelDescription, LabelRole};
use crate::model::kind::Instrument;
use crate::model::spec::{FamilyMetadata, FamilySpec};
use crate::sink::handles::{CounterHandle, HistogramHandle, InProgressHandle};
use crate::sink::overflow::OVERFLOW;
use crate::sink::overflow::{Overflow, OverflowCause, overflow_spec};
use crate::sink::{Sink, owned_key};

/// The label value for an unknown service, method or type.
const UNKNOWN: &str = "unknown";

/// The series of a layer, by path. Leaked, so that calls borrow them and share no reference count between
/// cores.
pub(crate) struct GrpcSeries {
    pub(crate) settings: GrpcSettings,
    sink: Sink,
    families: GrpcFamilies,
    by_path: Table<MethodSeries>,
    unknown: OnceLock<MethodSeries>,
    overflow: OnceLock<MethodSeries>,
    overflowed: Overflow,
}

/// The series of one method.
pub(crate) struct MethodSeries {
    name: MethodName,
    started: CounterHandle,
    pub(crate) in_progress: InProgressHandle,
    pub(crate) handling: HistogramHandle,
    pub(crate) request_messages: CounterHandle,
    pub(crate) response_messages: CounterHandle,
    handled: [OnceLock<CounterHandle>; Code::ALL.len()],
}

/// The labels of a method.
struct MethodName {
    kind: &'static str,
    service: Box<str>,
    method: Box<str>,
}

/// The names of the families, with the layer's prefix.
pub(crate) struct GrpcFamilies {
    started: String,
    handled: String,
    handling: String,
    received: String,
    sent: String,
    in_progress: String,
}

impl GrpcSeries {
    /// Registers the families and the series of preregistered methods in the sink.
    pub(crate) fn new(settings: GrpcSettings, sink: Sink) -> Result<Self, Error> {
        let families = GrpcFamilies::new(&settings);
        for spec in families.specs(&settings)? {
            sink.register(&spec)?;
        }
        let by_path = Table::new(settings.preregistered.len() + settings.max_methods);
        let methods = Self {
            settings,
            sink,
            families,
            by_path,
            unknown: OnceLock::new(),
            overflow: OnceLock::new(),
            overflowed: Overflow::default(),
        };
        for preregistered in &methods.settings.preregistered {
            methods.preregister(preregistered);
        }
        Ok(methods)
    }

    fn preregister(&self, preregistered: &PreregisteredMethod) {
        let PreregisteredMethod {
            service,
            method,
            kind,
        } = preregistered;
        let name = MethodName {
            kind: kind.label(),
            ..MethodName::new(service, method)
        };
        let path = format!("/{service}/{method}");
        let series = self.by_path.get_or_insert(&path, |_| self.series(name));
        if let Some(series) = series {
            for code in Code::ALL {
                self.handled(series, code);
            }
        }
    }

    #[inline]
    pub(crate) fn side(&self) -> Side {
        self.settings.side
    }

    /// The series of a path, found without an allocation, a lock, or a write to a shared cache line if the path
    /// is known. `None` if a server has to see proof first that the method exists. On a client, a new path is
    /// registered immediately, because it comes from the program.
    #[inline]
    pub(crate) fn find(&'static self, path: &str) -> Option<&'static MethodSeries> {
        match self.by_path.get(path) {
            Some(series) => Some(series),
            None => self.find_new(path),
        }
    }

    #[cold]
    fn find_new(&'static self, path: &str) -> Option<&'static MethodSeries> {
        match self.side() {
            Side::Client => Some(self.register(path)),
            Side::Server if MethodName::of_path(path).is_none() => Some(self.unknown()),
            Side::Server => None,
        }
    }

    /// The series of a path if it is known, otherwise those of calls to unknown methods.
    pub(crate) fn known_or_unknown(&'static self, path: &str) -> &'static MethodSeries {
        self.by_path.get(path).unwrap_or_else(|| self.unknown())
    }

    /// Registers a path whose method exists, and returns its series.
    #[cold]
    pub(crate) fn register(&'static self, path: &str) -> &'static MethodSeries {
        let Some(name) = MethodName::of_path(path) else {
            return self.unknown();
        };
        let known = self.by_path.get_or_insert(path, |_| self.series(name));
        known.unwrap_or_else(|| {
            let family = self.families.handled.as_str();
            let cause = || OverflowCause::Full {
                limit: self.settings.preregistered.len() + self.settings.max_methods,
                advice: "raise `max_methods`, or preregister all methods",
            };
            self.overflowed
                .count(&self.sink, family, "grpc_method", cause);
            self.overflow()
        })
    }

    /// The series of calls to unknown methods.
    fn unknown(&self) -> &MethodSeries {
        self.unknown
            .get_or_init(|| self.series(MethodName::new(UNKNOWN, UNKNOWN)))
    }

    fn overflow(&self) -> &MethodSeries {
        self.overflow
            .get_or_init(|| self.series(MethodName::new(OVERFLOW, OVERFLOW)))
    }

    #[inline]
    pub(crate) fn count(&self, series: &MethodSeries, code: Code) {
        self.handled(series, code).increment();
    }

    fn handled<'a>(&self, series: &'a MethodSeries, code: Code) -> &'a CounterHandle {
        series.handled[code as usize].get_or_init(|| {
            let labels = self.labels(&series.name, Some(code));
            let key = owned_key(&self.families.handled, &labels);
            self.sink.counter(key)
        })
    }

    fn series(&self, name: MethodName) -> MethodSeries {
        let labels = self.labels(&name, None);
        let key = |family: &str| owned_key(family, &labels);
        let counter = |family: &str| self.sink.counter(key(family));
        let (received, sent) = (
            counter(&self.families.received),
            counter(&self.families.sent),
        );
        let (request_messages, response_messages) = match self.side() {
            Side::Server => (received, sent),
            Side::Client => (sent, received),
        };
        MethodSeries {
            started: counter(&self.families.started),
            in_progress: self.sink.in_progress(key(&self.families.in_progress)),
            handling: self.sink.histogram(key(&self.families.handling)),
            request_messages,
            response_messages,
            handled: [const { OnceLock::new() }; Code::ALL.len()],
            name,
        }
    }

    fn labels<'a>(&'a self, name: &'a MethodName, code: Option<Code>) -> Vec<(&'a str, &'a str)> {
        let labels = [
            ("grpc_type", name.kind),
            ("grpc_service", &*name.service),
            ("grpc_method", &*name.method),
        ];
        let code = code.map(|code| ("grpc_code", code.label()));
        let constants = self.settings.options.constant_labels.iter();
        let constants = constants.map(|(name, value)| (name.as_str(), value.as_str()));
        labels.into_iter().chain(code).chain(constants).collect()
    }
}

impl MethodSeries {
    #[inline]
    pub(crate) fn start(&self) {
        self.started.increment();
        self.in_progress.start();
    }
}

impl MethodName {
    fn new(service: &str, method: &str) -> Self {
        Self {
            kind: UNKNOWN,
            service: service.into(),
            method: method.into(),
        }
    }

    /// Parses `/package.Service/Method`: at most 256 printable ASCII characters.
    fn of_path(path: &str) -> Option<Self> {
        const MAX_LEN: usize = 256;
        if path.len() > MAX_LEN || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (service, method) = path.strip_prefix('/')?.rsplit_once('/')?;
        let is_whole = !service.is_empty() && !method.is_empty();
        is_whole.then(|| Self::new(service, method))
    }
}

impl GrpcType {
    const ALL: [Self; 4] = [
        Self::Unary,
        Self::ClientStream,
        Self::ServerStream,
        Self::BidiStream,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ClientStream => "client_stream",
            Self::ServerStream => "server_stream",
            Self::BidiStream => "bidi_stream",
        }
    }
}

impl GrpcFamilies {
    pub(crate) fn new(settings: &GrpcSettings) -> Self {
        let side = settings.side.label();
        let named = |name: &str| settings.options.full_name(&format!("grpc_{side}_{name}"));
        Self {
            started: named("started_total"),
            handled: named("handled_total"),
            handling: named("handling_seconds"),
            received: named("msg_received_total"),
            sent: named("msg_sent_total"),
            in_progress: named("in_progress"),
        }
    }

    /// Describes all families. `rules` returns the buckets of a family whose buckets are not set.
    pub(crate) fn describe(
        settings: &GrpcSettings,
        rules: impl Fn(&str) -> Buckets,
    ) -> Result<Vec<FamilyDescription>, Error> {
        let specs = Self::new(settings).specs(settings)?;
        let described = specs.map(|spec| describe_spec(&spec, settings, &rules));
        Ok(described.into())
    }

    /// Describes one family, with default buckets if none are set.
    pub(crate) fn describe_metric(
        settings: &GrpcSettings,
        metric: GrpcMetric,
    ) -> Result<FamilyDescription, Error> {
        let specs = Self::new(settings).specs(settings)?;
        let spec = &specs[metric as usize];
        Ok(describe_spec(spec, settings, |_| Buckets::default()))
    }

    /// The families of the layer, in the order of [`GrpcMetric`], and then the overflow family. The module
    /// documentation has the same table.
    fn specs(&self, settings: &GrpcSettings) -> Result<[FamilySpec; 7], Error> {
        let family = |name: &str, instrument, code: Option<&str>, help: &str| {
            let constants = settings.options.constant_label_names();
            let labels = ["grpc_type", "grpc_service", "grpc_method"];
            let labels = labels.into_iter().chain(code).chain(constants);
            FamilySpec {
                name: name.to_owned(),
                instrument,
                metadata: FamilyMetadata {
                    help: Some(help.into()),
                    unit: None,
                },
                label_names: labels.map(str::to_owned).collect(),
                buckets: None,
                exemplars: false,
            }
        };
        let counter = |name: &str, help: &str| family(name, Instrument::Counter, None, help);
        let mut handling = family(
            &self.handling,
            Instrument::Histogram,
            None,
            "Duration of gRPC calls in seconds.",
        );
        handling.metadata.unit = Some(metrics::Unit::Seconds);
        let bounds = settings.options.duration_buckets.as_ref();
        handling.buckets = bounds
            .map(|b| Buckets::new(b.iter().copied()))
            .transpose()?;
        Ok([
            counter(&self.started, "Total number of gRPC calls started."),
            family(
                &self.handled,
                Instrument::Counter,
                Some("grpc_code"),
                "Total number of gRPC calls ended, by status code.",
            ),
            handling,
            counter(&self.received, "Total number of gRPC messages received."),
            counter(&self.sent, "Total number of gRPC messages sent."),
            family(
                &self.in_progress,
                Instrument::InProgress,
                None,
                "Number of gRPC calls in progress.",
            ),
            overflow_spec(),
        ])
    }
}

/// Describes a family without its constant labels. `rules` returns the buckets of a family whose buckets are
/// not set.
fn describe_spec(
    spec: &FamilySpec,
    settings: &GrpcSettings,
    rules: impl Fn(&str) -> Buckets,
) -> FamilyDescription {
    let mut family = spec.describe();
    let options = &settings.options;
    family
        .labels
        .retain(|label| !options.has_constant_label(&label.name));
    family.labels = family.labels.into_iter().map(describe_label).collect();
    if spec.instrument == Instrument::Histogram && spec.buckets.is_none() {
        family.buckets = rules(&family.name).bounds().to_vec();
    }
    family
}

/// Adds the role, the values and the fallback of a label.
fn describe_label(label: LabelDescription) -> LabelDescription {
    match &*label.name {
        "grpc_type" => {
            let types = GrpcType::ALL.map(GrpcType::label);
            let label = label.role(LabelRole::GrpcType).fallback(UNKNOWN);
            label.values(types.into_iter().chain([UNKNOWN]))
        }
        "grpc_service" => label.role(LabelRole::GrpcService).fallback(UNKNOWN),
        "grpc_method" => label.role(LabelRole::GrpcMethod).fallback(UNKNOWN),
        "grpc_code" => {
            let codes = Code::ALL.map(Code::label);
            label.role(LabelRole::GrpcCode).values(codes)
        }
        _ => label,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_split_into_service_and_method() {
        let names = |path: &str| {
            let name = MethodName::of_path(path)?;
            Some((name.service.into_string(), name.method.into_string()))
        };
        let some = |service: &str, method: &str| Some((service.to_owned(), method.to_owned()));
        assert_eq!(names("/pkg.Greeter/Say"), some("pkg.Greeter", "Say"));
        assert_eq!(
            names("/api/pkg.Greeter/Say"),
            some("api/pkg.Greeter", "Say")
        );
        let long = format!("/pkg.Greeter/{}", "x".repeat(300));
        for wrong in ["", "/", "//", "/x", "/x/", "//x", "x/y", "/x/ä", &long] {
            assert_eq!(names(wrong), None, "{wrong:?}");
        }
    }
}
