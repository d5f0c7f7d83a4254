//! The labels of the presets of `HttpMetrics`.

use http::Version;

use crate::http::config::http_label::HttpLabel;
use crate::http::labels::head::RequestHead;

/// The maximum number of hosts of a client.
const MAX_HOSTS: usize = 100;

/// `host` of client requests: without the port, at most 100 values.
pub(crate) fn host() -> HttpLabel {
    HttpLabel::host("host")
        .max_values(MAX_HOSTS)
        .on_everything()
        .preset()
}

/// OpenTelemetry's `server.address` of client requests.
pub(crate) fn server_address() -> HttpLabel {
    HttpLabel::host("server_address")
        .max_values(MAX_HOSTS)
        .on_everything()
        .preset()
}

/// OpenTelemetry's `server.port` of client requests: if the URI names no port, the default port of its scheme.
pub(crate) fn server_port() -> HttpLabel {
    fn port<'a>(request: RequestHead<'a>) -> Option<&'a str> {
        request
            .port_text()
            .or_else(|| match request.uri().scheme_str() {
                Some("http") => Some("80"),
                Some("https") => Some("443"),
                _ => None,
            })
    }
    HttpLabel::from_request("server_port", port)
        .max_values(MAX_HOSTS)
        .on_everything()
        .preset()
}

/// OpenTelemetry's `url.scheme`: the scheme of the URI, otherwise `https` or `http` by configuration.
pub(crate) fn url_scheme(https: bool) -> HttpLabel {
    let label = match https {
        true => HttpLabel::from_request(URL_SCHEME, |request| {
            Some(request.uri().scheme_str().unwrap_or("https"))
        }),
        false => HttpLabel::from_request(URL_SCHEME, |request| {
            Some(request.uri().scheme_str().unwrap_or("http"))
        }),
    };
    label.values(["http", "https"]).on_everything().preset()
}

pub(crate) const URL_SCHEME: &str = "url_scheme";

/// OpenTelemetry's `network.protocol.version`.
pub(crate) fn protocol_version() -> HttpLabel {
    HttpLabel::from_request("network_protocol_version", |request| {
        Some(match request.version() {
            Version::HTTP_09 => "0.9",
            Version::HTTP_10 => "1.0",
            Version::HTTP_11 => "1.1",
            Version::HTTP_2 => "2",
            Version::HTTP_3 => "3",
            _ => "",
        })
    })
    .values(["0.9", "1.0", "1.1", "2", "3"])
    .on_histograms()
    .preset()
}
