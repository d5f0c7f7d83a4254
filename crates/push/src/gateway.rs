//! [`PushGateway`]: the client.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_prometheus::MetricsHandler;

use crate::address::Address;
use crate::connector::{Connector, ConnectorService};
use crate::credentials::Credentials;
use crate::error::{BoxError, Cause, Error, PushError};
use crate::grouping::Grouping;
use crate::page::{gather, read};

/// A client that pushes the metrics of a batch job to a Pushgateway.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_prometheus::Registry;
/// use tower_prometheus_push::PushGateway;
///
/// let registry = Registry::builder().install()?;
/// let gateway = PushGateway::new("http://localhost:9091", "nightly_backup")?.group("disk", "/dev/sda")?;
/// // … run the job …
/// gateway.push(&registry).await?;
/// # Ok(())
/// # }
/// ```
///
/// The Pushgateway stores one group of metrics for each combination of `job` and grouping labels. It keeps a group until
/// the group is replaced or deleted. Do not push the metrics of services: if Prometheus scrapes them, a failed scrape shows
/// that a service is down.
///
/// [`push`](Self::push), [`push_add`](Self::push_add) and [`delete`](Self::delete) panic outside of a Tokio runtime with I/O
/// and time enabled. `#[tokio::main]` starts such a runtime.
///
/// # Retries
///
/// | result | retried |
/// |---|---|
/// | no connection, a broken connection, no valid response within 10 s, 5xx | yes |
/// | any other response that is not 2xx; redirects are not followed | no |
/// | the metrics cannot be gathered, or a label is also a grouping label | no |
///
/// The number of retries is 5 by default ([`retries`](Self::retries)). The pause before a retry starts at 0.1 s and
/// doubles each time, up to 5 s. Each attempt has 10 s to get a response, of which 5 s to connect ([`new`](Self::new)).
/// If the response is an error, its body is read for up to 2 s more. The metrics are gathered once: each attempt sends
/// the same values.
///
/// # Credentials
///
/// Set user and password in the URL (`http://user:password@host`, percent-encoded) or with
/// [`basic_auth`](Self::basic_auth), or set a token with [`bearer_token`](Self::bearer_token). Credentials never appear in
/// errors, `Debug` output or logs. Over `http://` they are sent unencrypted.
///
/// # Cancellation
///
/// Dropping the future of a method cancels the request and its retries. The Pushgateway may already have applied the
/// request.
#[derive(Debug)]
pub struct PushGateway {
    client: Client<ConnectorService, String>,
    address: Address,
    grouping: Grouping,
    /// The URL of the group.
    url: Uri,
    credentials: Option<Credentials>,
    retries: u32,
}

impl PushGateway {
    /// Creates a client for the group of a job, without further grouping labels.
    ///
    /// `url` is the Pushgateway's base URL, such as `http://pushgateway:9091` or `https://user:password@host/base`.
    /// Requests go to `/metrics/job/…` below it. `job` becomes the label `job`. The client does not connect until the first
    /// push.
    ///
    /// # Errors
    ///
    /// Returns an error if
    ///
    /// - `url` is not an `http` or `https` URL with a host, or has a query, a fragment, an invalid port or a segment
    ///   `.` or `..`;
    /// - the credentials in `url` are not percent-encoded UTF-8 or are not valid, as described at
    ///   [`basic_auth`](Self::basic_auth);
    /// - `url` is `https` and the feature `tls` is not enabled, or the system has no CA certificates;
    /// - `job` is empty;
    /// - `url` and `job` together are longer than 64 KiB.
    pub fn new(url: &str, job: &str) -> Result<Self, Error> {
        let (address, credentials) = Address::parse(url)?;
        let connector = Connector::for_scheme(address.is_https())?;
        Self::build(address, credentials, job, connector)
    }

    /// Creates a client as [`new`](Self::new) does, but with a custom connector.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), except that `https` needs neither the feature `tls` nor CA certificates: the connector is
    /// responsible for TLS.
    pub fn with_connector(url: &str, job: &str, connector: Connector) -> Result<Self, Error> {
        let (address, credentials) = Address::parse(url)?;
        Self::build(address, credentials, job, connector)
    }

    fn build(
        address: Address,
        credentials: Option<Credentials>,
        job: &str,
        connector: Connector,
    ) -> Result<Self, Error> {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector.into_service());
        let grouping = Grouping::new(job)?;
        Ok(Self {
            client,
            url: group_url(&address, &grouping)?,
            address,
            grouping,
            credentials,
            retries: 5,
        })
    }

    /// Adds a grouping label besides `job`.
    ///
    /// Each combination of values identifies a separate group. The Pushgateway adds the grouping labels to all metrics of
    /// the group, so these must not have a label of the same name. `value` may be empty and may contain any characters.
    ///
    /// # Errors
    ///
    /// Returns an error if
    ///
    /// - `label` is not a valid label name, is reserved (`le`, `quantile`, names that start with `__`) or is set already;
    /// - the URL with all labels is longer than 64 KiB.
    pub fn group(mut self, label: &str, value: &str) -> Result<Self, Error> {
        self.grouping.add(label, value)?;
        self.url = group_url(&self.address, &self.grouping)?;
        Ok(self)
    }

    /// Sets the maximum number of retries after a failed attempt. 0 disables retries. Default: 5.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the user and the password for HTTP basic authentication.
    ///
    /// # Errors
    ///
    /// Returns an error if credentials are already set, `user` contains a colon, or `user` or `password` contains a control
    /// character, such as a trailing newline.
    pub fn basic_auth(self, user: &str, password: &str) -> Result<Self, Error> {
        self.credentials(Credentials::basic(user, password)?)
    }

    /// Sets a bearer token, sent as `Authorization: Bearer …`.
    ///
    /// # Errors
    ///
    /// Returns an error if credentials are already set, or `token` is empty or contains a control character, such as a
    /// trailing newline.
    pub fn bearer_token(self, token: &str) -> Result<Self, Error> {
        self.credentials(Credentials::bearer(token)?)
    }

    fn credentials(mut self, credentials: Credentials) -> Result<Self, Error> {
        if self.credentials.is_some() {
            return Err(Error::new(
                "credentials are set twice; set them once: in the URL, by basic_auth or by bearer_token",
            ));
        }
        self.credentials = Some(credentials);
        Ok(self)
    }

    /// Replaces all metrics of the group with those of `source` (HTTP `PUT`).
    ///
    /// `source` is a `&Registry`, or a [`MetricsHandler`] or a reference to one. The handler's collectors and settings
    /// apply, such as its scrape timeout. Metrics are sent in the text format 0.0.4.
    ///
    /// # Errors
    ///
    /// Returns an error if
    ///
    /// - the Pushgateway cannot be reached or rejects the metrics;
    /// - a metric has a label that is also a grouping label (`job` or one of [`group`](Self::group));
    /// - a collector fails and the handler is set to
    ///   [`fail_on_collect_error`](MetricsHandler::fail_on_collect_error).
    ///
    /// See [`PushError`].
    pub async fn push(&self, source: impl Into<MetricsHandler>) -> Result<(), PushError> {
        let page = self.gather(source.into()).await?;
        self.send(Method::PUT, page).await
    }

    /// Replaces metrics of the group that have the same names as those of `source`, and keeps its other metrics (HTTP
    /// `POST`).
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub async fn push_add(&self, source: impl Into<MetricsHandler>) -> Result<(), PushError> {
        let page = self.gather(source.into()).await?;
        self.send(Method::POST, page).await
    }

    /// Deletes the group with all its metrics (HTTP `DELETE`).
    ///
    /// # Errors
    ///
    /// Returns an error if the Pushgateway cannot be reached or rejects the request. See [`PushError`].
    pub async fn delete(&self) -> Result<(), PushError> {
        self.send(Method::DELETE, String::new()).await
    }

    /// Returns the page to push. Fails if one of its labels is a grouping label.
    async fn gather(&self, handler: MetricsHandler) -> Result<String, PushError> {
        let page = gather(handler).await?;
        self.grouping.check(&page)?;
        Ok(page)
    }

    async fn send(&self, method: Method, page: String) -> Result<(), PushError> {
        const FIRST_PAUSE: Duration = Duration::from_millis(100);
        const MAX_PAUSE: Duration = Duration::from_secs(5);
        let mut pause = FIRST_PAUSE;
        let mut retries_left = self.retries;
        loop {
            match self.send_once(method.clone(), page.clone()).await {
                Err(error) if retries_left > 0 && error.is_transient() => {
                    let error: &(dyn std::error::Error + 'static) = &error;
                    tracing::debug!(error, "push failed; retrying in {pause:?}");
                }
                result => return result,
            }
            retries_left -= 1;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    async fn send_once(&self, method: Method, page: String) -> Result<(), PushError> {
        const TIMEOUT: Duration = Duration::from_secs(10);
        let response = self.client.request(self.request(method, page));
        let response = tokio::time::timeout(TIMEOUT, response).await;
        let response = response.map_err(|elapsed| {
            let what = format!("did not respond within {} s", TIMEOUT.as_secs());
            self.error(Cause::Timeout, &what, elapsed)
        })?;
        let response = response.map_err(|error| {
            let (cause, what) = match error.is_connect() {
                true => (Cause::Connect, "cannot be reached"),
                false => (Cause::InvalidResponse, "sent no valid HTTP response"),
            };
            self.error(cause, what, error)
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let reason = self.reason(response.into_body()).await;
        let message = format!("Pushgateway {} answered {status}: {reason}", self.address);
        Err(PushError::new(Cause::Status(status), message))
    }

    fn request(&self, method: Method, page: String) -> Request<String> {
        let mut request = Request::new(page);
        *request.method_mut() = method;
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        let text = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        headers.insert(CONTENT_TYPE, text);
        if let Some(credentials) = &self.credentials {
            headers.insert(AUTHORIZATION, credentials.header());
        }
        request
    }

    /// Returns the start of a response's body, for the error message, unless it contains the credentials.
    async fn reason(&self, body: hyper::body::Incoming) -> String {
        const MAX_SHOWN: usize = 4096;
        const TIMEOUT: Duration = Duration::from_secs(2);
        let mut bytes = Vec::new();
        // Reads twice the shown length, to find credentials that start within the shown part and end after it.
        let read = read(body, 2 * MAX_SHOWN, &mut bytes);
        // After the timeout, the part that was read is shown.
        let _ = tokio::time::timeout(TIMEOUT, read).await;
        let text = String::from_utf8_lossy(&bytes);
        let credentials = self.credentials.as_ref();
        if credentials.is_some_and(|credentials| credentials.are_in(&text)) {
            return "(response body left out: it repeats the credentials)".to_owned();
        }
        let shown = &bytes[..bytes.len().min(MAX_SHOWN)];
        String::from_utf8_lossy(shown).trim().to_owned()
    }

    fn error(&self, cause: Cause, what: &str, source: impl Into<BoxError>) -> PushError {
        PushError::with_source(
            cause,
            format!("Pushgateway {} {what}", self.address),
            source,
        )
    }
}

fn group_url(address: &Address, grouping: &Grouping) -> Result<Uri, Error> {
    address.join(grouping.path()).map_err(|error| {
        let message =
            "Pushgateway URL: with job and grouping labels it must be shorter than 64 KiB";
        Error::with_source(message, error)
    })
}
