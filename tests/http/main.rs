//! The layer and the metrics page over HTTP, by direct calls. Over sockets: `tests/integration/tests/http`.

mod again;
mod bounds;
mod cardinality;
mod configuration;
mod edges;
mod ends;
mod exemplars;
mod labels;
mod mistakes_of_others;
mod namings;
mod negotiation;
mod page;
mod routes;
mod scrapes;
