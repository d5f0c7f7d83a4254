//! [`LivePageBuilder`]: the settings of a live page.

use std::fmt;

use tower_prometheus::Registry;

use crate::access::{AccessRules, host_name};
use crate::error::Error;
use crate::live_page::LivePage;
use crate::settings::Settings;

/// A builder that configures a [`LivePage`].
///
/// ```
/// use tower_prometheus::Registry;
/// use tower_prometheus_live::LivePage;
///
/// let metrics = Registry::new();
/// let page = LivePage::builder(&metrics)
///     .allow_host("shop.example.com")
///     .token("a-long-random-string")
///     .max_viewers(8)
///     .build()?;
/// # Ok::<(), tower_prometheus_live::Error>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct LivePageBuilder {
    registry: Registry,
    access: AccessRules,
    settings: Settings,
}

impl LivePage {
    /// Returns a builder for a page with other settings.
    pub fn builder(registry: &Registry) -> LivePageBuilder {
        LivePageBuilder::new(registry)
    }
}

impl LivePageBuilder {
    fn new(registry: &Registry) -> Self {
        Self {
            registry: registry.clone(),
            access: AccessRules::default(),
            settings: Settings::default(),
        }
    }

    /// Allows requests with this host name in `Host` and `Origin`, such as `shop.example.com`, with any port. Call it again
    /// for each further name.
    ///
    /// By default, only IP addresses, `localhost` and names under `localhost` are allowed. Otherwise any website could
    /// point its own name at the service and read the page (DNS rebinding). Upper and lower case are the same.
    ///
    /// In HTTP/2, the host is `:authority`. `X-Forwarded-Host` and `Forwarded` are not read: behind a proxy that replaces
    /// `Host`, allow the name that it sends.
    pub fn allow_host(mut self, name: impl Into<String>) -> Self {
        self.access.hosts.push(name.into().to_ascii_lowercase());
        self
    }

    /// Requires this bearer token for the data; none is required by default.
    ///
    /// The page asks for the token and keeps it until the browser's tab is closed. It sends it as
    /// `Authorization: Bearer`. Requests for the data without the token, or with another one, get 401. The page itself, its
    /// script and its style contain no data and need no token.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.access.token = Some(token.into());
        self
    }

    /// Turns off samples without viewers, so that the page starts empty.
    ///
    /// By default, one sample per 10 s is kept for ten minutes, in at most about 16 MiB, in addition to
    /// the current values of all series.
    pub fn without_history(mut self) -> Self {
        self.settings.has_history = false;
        self
    }

    /// Sets the maximum number of viewers; 64 by default. Each open page is a viewer.
    ///
    /// Further viewers get 503, and their page says why and retries.
    pub fn max_viewers(mut self, viewers: usize) -> Self {
        self.settings.max_viewers = viewers;
        self
    }

    /// Sets the maximum number of series that are sent; 20,000 by default.
    ///
    /// If there are more, the page says so. Metrics with few series are complete; those with the most series lack some.
    pub fn max_series(mut self, series: usize) -> Self {
        self.settings.max_series = series;
        self
    }

    /// Builds the page.
    ///
    /// Samples for the history start now if this is called inside a tokio runtime, otherwise when the first viewer
    /// connects.
    ///
    /// # Errors
    ///
    /// Returns an error that lists every mistake: a token that is empty or cannot be sent in a header, a host that is
    /// not a plain name or an IP address, a maximum of 0.
    pub fn build(self) -> Result<LivePage, Error> {
        let mistakes = self.mistakes();
        match mistakes.is_empty() {
            true => Ok(self.page()),
            false => Err(Error::new(mistakes.join("\n"))),
        }
    }

    /// Builds the page without validation, for default settings.
    pub(crate) fn page(self) -> LivePage {
        LivePage::new(&self.registry, self.access, self.settings)
    }

    fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let is_visible =
            |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !self.access.token.as_ref().is_none_or(is_visible) {
            mistakes.push(
                "token: must be one or more visible ASCII characters without spaces".to_owned(),
            );
        }
        let invalid = self.access.hosts.iter().filter(|host| !is_host(host));
        mistakes.extend(invalid.map(|host| {
            format!("allow_host: must be a host name without scheme and port, got {host:?}")
        }));
        let maxima = [
            ("max_viewers", self.settings.max_viewers),
            ("max_series", self.settings.max_series),
        ];
        let zero = maxima.into_iter().filter(|(_, max)| *max == 0);
        mistakes.extend(zero.map(|(name, _)| format!("{name}: must be at least 1, got 0")));
        mistakes
    }
}

/// Whether a text is a host name or an IP address, without a port.
fn is_host(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed) && host_name(text) == text
}

impl fmt::Debug for LivePageBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LivePageBuilder")
            .field("access", &self.access)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
