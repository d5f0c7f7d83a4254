//! The same axum router with each of the layers.

use axum::Router;
use axum::routing::get;

use crate::layers::Peer;

pub const PATH: &str = "/users/7";

/// A router under measurement.
pub struct Subject {
    pub name: &'static str,
    /// A router for each thread, because clones of one router share the reference count of axum's `MatchedPath`.
    pub routers: [Router; 2],
    peer: Option<Peer>,
}

impl Subject {
    /// A router without a layer.
    pub fn bare() -> Self {
        Self {
            name: "bare router",
            routers: [router(|router| router), router(|router| router)],
            peer: None,
        }
    }

    pub fn layered(peer: Peer) -> Self {
        Self {
            name: peer.name,
            routers: [router(|r| peer.on_router(r)), router(|r| peer.on_router(r))],
            peer: Some(peer),
        }
    }

    /// Asserts that the layer counted every request, if it counts them.
    pub fn check(&self, requests: u64) {
        if let Some(counted) = self.counted() {
            assert_eq!(counted, requests, "{}", self.name);
        }
    }

    /// Returns the number of requests that the layer has counted, if it counts them.
    pub fn counted(&self) -> Option<u64> {
        let peer = self.peer.as_ref()?;
        Some(peer.samples().sum(peer.names.requests) as u64)
    }
}

fn router(layered: impl Fn(Router) -> Router) -> Router {
    // Without `with_state`, axum would build the router for each request.
    layered(Router::new().route("/users/{id}", get(async || "hello"))).with_state(())
}
