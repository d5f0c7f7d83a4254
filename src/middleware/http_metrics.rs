//! [`HttpMetrics`]: what can be set before a layer exists.

use std::sync::Arc;

use http::StatusCode;

use super::settings::{ExemplarOf, Route, Settings};
use super::{HttpMetricsLayer, RequestBodyMetricsLayer};
use crate::app::FamilyDescription;
use crate::error::start_up;
use crate::labels::{
    EndpointSource, Family, Label, Method, Naming, Patterns, RequestHead, TraceId, standard,
};
use crate::registry::{Buckets, Registry};
use crate::series::HttpSeries;
use crate::target::Target;
use crate::{Error, clock};

/// Configures an [`HttpMetricsLayer`]; everything is checked once, by [`layer`](Self::layer).
///
/// ```
/// use tower_prometheus::{HttpMetrics, Registry};
///
/// let registry = Registry::new();
/// let layer = HttpMetrics::server()
///     .prefix("shop")
///     .constant_label("zone", "eu")
///     .duration_buckets([0.01, 0.1, 1.0])
///     .skip(["/internal/health"])
///     .layer(&registry)?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until a layer is made of it"]
pub struct HttpMetrics {
    settings: Settings,
    /// What could not be made sense of, told by [`layer`](Self::layer) like every other mistake.
    mistake: Option<String>,
}

/// Where the time of a request ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DurationTo {
    /// With the response's body: the time the client waited.
    #[default]
    End,
    /// With the response's head: comparable to crates that stop there, blind to slow bodies.
    Head,
}

impl HttpMetrics {
    /// The measurements of a server, by the names of [`Naming::classic`].
    pub fn server() -> Self {
        let mut measured = [true; Family::COUNT];
        for optional in [
            Family::HeadDuration,
            Family::ResponseBodySize,
            Family::RequestBodySize,
            Family::RequestBodyDuration,
        ] {
            measured[optional as usize] = false;
        }
        let settings = Settings {
            prefix: None,
            constant_labels: Vec::new(),
            duration_buckets: None,
            size_buckets: SIZE_BUCKETS.to_vec(),
            duration_to: DurationTo::default(),
            endpoint_source: EndpointSource::default(),
            warns_of_silence: true,
            skip: Vec::new(),
            max_endpoints: 1000,
            naming: Naming::classic(),
            measured,
            labels: Vec::new(),
            status_classes: false,
            status_on_durations: false,
            routes: Vec::new(),
            exemplar: None,
        };
        Self {
            settings,
            mistake: None,
        }
    }

    /// The measurements of a client, by the names of [`Naming::client`] and with the label `host`.
    ///
    /// The endpoint is what an [`Endpoint`](crate::Endpoint) extension of the request says, else empty. Of hosts
    /// there are at most a hundred; further ones are `overflow`.
    pub fn client() -> Self {
        let mut client = Self::server().naming(Naming::client());
        client.settings.warns_of_silence = false;
        client.label(standard::host())
    }

    /// The measurements of a server as OpenTelemetry's semantic conventions have them: the names of
    /// [`Naming::open_telemetry`], `url_scheme`, `network_protocol_version` and `error_type`, the status
    /// on the durations, body sizes, their buckets, and no counter of requests (the histogram counts).
    ///
    /// Sizes of requests need [`with_request_body`](Self::with_request_body).
    pub fn open_telemetry() -> Self {
        Self::server()
            .naming(Naming::open_telemetry())
            .duration_buckets([
                0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
            ])
            .label(standard::url_scheme(false))
            .label(standard::protocol_version())
            .status_on_durations()
            .without(Family::Requests)
            .measure(Family::ResponseBodySize)
    }

    /// The measurements of a server by the names and labels of the crate axum-prometheus.
    pub fn axum_prometheus() -> Self {
        Self::server()
            .naming(Naming::axum_prometheus())
            .status_on_durations()
    }

    /// Puts `prefix_` before the name of every family of this layer.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = Some(prefix.into());
        self
    }

    /// A label that every series of this layer has.
    pub fn constant_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let label = (name.into(), value.into());
        self.settings.constant_labels.push(label);
        self
    }

    /// A label of one's own; at most eight, of which [`client`](Self::client) has used one and
    /// [`open_telemetry`](Self::open_telemetry) two.
    ///
    /// Each label is bounded; together they multiply, so choose caps whose product can be stored.
    pub fn label(mut self, label: Label) -> Self {
        self.settings.labels.push(label);
        self
    }

    /// Upper bounds of the duration histograms, in seconds; without it, those of the registry.
    pub fn duration_buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.settings.duration_buckets = Some(bounds.into());
        self
    }

    /// Upper bounds of the size histograms, in bytes; powers of four from 256 B to 64 MiB unless said
    /// otherwise.
    pub fn size_buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.settings.size_buckets = bounds.into();
        self
    }

    /// Where the time of a request ends; with its body unless said otherwise.
    pub fn duration_to(mut self, end: DurationTo) -> Self {
        self.settings.duration_to = end;
        self
    }

    /// Puts the status on the durations and sizes too: each is then as many series as there are buckets.
    pub fn status_on_durations(mut self) -> Self {
        self.settings.status_on_durations = true;
        self
    }

    /// Counts by class, `2xx`, instead of by code.
    pub fn status_classes(mut self) -> Self {
        self.settings.status_classes = true;
        self
    }

    /// Measures a family that is off unless asked for.
    pub fn measure(mut self, family: Family) -> Self {
        self.settings.measured[family as usize] = true;
        self
    }

    /// Leaves a family out.
    pub fn without(mut self, family: Family) -> Self {
        self.settings.measured[family as usize] = false;
        self
    }

    /// The endpoint of a request is the pattern that its path matches, for services without a router:
    /// `/users/{id}`, `/files/{*path}`.
    pub fn patterns<P: Into<String>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        match Patterns::new(patterns.into_iter().map(P::into).collect()) {
            Ok(patterns) => self.settings.endpoint_source = EndpointSource::Patterns(patterns),
            Err(error) => self.mistake = Some(error.to_string()),
        }
        self
    }

    /// The endpoint of every request, for a service that has one.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.settings.endpoint_source = EndpointSource::Fixed(endpoint.into());
        self
    }

    /// The endpoint of a request is what a function says; it should only look, and never say a path.
    pub fn endpoint_by(
        mut self,
        endpoint: impl for<'a> Fn(RequestHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        self.settings.endpoint_source = EndpointSource::Function(Arc::new(endpoint));
        self
    }

    /// For [`open_telemetry`](Self::open_telemetry): `url_scheme` is `https` where the URI does not tell it.
    pub fn https(mut self) -> Self {
        let labels = &mut self.settings.labels;
        let scheme = labels
            .iter_mut()
            .find(|label| label.name == standard::URL_SCHEME);
        match scheme {
            Some(scheme) => *scheme = standard::url_scheme(true),
            None => self.mistake = Some("https: there is no label url_scheme".to_owned()),
        }
        self
    }

    /// Puts the trace of a request on its duration bucket as an exemplar, on pages of OpenMetrics; the
    /// latest for each bucket, at most one a second.
    ///
    /// [`TraceId::from_traceparent`] is one ready to use.
    pub fn exemplar(
        mut self,
        trace: impl Fn(RequestHead<'_>) -> Option<TraceId> + Send + Sync + 'static,
    ) -> Self {
        self.settings.exemplar = Some(ExemplarOf(Arc::new(trace)));
        self
    }

    /// Endpoints that are not measured at all, as the router writes them. Requests without an
    /// endpoint have one too: `unmatched`, or by some [namings](Naming) the empty string.
    pub fn skip<E: Into<String>>(mut self, endpoints: impl IntoIterator<Item = E>) -> Self {
        self.settings
            .skip
            .extend(endpoints.into_iter().map(E::into));
        self
    }

    /// How many endpoints there may be, 1000 unless said otherwise; further ones are counted as
    /// `overflow`, with one warning and in `metrics_label_overflow_total`.
    pub fn max_endpoints(mut self, endpoints: usize) -> Self {
        self.settings.max_endpoints = endpoints;
        self
    }

    /// A route whose series start at 0, for these statuses, before its first request.
    ///
    /// With labels of one's own, there is a series for every combination of the values declared for
    /// them; if one has none declared, nothing can start.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "`Method::GET` reads better without a `&`"
    )]
    pub fn declare(
        mut self,
        method: http::Method,
        endpoint: impl Into<String>,
        statuses: impl IntoIterator<Item = u16>,
    ) -> Self {
        let statuses = statuses.into_iter().map(|code| {
            StatusCode::from_u16(code)
                .map_err(|_| format!("{code} is not a status code: they are 100 to 999"))
        });
        match statuses.collect() {
            Ok(statuses) => self.settings.routes.push(Route {
                method: Method::of(&method),
                endpoint: endpoint.into(),
                statuses,
            }),
            Err(mistake) => self.mistake = Some(mistake),
        }
        self
    }

    /// What families and labels are called.
    pub fn naming(mut self, naming: Naming) -> Self {
        self.settings.naming = naming;
        self
    }

    /// Measures the bodies of requests too: their size, and how long they took.
    ///
    /// The service inside then gets a `Request<RequestBody<B>>`, and each request allocates twice.
    pub fn with_request_body(self) -> WithRequestBody {
        WithRequestBody(
            self.measure(Family::RequestBodySize)
                .measure(Family::RequestBodyDuration),
        )
    }

    /// Checks the configuration and makes the layer, which records into `target`.
    ///
    /// The same configuration twice on one registry is one set of series.
    ///
    /// # Errors
    ///
    /// When a name is not one that Prometheus can read or is used twice, bounds are not finite and
    /// rising, a number is out of its range, a pattern cannot be read, or the registry has a family of
    /// the same name with other labels or buckets.
    pub fn layer(self, target: impl Into<Target>) -> Result<HttpMetricsLayer, Error> {
        for family in [Family::RequestBodySize, Family::RequestBodyDuration] {
            if self.settings.is_measured(family) {
                return Err(Error::new(format!(
                    "{family:?} can only be measured by a layer made with `with_request_body`"
                )));
            }
        }
        self.series(&target.into()).map(HttpMetricsLayer::new)
    }

    /// The families that a layer of this configuration has, by their whole names: what tables,
    /// dashboards and rules are made from. Constant labels are not among their labels.
    ///
    /// Durations whose bounds are left to the registry are described with its defaults; where a registry
    /// has other ones, ask [`families_in`](Self::families_in) it.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be, as [`layer`](Self::layer).
    pub fn families(&self) -> Result<Vec<FamilyDescription>, Error> {
        self.settings()?.describe(|_| Buckets::default())
    }

    /// As [`families`](Self::families), with the bounds that this registry gives to histograms without their own.
    ///
    /// # Errors
    ///
    /// As [`families`](Self::families).
    pub fn families_in(&self, registry: &Registry) -> Result<Vec<FamilyDescription>, Error> {
        self.settings()?.describe(|name| registry.buckets_of(name))
    }

    /// Returns the description of one family, or `None` if a layer of this configuration does not record it.
    ///
    /// It equals the entry in [`families`](Self::families); use it where the meaning of a family is known
    /// and its name is not. Labels are found by [role](FamilyDescription::label_with_role).
    ///
    /// # Errors
    ///
    /// As [`families`](Self::families).
    pub fn family(&self, family: Family) -> Result<Option<FamilyDescription>, Error> {
        self.settings()?
            .describe_family(family, |_| Buckets::default())
    }

    /// What was asked for, checked.
    fn settings(&self) -> Result<&Settings, Error> {
        let Self { settings, mistake } = self;
        if let Some(mistake) = mistake {
            return Err(Error::new(mistake));
        }
        settings.check()?;
        Ok(settings)
    }

    fn series(self, target: &Target) -> Result<&'static HttpSeries, Error> {
        let settings = self.settings()?;
        clock::calibrate();
        let bounds = settings
            .duration_buckets
            .as_ref()
            .map(|_| "duration_buckets");
        let same = |series: &HttpSeries| series.settings == *settings;
        let leak = || leak(settings.clone(), target.clone());
        target.layer_state(settings.own_labels(), bounds, same, leak)
    }
}

/// A configuration that measures the bodies of requests too; see [`HttpMetrics::with_request_body`].
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until a layer is made of it"]
pub struct WithRequestBody(HttpMetrics);

impl AsRef<HttpMetrics> for HttpMetrics {
    fn as_ref(&self) -> &HttpMetrics {
        self
    }
}

/// The configuration with the families of requests' bodies measured.
impl AsRef<HttpMetrics> for WithRequestBody {
    fn as_ref(&self) -> &HttpMetrics {
        &self.0
    }
}

impl WithRequestBody {
    /// As [`HttpMetrics::layer`].
    ///
    /// # Errors
    ///
    /// As [`HttpMetrics::layer`].
    pub fn layer(self, target: impl Into<Target>) -> Result<RequestBodyMetricsLayer, Error> {
        self.0
            .series(&target.into())
            .map(RequestBodyMetricsLayer::new)
    }
}

const SIZE_BUCKETS: [f64; 10] = [
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// See [`crate::series`] for why.
fn leak(settings: Settings, target: Target) -> Result<&'static HttpSeries, Error> {
    let series: &'static HttpSeries = Box::leak(Box::new(HttpSeries::new(settings, target)?));
    series.start();
    Ok(series)
}

impl Registry {
    /// A layer with the default configuration that records into this registry; the same one each time.
    ///
    /// # Panics
    ///
    /// When this registry already has another family by one of the layer's names, or a constant label
    /// called like one of the layer's labels. [`HttpMetrics::layer`] gives an error instead.
    #[must_use]
    #[track_caller]
    pub fn http_layer(&self) -> HttpMetricsLayer {
        start_up(HttpMetrics::server().layer(self))
    }

    /// As [`http_layer`](Self::http_layer), for a client: see [`HttpMetrics::client`].
    ///
    /// # Panics
    ///
    /// As [`http_layer`](Self::http_layer).
    #[must_use]
    #[track_caller]
    pub fn http_client_layer(&self) -> HttpMetricsLayer {
        start_up(HttpMetrics::client().layer(self))
    }
}
