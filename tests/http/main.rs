//! The HTTP layer and the metrics page, by direct calls of services. Over sockets: `tests/integration/tests/http`.

mod cardinality;
mod configuration;
mod endpoint_from_response;
mod exemplars;
mod known_bugs_of_other_crates;
mod labels;
mod metrics_page;
mod negotiation;
mod open_connections;
mod other_recorders;
mod presets;
mod repeated_requests;
mod request_ends;
mod routes;
mod scrapes;
mod trait_bounds;
