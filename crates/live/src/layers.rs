//! [`Layers`]: which families belong to which layer, and what their labels mean.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use tower_prometheus::model::{FamilyDescription, LabelRole, LayerDescription, LayerKind};
use tower_prometheus::snapshot::FamilySnapshot;
use tower_prometheus::{GrpcMetrics, HttpMetrics, Registry};

/// A layer, as viewers need it: a JSON object.
#[derive(Debug)]
pub(crate) struct LayerInfo(Json);

/// The layers that were announced.
#[derive(Debug)]
pub(crate) struct Layers {
    ids: Vec<String>,
    /// How many of these are of the registry itself.
    of_registry: usize,
    presets: Vec<LayerDescription>,
    families: Vec<String>,
}

impl Layers {
    pub(crate) fn new() -> Self {
        Self {
            ids: Vec::new(),
            of_registry: 0,
            presets: presets(),
            families: Vec::new(),
        }
    }

    /// Returns the layers that were built with the registry since the last call.
    pub(crate) fn new_of(&mut self, registry: &Registry) -> Vec<Arc<LayerInfo>> {
        let layers = registry.layers();
        let new = layers.get(self.of_registry..).unwrap_or_default();
        self.of_registry = layers.len();
        let infos = new.iter().filter_map(|layer| {
            let is_new = !self.has_metrics_of(layer);
            is_new.then(|| self.announce(layer, ""))
        });
        infos.collect()
    }

    /// Whether the layers before have all main metrics of a layer: it is the same layer with other constant labels, for
    /// example.
    fn has_metrics_of(&self, layer: &LayerDescription) -> bool {
        main_families(layer).all(|(_, family)| self.families.contains(&family.name))
    }

    /// Returns the layer of a new family that no layer of the registry has: a layer of another registry, which is a
    /// collector of this one, or of another crate. It is found by the names of the presets, with any prefix.
    pub(crate) fn of_foreign(&mut self, family: &FamilySnapshot<'_>) -> Option<Arc<LayerInfo>> {
        let name = family.name();
        if self.families.iter().any(|known| known == name) {
            return None;
        }
        let found = self.presets.iter().find_map(|preset| {
            let described = main_families(preset).find_map(|(_, described)| {
                let prefix = name.strip_suffix(&*described.name)?;
                let is_word = prefix.is_empty() || prefix.ends_with('_');
                (is_word && has_labels(family, described)).then_some(prefix)
            });
            Some((preset.clone(), described?.to_owned()))
        });
        let (preset, prefix) = found?;
        Some(self.announce(&preset, &prefix))
    }

    fn announce(&mut self, layer: &LayerDescription, prefix: &str) -> Arc<LayerInfo> {
        let names = layer
            .families()
            .map(|family| format!("{prefix}{}", family.name));
        self.families.extend(names);
        let id = self.id(layer, prefix);
        let info = Arc::new(LayerInfo::new(&id, layer, prefix));
        self.ids.push(id);
        info
    }

    /// The words that the names of the main families start with, such as `http`. If there are none, or another layer
    /// has them, the name of the first family, with a number if another layer has that.
    fn id(&self, layer: &LayerDescription, prefix: &str) -> String {
        let names = main_families(layer).map(|(_, family)| format!("{prefix}{}", family.name));
        let names: Vec<_> = names.collect();
        let first = names.first().map_or("", String::as_str);
        let is_common = |end: &usize| {
            let start = first.get(..=*end);
            names.iter().all(|name| name.get(..=*end) == start)
        };
        let mut words = first.rmatch_indices('_').map(|(end, _)| end);
        let common = words.find(is_common).map(|end| &first[..end]);
        let numbered = (2_u64..).map(|n| format!("{first}_{n}"));
        let mut ids = common
            .into_iter()
            .chain([first])
            .map(str::to_owned)
            .chain(numbered);
        let id = ids.find(|id| !self.ids.contains(id));
        id.unwrap_or_default()
    }
}

impl LayerInfo {
    fn new(id: &str, layer: &LayerDescription, prefix: &str) -> Self {
        let name = |family: &FamilyDescription| format!("{prefix}{}", family.name);
        let families: Map<_, _> = main_families(layer)
            .map(|(role, family)| (role.to_owned(), name(family).into()))
            .collect();
        let label = |role: LabelRole| {
            let mut families = layer.families();
            families.find_map(|family| Some(family.label_with_role(role)?.name.clone()))
        };
        Self(json!({
            "id": id,
            "isGrpc": matches!(layer.kind, LayerKind::GrpcServer | LayerKind::GrpcClient),
            "isClient": matches!(layer.kind, LayerKind::HttpClient | LayerKind::GrpcClient),
            "families": families,
            "others": layer.others.iter().map(name).collect::<Vec<_>>(),
            "endpoint": label(LabelRole::Endpoint).or(label(LabelRole::GrpcMethod)),
            "method": label(LabelRole::Method),
            "service": label(LabelRole::GrpcService),
            "status": label(LabelRole::Status).or(label(LabelRole::GrpcCode)),
            "errorType": label(LabelRole::ErrorType),
        }))
    }

    pub(crate) fn write(&self, line: &mut String) {
        line.push_str(&self.0.to_string());
    }
}

/// The metrics that the page has charts for, with their names in the protocol.
fn main_families(
    layer: &LayerDescription,
) -> impl Iterator<Item = (&'static str, &FamilyDescription)> {
    let requests = layer.requests.iter().map(|family| ("requests", family));
    let durations = layer.durations.iter().map(|family| ("durations", family));
    let in_progress = layer.in_progress.iter();
    requests
        .chain(durations)
        .chain(in_progress.map(|family| ("inProgress", family)))
}

fn has_labels(family: &FamilySnapshot<'_>, described: &FamilyDescription) -> bool {
    let Some(series) = family.series().next() else {
        return false;
    };
    let mut expected = described.labels.iter();
    expected.all(|label| series.labels().any(|(name, _)| name == label.name))
}

/// The layers with the default names. The names of a preset that starts with a word more come first: `axum_http_…`
/// is also `http_…` with a prefix.
fn presets() -> Vec<LayerDescription> {
    let http = [
        HttpMetrics::axum_prometheus(),
        HttpMetrics::server(),
        HttpMetrics::open_telemetry(),
        HttpMetrics::open_telemetry_client(),
        HttpMetrics::client(),
    ];
    let grpc = [
        GrpcMetrics::server(),
        GrpcMetrics::client(),
        GrpcMetrics::open_telemetry_server(),
        GrpcMetrics::open_telemetry_client(),
    ];
    let http = http.iter().map(HttpMetrics::description);
    let grpc = grpc.iter().map(GrpcMetrics::description);
    // None is an error: presets are valid.
    http.chain(grpc).filter_map(Result::ok).collect()
}
