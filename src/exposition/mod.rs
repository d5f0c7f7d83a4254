//! The metrics page: formats, negotiation and compression.

pub(crate) mod announced;
#[cfg(feature = "gzip")]
pub(crate) mod compress;
pub(crate) mod negotiate;
pub(crate) mod text;
pub(crate) mod variant;
