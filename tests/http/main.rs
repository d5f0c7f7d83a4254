//! The layer and the metrics page over HTTP, by direct calls. Over sockets: `tests/integration/tests/http`.

mod again;
mod bounds;
mod cardinality;
mod configuration;
mod edges;
mod ends;
mod exemplars;
mod known_bugs_of_other_crates;
mod labels;
mod namings;
mod negotiation;
mod page;
mod routes;
mod scrapes;
