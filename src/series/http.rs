//! [`HttpSeries`]: every series of one HTTP layer, registered as they are first needed.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use metrics::{Key, Label};

use super::ended::{AbortKey, EndKey, Ended, Measured, More};
use super::endpoint::{EndpointKind, EndpointSeries, Found, MethodSeries};
use super::overflow::{Overflow, overflow_spec};
use super::{LabelIds, LabelValues, Table};
use crate::Error;
use crate::labels::{
    Family, Method, Naming, OVERFLOW, On, RequestHead, ResponseHead, Status, TraceId, Values,
};
use crate::middleware::{AbortReason, DurationTo, Part, Settings};
use crate::registry::{About, FamilySpec, Writer};
use crate::target::{InProgress, Target, Writing};

/// The series of a layer. Leaked: see the [module](super).
pub(crate) struct HttpSeries {
    pub(crate) settings: Settings,
    target: Target,
    writing: Writing,
    /// The families that are measured, by their whole names.
    names: [Option<String>; Family::COUNT],
    endpoints: Table<EndpointSeries>,
    unmatched: EndpointSeries,
    overflow: EndpointSeries,
    values: Vec<LabelValues>,
    /// The labels that are on every family.
    everywhere: LabelIds,
    asks_response: bool,
    times_head: bool,
    /// Whether anything is measured beside the number of requests and their duration.
    measures_more: bool,
    endpoint_overflow: Overflow,
    label_overflow: Vec<Overflow>,
    /// Whether any request has had an endpoint.
    matched: AtomicBool,
    /// Answers without an endpoint while none has had one.
    silent: AtomicU32,
    /// Requests until the layer is no longer new.
    new_for: AtomicU32,
}

/// How many requests of a layer are looked at for mistakes in how it was put together.
const NEW_FOR: u32 = 100;

impl HttpSeries {
    /// Declares the families on the target and makes room for the series.
    pub(crate) fn new(settings: Settings, target: Target) -> Result<Self, Error> {
        let names = Family::ALL.map(|family| settings.family_name(family));
        let series = Self {
            endpoints: Table::new(settings.max_endpoints + settings.skip.len()),
            unmatched: settings.endpoint(settings.naming.unmatched, EndpointKind::Unmatched),
            overflow: settings.endpoint(OVERFLOW, EndpointKind::Overflow),
            values: settings
                .labels
                .iter()
                .map(|label| LabelValues::new(&label.values))
                .collect(),
            asks_response: settings.labels.iter().any(|label| label.asks_response()),
            everywhere: LabelIds::mask(settings.labels.iter().map(|l| l.on == On::Everything)),
            times_head: settings.duration_to == DurationTo::Head
                || settings.is_measured(Family::HeadDuration),
            measures_more: settings.measures_more(),
            endpoint_overflow: Overflow::default(),
            label_overflow: settings
                .labels
                .iter()
                .map(|_| Overflow::default())
                .collect(),
            matched: AtomicBool::new(false),
            silent: AtomicU32::new(0),
            new_for: AtomicU32::new(NEW_FOR),
            names,
            settings,
            writing: target.writing(),
            target,
        };
        for family in Family::ALL {
            if let Some(spec) = series.spec(family)? {
                series.target.declare(&spec)?;
            }
        }
        series.target.declare(&overflow_spec())?;
        for skipped in &series.settings.skip {
            let make = |name| series.settings.endpoint(name, EndpointKind::Route);
            series.endpoints.get_or_insert(skipped, make);
        }
        Ok(series)
    }

    /// What a request records by, when it begins and when it ends.
    #[inline]
    pub(crate) fn writer(&self) -> Option<Writer<'_>> {
        self.writing.writer()
    }

    /// Whether this is one of the first requests, which are looked at more closely.
    #[inline]
    pub(crate) fn is_new(&self) -> bool {
        self.new_for.load(Ordering::Relaxed) > 0
    }

    /// One request less to look at; none at all once one was found to pass this layer twice.
    #[cold]
    pub(crate) fn grow_older(&self, nested: bool) {
        let older = |left: u32| match nested {
            true => (left > 0).then_some(0),
            false => left.checked_sub(1),
        };
        let aged = self
            .new_for
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, older);
        if nested && aged.is_ok() {
            tracing::warn!(
                "requests pass the same layer twice, and are counted twice in {:?}: it is around itself",
                self.main_name(),
            );
        }
    }

    /// Makes the series of declared routes, at 0.
    pub(crate) fn start(&'static self) {
        for route in &self.settings.routes {
            let Some(series) = self.endpoint(Some(&route.endpoint)).method(route.method) else {
                continue;
            };
            for labels in self.declared_labels() {
                self.in_progress(series, labels);
                for status in &route.statuses {
                    self.ended(series, Status::of(*status), labels);
                }
            }
        }
    }

    /// Every combination of the declared values of all labels; none if a label has none declared.
    fn declared_labels(&self) -> Vec<LabelIds> {
        let mut combinations = vec![LabelIds::default()];
        for (i, (label, known)) in self.settings.labels.iter().zip(&self.values).enumerate() {
            let Values::Declared(values) = &label.values else {
                return Vec::new();
            };
            combinations = combinations
                .iter()
                .flat_map(|labels| {
                    values.iter().map(move |value| {
                        let mut labels = *labels;
                        labels.set(i, known.id(Some(value)));
                        labels
                    })
                })
                .collect();
        }
        combinations
    }

    /// Whether anyone wants to know how long the head took.
    #[inline]
    pub(crate) fn times_head(&self) -> bool {
        self.times_head
    }

    /// The trace that a request belongs to, where that is asked for.
    #[inline]
    pub(crate) fn trace(&self, request: RequestHead<'_>) -> Option<TraceId> {
        self.settings.exemplar.as_ref()?.of(request)
    }

    /// The values of the labels that a request brings.
    #[inline]
    pub(crate) fn request_labels(&self, request: RequestHead<'_>) -> LabelIds {
        let mut ids = LabelIds::default();
        if self.values.is_empty() {
            return ids;
        }
        for (i, (label, values)) in self.settings.labels.iter().zip(&self.values).enumerate() {
            ids.set(i, values.id(label.of_request(request)));
        }
        ids
    }

    /// Lets the response have the last word about the labels it knows.
    #[inline]
    pub(crate) fn response_labels(&self, response: ResponseHead<'_>, ids: &mut LabelIds) {
        if !self.asks_response {
            return;
        }
        for (i, (label, values)) in self.settings.labels.iter().zip(&self.values).enumerate() {
            if let Some(value) = label.of_response(response) {
                ids.set(i, values.id(Some(value)));
            }
        }
    }

    /// Looks a request up: no allocation, no lock, and nothing written that others read often.
    #[inline]
    pub(crate) fn find(&'static self, method: Method, endpoint: Option<&str>) -> Found {
        let endpoint = match endpoint {
            Some(name) => match self.endpoints.get(name) {
                Some(endpoint) => {
                    self.note_match();
                    endpoint
                }
                None => return self.find_overflow(method, name),
            },
            None => &self.unmatched,
        };
        endpoint.find(method)
    }

    /// Somebody told this layer an endpoint; written once, read ever after.
    #[inline]
    fn note_match(&self) {
        if !self.matched.load(Ordering::Relaxed) {
            self.matched.store(true, Ordering::Relaxed);
        }
    }

    /// As [`find`](Self::find) for an endpoint that is not in the table: when that is full, so is its answer.
    fn find_overflow(&'static self, method: Method, name: &str) -> Found {
        self.note_match();
        if !self.endpoints.is_full() {
            return Found::Unknown;
        }
        // The last one may have come since it was not found.
        let endpoint = self.endpoints.get(name).unwrap_or(&self.overflow);
        endpoint.find(method)
    }

    /// The series of a request, registered if they are new; `None` if it is not to be measured.
    pub(crate) fn register(
        &'static self,
        method: Method,
        endpoint: Option<&str>,
    ) -> Option<&'static MethodSeries> {
        if endpoint.is_some() {
            self.note_match();
        }
        self.endpoint(endpoint).method(method)
    }

    fn endpoint(&'static self, name: Option<&str>) -> &'static EndpointSeries {
        let Some(name) = name else {
            return &self.unmatched;
        };
        let make = |name| self.settings.endpoint(name, EndpointKind::Route);
        let known = self.endpoints.get_or_insert(name, make);
        known.unwrap_or(&self.overflow)
    }

    /// The gauge of requests in progress with these labels, if it is measured.
    #[inline]
    pub(crate) fn in_progress(
        &'static self,
        series: &'static MethodSeries,
        labels: LabelIds,
    ) -> Option<&'static InProgress> {
        let labels = labels.only(self.everywhere);
        let gauge = series.in_progress.get_or_insert(labels, || {
            let key = self.key(Family::InProgress, series, labels, None, None)?;
            Some(self.target.in_progress(&key))
        });
        gauge.as_ref()
    }

    /// Counts a request that ended; `measured` is asked if anything beside its duration matters.
    #[inline]
    pub(crate) fn count(
        &'static self,
        writer: Option<Writer<'_>>,
        series: &MethodSeries,
        labels: LabelIds,
        status: Status,
        seconds: f64,
        measured: impl FnOnce() -> Measured,
    ) {
        let ended = self.ended(series, status, labels);
        match self.measures_more {
            false => ended.record(writer, seconds),
            true => ended.record_all(seconds, &measured()),
        }
        if ended.is_notable {
            self.notice(series, labels, status);
        }
    }

    /// Counts a response body that did not reach its end.
    #[cold]
    pub(crate) fn count_aborted(
        &'static self,
        series: &MethodSeries,
        labels: LabelIds,
        reason: AbortReason,
    ) {
        let counter = series.aborted.get_or_init(Box::default).get_or_insert(
            AbortKey { reason, labels },
            || {
                let reason = Some(reason.label());
                let key = self.key(Family::AbortedBodies, series, labels, None, reason)?;
                Some(self.target.counter(&key))
            },
        );
        if let Some(counter) = counter {
            counter.increment();
        }
    }

    /// The gauge of long-lived connections of that kind, if it is measured.
    pub(crate) fn connections(
        &'static self,
        series: &MethodSeries,
        kind: &'static str,
    ) -> Option<&'static InProgress> {
        let gauge = series
            .endpoint
            .connections
            .get_or_init(Box::default)
            .get_or_insert(kind, || {
                let none = LabelIds::default();
                let key = self.key(Family::OpenConnections, series, none, None, Some(kind))?;
                Some(self.target.in_progress(&key))
            });
        gauge.as_ref()
    }

    #[inline]
    fn ended<'a>(
        &'static self,
        series: &'a MethodSeries,
        status: Status,
        labels: LabelIds,
    ) -> &'a Ended {
        let status = match self.settings.status_classes {
            true => status.class(),
            false => status,
        };
        let key = EndKey { status, labels };
        series
            .ended
            .get_or_insert(key, || self.new_ended(series, key))
    }

    fn new_ended(&'static self, series: &MethodSeries, EndKey { status, labels }: EndKey) -> Ended {
        let key = |family| self.key(family, series, labels, Some(status), None);
        let histogram = |family| Some(self.target.histogram(&key(family)?));
        Ended {
            requests: key(Family::Requests).map(|key| self.target.counter(&key)),
            duration: histogram(Family::Duration),
            is_notable: series.endpoint.kind != EndpointKind::Route
                || labels.overflowed().next().is_some(),
            more: self.measures_more.then(|| {
                Box::new(More {
                    head_duration: histogram(Family::HeadDuration),
                    response_size: histogram(Family::ResponseBodySize),
                    request_size: histogram(Family::RequestBodySize),
                    request_duration: histogram(Family::RequestBodyDuration),
                })
            }),
        }
    }

    /// What the layer is known by: its first family.
    fn main_name(&self) -> &str {
        let first = self.names.iter().flatten().next();
        first.map_or("no family", String::as_str)
    }

    fn name(&self, family: Family) -> Option<&str> {
        self.names[family as usize].as_deref()
    }

    /// The key of a series of a family, with the value of the label that only this family has; `None` if the family
    /// is not measured. Nothing is copied: the words of a layer are leaked with it.
    fn key(
        &'static self,
        family: Family,
        series: &MethodSeries,
        ids: LabelIds,
        status: Option<Status>,
        own: Option<&'static str>,
    ) -> Option<Key> {
        let name = self.name(family)?;
        let Settings { naming, .. } = &self.settings;
        let status = |value: fn(&Naming, Status) -> Cow<'static, str>| {
            status.map_or("".into(), |status| value(naming, status))
        };
        let value = |part| match part {
            Part::Method => series.method.label(naming.other_method).into(),
            Part::Endpoint => series.endpoint.name.into(),
            Part::Own(i) => self.values[i].name(ids.get(i)).into(),
            Part::Status => status(Naming::status_value),
            Part::ErrorType => status(|_, status| status.error_type()),
        };
        let constants = &self.settings.constant_labels;
        let parts = self.settings.parts(family);
        let mut labels = Vec::with_capacity(parts.len() + 1 + constants.len());
        labels.extend(
            parts
                .into_iter()
                .map(|part| Label::new(self.settings.label_name(part), value(part))),
        );
        let own = family.own_label().zip(own);
        labels.extend(own.map(|(name, value)| Label::from_static_parts(name, value)));
        labels.extend(
            constants
                .iter()
                .map(|(name, value)| Label::from_static_parts(name, value)),
        );
        Some(Key::from_parts(name, labels))
    }

    fn spec(&self, family: Family) -> Result<Option<FamilySpec>, Error> {
        let Some(name) = self.name(family) else {
            return Ok(None);
        };
        let (shape, unit, help) = family.about();
        let constants = self.settings.constant_labels.iter();
        let constants = constants.map(|(name, _)| name.as_str());
        let parts = self.settings.parts(family).into_iter();
        let names = parts.map(|part| self.settings.label_name(part));
        let names = names.chain(family.own_label()).chain(constants);
        Ok(Some(FamilySpec {
            name: name.to_owned(),
            shape,
            about: About {
                help: Some(help.into()),
                unit,
            },
            label_names: names.map(str::to_owned).collect(),
            buckets: self.settings.buckets_of(family)?,
            exemplars: family == Family::Duration && self.settings.exemplar.is_some(),
        }))
    }

    /// What is out of the ordinary: labels that overflow, and a layer that is told nothing.
    #[cold]
    fn notice(&self, series: &MethodSeries, labels: LabelIds, status: Status) {
        let Self {
            settings, target, ..
        } = self;
        let family = self.main_name();
        match series.endpoint.kind {
            EndpointKind::Route => {}
            EndpointKind::Unmatched => self.notice_silence(status),
            EndpointKind::Overflow => {
                let label = &settings.naming.endpoint;
                self.endpoint_overflow.count(target, family, label);
            }
        }
        for label in labels.overflowed() {
            let name = &settings.labels[label].name;
            self.label_overflow[label].count(target, family, name);
        }
    }

    /// A layer that axum tells no routes sees nothing but unmatched requests; say so once, when it
    /// is not scanners (404, 405) that it sees.
    fn notice_silence(&self, status: Status) {
        const ENOUGH: u32 = 10;
        if self.matched.load(Ordering::Relaxed)
            || !self.settings.warns_of_silence
            || !self.settings.endpoint_source.is_router()
            || !status.is_response()
            || status.is_unknown_route()
            || self.silent.load(Ordering::Relaxed) >= ENOUGH
        {
            return;
        }
        if self.silent.fetch_add(1, Ordering::Relaxed) + 1 == ENOUGH {
            tracing::warn!(
                "every request so far is counted as endpoint {:?}: this layer sits where the route is not \
                 known; add `EndpointLayer` inside the router, or move the layer onto it",
                self.unmatched.name,
            );
        }
    }
}
