//! [`HttpSeries`]: every series of one HTTP layer, registered as they are first needed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::{Slots, Table};
use crate::Error;
use crate::labels::{Method, OVERFLOW, Status, UNMATCHED};
use crate::middleware::{AbortReason, Settings};
use crate::registry::{About, Buckets, FamilySpec, Shape};
use crate::target::{Counter, Histogram, InProgress, Target};

/// The series of a layer. Leaked: see the [module](super).
pub(crate) struct HttpSeries {
    pub(crate) settings: Settings,
    target: Target,
    names: FamilyNames,
    endpoints: Table<EndpointSeries>,
    unmatched: EndpointSeries,
    overflow: EndpointSeries,
    /// Requests beyond the cap; the series exists from the first of them.
    overflowed: OnceLock<Counter>,
    /// Whether any request has had an endpoint.
    matched: AtomicBool,
    /// Answers without an endpoint while none has had one.
    silent: AtomicU32,
}

/// The families' names with the layer's prefix.
struct FamilyNames {
    requests: String,
    duration: String,
    in_progress: String,
    aborted: String,
    connections: String,
}

/// The series of one endpoint.
struct EndpointSeries {
    name: &'static str,
    skipped: bool,
    methods: [OnceLock<Box<MethodSeries>>; Method::COUNT],
    connections: Slots<&'static str, InProgress>,
}

/// The series of one method of one endpoint.
pub(crate) struct MethodSeries {
    method: Method,
    endpoint: &'static str,
    named: Named,
    pub(crate) in_progress: InProgress,
    pub(crate) duration: Histogram,
    requests: Slots<Status, Counter>,
    aborted: Slots<AbortReason, Counter>,
}

/// What kind of name an endpoint has.
enum Named {
    Route,
    Unmatched,
    Overflow,
}

/// What the table knows about a request.
pub(crate) enum Found {
    Measured(&'static MethodSeries),
    /// Nothing yet.
    Unknown,
    /// That it is not to be measured.
    Skipped,
}

const OVERFLOW_FAMILY: &str = "metrics_label_overflow_total";

impl HttpSeries {
    /// Declares the families on the target and makes room for the series.
    pub(crate) fn new(settings: Settings, target: Target) -> Result<Self, Error> {
        let names = FamilyNames::new(&settings);
        for spec in names.specs(&settings)? {
            target.declare(&spec)?;
        }
        let endpoints = Table::new(settings.max_endpoints + settings.skip.len());
        let is_skipped = |name: &str| settings.skip.iter().any(|skipped| skipped == name);
        let (skips_unmatched, skips_overflow) = (is_skipped(UNMATCHED), is_skipped(OVERFLOW));
        for skipped in &settings.skip {
            endpoints.get_or_insert(skipped, |name| EndpointSeries::new(name, true));
        }
        Ok(Self {
            settings,
            target,
            names,
            endpoints,
            unmatched: EndpointSeries::new(UNMATCHED, skips_unmatched),
            overflow: EndpointSeries::new(OVERFLOW, skips_overflow),
            overflowed: OnceLock::new(),
            matched: AtomicBool::new(false),
            silent: AtomicU32::new(0),
        })
    }

    /// Looks a request up: no allocation, no lock, and nothing written that others read often.
    #[inline]
    pub(crate) fn find(&'static self, method: Method, endpoint: Option<&str>) -> Found {
        let endpoint = match endpoint {
            Some(name) => match self.endpoints.get(name) {
                Some(endpoint) => endpoint,
                None => {
                    if !self.matched.load(Ordering::Relaxed) {
                        self.matched.store(true, Ordering::Relaxed);
                    }
                    return Found::Unknown;
                }
            },
            None => &self.unmatched,
        };
        if endpoint.skipped {
            return Found::Skipped;
        }
        match endpoint.methods[method as usize].get() {
            Some(series) => Found::Measured(series),
            None => Found::Unknown,
        }
    }

    /// The series of a request that [`find`](Self::find) does not know.
    #[cold]
    pub(crate) fn register(
        &'static self,
        method: Method,
        endpoint: Option<&str>,
    ) -> &'static MethodSeries {
        let endpoint = match endpoint {
            Some(name) => {
                let make = |name| EndpointSeries::new(name, false);
                let known = self.endpoints.get_or_insert(name, make);
                known.unwrap_or(&self.overflow)
            }
            None => &self.unmatched,
        };
        endpoint.methods[method as usize]
            .get_or_init(|| Box::new(self.method_series(method, endpoint.name)))
    }

    fn count_overflow(&self) {
        let mut first = false;
        let overflowed = self.overflowed.get_or_init(|| {
            first = true;
            let label = &self.settings.naming.endpoint;
            let labels = [("family", self.names.requests.as_str()), ("label", label)];
            self.target.counter(OVERFLOW_FAMILY, &labels)
        });
        overflowed.increment();
        if first {
            tracing::warn!(
                max_endpoints = self.settings.max_endpoints,
                "more endpoints than {} may have: further ones are counted as {OVERFLOW:?}",
                self.names.requests,
            );
        }
    }

    fn method_series(&self, method: Method, endpoint: &'static str) -> MethodSeries {
        let naming = &self.settings.naming;
        let labels = [
            (naming.method.as_str(), method.as_str()),
            (naming.endpoint.as_str(), endpoint),
        ];
        let labels = self.with_constants(&labels);
        MethodSeries {
            method,
            endpoint,
            named: match endpoint {
                UNMATCHED => Named::Unmatched,
                OVERFLOW => Named::Overflow,
                _ => Named::Route,
            },
            in_progress: self.target.in_progress(&self.names.in_progress, &labels),
            duration: self.target.histogram(&self.names.duration, &labels),
            requests: Slots::default(),
            aborted: Slots::default(),
        }
    }

    /// Counts a request that ended.
    #[inline]
    pub(crate) fn count(&self, series: &MethodSeries, status: Status) {
        let counter = series.requests.get_or_insert(status, || {
            let labels = (self.settings.naming.status.as_str(), &*status.label());
            self.counter_of(series, &self.names.requests, labels)
        });
        counter.increment();
        match series.named {
            Named::Route => {}
            Named::Unmatched => self.notice_silence(status),
            Named::Overflow => self.count_overflow(),
        }
    }

    /// Counts a response body that did not reach its end.
    pub(crate) fn count_aborted(&self, series: &MethodSeries, reason: AbortReason) {
        let counter = series.aborted.get_or_insert(reason, || {
            self.counter_of(series, &self.names.aborted, ("reason", reason.label()))
        });
        counter.increment();
    }

    /// The gauge of long-lived connections of that kind.
    pub(crate) fn connections(
        &'static self,
        series: &MethodSeries,
        kind: &'static str,
    ) -> &'static InProgress {
        let endpoint = match series.named {
            Named::Route => self.endpoints.get(series.endpoint),
            Named::Unmatched => Some(&self.unmatched),
            Named::Overflow => None,
        };
        let endpoint = endpoint.unwrap_or(&self.overflow);
        endpoint.connections.get_or_insert(kind, || {
            let label = self.settings.naming.endpoint.as_str();
            let labels = self.with_constants(&[(label, endpoint.name), ("kind", kind)]);
            self.target.in_progress(&self.names.connections, &labels)
        })
    }

    fn counter_of(&self, series: &MethodSeries, family: &str, last: (&str, &str)) -> Counter {
        let naming = &self.settings.naming;
        let labels = [
            (naming.method.as_str(), series.method.as_str()),
            (naming.endpoint.as_str(), series.endpoint),
            last,
        ];
        self.target.counter(family, &self.with_constants(&labels))
    }

    fn with_constants<'a>(&'a self, labels: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let constants = self.settings.constant_labels.iter();
        let constants = constants.map(|(name, value)| (name.as_str(), value.as_str()));
        labels.iter().copied().chain(constants).collect()
    }

    /// A layer that axum tells no routes sees nothing but unmatched requests; say so once, when it
    /// is not scanners (404, 405) that it sees.
    fn notice_silence(&self, status: Status) {
        const ENOUGH: u32 = 10;
        let Status::Code(code) = status else { return };
        if self.matched.load(Ordering::Relaxed)
            || matches!(code.as_u16(), 404 | 405)
            || self.silent.load(Ordering::Relaxed) >= ENOUGH
        {
            return;
        }
        if self.silent.fetch_add(1, Ordering::Relaxed) + 1 == ENOUGH {
            tracing::warn!(
                "every request so far is counted as endpoint {UNMATCHED:?}: this layer sits where the route \
                 is not known; add `EndpointLayer` inside the router, or move the layer onto it"
            );
        }
    }
}

impl EndpointSeries {
    fn new(name: &'static str, skipped: bool) -> Self {
        Self {
            name,
            skipped,
            methods: [const { OnceLock::new() }; Method::COUNT],
            connections: Slots::default(),
        }
    }
}

impl FamilyNames {
    fn new(settings: &Settings) -> Self {
        let naming = &settings.naming;
        let named = |name: &str| match &settings.prefix {
            Some(prefix) => format!("{prefix}_{name}"),
            None => name.to_owned(),
        };
        Self {
            requests: named(&naming.requests),
            duration: named(&naming.duration),
            in_progress: named(&naming.in_progress),
            aborted: named(&naming.aborted),
            connections: named(&naming.connections),
        }
    }

    /// What the layer's families are; the table in the crate's documentation shows the same.
    fn specs(&self, settings: &Settings) -> Result<[FamilySpec; 6], Error> {
        let naming = &settings.naming;
        let (method, endpoint) = (naming.method.as_str(), naming.endpoint.as_str());
        let family = |name: &str, shape, labels: &[&str], help: &str| {
            let constants = settings
                .constant_labels
                .iter()
                .map(|(name, _)| name.as_str());
            let label_names = labels.iter().copied().chain(constants);
            FamilySpec {
                name: name.to_owned(),
                shape,
                about: About {
                    help: Some(help.into()),
                    unit: None,
                },
                label_names: label_names.map(str::to_owned).collect(),
                buckets: None,
            }
        };
        let mut duration = family(
            &self.duration,
            Shape::Histogram,
            &[method, endpoint],
            "Time from a request's arrival to the end of its response, in seconds.",
        );
        duration.about.unit = Some(metrics::Unit::Seconds);
        let bounds = settings.duration_buckets.as_ref();
        duration.buckets = bounds
            .map(|b| Buckets::new(b.iter().copied()))
            .transpose()?;
        let mut overflow = family(
            OVERFLOW_FAMILY,
            Shape::Counter,
            &["family", "label"],
            "Requests counted as \"overflow\" because a label had too many values.",
        );
        // Shared by all layers of a registry, whatever their constant labels.
        overflow.label_names.truncate(2);
        Ok([
            family(
                &self.requests,
                Shape::Counter,
                &[method, endpoint, &naming.status],
                "HTTP requests that ended, by how they ended.",
            ),
            duration,
            family(
                &self.in_progress,
                Shape::InProgress,
                &[method, endpoint],
                "HTTP requests whose response has not ended.",
            ),
            family(
                &self.aborted,
                Shape::Counter,
                &[method, endpoint, "reason"],
                "HTTP response bodies that did not reach their end.",
            ),
            family(
                &self.connections,
                Shape::InProgress,
                &[endpoint, "kind"],
                "Long-lived connections that are open: upgrades, tunnels, event streams.",
            ),
            overflow,
        ])
    }
}
