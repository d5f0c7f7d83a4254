//! [`Methods`]: what is known of methods, and every series of one gRPC layer.

use std::sync::OnceLock;

use super::code::Code;
use super::settings::{Declared, GrpcMetric, GrpcType, Settings};
use crate::Error;
use crate::app::{FamilyDescription, LabelDescription, LabelRole};
use crate::labels::OVERFLOW;
use crate::registry::{About, Buckets, FamilySpec, Shape};
use crate::series::{Overflow, Table, overflow_spec};
use crate::target::{Counter, Histogram, InProgress, Target, owned_key};

/// The service, the method, and the type of what is not known.
const UNKNOWN: &str = "unknown";

/// The series of a layer, by path. Leaked: see [`crate::series`].
pub(super) struct Methods {
    pub(super) settings: Settings,
    target: Target,
    families: Families,
    by_path: Table<MethodSeries>,
    unknown: OnceLock<MethodSeries>,
    overflow: OnceLock<MethodSeries>,
    overflowed: Overflow,
}

/// Which end of a call a layer is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Client,
}

/// The series of one method.
pub(super) struct MethodSeries {
    name: Name,
    started: Counter,
    pub(super) in_progress: InProgress,
    pub(super) handling: Histogram,
    pub(super) request_messages: Counter,
    pub(super) response_messages: Counter,
    handled: [OnceLock<Counter>; Code::ALL.len()],
}

/// The labels of a method.
struct Name {
    kind: &'static str,
    service: Box<str>,
    method: Box<str>,
}

/// The families' names with the layer's prefix.
pub(super) struct Families {
    started: String,
    handled: String,
    handling: String,
    received: String,
    sent: String,
    in_progress: String,
}

impl Side {
    /// What an error means that has no code: a client's is its connection's.
    pub(super) fn code_of_errors(self) -> Code {
        match self {
            Self::Server => Code::Unknown,
            Self::Client => Code::Unavailable,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

impl Methods {
    /// Declares the families on the target and the methods in them.
    pub(super) fn new(settings: Settings, target: Target) -> Result<Self, Error> {
        let families = Families::new(&settings);
        for spec in families.specs(&settings)? {
            target.declare(&spec)?;
        }
        let by_path = Table::new(settings.declared.len() + settings.max_methods);
        let methods = Self {
            settings,
            target,
            families,
            by_path,
            unknown: OnceLock::new(),
            overflow: OnceLock::new(),
            overflowed: Overflow::default(),
        };
        for declared in &methods.settings.declared {
            methods.declare(declared);
        }
        Ok(methods)
    }

    fn declare(&self, declared: &Declared) {
        let Declared {
            service,
            method,
            kind,
        } = declared;
        let name = Name {
            kind: kind.label(),
            ..Name::new(service, method)
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
    pub(super) fn side(&self) -> Side {
        self.settings.side
    }

    /// The series of a path, if it has some: no allocation, no lock, and nothing written that others
    /// read often. A client's paths are the program's own words and are known at once.
    #[inline]
    pub(super) fn find(&'static self, path: &str) -> Option<&'static MethodSeries> {
        match self.by_path.get(path) {
            Some(series) => Some(series),
            None if self.side() == Side::Client => Some(self.register(path)),
            None => None,
        }
    }

    /// The series of a path that is a method's: from here on it is known.
    #[cold]
    pub(super) fn register(&'static self, path: &str) -> &'static MethodSeries {
        let Some(name) = Name::of_path(path) else {
            return self.unknown();
        };
        let known = self.by_path.get_or_insert(path, |_| self.series(name));
        known.unwrap_or_else(|| {
            let family = self.families.handled.as_str();
            self.overflowed.count(&self.target, family, "grpc_method");
            self.overflow()
        })
    }

    /// The series of whatever is not a method.
    pub(super) fn unknown(&self) -> &MethodSeries {
        self.unknown
            .get_or_init(|| self.series(Name::new(UNKNOWN, UNKNOWN)))
    }

    fn overflow(&self) -> &MethodSeries {
        self.overflow
            .get_or_init(|| self.series(Name::new(OVERFLOW, OVERFLOW)))
    }

    /// Counts a call that ended.
    #[inline]
    pub(super) fn count(&self, series: &MethodSeries, code: Code) {
        self.handled(series, code).increment();
    }

    fn handled<'a>(&self, series: &'a MethodSeries, code: Code) -> &'a Counter {
        series.handled[code as usize].get_or_init(|| {
            let labels = self.labels(&series.name, Some(code));
            let key = owned_key(&self.families.handled, &labels);
            self.target.counter(key)
        })
    }

    fn series(&self, name: Name) -> MethodSeries {
        let labels = self.labels(&name, None);
        let key = |family: &str| owned_key(family, &labels);
        let counter = |family: &str| self.target.counter(key(family));
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
            in_progress: self.target.in_progress(key(&self.families.in_progress)),
            handling: self.target.histogram(key(&self.families.handling)),
            request_messages,
            response_messages,
            handled: [const { OnceLock::new() }; Code::ALL.len()],
            name,
        }
    }

    fn labels<'a>(&'a self, name: &'a Name, code: Option<Code>) -> Vec<(&'a str, &'a str)> {
        let labels = [
            ("grpc_type", name.kind),
            ("grpc_service", &*name.service),
            ("grpc_method", &*name.method),
        ];
        let code = code.map(|code| ("grpc_code", code.label()));
        let constants = self.settings.constant_labels.iter();
        let constants = constants.map(|(name, value)| (name.as_str(), value.as_str()));
        labels.into_iter().chain(code).chain(constants).collect()
    }
}

impl MethodSeries {
    #[inline]
    pub(super) fn begin(&self) {
        self.started.increment();
        self.in_progress.begin();
    }
}

impl Name {
    fn new(service: &str, method: &str) -> Self {
        Self {
            kind: UNKNOWN,
            service: service.into(),
            method: method.into(),
        }
    }

    /// `/package.Service/Method`, where both are words of a reasonable length.
    fn of_path(path: &str) -> Option<Self> {
        const LONGEST: usize = 256;
        if path.len() > LONGEST || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
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

impl Families {
    pub(super) fn new(settings: &Settings) -> Self {
        let side = settings.side.label();
        let named = |name: &str| match &settings.prefix {
            Some(prefix) => format!("{prefix}_grpc_{side}_{name}"),
            None => format!("grpc_{side}_{name}"),
        };
        Self {
            started: named("started_total"),
            handled: named("handled_total"),
            handling: named("handling_seconds"),
            received: named("msg_received_total"),
            sent: named("msg_sent_total"),
            in_progress: named("in_progress"),
        }
    }

    /// Every family, as a reader of the page sees it; `rules` gives the bounds that were left to the
    /// registry.
    pub(super) fn describe(
        settings: &Settings,
        rules: impl Fn(&str) -> Buckets,
    ) -> Result<Vec<FamilyDescription>, Error> {
        let specs = Self::new(settings).specs(settings)?;
        let described = specs.map(|spec| describe_spec(&spec, settings, &rules));
        Ok(described.into())
    }

    /// One family, with the default bounds where they were left to the registry.
    pub(super) fn describe_metric(
        settings: &Settings,
        metric: GrpcMetric,
    ) -> Result<FamilyDescription, Error> {
        let specs = Self::new(settings).specs(settings)?;
        let spec = &specs[metric as usize];
        Ok(describe_spec(spec, settings, |_| Buckets::default()))
    }

    /// What the layer's families are, in the order of [`GrpcMetric`] and then the family of overflows; the
    /// table in the module's documentation shows the same.
    fn specs(&self, settings: &Settings) -> Result<[FamilySpec; 7], Error> {
        let family = |name: &str, shape, code: Option<&str>, help: &str| {
            let constants = settings.constant_labels.iter();
            let constants = constants.map(|(name, _)| name.as_str());
            let labels = ["grpc_type", "grpc_service", "grpc_method"];
            let labels = labels.into_iter().chain(code).chain(constants);
            FamilySpec {
                name: name.to_owned(),
                shape,
                about: About {
                    help: Some(help.into()),
                    unit: None,
                },
                label_names: labels.map(str::to_owned).collect(),
                buckets: None,
                exemplars: false,
            }
        };
        let counter = |name: &str, help: &str| family(name, Shape::Counter, None, help);
        let mut handling = family(
            &self.handling,
            Shape::Histogram,
            None,
            "Time from a call's begin to the end of its response, in seconds.",
        );
        handling.about.unit = Some(metrics::Unit::Seconds);
        let bounds = settings.handling_buckets.as_ref();
        handling.buckets = bounds
            .map(|b| Buckets::new(b.iter().copied()))
            .transpose()?;
        Ok([
            counter(&self.started, "gRPC calls that began."),
            family(
                &self.handled,
                Shape::Counter,
                Some("grpc_code"),
                "gRPC calls that ended, by the code they ended with.",
            ),
            handling,
            counter(&self.received, "gRPC messages received."),
            counter(&self.sent, "gRPC messages sent."),
            family(
                &self.in_progress,
                Shape::InProgress,
                None,
                "gRPC calls whose response has not ended.",
            ),
            overflow_spec(),
        ])
    }
}

/// A family without its constant labels; `rules` gives the bounds that were left to the registry.
fn describe_spec(
    spec: &FamilySpec,
    settings: &Settings,
    rules: impl Fn(&str) -> Buckets,
) -> FamilyDescription {
    let mut family = spec.describe();
    let is_constant = |label: &LabelDescription| {
        let constants = &settings.constant_labels;
        constants.iter().any(|(name, _)| *name == label.name)
    };
    family.labels.retain(|label| !is_constant(label));
    family.labels = family.labels.into_iter().map(describe_label).collect();
    if spec.shape == Shape::Histogram && spec.buckets.is_none() {
        family.buckets = rules(&family.name).bounds().to_vec();
    }
    family
}

/// Adds the role, the values and the fallback to a label's name.
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
    fn a_path_is_a_service_and_a_method() {
        let names = |path: &str| {
            let name = Name::of_path(path)?;
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
