//! [`Token`]: the bearer token that clients must send, and the middleware that asks for it.

use std::env;
use std::error::Error;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

/// A bearer token.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// Creates a token. It must not be empty.
    pub fn new(token: &str) -> Result<Self, Box<dyn Error>> {
        match token {
            "" => Err("the token must not be empty".into()),
            token => Ok(Self(token.into())),
        }
    }

    /// Reads the token from an environment variable.
    pub fn from_env(variable: &str) -> Result<Self, Box<dyn Error>> {
        let token = env::var(variable).map_err(|error| format!("{variable}: {error}"))?;
        Self::new(&token).map_err(|error| format!("{variable}: {error}").into())
    }

    fn authorizes(&self, headers: &HeaderMap) -> bool {
        let authorization = headers.get(header::AUTHORIZATION);
        let credentials = authorization
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .map_or("", |(_, token)| token);
        // In constant time: how long it takes does not show how many bytes are right.
        self.0.as_bytes().ct_eq(credentials.as_bytes()).into()
    }
}

/// Responds with 401 to requests without the token.
///
/// For axum's `from_fn_with_state`, on the routes that need the token. A metrics layer outside of it counts the 401.
pub async fn require(State(token): State<Token>, request: Request, next: Next) -> Response {
    if token.authorizes(request.headers()) {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, "needs a token\n").into_response()
}
