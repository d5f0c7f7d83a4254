//! [`LivePage`]: the service that serves the page and its data.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{CONTENT_LENGTH, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use tower_prometheus::Registry;
use tower_service::Service;

use crate::access::{AccessRules, Refusal};
use crate::assets::{Asset, INDEX};
use crate::body::LiveBody;
use crate::feed::Feed;
use crate::live::Live;
use crate::response::{file, not_allowed, response, text};
use crate::sampler;
use crate::settings::Settings;

const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A service that serves the live page of a registry, with its files and its data.
///
/// [`page`](crate::page) creates one with default settings, [`builder`](Self::builder) one with others. Clones share
/// samples and limits. The service is always ready and never returns an error.
///
/// Mount it with axum's `nest_service`, in tonic's router (`Routes::from` an axum router; browsers need
/// `accept_http1`), in a `MetricsServer`, or call it from plain hyper:
///
/// | path, below the mount point | response |
/// |---|---|
/// | ends with `/data` | the samples as a stream of JSON lines |
/// | ends with the name of a file of the page, such as `/app.js`; or any path with that name as its query | the file |
/// | any other path without a dot in its last segment | the page |
/// | any other | 404 |
///
/// Methods other than GET and HEAD get 405, foreign hosts and origins 403, a missing or wrong token 401, and viewers
/// beyond [`max_viewers`](crate::LivePageBuilder::max_viewers) 503.
///
/// # Sampling
///
/// One task takes all samples. It is spawned on the tokio runtime in which the page is built. If there is none, it is
/// spawned when the first viewer connects; the runtime needs an enabled timer. The task ends when the last clone and
/// the last response body are dropped. A sample runs the collectors with a timeout of 1 s, and yields after about
/// 0.1 ms of work while it reads and encodes the series.
#[derive(Clone)]
pub struct LivePage {
    live: Arc<Live>,
    access: Arc<AccessRules>,
}

impl LivePage {
    pub(crate) fn new(registry: &Registry, access: AccessRules, settings: Settings) -> Self {
        let live = Arc::new(Live::new(registry, settings));
        sampler::start(&live);
        Self {
            live,
            access: Arc::new(access),
        }
    }

    fn answer(&self, parts: &Parts) -> Response<LiveBody> {
        if parts.method != Method::GET && parts.method != Method::HEAD {
            return not_allowed();
        }
        if let Err(refusal) = self.access.check_origin(parts) {
            return refused(&refusal);
        }
        let name = file_name(&parts.uri);
        if name == "data" {
            return self.data(parts);
        }
        match Asset::named(name) {
            Some(asset) => file(asset, &parts.headers),
            None => text(StatusCode::NOT_FOUND, "The live page has no such file.\n"),
        }
    }

    fn data(&self, parts: &Parts) -> Response<LiveBody> {
        if let Err(refusal) = self.access.check_data(&parts.headers) {
            return refused(&refusal);
        }
        const LINES: &str = "application/x-ndjson; charset=utf-8";
        if parts.method == Method::HEAD {
            return response(StatusCode::OK, LINES, LiveBody::head());
        }
        sampler::start(&self.live);
        match Feed::start(&self.live) {
            Some(feed) => stream(response(
                StatusCode::OK,
                LINES,
                LiveBody::lines(feed.into_lines()),
            )),
            None => full(self.live.settings().max_viewers),
        }
    }
}

/// Tells nginx and proxies like it to pass each line on at once.
fn stream(mut response: Response<LiveBody>) -> Response<LiveBody> {
    let no = HeaderValue::from_static("no");
    response.headers_mut().insert(ACCEL_BUFFERING, no);
    response
}

fn refused(refusal: &Refusal) -> Response<LiveBody> {
    let mut response = text(refusal.status(), refusal.message());
    if *refusal == Refusal::Token {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    response
}

fn full(max_viewers: usize) -> Response<LiveBody> {
    let message =
        format!("The live page has {max_viewers} viewers, its maximum (max_viewers). Close one.\n");
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, message);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
    response
}

/// Returns the name of the requested file.
///
/// The page is served at `/live` and `/live/`, and cannot know which. Relative to both, `?start.js` is the same path
/// with another query, so the first files are requested by query.
fn file_name(uri: &Uri) -> &str {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    match uri.query() {
        Some(query) if query.contains('.') && !query.contains(['=', '&', '/']) => query,
        _ if last == "data" || last.contains('.') => last,
        _ => INDEX,
    }
}

impl<B> Service<Request<B>> for LivePage {
    type Response = Response<LiveBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, _) = request.into_parts();
        let mut response = self.answer(&parts);
        if parts.method == Method::HEAD {
            response = without_body(response);
        }
        ready(Ok(response))
    }
}

/// Replaces the body of a response to HEAD. Its length stays in the head.
fn without_body(response: Response<LiveBody>) -> Response<LiveBody> {
    let (mut head, body) = response.into_parts();
    if let Some(length) = http_body::Body::size_hint(&body).exact() {
        head.headers.insert(CONTENT_LENGTH, length.into());
    }
    Response::from_parts(head, LiveBody::head())
}

impl fmt::Debug for LivePage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LivePage")
            .field("settings", self.live.settings())
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}
