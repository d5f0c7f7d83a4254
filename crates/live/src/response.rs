//! The responses of the page, with the headers that all of them have.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tower_prometheus::http::SkipMetrics;

use crate::assets::Asset;
use crate::body::LiveBody;

/// Only files of the page itself: no inline script or style, no other host, no frame. `blob:` is for exported files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'";

const HEADERS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// Returns a response that no layer measures.
pub(crate) fn response(
    status: StatusCode,
    media_type: &'static str,
    body: LiveBody,
) -> Response<LiveBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.extensions_mut().insert(SkipMetrics);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<LiveBody> {
    response(
        status,
        "text/plain; charset=utf-8",
        LiveBody::full(text.into()),
    )
}

pub(crate) fn not_allowed() -> Response<LiveBody> {
    let mut response = text(
        StatusCode::METHOD_NOT_ALLOWED,
        "Only GET and HEAD are allowed.\n",
    );
    let allowed = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(ALLOW, allowed);
    response
}

/// Returns a file, compressed if the client accepts gzip.
pub(crate) fn file(asset: &Asset, request: &HeaderMap) -> Response<LiveBody> {
    let gzip = accepts_gzip(request).then(|| asset.gzip()).flatten();
    let is_compressed = gzip.is_some();
    let body = LiveBody::full(gzip.unwrap_or_else(|| asset.plain()));
    let mut response = response(StatusCode::OK, asset.media_type, body);
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if is_compressed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Whether `Accept-Encoding` lists gzip without `q=0`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(http::header::ACCEPT_ENCODING).iter();
    let mut codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        name.trim().eq_ignore_ascii_case("gzip") && weight.parse() != Ok(0.0)
    })
}
