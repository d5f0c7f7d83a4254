//! The metrics page: formats, negotiation and compression.

#[cfg(feature = "gzip")]
pub(crate) mod compress;
pub(crate) mod escaping;
pub(crate) mod family_writer;
pub(crate) mod negotiate;
pub(crate) mod protobuf;
pub(crate) mod text;
pub(crate) mod type_line;
pub(crate) mod variant;
pub(crate) mod wire;
