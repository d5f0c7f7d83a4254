//! [`GrpcSeries`]: the known methods of a gRPC layer and their series.

use std::sync::OnceLock;

use metrics::{Key, NoopRecorder};

use crate::error::Error;
use crate::grpc::call_labels::CallLabels;
use crate::grpc::code::Code;
use crate::grpc::families::{LabelSource, custom_on};
use crate::grpc::method::{CallSeries, CodeSeries, EndSeries, MessageSeries, MethodName};
use crate::grpc::method_ref::{CallRef, MethodRef};
use crate::grpc::method_rows::MethodRows;
use crate::grpc::methods::Methods;
use crate::grpc::metric::GrpcMetric;
use crate::grpc::settings::{GrpcSettings, PreregisteredMethod};
use crate::http::config::http_label::On;
use crate::http::series::custom_labels::{CustomLabels, CustomValue};
use crate::http::series::label_values::LabelIds;
use crate::registry::lifetime::Lifetime;
use crate::sink::activation::Activation;
use crate::sink::overflow::{Overflow, OverflowCause, overflow_spec};
use crate::sink::side::Side;
use crate::sink::weak::WeakSink;
use crate::sink::{Sink, owned_key};

/// The series of a layer, by path. Leaked, so that calls borrow them and share no reference count between
/// cores.
pub(crate) struct GrpcSeries {
    pub(crate) settings: GrpcSettings,
    sink: WeakSink,
    /// The full names of the measured families.
    names: [Option<String>; GrpcMetric::COUNT],
    /// The labels of the families, without constant labels.
    label_sources: [Vec<LabelSource>; GrpcMetric::COUNT],
    pub(super) methods: Methods,
    /// The series that can expire, if there are any: those of learned methods and of open labels.
    pub(super) rows: Option<MethodRows>,
    method_overflow: Overflow,
    pub(crate) custom: CustomLabels,
    activation: Activation<GrpcSettings, Self>,
}

impl GrpcSeries {
    /// Returns the series of a configuration; on the same registry, always the same ones.
    pub(crate) fn shared(settings: &GrpcSettings, sink: &Sink) -> Result<&'static Self, Error> {
        if !settings.enabled {
            return Ok(Self::disabled());
        }
        let same = |series: &Self| series.settings == *settings;
        let leak = || {
            let series = Self::leak(Self::new(settings.clone(), sink)?);
            for preregistered in &settings.preregistered {
                series.preregister(preregistered);
            }
            if let Some(rows) = &series.rows {
                sink.add_rows(rows.as_set());
            }
            sink.add_layer(Box::new(|buckets| series.settings.describe_layer(buckets)));
            Ok(series)
        };
        let (options, labels) = (&settings.options, settings.label_names());
        let buckets = settings.bucket_settings();
        sink.layer_state(options, labels, &buckets, same, leak)
    }

    /// Returns the series of a layer that is turned off.
    fn disabled() -> &'static Self {
        static DISABLED: OnceLock<&'static GrpcSeries> = OnceLock::new();
        DISABLED.get_or_init(|| Self::leak(Self::passive(Activation::Off)))
    }

    /// Returns the series of a layer that measures nothing until a global recorder is installed.
    pub(crate) fn waiting(settings: &GrpcSettings) -> &'static Self {
        if !settings.enabled {
            return Self::disabled();
        }
        let waiting = Activation::waiting(settings.clone(), Self::shared);
        Self::leak(Self::passive(waiting))
    }

    fn leak(series: Self) -> &'static Self {
        Box::leak(Box::new(series))
    }

    /// A layer that measures nothing.
    fn passive(activation: Activation<GrpcSettings, Self>) -> Self {
        let settings = GrpcSettings {
            max_methods: 0,
            ..GrpcSettings::new(Side::Server)
        };
        Self {
            activation,
            ..Self::unregistered(settings, &Sink::recorder(NoopRecorder))
        }
    }

    /// The series that measure a call; `None` if nothing is measured.
    #[inline]
    pub(crate) fn active(&'static self) -> Option<&'static Self> {
        self.activation.active(self)
    }

    /// Registers the families in the sink.
    fn new(settings: GrpcSettings, sink: &Sink) -> Result<Self, Error> {
        let series = Self::unregistered(settings, sink);
        for metric in GrpcMetric::ALL {
            if let Some(spec) = series.settings.spec(metric)? {
                sink.register(&spec)?;
            }
        }
        sink.register(&overflow_spec())?;
        Ok(series)
    }

    /// Allocates the tables.
    fn unregistered(settings: GrpcSettings, sink: &Sink) -> Self {
        let timeout = sink.shortest_idle_timeout();
        let custom = CustomLabels::new(&settings.labels, timeout.is_some());
        Self {
            names: GrpcMetric::ALL.map(|metric| settings.family_name(metric)),
            label_sources: GrpcMetric::ALL.map(|metric| settings.label_sources(metric)),
            methods: Methods::new(&settings, timeout.is_some()),
            rows: timeout.map(|timeout| MethodRows::new(&settings, &custom, timeout)),
            method_overflow: Overflow::default(),
            custom,
            activation: Activation::Active,
            settings,
            sink: sink.downgrade(),
        }
    }

    /// Makes a method known, and registers its series for all listed values of custom labels.
    fn preregister(&'static self, preregistered: &PreregisteredMethod) {
        let Some(method) = self.methods.preregister(preregistered) else {
            return;
        };
        let method = MethodRef::Static(method);
        if let Some(rows) = &self.rows {
            rows.preregister(preregistered);
        }
        for labels in self.custom.listed(On::Everything) {
            self.call(method.clone(), labels);
        }
        for labels in self.custom.listed(On::Requests) {
            let ends = self.end_series(&method, labels);
            for code in Code::ALL {
                ends.by_code[code as usize]
                    .get_or_init(|| self.new_code_series(&method, labels, code));
            }
        }
    }

    #[inline]
    pub(crate) fn side(&self) -> Side {
        self.settings.side
    }

    pub(super) fn count_method_overflow(&self) {
        let settings = &self.settings;
        let cause = || OverflowCause::Full {
            limit: settings.preregistered.len() + settings.max_methods,
            advice: "raise `max_methods`, or preregister all methods",
        };
        let label = settings.naming.method_label();
        self.method_overflow
            .count(&self.sink, self.main_name(), label, cause);
    }

    /// The name of the metric that overflow and its warnings refer to.
    fn main_name(&self) -> &str {
        let handled = self.names[GrpcMetric::Handled as usize].as_ref();
        let name = handled.or_else(|| self.names.iter().flatten().next());
        name.map_or("", String::as_str)
    }

    /// Returns the series of a call in progress, registered on first use.
    #[inline]
    pub(crate) fn call(&'static self, method: MethodRef, labels: LabelIds) -> CallRef {
        let labels = self.custom.on_everything(labels);
        let new = || self.new_call_series(&method, labels);
        method.calls.get_or_insert(labels, new);
        CallRef::new(method, labels)
    }

    /// Records the end of a call to this method.
    #[inline]
    pub(crate) fn record_end(
        &'static self,
        method: &MethodRef,
        labels: CallLabels,
        code: Code,
        seconds: f64,
    ) {
        let ids = labels.ids;
        let in_row = self.end_in_row(method, labels);
        let method = in_row.as_ref().unwrap_or(method);
        let ends = self.end_series(method, ids);
        ends.record(code, seconds, || self.new_code_series(method, ids, code));
        if !ids.is_empty() {
            let family = self.main_name();
            self.custom.count_overflow(ids, &self.sink, family);
        }
        if let (Some(rows), Some(row)) = (&self.rows, &in_row) {
            self.count_open_overflow(rows, row);
        }
    }

    #[inline]
    fn count_open_overflow(&self, rows: &MethodRows, end: &MethodRef) {
        if end.is_overflow() {
            let is_full = |label| rows.is_full(label);
            let family = self.main_name();
            self.custom
                .count_open_overflow(end.values(), &self.sink, family, is_full);
        }
    }

    #[inline]
    fn end_series<'a>(&'static self, method: &'a MethodRef, labels: LabelIds) -> &'a EndSeries {
        let new = || self.new_end_series(method, labels);
        method.ends.get_or_insert(labels, new)
    }

    fn new_call_series(&'static self, method: &MethodRef, labels: LabelIds) -> CallSeries {
        use GrpcMetric::{InProgress, Started};
        let received = self.new_message_series(
            method,
            labels,
            [
                GrpcMetric::MessagesReceived,
                GrpcMetric::ReceivedMessageSize,
            ],
        );
        let sent = self.new_message_series(
            method,
            labels,
            [GrpcMetric::MessagesSent, GrpcMetric::SentMessageSize],
        );
        let (request, response) = match self.side() {
            Side::Server => (received, sent),
            Side::Client => (sent, received),
        };
        let sink = self.sink.upgrade();
        let series = |metric| self.series(metric, method, labels, None);
        let in_progress = series(InProgress);
        CallSeries {
            started: series(Started).map(|(key, lifetime)| sink.counter(key, &lifetime)),
            in_progress: in_progress.map(|(key, lifetime)| sink.in_progress(key, &lifetime)),
            request,
            response,
        }
    }

    fn new_message_series(
        &'static self,
        method: &MethodRef,
        labels: LabelIds,
        [count, size]: [GrpcMetric; 2],
    ) -> MessageSeries {
        let sink = self.sink.upgrade();
        let series = |metric| self.series(metric, method, labels, None);
        MessageSeries {
            count: series(count).map(|(key, lifetime)| sink.counter(key, &lifetime)),
            size: series(size).map(|(key, lifetime)| sink.histogram(key, &lifetime)),
        }
    }

    fn new_end_series(&'static self, method: &MethodRef, labels: LabelIds) -> EndSeries {
        let has_code = self.settings.code_on_durations;
        let handling = self.series(GrpcMetric::Handling, method, labels, None);
        let handling = handling.filter(|_| !has_code);
        let histogram = |(key, lifetime)| self.sink.upgrade().histogram(key, &lifetime);
        EndSeries {
            handling: handling.map(histogram),
            by_code: [const { OnceLock::new() }; Code::ALL.len()],
        }
    }

    fn new_code_series(
        &'static self,
        method: &MethodRef,
        labels: LabelIds,
        code: Code,
    ) -> CodeSeries {
        let has_code = self.settings.code_on_durations;
        let sink = self.sink.upgrade();
        let series = |metric| self.series(metric, method, labels, Some(code));
        let handled = series(GrpcMetric::Handled);
        let handling = series(GrpcMetric::Handling).filter(|_| has_code);
        let histogram = |(key, lifetime)| sink.histogram(key, &lifetime);
        CodeSeries {
            handled: handled.map(|(key, lifetime)| sink.counter(key, &lifetime)),
            handling: handling.map(|series| Box::new(histogram(series))),
        }
    }

    /// The key and the lifetime of a series; `None` if the metric is not measured.
    fn series(
        &'static self,
        metric: GrpcMetric,
        method: &MethodRef,
        labels: LabelIds,
        code: Option<Code>,
    ) -> Option<(Key, Lifetime)> {
        let key = self.key(metric, method, labels, code)?;
        Some((key, self.lifetime(metric, method, labels)))
    }

    /// The lifetime of a series: those of learned methods and of values that are not listed can expire.
    fn lifetime(
        &'static self,
        metric: GrpcMetric,
        method: &MethodRef,
        labels: LabelIds,
    ) -> Lifetime {
        match (method, &self.rows) {
            (MethodRef::Static(method), _) if method.is_learned => Lifetime::Expiring,
            (MethodRef::Row(row), Some(rows)) => {
                let on = custom_on(metric);
                let open = self.custom.open_labels();
                let kept = open.map(|label| self.settings.labels[label].on >= on);
                rows.lifetime(row, kept, self.methods.is_static(method.path()))
            }
            _ => self.custom.lifetime(labels),
        }
    }

    /// The name and the labels of a series; `None` if the metric is not measured.
    fn key(
        &self,
        metric: GrpcMetric,
        method: &MethodRef,
        labels: LabelIds,
        code: Option<Code>,
    ) -> Option<Key> {
        let name = self.names[metric as usize].as_ref()?;
        let method_name = self.methods.name(method);
        let value = |source| self.label_value(source, (method, &method_name), labels, code);
        let sources = self.label_sources[metric as usize].iter();
        let sources = sources.map(|source| (self.settings.label_name(*source), value(*source)));
        let constants = self.settings.options.constant_labels.iter();
        let constants = constants.map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<_> = sources.chain(constants).collect();
        Some(owned_key(name, &all))
    }

    fn label_value<'a>(
        &'a self,
        source: LabelSource,
        (method, name): (&'a MethodRef, &'a MethodName),
        labels: LabelIds,
        code: Option<Code>,
    ) -> &'a str {
        let naming = &self.settings.naming;
        match source {
            LabelSource::Type => name.kind,
            LabelSource::Service => &name.service,
            LabelSource::Method => &name.method,
            LabelSource::FullMethod => &name.full,
            LabelSource::Custom(i) => match self.custom.value(i, labels) {
                CustomValue::Name(name) => name,
                CustomValue::InRow(index) => method.values().nth(index).unwrap_or_default(),
            },
            LabelSource::Code => code.map_or("", |code| code.name(naming.codes)),
            LabelSource::ErrorType => code.map_or("", |c| naming.error_value(c, self.side())),
        }
    }
}
