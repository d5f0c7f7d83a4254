//! The page: what a snapshot looks like in each format, which one a scraper asked for, and gzip.

mod announced;
#[cfg(feature = "gzip")]
mod compress;
mod negotiate;
mod ready;
mod text;
mod variant;

#[cfg(feature = "gzip")]
use self::compress::Compressor;
use self::text::Writer;
#[cfg(feature = "collect")]
pub(crate) use self::text::{push_about, push_count};
pub(crate) use self::{
    announced::announced,
    negotiate::{Encoding, Format, Variant},
    ready::{ReadyFamilies, ReadyFamily},
    text::push_float,
    variant::{PageText, VariantWriter},
};
