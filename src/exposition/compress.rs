//! Gzip, a slice at a time.

use std::fmt;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Level 2 of zlib-rs: two thirds of level 1's size for a third more time.
const LEVEL: u32 = 2;

pub(crate) struct Compressor {
    encoder: GzEncoder<Vec<u8>>,
}

impl Compressor {
    pub(crate) fn new() -> Self {
        let encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
        Self { encoder }
    }

    /// Takes in a slice of the page; gives out what is ready.
    pub(crate) fn push(&mut self, slice: &[u8]) -> Vec<u8> {
        // Writing into a vector cannot fail.
        let _ = self.encoder.write_all(slice);
        std::mem::take(self.encoder.get_mut())
    }

    /// The end of the stream.
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
