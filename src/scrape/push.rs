//! [`PushGateway`]: the page, brought to Prometheus' Pushgateway by a job that ends.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode, Uri};
use http_body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;

use crate::model::names::check_label_name;
use crate::error::Error;
use crate::scrape::handler::MetricsHandler;

/// Pushes the page of a job that ends before anyone would scrape it.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_prometheus::{PushGateway, Registry};
///
/// let metrics = Registry::builder().install()?;
/// let gateway = PushGateway::new("http://localhost:9091", "nightly_backup")?.group("disk", "/dev/sda")?;
/// // … the job …
/// gateway.push(&metrics.handler()).await?;
/// # Ok(())
/// # }
/// ```
///
/// A gateway keeps what it got until it is deleted or pushed anew: one group of metrics for each job and its
/// grouping labels. It is not for services, which Prometheus finds out to be down by scraping them.
///
/// A push that fails because the gateway cannot be reached, does not answer within 10 s or answers 5xx is tried again, at
/// most [`retries`](Self::retries) times, after 0.1, 0.2, 0.4 s and so on up to 5 s. What the gateway refuses (4xx) it
/// would refuse again.
///
/// It speaks HTTP without TLS, unless it is given a [connector](Self::with_connector) that does. Dropping a future of
/// its methods gives up; the gateway may have got the page or not.
pub struct PushGateway<C = HttpConnector> {
    client: Client<C, String>,
    url: Uri,
    grouping: Vec<String>,
    /// The path of the group.
    path: String,
    retries: u32,
}

/// A push that the gateway has not taken.
#[derive(Debug)]
pub struct PushError {
    message: String,
    status: Option<StatusCode>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PushGateway {
    /// The group of a job, at a gateway: `http://pushgateway:9091`.
    ///
    /// # Errors
    ///
    /// When the address is not one of HTTP, or the job has no name.
    pub fn new(url: &str, job: &str) -> Result<Self, Error> {
        Self::with_connector(url, job, HttpConnector::new())
    }
}

impl<C> PushGateway<C>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    /// As [`new`](PushGateway::new), over connections of one's own: with TLS, or through a proxy.
    ///
    /// # Errors
    ///
    /// As [`new`](PushGateway::new), but `https` is allowed.
    pub fn with_connector(url: &str, job: &str, connector: C) -> Result<Self, Error> {
        let parsed: Uri = url.parse().map_err(|error| {
            Error::new(format!("push gateway {url:?} is not an address: {error}"))
        })?;
        if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.query().is_some() {
            return Err(Error::new(format!(
                "push gateway {url:?} is not an address like http://pushgateway:9091"
            )));
        }
        if job.is_empty() {
            return Err(Error::new("a pushed job needs a name"));
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self {
            client,
            path: format!(
                "{}/metrics{}",
                parsed.path().trim_end_matches('/'),
                segment("job", job)
            ),
            url: parsed,
            grouping: vec!["job".to_owned()],
            retries: 5,
        })
    }

    /// A label of the group, beside `job`; each set of values is a group of its own.
    ///
    /// # Errors
    ///
    /// When it is not a name that Prometheus can read, or is given twice.
    pub fn group(mut self, label: &str, value: &str) -> Result<Self, Error> {
        check_label_name(label)?;
        if self.grouping.iter().any(|known| known == label) {
            return Err(Error::new(format!("label {label:?} is given twice")));
        }
        self.grouping.push(label.to_owned());
        self.path.push_str(&segment(label, value));
        Ok(self)
    }

    /// How often a push is tried again, 5 if not set.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Replaces the group by this page (PUT).
    ///
    /// # Errors
    ///
    /// When the gateway cannot be reached or refuses the page, or the handler fails its scrapes and a collector did.
    pub async fn push(&self, handler: &MetricsHandler) -> Result<(), PushError> {
        self.send(Method::PUT, page_of(handler).await?).await
    }

    /// Adds this page to the group (POST): families that are not on it stay as they were pushed before.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub async fn push_add(&self, handler: &MetricsHandler) -> Result<(), PushError> {
        self.send(Method::POST, page_of(handler).await?).await
    }

    /// Removes the group (DELETE).
    ///
    /// # Errors
    ///
    /// When the gateway cannot be reached.
    pub async fn delete(&self) -> Result<(), PushError> {
        self.send(Method::DELETE, String::new()).await
    }

    async fn send(&self, method: Method, page: String) -> Result<(), PushError> {
        const FIRST: Duration = Duration::from_millis(100);
        const LONGEST: Duration = Duration::from_secs(5);
        let mut pause = FIRST;
        let mut left = self.retries;
        loop {
            match self.send_once(method.clone(), page.clone()).await {
                Err(error) if left > 0 && error.may_pass() => {
                    tracing::debug!("tried again in {pause:?}: {error}");
                }
                result => return result,
            }
            left -= 1;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    async fn send_once(&self, method: Method, page: String) -> Result<(), PushError> {
        const TIMEOUT: Duration = Duration::from_secs(10);
        let exchange = async {
            let request = self.request(method, page)?;
            let response = self.client.request(request).await;
            let response = response.map_err(|error| self.failed("cannot be reached", error))?;
            let status = response.status();
            if status.is_success() {
                return Ok(());
            }
            let reason = start_of(response.into_body()).await;
            Err(PushError {
                message: format!(
                    "push gateway {} answers {status}: {}",
                    self.url,
                    reason.trim()
                ),
                status: Some(status),
                source: None,
            })
        };
        match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(result) => result,
            Err(elapsed) => Err(self.failed("does not answer", elapsed)),
        }
    }

    fn request(&self, method: Method, page: String) -> Result<Request<String>, PushError> {
        let mut parts = self.url.clone().into_parts();
        let wrong = |error: http::Error| self.failed("has no such address", error);
        parts.path_and_query = Some(
            self.path
                .parse()
                .map_err(|error| wrong(http::Error::from(error)))?,
        );
        let uri = Uri::from_parts(parts).map_err(|error| wrong(http::Error::from(error)))?;
        let request = Request::builder().method(method).uri(uri);
        let request = request.header(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
        request.body(page).map_err(wrong)
    }

    fn failed(
        &self,
        how: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> PushError {
        PushError {
            message: format!("push gateway {} {how}", self.url),
            status: None,
            source: Some(source.into()),
        }
    }
}

/// One label of a group in a path. What a path cannot say goes as base64, an empty value as `=`.
fn segment(label: &str, value: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    // `.` and `..` would be taken for directories.
    if !value.is_empty() && value.bytes().all(is_plain) && !value.trim_matches('.').is_empty() {
        format!("/{label}/{value}")
    } else if value.is_empty() {
        format!("/{label}@base64/=")
    } else {
        format!("/{label}@base64/{}", URL_SAFE_NO_PAD.encode(value))
    }
}

/// What a scrape of the handler gets.
async fn page_of(handler: &MetricsHandler) -> Result<String, PushError> {
    let scrape = handler.clone().call(Request::new(()));
    let response = match scrape.await {
        Ok(response) => response,
        Err(impossible) => match impossible {},
    };
    let status = response.status();
    let text = text_of(response.into_body(), usize::MAX).await;
    if status.is_success() {
        return Ok(text);
    }
    Err(PushError {
        message: format!("there is no page to push: {}", text.trim()),
        status: None,
        source: None,
    })
}

/// Enough of an answer to see what is wrong.
async fn start_of(body: impl Body<Data = Bytes>) -> String {
    const ENOUGH: usize = 4096;
    text_of(body, ENOUGH).await
}

async fn text_of(body: impl Body<Data = Bytes>, enough: usize) -> String {
    let mut body = std::pin::pin!(body);
    let mut text = Vec::new();
    while text.len() < enough
        && let Some(Ok(frame)) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await
    {
        text.extend(frame.into_data().unwrap_or_default());
    }
    String::from_utf8_lossy(&text).into_owned()
}

impl PushError {
    /// What the gateway answered, if it did.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Whether the same push may be taken later.
    fn may_pass(&self) -> bool {
        match self.status {
            Some(status) => status.is_server_error(),
            None => self.source.is_some(),
        }
    }
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PushError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

impl<C> fmt::Debug for PushGateway<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushGateway")
            .field("url", &self.url)
            .field("path", &self.path)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::scrape::push::segment;

    #[test]
    fn odd_values_are_encoded() {
        for (value, expected) in [
            ("nightly-1.2_x~", "/job/nightly-1.2_x~"),
            ("", "/job@base64/="),
            ("..", "/job@base64/Li4"),
            ("/var/tmp", "/job@base64/L3Zhci90bXA"),
            ("Προμηθεύς", "/job@base64/zqDPgc6_zrzOt864zrXPjc-C"),
        ] {
            assert_eq!(segment("job", value), expected);
        }
    }
}
