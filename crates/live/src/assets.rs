//! [`Asset`]: a file of the page.

use std::sync::OnceLock;

use bytes::Bytes;

/// A file of the page.
#[derive(Debug)]
pub(crate) struct Asset {
    name: &'static str,
    pub(crate) media_type: &'static str,
    text: &'static str,
    gzip: OnceLock<Option<Bytes>>,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! assets {
    ($($name:literal: $media_type:expr,)*) => {
        [$(Asset {
            name: $name,
            media_type: $media_type,
            text: include_str!(concat!("../page/", $name)),
            gzip: OnceLock::new(),
        },)*]
    };
}

static ASSETS: [Asset; 26] = assets! {
    "index.html": "text/html; charset=utf-8",
    "live.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "app.js": SCRIPT,
    "card.js": SCRIPT,
    "charts.js": SCRIPT,
    "colors.js": SCRIPT,
    "dom.js": SCRIPT,
    "endpoint.js": SCRIPT,
    "export.js": SCRIPT,
    "format.js": SCRIPT,
    "layers.js": SCRIPT,
    "metrics.js": SCRIPT,
    "native.js": SCRIPT,
    "notices.js": SCRIPT,
    "overview.js": SCRIPT,
    "plot.js": SCRIPT,
    "process.js": SCRIPT,
    "promql.js": SCRIPT,
    "query.js": SCRIPT,
    "start.js": SCRIPT,
    "storage.js": SCRIPT,
    "store.js": SCRIPT,
    "stream.js": SCRIPT,
    "table.js": SCRIPT,
    "view.js": SCRIPT,
};

/// The name of the file that any other path gets.
pub(crate) const INDEX: &str = "index.html";

impl Asset {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        ASSETS.iter().find(|asset| asset.name == name)
    }

    pub(crate) fn plain(&self) -> Bytes {
        Bytes::from_static(self.text.as_bytes())
    }

    /// Returns the compressed file; `None` without the feature `gzip`. The first call compresses it.
    pub(crate) fn gzip(&self) -> Option<Bytes> {
        let gzip = self.gzip.get_or_init(|| gzip(self.text.as_bytes()));
        gzip.clone()
    }
}

#[cfg(feature = "gzip")]
fn gzip(plain: &[u8]) -> Option<Bytes> {
    use std::io::Write as _;

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(not(feature = "gzip"))]
fn gzip(_: &[u8]) -> Option<Bytes> {
    None
}

#[cfg(test)]
mod tests {
    use super::{ASSETS, Asset};

    #[test]
    #[cfg(feature = "gzip")]
    fn all_files_of_the_page_are_under_60_kb_compressed() {
        let sizes = ASSETS.iter().filter_map(Asset::gzip);
        let total: usize = sizes.map(|gzip| gzip.len()).sum();
        assert!((1..60_000).contains(&total), "{total} bytes");
    }
}
