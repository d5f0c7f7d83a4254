//! [`LayerDescription`]: the definition of a layer as data.

use crate::model::description::FamilyDescription;

/// The definition of a layer: which metrics it exports, and under which names.
///
/// [`Registry::layers`](crate::Registry::layers) returns those of a registry. Names of metrics and labels can be
/// configured: find a metric by its field, and a label by its [role](FamilyDescription::label_with_role).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerDescription {
    /// What the layer measures.
    pub kind: LayerKind,
    /// The counter of all requests or calls that ended; `None` if it is off.
    pub requests: Option<FamilyDescription>,
    /// The histogram of durations from the start to the end; `None` if it is off.
    pub durations: Option<FamilyDescription>,
    /// The gauge of requests or calls in progress; `None` if it is off.
    pub in_progress: Option<FamilyDescription>,
    /// All other metrics.
    pub others: Vec<FamilyDescription>,
}

/// What a layer measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LayerKind {
    /// Requests that a server receives.
    HttpServer,
    /// Requests that a client sends.
    HttpClient,
    /// gRPC calls that a server receives.
    GrpcServer,
    /// gRPC calls that a client makes.
    GrpcClient,
}

impl LayerDescription {
    /// Returns all metrics of the layer.
    pub fn families(&self) -> impl Iterator<Item = &FamilyDescription> {
        let main = [&self.requests, &self.durations, &self.in_progress];
        main.into_iter().flatten().chain(&self.others)
    }
}
