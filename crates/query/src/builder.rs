//! [`QueryProxyBuilder`]: the settings of a [`QueryProxy`].

use std::env::{self, VarError};
use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use tokio::sync::Semaphore;

use crate::base_url::{BaseUrl, has_dot_segment, without_trailing_slash};
use crate::concurrency::ConcurrencyLimit;
use crate::connector::connector;
use crate::credentials::Credentials;
use crate::error::Error;
use crate::forced_matchers::ForcedMatchers;
use crate::headers::{UpstreamHeaders, constant_header, forwarded_headers};
use crate::proxy::{ProxyState, QueryProxy, Timeouts};
use crate::range_query::QueryLimits;
use crate::services::ServicesQuery;
use crate::upstream::Upstream;

const DEFAULT_URL: &str = "http://victoriametrics:8428";
const URL_VARIABLE: &str = "VICTORIAMETRICS_URL";

/// A builder for a [`QueryProxy`].
///
/// [`build`](Self::build) validates all settings. `Debug` shows no credentials.
///
/// | setting | default |
/// |---|---|
/// | [`max_time_range`](Self::max_time_range) | 31 days |
/// | [`max_points`](Self::max_points) | 11,000 per series |
/// | [`max_query_bytes`](Self::max_query_bytes) | 8 KiB |
/// | [`max_response_bytes`](Self::max_response_bytes) | 32 MiB |
/// | [`max_concurrent`](Self::max_concurrent) | 20 |
/// | [`query_timeout`](Self::query_timeout) | 30 s |
/// | [`services_timeout`](Self::services_timeout) | 10 s |
/// | [`health_timeout`](Self::health_timeout) | 5 s |
/// | [`services_of`](Self::services_of) | label `job` of `up` |
/// | [`health_path`](Self::health_path) | `/-/healthy` below the base URL |
/// | credentials, headers, forced labels, fallback services, mount path | none |
pub struct QueryProxyBuilder {
    url: Result<(BaseUrl, Option<Credentials>), Error>,
    credentials: Vec<Result<Credentials, Error>>,
    headers: Vec<Result<(HeaderName, HeaderValue), Error>>,
    forwarded_headers: Vec<String>,
    forced_labels: Vec<(String, String)>,
    limits: QueryLimits,
    max_response_bytes: u64,
    max_concurrent: usize,
    timeouts: Timeouts,
    health_path: Option<String>,
    /// The name of a metric and the name of a label.
    services_of: (String, String),
    fallback_services: Vec<String>,
    mount: String,
    #[cfg(feature = "tls")]
    ca_certificate: Option<Vec<u8>>,
}

// These functions are here so that the module `proxy` does not depend on the module `builder`.
impl QueryProxy {
    /// Returns a builder for a proxy to the upstream with this base URL.
    ///
    /// The URL has a path if the API is below one: `http://vmselect:8481/select/0/prometheus`. Requests go to
    /// `/api/v1/query_range` and `/api/v1/query` below it. A percent-encoded user name and password in the URL
    /// (`https://user:password@host`) are sent as basic authentication. `https` needs the feature `tls`.
    ///
    /// An invalid URL is reported by [`QueryProxyBuilder::build`].
    pub fn builder(url: impl AsRef<str>) -> QueryProxyBuilder {
        QueryProxyBuilder::new(url.as_ref())
    }

    /// Returns a builder with the base URL of the environment variable `VICTORIAMETRICS_URL`, or
    /// `http://victoriametrics:8428` if it is unset or empty.
    ///
    /// Reads the variable once, when it is called.
    #[must_use]
    pub fn from_env() -> QueryProxyBuilder {
        match env::var(URL_VARIABLE) {
            Ok(url) if !url.trim().is_empty() => QueryProxyBuilder::new(&url),
            Ok(_) | Err(VarError::NotPresent) => QueryProxyBuilder::new(DEFAULT_URL),
            // The `VarError` is not kept as the source: it contains the URL, which may contain a password.
            Err(VarError::NotUnicode(_)) => QueryProxyBuilder {
                url: Err(Error::url(format!("{URL_VARIABLE} is not UTF-8"))),
                ..QueryProxyBuilder::new(DEFAULT_URL)
            },
        }
    }
}

impl QueryProxyBuilder {
    fn new(url: &str) -> Self {
        Self {
            url: BaseUrl::parse(url),
            credentials: Vec::new(),
            headers: Vec::new(),
            forwarded_headers: Vec::new(),
            forced_labels: Vec::new(),
            limits: QueryLimits {
                max_time_range: Duration::from_secs(31 * 24 * 3600),
                max_points: 11_000,
                max_query_bytes: 8 * 1024,
            },
            max_response_bytes: 32 * 1024 * 1024,
            max_concurrent: 20,
            timeouts: Timeouts {
                query_range: Duration::from_secs(30),
                services: Duration::from_secs(10),
                health: Duration::from_secs(5),
            },
            health_path: None,
            services_of: ("up".into(), "job".into()),
            fallback_services: Vec::new(),
            mount: String::new(),
            #[cfg(feature = "tls")]
            ca_certificate: None,
        }
    }

    /// Authenticates at the upstream with a user name and a password (HTTP basic authentication).
    ///
    /// The user name must not contain a colon. Control characters, such as a trailing newline, are not allowed. Credentials
    /// can be set once: here, with [`bearer_auth`](Self::bearer_auth) or in the URL.
    #[must_use]
    pub fn basic_auth(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let credentials = Credentials::basic(user.as_ref(), password.as_ref());
        self.credentials.push(credentials);
        self
    }

    /// Authenticates at the upstream with a bearer token.
    ///
    /// Credentials can be set once: here, with [`basic_auth`](Self::basic_auth) or in the URL.
    #[must_use]
    pub fn bearer_auth(mut self, token: impl AsRef<str>) -> Self {
        self.credentials.push(Credentials::bearer(token.as_ref()));
        self
    }

    /// Adds a header to every request to the upstream, such as Mimir's `X-Scope-OrgID`.
    ///
    /// Like credentials, the value never appears in the proxy's responses, errors, logs or `Debug` output. Headers of a
    /// single connection or message, such as `connection` and `content-length`, cannot be set.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let header = constant_header(name.as_ref(), value.as_ref());
        self.headers.push(header);
        self
    }

    /// Forwards a header of the client's request to the upstream, such as `traceparent` or `accept-encoding`.
    ///
    /// By default, no header is forwarded. `accept-encoding` is forwarded with range queries only. Headers of a single
    /// connection or message, such as `connection` and `content-length`, cannot be forwarded.
    #[must_use]
    pub fn forward_header(mut self, name: impl Into<String>) -> Self {
        self.forwarded_headers.push(name.into());
        self
    }

    /// Restricts every query to series with this label and value.
    ///
    /// The matcher `name="value"` is added to every selector of the query, also in subqueries and in parameters of
    /// aggregations. The client's matchers on the same label are kept: all must match. Call this once for each label. Without
    /// forced labels, queries are forwarded unchanged.
    ///
    /// With forced labels, these queries are rejected with 400:
    ///
    /// - queries that are not PromQL, including some of MetricsQL's extensions;
    /// - queries with `info()`, because it reads series without a selector;
    /// - queries whose regular expressions would take too long to compile, because of repetitions such as `{300}`, and
    ///   queries with the flag `x` in a regular expression, such as `(?x)`.
    ///
    /// No other function can read other series: `label_replace` and `label_join` only change the labels of the result.
    #[must_use]
    pub fn force_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.forced_labels.push((name.into(), value.into()));
        self
    }

    /// Sets the metric and the label whose values `/services` lists. Default: the label `job` of `up`.
    #[must_use]
    pub fn services_of(mut self, metric: impl Into<String>, label: impl Into<String>) -> Self {
        self.services_of = (metric.into(), label.into());
        self
    }

    /// Sets the list that `/services` returns if its query fails, in this order. Default: an empty list.
    ///
    /// An empty query result is not a failure: `/services` then returns an empty list.
    #[must_use]
    pub fn fallback_services<I>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.fallback_services = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the path of the upstream's health page. Default: `/-/healthy` below the base URL.
    ///
    /// The path starts at the root of the upstream's host and is not appended to the base URL. Clusters need it:
    /// `/-/healthy` for vmselect, `/ready` for Mimir.
    #[must_use]
    pub fn health_path(mut self, path: impl Into<String>) -> Self {
        self.health_path = Some(path.into());
        self
    }

    /// Sets the path prefix of the proxy, such as `/api/metrics`, for routers that do not strip it. Default: none.
    ///
    /// axum's `nest_service` strips the prefix and does not need this setting; `route_service` does.
    #[must_use]
    pub fn mounted_at(mut self, path: impl Into<String>) -> Self {
        self.mount = path.into();
        self
    }

    /// Sets the longest time from `start` to `end`. Default: 31 days.
    #[must_use]
    pub fn max_time_range(mut self, time_range: Duration) -> Self {
        self.limits.max_time_range = time_range;
        self
    }

    /// Sets the maximum number of points per series. Default: 11,000, as in Prometheus.
    ///
    /// Points are counted as in Prometheus: `(end - start) / step`.
    #[must_use]
    pub fn max_points(mut self, points: u32) -> Self {
        self.limits.max_points = points;
        self
    }

    /// Sets the maximum length of a query in bytes, after percent-decoding. Default: 8 KiB.
    ///
    /// In addition, the percent-encoded path and query below the base URL are limited to 60,000 bytes.
    #[must_use]
    pub fn max_query_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_query_bytes = bytes;
        self
    }

    /// Sets the maximum size of a response body in bytes. Default: 32 MiB.
    ///
    /// Compressed responses are measured as the upstream sends them, without decompressing. The limit applies to
    /// `/query_range`; a response for `/services` has at most 1 MiB.
    #[must_use]
    pub fn max_response_bytes(mut self, bytes: u64) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// Sets the maximum number of queries in progress. Default: 20, as in Prometheus.
    ///
    /// `/query_range` and `/services` share this limit. Beyond it, `/query_range` returns 503 and `/services` returns the
    /// fallback. Health checks have a separate limit of the same size, and wait for it.
    #[must_use]
    pub fn max_concurrent(mut self, queries: usize) -> Self {
        self.max_concurrent = queries;
        self
    }

    /// Sets the time limit of a range query, from the request to the last byte of the response. Default: 30 s.
    #[must_use]
    pub fn query_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.query_range = timeout;
        self
    }

    /// Sets how long `/services` waits for the upstream before it returns the fallback. Default: 10 s.
    #[must_use]
    pub fn services_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.services = timeout;
        self
    }

    /// Sets how long `/health` waits for the upstream before it reports `unhealthy`. Default: 5 s.
    #[must_use]
    pub fn health_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.health = timeout;
        self
    }

    /// Sets the CA certificates that are trusted for an `https` upstream, in PEM format. Default: those of the system.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    #[must_use]
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificate = Some(pem.into());
        self
    }

    /// Validates the settings and creates the proxy. It connects to the upstream with the first request.
    ///
    /// # Errors
    ///
    /// Returns the first invalid setting:
    ///
    /// - a URL that is not `http` or `https`, has no host, has an invalid port, or has a query, a fragment or a segment `.`
    ///   or `..`;
    /// - an `https` URL without the feature `tls`, or without valid CA certificates;
    /// - credentials or a header that are set twice, an invalid header name or value, a header that is both set and
    ///   forwarded;
    /// - an invalid label name, metric name or path; a forced label that is set twice or has an empty value;
    /// - a limit or a time limit of 0.
    pub fn build(self) -> Result<QueryProxy, Error> {
        self.check_limits()?;
        let forced = ForcedMatchers::new(&self.forced_labels)?;
        let mount = mount(&self.mount)?;
        let (base_url, url_credentials) = self.url?;
        #[cfg(feature = "tls")]
        let connector = connector(base_url.is_https(), self.ca_certificate.as_deref())?;
        #[cfg(not(feature = "tls"))]
        let connector = connector(base_url.is_https())?;
        let credentials = url_credentials.map(Ok).into_iter().chain(self.credentials);
        let headers = UpstreamHeaders::new(
            credentials.collect::<Result<_, _>>()?,
            self.headers.into_iter().collect::<Result<_, _>>()?,
            forwarded_headers(&self.forwarded_headers)?,
        )?;
        let health_uri = health_uri(&base_url, self.health_path.as_deref())?;
        let services =
            ServicesQuery::new(self.services_of, self.fallback_services, &forced, &base_url)?;
        Ok(QueryProxy::new(ProxyState {
            upstream: Upstream::new(connector, base_url, headers, self.max_concurrent),
            query_concurrency: ConcurrencyLimit::new(self.max_concurrent),
            health_concurrency: ConcurrencyLimit::new(self.max_concurrent),
            forced,
            limits: self.limits,
            max_response_bytes: self.max_response_bytes,
            timeouts: self.timeouts,
            health_uri,
            services,
            mount,
        }))
    }

    fn check_limits(&self) -> Result<(), Error> {
        let QueryLimits {
            max_time_range,
            max_points,
            max_query_bytes,
        } = self.limits;
        let Timeouts {
            query_range,
            services,
            health,
        } = self.timeouts;
        let limits = [
            ("max_time_range", max_time_range.is_zero()),
            ("max_points", max_points == 0),
            ("max_query_bytes", max_query_bytes == 0),
            ("max_response_bytes", self.max_response_bytes == 0),
            ("query_timeout", query_range.is_zero()),
            ("services_timeout", services.is_zero()),
            ("health_timeout", health.is_zero()),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, is_zero)| *is_zero) {
            return Err(Error::setting(format!(
                "{name}: must be more than 0, got 0"
            )));
        }
        let max = Semaphore::MAX_PERMITS;
        if !(1..=max).contains(&self.max_concurrent) {
            let message = format!(
                "max_concurrent: must be 1 to {max}, got {}",
                self.max_concurrent
            );
            return Err(Error::setting(message));
        }
        Ok(())
    }
}

fn health_uri(base_url: &BaseUrl, path: Option<&str>) -> Result<Uri, Error> {
    let Some(path) = path else {
        let uri = base_url.join("/-/healthy");
        return uri.ok_or_else(|| Error::url("invalid upstream URL: its path is too long"));
    };
    let is_valid = path.starts_with('/') && !has_dot_segment(path);
    let uri = is_valid.then(|| base_url.with_path(path)).flatten();
    uri.ok_or_else(|| {
        Error::setting(format!(
            "health_path: invalid path {}; expected an absolute path such as /-/healthy",
            quoted(path)
        ))
    })
}

fn mount(path: &str) -> Result<String, Error> {
    let mount = without_trailing_slash(path);
    if mount.is_empty() || mount.starts_with('/') {
        return Ok(mount.to_owned());
    }
    Err(Error::setting(format!(
        "mounted_at: invalid path {}; expected an absolute path such as /api/metrics",
        quoted(path)
    )))
}

/// Quotes a path for an error message, unless it is a URL: a URL may contain a password.
fn quoted(path: &str) -> String {
    match path.contains("//") || path.contains('@') {
        true => "(a URL)".to_owned(),
        false => format!("{path:?}"),
    }
}

/// Shows the settings that cannot contain credentials. `build` has not checked the others yet.
impl fmt::Debug for QueryProxyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryProxyBuilder")
            .field("url", &self.url)
            .field("limits", &self.limits)
            .field("max_response_bytes", &self.max_response_bytes)
            .field("max_concurrent", &self.max_concurrent)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
