//! Gzip compression, a slice at a time.

use std::fmt;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// The compression level of zlib-rs. Compared to level 1, level 2 takes a third more time, and the output has
/// two thirds of the size.
const LEVEL: u32 = 2;

pub(crate) struct Compressor {
    encoder: GzEncoder<Vec<u8>>,
}

impl Compressor {
    pub(crate) fn new() -> Self {
        let encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
        Self { encoder }
    }

    /// Compresses a slice of the page and returns the output that is ready.
    pub(crate) fn push(&mut self, slice: &[u8]) -> Vec<u8> {
        // Writing into a vector cannot fail.
        let _ = self.encoder.write_all(slice);
        std::mem::take(self.encoder.get_mut())
    }

    /// Ends the stream and returns the rest of the output.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let _ = self.encoder.try_finish();
        std::mem::take(self.encoder.get_mut())
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}
