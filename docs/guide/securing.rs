use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::{env, fs, io};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::prelude::{BASE64_STANDARD, Engine};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tower_prometheus::{MetricsHandler, Registry};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let metrics = Registry::builder().install()?;
    let secret = read_secret(Path::new(&env::var("METRICS_SECRET_FILE")?))?;
    let credentials = match env::var("METRICS_USER") {
        Ok(user) => Credentials::basic(&user, &secret),
        Err(_) => Credentials::bearer(&secret),
    };
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app(&metrics, credentials)).await?;
    Ok(())
}

/// The application, with a metrics page that needs credentials.
pub fn app(metrics: &Registry, credentials: Credentials) -> Router {
    Router::new()
        .route("/users/{id}", get(async || "ada"))
        .merge(metrics_page(metrics.handler(), credentials))
        .layer(metrics.http_layer()) // outside the check: it counts rejected scrapes
}

/// The route of the metrics page.
pub fn metrics_page(page: MetricsHandler, credentials: Credentials) -> Router {
    Router::new()
        .route("/metrics", get(page))
        .route_layer(from_fn_with_state(credentials, require))
}

/// The routes of a separate port: the metrics page, and `/health` for probes, which send no credentials.
pub fn metrics_port(page: MetricsHandler, credentials: Credentials) -> Router {
    metrics_page(page, credentials).route("/health", get(async || "ok"))
}

/// What scrapers must send in the header `Authorization`.
#[derive(Clone)]
pub struct Credentials {
    scheme: &'static str,
    value: Arc<str>,
}

impl Credentials {
    pub fn bearer(token: &str) -> Self {
        let (scheme, value) = ("Bearer", token.into());
        Self { scheme, value }
    }

    pub fn basic(user: &str, password: &str) -> Self {
        let value = BASE64_STANDARD.encode(format!("{user}:{password}")).into();
        let scheme = "Basic";
        Self { scheme, value }
    }

    fn authorize(&self, headers: &HeaderMap) -> bool {
        let header = headers.get(AUTHORIZATION);
        let header = header.and_then(|header| header.to_str().ok());
        let Some((scheme, value)) = header.and_then(|header| header.split_once(' ')) else {
            return false;
        };
        // In constant time: the response time does not show how many bytes are right.
        let is_equal = value.as_bytes().ct_eq(self.value.as_bytes());
        scheme.eq_ignore_ascii_case(self.scheme) && bool::from(is_equal)
    }

    fn challenge(&self) -> HeaderValue {
        match self.scheme {
            "Basic" => HeaderValue::from_static("Basic realm=\"metrics\", charset=\"UTF-8\""),
            _ => HeaderValue::from_static("Bearer"),
        }
    }
}

async fn require(State(credentials): State<Credentials>, request: Request, next: Next) -> Response {
    if credentials.authorize(request.headers()) {
        return next.run(request).await;
    }
    let challenge = [(WWW_AUTHENTICATE, credentials.challenge())];
    (StatusCode::UNAUTHORIZED, challenge).into_response()
}

/// Reads a token or a password from a file, such as a mounted secret.
pub fn read_secret(file: &Path) -> io::Result<String> {
    let secret = fs::read_to_string(file)?.trim().to_owned();
    if secret.is_empty() {
        let error = format!("{} contains no secret", file.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    Ok(secret)
}
