//! [`LayerDescription`]: the definition of a layer as data.

use crate::error::Error;
use crate::model::description::FamilyDescription;

/// The definition of a layer: which metrics it exports, and under which names.
///
/// [`Registry::layers`](crate::Registry::layers) returns those of a registry. Names of metrics and labels can be
/// configured: find a metric by its field, and a label by its [role](FamilyDescription::label_with_role).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerDescription {
    /// The kind of the layer.
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

/// The kind of a layer: its protocol and its side.
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
    /// Describes a layer that has the metrics `all`. `main` are those of requests, durations and requests in progress;
    /// `describe` returns `None` for a metric that is off.
    pub(crate) fn new<M: Copy + PartialEq>(
        kind: LayerKind,
        all: &[M],
        main: [M; 3],
        overflow: FamilyDescription,
        describe: impl Fn(M) -> Result<Option<FamilyDescription>, Error>,
    ) -> Result<Self, Error> {
        let mut others = Vec::new();
        for metric in all.iter().filter(|metric| !main.contains(metric)) {
            others.extend(describe(*metric)?);
        }
        others.push(overflow);
        let [requests, durations, in_progress] = main.map(describe);
        Ok(Self {
            kind,
            requests: requests?,
            durations: durations?,
            in_progress: in_progress?,
            others,
        })
    }

    /// Changes the description of each metric.
    pub(crate) fn map_families(
        self,
        change: impl Fn(FamilyDescription) -> FamilyDescription,
    ) -> Self {
        Self {
            kind: self.kind,
            requests: self.requests.map(&change),
            durations: self.durations.map(&change),
            in_progress: self.in_progress.map(&change),
            others: self.others.into_iter().map(change).collect(),
        }
    }

    /// Returns all metrics of the layer.
    pub fn families(&self) -> impl Iterator<Item = &FamilyDescription> {
        let main = [&self.requests, &self.durations, &self.in_progress];
        main.into_iter().flatten().chain(&self.others)
    }
}
