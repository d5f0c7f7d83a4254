//! The HTTP layer and the metrics page, by direct calls of services. Over sockets: `tests/integration/tests/http`.

mod cardinality;
mod configuration;
mod endpoint_from_response;
mod endpoint_sources;
mod error_kinds;
mod exemplars;
mod expiry;
mod known_bugs_of_other_crates;
mod labels;
mod late_recorder;
mod metrics_page;
mod negotiation;
mod open_connections;
mod optional_metrics;
mod other_recorders;
mod presets;
mod repeated_requests;
mod request_ends;
mod routes;
mod scrapes;
mod standard_labels;
mod trait_bounds;
