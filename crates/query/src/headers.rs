//! [`UpstreamHeaders`]: the headers of a request to the upstream.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::credentials::Credentials;
use crate::error::Error;

/// Headers of a single connection or message. They cannot be set or forwarded.
const HOP_BY_HOP: [&str; 11] = [
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

/// The headers that are set on every request, and the names of the client's headers that are forwarded.
#[derive(Debug)]
pub(crate) struct UpstreamHeaders {
    /// Includes the credentials. Values are marked sensitive, so `Debug` does not show them.
    constant: HeaderMap,
    forwarded: Vec<HeaderName>,
}

impl UpstreamHeaders {
    pub(crate) fn new(
        credentials: Vec<Credentials>,
        constant: Vec<(HeaderName, HeaderValue)>,
        forwarded: Vec<HeaderName>,
    ) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        for credentials in credentials {
            if headers
                .insert(AUTHORIZATION, credentials.into_header())
                .is_some()
            {
                return Err(Error::setting(
                    "credentials are set twice; set them once: in the URL, by basic_auth or by bearer_auth",
                ));
            }
        }
        for (name, value) in constant {
            if headers.contains_key(&name) {
                let message = format!("header: {name} is set twice; set it once");
                return Err(Error::setting(message));
            }
            headers.insert(name, value);
        }
        if let Some(name) = forwarded.iter().find(|name| headers.contains_key(*name)) {
            let message = format!(
                "forward_header: {name} cannot be both set for the upstream and forwarded from the client"
            );
            return Err(Error::setting(message));
        }
        Ok(Self {
            constant: headers,
            forwarded,
        })
    }

    /// Returns the headers of a request to the upstream, given those of the client's request.
    pub(crate) fn for_request(&self, from_client: &HeaderMap) -> HeaderMap {
        let mut headers = self.constant.clone();
        for name in &self.forwarded {
            for value in from_client.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        headers
    }
}

/// Parses a header that is set on every request. Marks the value as sensitive, so that `Debug` does not show it.
pub(crate) fn constant_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let name = header_name("header", name)?;
    let mut value = HeaderValue::from_str(value).map_err(|error| {
        let message = format!(
            "header: the value of {name} has characters that a header value cannot contain"
        );
        Error::setting(message).with_source(error)
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// Parses the names of forwarded headers and removes duplicates.
pub(crate) fn forwarded_headers(names: &[String]) -> Result<Vec<HeaderName>, Error> {
    let mut parsed = Vec::new();
    for name in names {
        let name = header_name("forward_header", name)?;
        if !parsed.contains(&name) {
            parsed.push(name);
        }
    }
    Ok(parsed)
}

fn header_name(setting: &str, name: &str) -> Result<HeaderName, Error> {
    // The name is not shown: in `Authorization: Bearer …` it would contain the value.
    let parsed = HeaderName::try_from(name).map_err(|error| {
        let message = format!(
            "{setting}: invalid header name; expected letters, digits and characters such as -, without the value"
        );
        Error::setting(message).with_source(error)
    })?;
    if HOP_BY_HOP.contains(&parsed.as_str()) {
        let message = format!(
            "{setting}: {parsed} belongs to a single connection or message; it cannot be set or forwarded"
        );
        return Err(Error::setting(message));
    }
    Ok(parsed)
}
