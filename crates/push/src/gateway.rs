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
/// // Run the job.
/// gateway.push(&registry).await?;
/// # Ok(())
/// # }
/// ```
///
/// The Pushgateway keeps one group of metrics for each job and its grouping labels until the group is replaced or deleted.
/// Services should be scraped instead: a failed scrape tells Prometheus that a service is down.
///
/// # Retries
///
/// | result | retried |
/// |---|---|
/// | no connection, a broken connection, no valid response within 10 s, 5xx | yes |
/// | any other response that is not 2xx; redirects are not followed | no |
///
/// Pauses between attempts are 0.1, 0.2, 0.4 s and so on up to 5 s. The number of retries is set by
/// [`retries`](Self::retries).
///
/// # Credentials
///
/// User and password come from the URL (`http://user:password@host`) or from [`basic_auth`](Self::basic_auth), a token
/// from [`bearer_token`](Self::bearer_token). They are never printed: not in errors, not in `Debug` output, not in logs.
/// Over `http://` they are sent unencrypted.
///
/// # Cancellation
///
/// If the future of a method is dropped, the push is given up. The Pushgateway may have stored the metrics or not.
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
    /// Makes a client for the group of a job, without further labels.
    ///
    /// `url` is the Pushgateway's base URL, such as `http://pushgateway:9091`.
    ///
    /// # Errors
    ///
    /// If `url` is not an `http` or `https` URL, if it is `https` and the feature `tls` is not enabled, or if `job` is empty.
    pub fn new(url: &str, job: &str) -> Result<Self, Error> {
        let (address, credentials) = Address::parse(url)?;
        let connector = Connector::for_scheme(address.is_https())?;
        Self::build(address, credentials, job, connector)
    }

    /// As [`new`](Self::new), with a custom connector.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), but `https` needs no feature: the connector is responsible for TLS.
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

    /// Adds a grouping label beside `job`. Each combination of values identifies a separate group.
    ///
    /// # Errors
    ///
    /// If `label` is not a valid label name, or is set twice.
    pub fn group(mut self, label: &str, value: &str) -> Result<Self, Error> {
        self.grouping.add(label, value)?;
        self.url = group_url(&self.address, &self.grouping)?;
        Ok(self)
    }

    /// Sets the number of retries after a failed attempt. Default: 5.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets user and password of HTTP basic authentication.
    ///
    /// # Errors
    ///
    /// If credentials are set already, if `user` contains a colon, or if one of them contains a control character.
    pub fn basic_auth(self, user: &str, password: &str) -> Result<Self, Error> {
        self.credentials(Credentials::basic(user, password)?)
    }

    /// Sets a bearer token.
    ///
    /// # Errors
    ///
    /// If credentials are set already, or if `token` is empty or contains a control character.
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

    /// Replaces all metrics of the group (PUT).
    ///
    /// `source` is a `&Registry`, or a `&MetricsHandler` with its settings.
    ///
    /// # Errors
    ///
    /// If the Pushgateway cannot be reached or refuses the metrics, or if a collector fails and the handler is set to fail
    /// then.
    pub async fn push(&self, source: impl Into<MetricsHandler>) -> Result<(), PushError> {
        self.send(Method::PUT, gather(source.into()).await?).await
    }

    /// Replaces the group's metrics of the same names, and keeps the others (POST).
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub async fn push_add(&self, source: impl Into<MetricsHandler>) -> Result<(), PushError> {
        self.send(Method::POST, gather(source.into()).await?).await
    }

    /// Deletes the group (DELETE).
    ///
    /// # Errors
    ///
    /// If the Pushgateway cannot be reached or refuses the request.
    pub async fn delete(&self) -> Result<(), PushError> {
        self.send(Method::DELETE, String::new()).await
    }

    async fn send(&self, method: Method, page: String) -> Result<(), PushError> {
        const FIRST_PAUSE: Duration = Duration::from_millis(100);
        const LONGEST_PAUSE: Duration = Duration::from_secs(5);
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
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn send_once(&self, method: Method, page: String) -> Result<(), PushError> {
        const TIMEOUT: Duration = Duration::from_secs(10);
        match tokio::time::timeout(TIMEOUT, self.exchange(method, page)).await {
            Ok(result) => result,
            Err(elapsed) => {
                let what = format!("did not respond within {} s", TIMEOUT.as_secs());
                Err(self.failed(Cause::Timeout, &what, elapsed))
            }
        }
    }

    async fn exchange(&self, method: Method, page: String) -> Result<(), PushError> {
        let response = self.client.request(self.request(method, page)).await;
        let response = response.map_err(|error| {
            let (cause, what) = match error.is_connect() {
                true => (Cause::Connect, "cannot be reached"),
                false => (Cause::Exchange, "sent no valid HTTP response"),
            };
            self.failed(cause, what, error)
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

    /// Returns the start of a response's body, unless it repeats the credentials.
    async fn reason(&self, body: hyper::body::Incoming) -> String {
        const SHOWN: usize = 4096;
        // The rest is read so that credentials are found, too, that only begin in the part that is shown.
        let bytes = read(body, 2 * SHOWN).await;
        let text = String::from_utf8_lossy(&bytes);
        let credentials = self.credentials.as_ref();
        if credentials.is_some_and(|credentials| credentials.are_in(&text)) {
            return "(response body left out: it repeats the credentials)".to_owned();
        }
        let shown = &bytes[..bytes.len().min(SHOWN)];
        String::from_utf8_lossy(shown).trim().to_owned()
    }

    fn failed(&self, cause: Cause, what: &str, source: impl Into<BoxError>) -> PushError {
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
