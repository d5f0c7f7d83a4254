//! The page: what a snapshot looks like in each format, which one a scraper asked for, and gzip.

#[cfg(feature = "gzip")]
mod compress;
mod negotiate;
mod text;
mod variant;

#[cfg(feature = "gzip")]
use self::compress::Compressor;
use self::text::Writer;
pub(crate) use self::{
    negotiate::{Encoding, Format, Variant},
    text::push_float,
    variant::{PageText, VariantWriter},
};
