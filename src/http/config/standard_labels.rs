//! The labels of the presets of `HttpMetrics`.
//!
//! Each is created once per process, because closures are compared by identity. Otherwise equal configurations
//! would not share their series.

use std::sync::OnceLock;

use http::Version;

use crate::http::config::http_label::HttpLabel;

/// `host` of client requests: without the port, at most 100 values.
pub(crate) fn host() -> HttpLabel {
    static HOST: OnceLock<HttpLabel> = OnceLock::new();
    HOST.get_or_init(|| {
        HttpLabel::from_request("host", |request| request.uri().host())
            .max_values(100)
            .on_everything()
    })
    .clone()
}

/// OpenTelemetry's `url.scheme`: the scheme of the URI, otherwise `https` or `http` by configuration.
pub(crate) fn url_scheme(https: bool) -> HttpLabel {
    static HTTP: OnceLock<HttpLabel> = OnceLock::new();
    static HTTPS: OnceLock<HttpLabel> = OnceLock::new();
    let (label, default) = if https {
        (&HTTPS, "https")
    } else {
        (&HTTP, "http")
    };
    label
        .get_or_init(|| {
            HttpLabel::from_request(URL_SCHEME, move |request| {
                Some(request.uri().scheme_str().unwrap_or(default))
            })
            .values(["http", "https"])
            .on_everything()
        })
        .clone()
}

pub(crate) const URL_SCHEME: &str = "url_scheme";

/// OpenTelemetry's `network.protocol.version`.
pub(crate) fn protocol_version() -> HttpLabel {
    static VERSION: OnceLock<HttpLabel> = OnceLock::new();
    VERSION
        .get_or_init(|| {
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
        })
        .clone()
}
