//! [`QueryProxyBuilder`]: what is set, and what is wrong with it.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::address::{Address, checked_path};
use super::connector::connector;
use super::credentials::Credentials;
use super::forced::ForcedMatchers;
use super::proxy::{QueryProxy, Services, Shared, Timeouts};
use super::range_query::{Limits, instant_target};
use super::slot::Slots;
use super::upstream::Upstream;
use crate::Error;

const DEFAULT_URL: &str = "http://victoriametrics:8428";
const URL_VARIABLE: &str = "VICTORIAMETRICS_URL";

/// Headers that belong to a connection or a message: they are never another one's.
const FRAMING: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A [`QueryProxy`] that is being configured.
///
/// Setters collect; [`build`](Self::build) checks everything. Its `Debug` shows no credentials.
#[derive(Debug)]
pub struct QueryProxyBuilder {
    address: Result<(Address, Option<Credentials>), Error>,
    credentials: Vec<Result<Credentials, Error>>,
    headers: Vec<Result<(HeaderName, HeaderValue), Error>>,
    passed: Vec<String>,
    forced: Vec<(String, String)>,
    limits: Limits,
    max_response_bytes: u64,
    max_concurrent: usize,
    timeouts: Timeouts,
    health_path: Option<String>,
    family: String,
    label: String,
    fallback: Vec<String>,
    mount: String,
    #[cfg(feature = "tls")]
    ca_certificate: Option<Vec<u8>>,
}

impl QueryProxyBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            address: Address::parse(url),
            credentials: Vec::new(),
            headers: Vec::new(),
            passed: Vec::new(),
            forced: Vec::new(),
            limits: Limits {
                window: Duration::from_secs(31 * 24 * 3600),
                points: 11_000,
                query_bytes: 8 * 1024,
            },
            max_response_bytes: 32 * 1024 * 1024,
            max_concurrent: 20,
            timeouts: Timeouts {
                query_range: Duration::from_secs(30),
                services: Duration::from_secs(10),
                health: Duration::from_secs(5),
            },
            health_path: None,
            family: "up".into(),
            label: "job".into(),
            fallback: Vec::new(),
            mount: String::new(),
            #[cfg(feature = "tls")]
            ca_certificate: None,
        }
    }

    pub(super) fn from_env() -> Self {
        match std::env::var(URL_VARIABLE) {
            Ok(url) if !url.trim().is_empty() => Self::new(&url),
            Ok(_) | Err(std::env::VarError::NotPresent) => Self::new(DEFAULT_URL),
            Err(std::env::VarError::NotUnicode(_)) => Self {
                address: Err(Error::new(format!("{URL_VARIABLE} is not UTF-8"))),
                ..Self::new(DEFAULT_URL)
            },
        }
    }

    /// Basic credentials for the upstream.
    #[must_use]
    pub fn basic(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let credentials = Credentials::basic(user.as_ref(), password.as_ref());
        self.credentials.push(credentials);
        self
    }

    /// A bearer token for the upstream.
    #[must_use]
    pub fn bearer(mut self, token: impl AsRef<str>) -> Self {
        self.credentials.push(Credentials::bearer(token.as_ref()));
        self
    }

    /// A header that every request to the upstream carries, such as Mimir's `X-Scope-OrgID`. Its value is kept
    /// as secret as credentials are.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let header = header_name(name.as_ref()).and_then(|name| {
            let value = HeaderValue::from_str(value.as_ref());
            let mut value = value.map_err(|_| {
                let wrong = format!("the value of {name} has characters that no header can carry");
                Error::new(wrong)
            })?;
            value.set_sensitive(true);
            Ok((name, value))
        });
        self.headers.push(header);
        self
    }

    /// Passes a header of the client's request on to the upstream, such as `traceparent` or `accept-encoding`.
    /// None is passed otherwise.
    #[must_use]
    pub fn pass_header(mut self, name: impl Into<String>) -> Self {
        self.passed.push(name.into());
        self
    }

    /// Restricts every query to series with that label: every selector in it, in subqueries and parameters
    /// too, gets the equality matcher beside what the client wrote, so that both must match.
    ///
    /// A query that cannot be parsed as PromQL (MetricsQL has extensions that cannot) is then refused with 400. No
    /// function widens it: `label_replace` and `label_join` change the labels of what was selected, not what is
    /// selected; only `info()` selects by itself, and is refused. Without forced labels queries pass untouched.
    #[must_use]
    pub fn force_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.forced.push((name.into(), value.into()));
        self
    }

    /// The services endpoint lists the values of that label of that family; `job` of `up` without.
    #[must_use]
    pub fn services_of(mut self, family: impl Into<String>, label: impl Into<String>) -> Self {
        self.family = family.into();
        self.label = label.into();
        self
    }

    /// What the services endpoint answers when the store cannot be asked; nothing without. It is answered as
    /// it is, in this order.
    #[must_use]
    pub fn fallback_services<I>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.fallback = names.into_iter().map(Into::into).collect();
        self
    }

    /// The path of the upstream's health page on its host; `/-/healthy` below the base URL without. Base URLs of
    /// clusters need it: `/-/healthy` for vmselect, `/ready` for Mimir.
    #[must_use]
    pub fn health_path(mut self, path: impl Into<String>) -> Self {
        self.health_path = Some(path.into());
        self
    }

    /// Where the proxy is mounted, for a server whose router does not strip the prefix: `/api/metrics`. axum's
    /// `nest_service` strips it and tells where that is.
    #[must_use]
    pub fn mounted_at(mut self, path: impl Into<String>) -> Self {
        self.mount = path.into();
        self
    }

    /// The longest time from `start` to `end`; 31 days without.
    #[must_use]
    pub fn max_window(mut self, window: Duration) -> Self {
        self.limits.window = window;
        self
    }

    /// The most points of each series, counted as Prometheus does, `(end - start) / step`; 11,000 without,
    /// which is Prometheus' own limit.
    #[must_use]
    pub fn max_points(mut self, points: u32) -> Self {
        self.limits.points = points;
        self
    }

    /// The longest query, in bytes; 8 KiB without.
    #[must_use]
    pub fn max_query_bytes(mut self, bytes: usize) -> Self {
        self.limits.query_bytes = bytes;
        self
    }

    /// The largest answer, in bytes as the upstream sends them; 32 MiB without.
    #[must_use]
    pub fn max_response_bytes(mut self, bytes: u64) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// How many queries may be at the upstream at once; 20 without, which is Prometheus' own limit.
    #[must_use]
    pub fn max_concurrent(mut self, queries: usize) -> Self {
        self.max_concurrent = queries;
        self
    }

    /// How long a range query may take, to the last byte of its answer; 30 s without.
    #[must_use]
    pub fn query_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.query_range = timeout;
        self
    }

    /// How long the store is waited for before the fallback list is answered; 10 s without.
    #[must_use]
    pub fn services_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.services = timeout;
        self
    }

    /// How long the store is waited for before it is unhealthy; 5 s without.
    #[must_use]
    pub fn health_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.health = timeout;
        self
    }

    /// The certificates, in PEM, of the authorities that may vouch for an `https` upstream, in place of the
    /// system's.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    #[must_use]
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificate = Some(pem.into());
        self
    }

    /// The proxy. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// The URL is none of an `http` or `https` host, or `https` without the feature `tls`; two kinds of
    /// credentials; a header or label that cannot be; a limit of 0.
    pub fn build(self) -> Result<QueryProxy, Error> {
        self.check_limits()?;
        let forced = self.forced_matchers()?;
        let services_query = self.services_query(&forced)?;
        let mount = self.mount()?;
        #[cfg(feature = "tls")]
        let ca_certificate = self.ca_certificate.as_deref();
        let (address, from_url) = self.address?;
        #[cfg(feature = "tls")]
        let connector = connector(address.is_https(), ca_certificate)?;
        #[cfg(not(feature = "tls"))]
        let connector = connector(address.is_https())?;
        let constant = constant_headers(from_url, self.credentials, self.headers)?;
        let passed = passed_headers(&self.passed, &constant)?;
        let health_uri = match &self.health_path {
            None => address.below("/-/healthy"),
            Some(path) if path.starts_with('/') && checked_path(path).is_ok() => address.at(path),
            Some(_) => None,
        };
        let health_uri = health_uri.ok_or_else(|| {
            Error::new("the health path cannot be used; it looks like /-/healthy")
        })?;
        let services_uri = address.below(&instant_target(&services_query));
        let services_uri = services_uri
            .ok_or_else(|| Error::new("the query for services is too long for a URL"))?;
        Ok(QueryProxy::new(Shared {
            upstream: Upstream::new(connector, address, constant, passed, self.max_concurrent),
            slots: Slots::new(self.max_concurrent),
            health_slots: Slots::new(self.max_concurrent),
            forced,
            limits: self.limits,
            max_response_bytes: self.max_response_bytes,
            timeouts: self.timeouts,
            health_uri,
            services: Services {
                uri: services_uri,
                label: self.label,
                fallback: self.fallback,
            },
            mount,
        }))
    }

    fn check_limits(&self) -> Result<(), Error> {
        let Timeouts {
            query_range,
            services,
            health,
        } = self.timeouts;
        let zeros = [
            ("max_window", self.limits.window.is_zero()),
            ("max_points", self.limits.points == 0),
            ("max_query_bytes", self.limits.query_bytes == 0),
            ("max_response_bytes", self.max_response_bytes == 0),
            ("max_concurrent", self.max_concurrent == 0),
            ("query_timeout", query_range.is_zero()),
            ("services_timeout", services.is_zero()),
            ("health_timeout", health.is_zero()),
        ];
        if let Some((name, _)) = zeros.iter().find(|(_, is_zero)| *is_zero) {
            return Err(Error::new(format!("{name} is 0; it must be more")));
        }
        if self.max_concurrent > tokio::sync::Semaphore::MAX_PERMITS {
            return Err(Error::new("max_concurrent is more than there can be"));
        }
        Ok(())
    }

    fn forced_matchers(&self) -> Result<ForcedMatchers, Error> {
        for (position, (name, value)) in self.forced.iter().enumerate() {
            if !is_label(name) || name == "__name__" {
                let wrong = format!(
                    "{name:?} cannot be forced; a label is letters, digits and _, and not __name__"
                );
                return Err(Error::new(wrong));
            }
            if value.is_empty() {
                let wrong = format!(
                    "the forced label {name} is empty, which matches all series that do not have it"
                );
                return Err(Error::new(wrong));
            }
            let before = self.forced.iter().take(position);
            if before.into_iter().any(|(other, _)| other == name) {
                return Err(Error::new(format!("the label {name} is forced twice")));
            }
        }
        Ok(ForcedMatchers::new(&self.forced))
    }

    fn services_query(&self, forced: &ForcedMatchers) -> Result<String, Error> {
        let Self { family, label, .. } = self;
        if !is_label(&family.replace(':', "_")) || !is_label(label) {
            let wrong = format!("services cannot be the values of {label:?} of {family:?}");
            return Err(Error::new(wrong));
        }
        let query = format!("group by ({label}) ({family})");
        forced
            .rewrite(&query)
            .map_err(|reason| Error::new(format!("services cannot be asked for: {reason}")))
    }

    fn mount(&self) -> Result<String, Error> {
        let mount = self.mount.trim_end_matches('/');
        if mount.is_empty() || mount.starts_with('/') {
            return Ok(mount.to_owned());
        }
        let wrong = format!("{mount:?} is no path to be mounted at; it looks like /api/metrics");
        Err(Error::new(wrong))
    }
}

fn constant_headers(
    from_url: Option<Credentials>,
    set: Vec<Result<Credentials, Error>>,
    headers: Vec<Result<(HeaderName, HeaderValue), Error>>,
) -> Result<HeaderMap, Error> {
    let twice = |what: &str| Error::new(format!("{what} for the upstream are given twice"));
    let mut constant = HeaderMap::new();
    let from_url = from_url.map(Ok);
    for credentials in from_url.into_iter().chain(set) {
        if constant
            .insert(AUTHORIZATION, credentials?.header())
            .is_some()
        {
            return Err(twice("credentials"));
        }
    }
    for header in headers {
        let (name, value) = header?;
        let what = format!("values of {name}");
        if constant.insert(name, value).is_some() {
            return Err(twice(&what));
        }
    }
    Ok(constant)
}

fn passed_headers(passed: &[String], constant: &HeaderMap) -> Result<Vec<HeaderName>, Error> {
    let mut names = Vec::new();
    for name in passed {
        let name = header_name(name)?;
        if constant.contains_key(&name) {
            let wrong = format!("{name} cannot be both the client's and the upstream's own");
            return Err(Error::new(wrong));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn header_name(name: &str) -> Result<HeaderName, Error> {
    let parsed = HeaderName::try_from(name);
    let parsed = parsed.map_err(|_| Error::new(format!("{name:?} is no header's name")))?;
    if FRAMING.contains(&parsed.as_str()) {
        let wrong = format!("{parsed} belongs to one connection and cannot be passed or set");
        return Err(Error::new(wrong));
    }
    Ok(parsed)
}

fn is_label(name: &str) -> bool {
    let mut letters = name.bytes();
    let first = letters.next();
    first.is_some_and(|letter| letter.is_ascii_alphabetic() || letter == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}
