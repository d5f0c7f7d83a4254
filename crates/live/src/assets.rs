//! [`Assets`]: the files of the page.

use bytes::Bytes;

/// A file of the page, as it is in `page/`.
struct SourceFile {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! source_files {
    ($($name:literal: $media_type:expr,)*) => {
        &[$(SourceFile {
            name: $name,
            media_type: $media_type,
            text: include_str!(concat!("../page/", $name)),
        },)*]
    };
}

const SOURCES: &[SourceFile] = source_files! {
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
    "notices.js": SCRIPT,
    "overview.js": SCRIPT,
    "plot.js": SCRIPT,
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

/// A file with its compressed form.
#[derive(Debug)]
pub(crate) struct Asset {
    name: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) plain: Bytes,
    /// `None` without the feature `gzip`.
    pub(crate) gzip: Option<Bytes>,
}

/// All files of the page, compressed once.
#[derive(Debug)]
pub(crate) struct Assets(Vec<Asset>);

impl Assets {
    pub(crate) fn load() -> Self {
        let assets = SOURCES.iter().map(|file| Asset {
            name: file.name,
            media_type: file.media_type,
            plain: Bytes::from_static(file.text.as_bytes()),
            gzip: gzip(file.text.as_bytes()),
        });
        Self(assets.collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Asset> {
        self.0.iter().find(|asset| asset.name == name)
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
    use super::Assets;

    #[test]
    #[cfg(feature = "gzip")]
    fn all_files_of_the_page_are_under_60_kb_compressed() {
        let sizes = Assets::load().0;
        let sizes = sizes.iter().filter_map(|asset| asset.gzip.as_ref());
        let total: usize = sizes.map(bytes::Bytes::len).sum();
        assert!((1..60_000).contains(&total), "{total} bytes");
    }
}
