//! [`Naming`]: what the families and labels of a layer are called.

/// The names of a layer's families and labels.
///
/// ```
/// use tower_prometheus::{HttpMetrics, Naming, Registry};
///
/// let naming = Naming::classic().requests("hits_total").endpoint_label("route");
/// let layer = HttpMetrics::server().naming(naming).layer(Registry::new())?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// Names are checked when the layer is built. They do not include the layer's
/// [prefix](crate::HttpMetrics::prefix).
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a naming does nothing until a layer uses it"]
pub struct Naming {
    pub(crate) requests: String,
    pub(crate) duration: String,
    pub(crate) in_progress: String,
    pub(crate) aborted: String,
    pub(crate) connections: String,
    pub(crate) method: String,
    pub(crate) endpoint: String,
    pub(crate) status: String,
}

impl Naming {
    /// `http_requests_total{method,endpoint,status}` and its companions: the default.
    pub fn classic() -> Self {
        Self {
            requests: "http_requests_total".to_owned(),
            duration: "http_request_duration_seconds".to_owned(),
            in_progress: "http_requests_in_progress".to_owned(),
            aborted: "http_response_bodies_aborted_total".to_owned(),
            connections: "http_connections_open".to_owned(),
            method: "method".to_owned(),
            endpoint: "endpoint".to_owned(),
            status: "status".to_owned(),
        }
    }

    /// Instead of `http_requests_total`.
    pub fn requests(mut self, name: impl Into<String>) -> Self {
        self.requests = name.into();
        self
    }

    /// Instead of `http_request_duration_seconds`.
    pub fn duration(mut self, name: impl Into<String>) -> Self {
        self.duration = name.into();
        self
    }

    /// Instead of `http_requests_in_progress`.
    pub fn in_progress(mut self, name: impl Into<String>) -> Self {
        self.in_progress = name.into();
        self
    }

    /// Instead of `http_response_bodies_aborted_total`.
    pub fn aborted_bodies(mut self, name: impl Into<String>) -> Self {
        self.aborted = name.into();
        self
    }

    /// Instead of `http_connections_open`.
    pub fn open_connections(mut self, name: impl Into<String>) -> Self {
        self.connections = name.into();
        self
    }

    /// Instead of `method`.
    pub fn method_label(mut self, name: impl Into<String>) -> Self {
        self.method = name.into();
        self
    }

    /// Instead of `endpoint`.
    pub fn endpoint_label(mut self, name: impl Into<String>) -> Self {
        self.endpoint = name.into();
        self
    }

    /// Instead of `status`.
    pub fn status_label(mut self, name: impl Into<String>) -> Self {
        self.status = name.into();
        self
    }
}
