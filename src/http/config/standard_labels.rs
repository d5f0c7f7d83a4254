//! Labels that presets bring: one of each for the process, so that the same preset is the same label.

use std::sync::OnceLock;

use http::Version;

use crate::http::config::http_label::HttpLabel;

/// `host`, of a client's requests: without the port, and at most a hundred.
pub(crate) fn host() -> HttpLabel {
    static HOST: OnceLock<HttpLabel> = OnceLock::new();
    HOST.get_or_init(|| {
        HttpLabel::from_request("host", |request| request.uri().host())
            .max_values(100)
            .on_everything()
    })
    .clone()
}

/// OpenTelemetry's `url.scheme`: of the URI if it has one, else what the server is known to speak.
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
