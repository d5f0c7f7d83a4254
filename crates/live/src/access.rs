//! [`AccessRules`]: which requests are refused.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};

/// The hosts and the token that requests must have.
#[derive(Clone, Default)]
pub(crate) struct AccessRules {
    /// Allowed host names, in lower case.
    pub(crate) hosts: Vec<String>,
    pub(crate) token: Option<String>,
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Host(String),
    Origin,
    Token,
}

impl AccessRules {
    /// Checks `Host` and `Origin`.
    pub(crate) fn check_origin(&self, parts: &Parts) -> Result<(), Refusal> {
        let host = host(parts).unwrap_or_default();
        if !self.is_allowed(host_name(&host)) {
            return Err(Refusal::Host(host));
        }
        match parts.headers.get(ORIGIN) {
            Some(origin) if !self.is_own_origin(origin, &host) => Err(Refusal::Origin),
            _ => Ok(()),
        }
    }

    /// Checks what only requests for data must fulfil: they are sent by the page itself, with the token.
    pub(crate) fn check_data(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if let Some(site) = headers.get("sec-fetch-site")
            && site != "same-origin"
            && site != "none"
        {
            return Err(Refusal::Origin);
        }
        let Some(token) = &self.token else {
            return Ok(());
        };
        match bearer(headers) {
            Some(sent) if is_equal(sent, token) => Ok(()),
            _ => Err(Refusal::Token),
        }
    }

    fn is_allowed(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        is_local(&name) || self.hosts.contains(&name)
    }

    /// Whether an origin is that of the page: the same host and port as in `Host`, or an allowed host. A proxy may
    /// have changed `Host`.
    fn is_own_origin(&self, origin: &HeaderValue, host: &str) -> bool {
        let origin = origin.to_str().unwrap_or_default();
        let Some((_, authority)) = origin.split_once("://") else {
            return false;
        };
        let name = host_name(authority).to_ascii_lowercase();
        authority.eq_ignore_ascii_case(host) || self.hosts.contains(&name)
    }
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Host(_) | Self::Origin => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::UNAUTHORIZED,
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::Host(host) => format!(
                "The live page does not answer requests for the host {host:?}. To allow a host name, add \
                 `LivePage::builder(…).allow_host(\"…\")` to the service.\n"
            ),
            Self::Origin => "The live page does not answer requests of other origins.\n".to_owned(),
            Self::Token => "The live page requires a bearer token.\n".to_owned(),
        }
    }
}

/// Returns host and port of a request: the authority in HTTP/2, the header in HTTP/1.
fn host(parts: &Parts) -> Option<String> {
    let header = || parts.headers.get(HOST)?.to_str().ok();
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    authority.or_else(header).map(str::to_owned)
}

/// Returns an authority without its port.
pub(crate) fn host_name(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            // `::1` without brackets is not a name with a port.
            match name.contains(':') && !name.ends_with(']') {
                true => authority,
                false => name,
            }
        }
        _ => authority,
    }
}

/// Whether a name cannot be pointed at this host by someone else: an IP address, or a name of loopback.
fn is_local(name: &str) -> bool {
    let ipv6 = || {
        let address = name.strip_prefix('[')?.strip_suffix(']')?;
        address.parse::<Ipv6Addr>().ok()
    };
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok()
        || ipv6().is_some()
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then_some(token.trim_ascii())
}

/// Compares in a time that depends only on the length, so that a token cannot be guessed byte by byte.
fn is_equal(sent: &[u8], token: &str) -> bool {
    let differences = sent.iter().zip(token.bytes()).map(|(a, b)| a ^ b);
    sent.len() == token.len() && differences.fold(0, |all, bits| all | bits) == 0
}

impl fmt::Debug for AccessRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessRules")
            .field("hosts", &self.hosts)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .finish()
    }
}
