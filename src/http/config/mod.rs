//! The configuration of an HTTP layer, checked before the layer is built.

mod checks;
mod closure;
pub(crate) mod endpoint_source;
pub(crate) mod families;
pub(crate) mod http_label;
pub(crate) mod http_metric;
pub(crate) mod http_metrics;
pub(crate) mod kept_parameter;
pub(crate) mod naming;
mod preset_labels;
mod presets;
pub(crate) mod settings;
pub(crate) mod standard_label;
