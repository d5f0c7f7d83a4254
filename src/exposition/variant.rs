//! [`VariantWriter`]: one page in one format and encoding, slice by slice.

use std::sync::Arc;

use bytes::Bytes;

#[cfg(feature = "gzip")]
use super::{Compressor, Encoding};
use super::{ReadyFamilies, Variant, Writer};
use crate::budget::Budget;
use crate::registry::{Registry, Snapshot};

/// What a page is made of.
#[derive(Clone)]
pub(crate) enum PageText {
    Registry(Arc<Snapshot>),
    /// A page that someone else has rendered.
    #[cfg(feature = "exporter")]
    Rendered(Bytes),
}

#[cfg(feature = "collect")]
impl PageText {
    /// The names of samples that a rendered page has; a registry tells its own.
    pub(crate) fn sample_names(&self) -> std::collections::HashSet<String> {
        match self {
            Self::Registry(_) => std::collections::HashSet::new(),
            #[cfg(feature = "exporter")]
            Self::Rendered(text) => {
                let text = String::from_utf8_lossy(text);
                let families = text.lines().filter_map(|line| {
                    let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
                    Some((name, matches!(kind, "histogram" | "summary")))
                });
                let names = families.flat_map(|(name, has_parts)| {
                    const PARTS: [&str; 4] = ["", "_bucket", "_sum", "_count"];
                    let parts = &PARTS[..if has_parts { PARTS.len() } else { 1 }];
                    parts.iter().map(move |part| format!("{name}{part}"))
                });
                names.collect()
            }
        }
    }
}

pub(crate) struct VariantWriter {
    text: Text,
    #[cfg(feature = "gzip")]
    compressor: Option<Compressor>,
}

enum Text {
    Writer(Writer),
    #[cfg(feature = "exporter")]
    Rendered(Bytes, ReadyFamilies),
}

impl VariantWriter {
    /// Work, and so text, for one slice: about 64 KiB.
    const SLICE: usize = 12_000;

    pub(crate) fn new(variant: Variant, text: PageText, ready: ReadyFamilies) -> Self {
        Self {
            text: match text {
                PageText::Registry(snapshot) => {
                    Text::Writer(Writer::new(snapshot, variant.format, ready))
                }
                #[cfg(feature = "exporter")]
                PageText::Rendered(text) => Text::Rendered(text, ready),
            },
            #[cfg(feature = "gzip")]
            compressor: (variant.encoding == Encoding::Gzip).then(Compressor::new),
        }
    }

    /// The next slice, which may be empty, and whether it is the last.
    pub(crate) fn advance(&mut self, budget: &mut Budget) -> (Bytes, bool) {
        let (slice, last) = self.text.advance(Self::SLICE);
        budget.spend(Self::SLICE);
        #[cfg(feature = "gzip")]
        if let Some(compressor) = &mut self.compressor {
            // About a nanosecond a byte.
            budget.spend(slice.len());
            let mut compressed = compressor.push(&slice);
            if last {
                compressed.extend(compressor.finish());
            }
            return (compressed.into(), last);
        }
        (slice, last)
    }
}

impl Text {
    /// A little more than what is written for one slice's work.
    const SLICE: usize = 96 * 1024;

    fn advance(&mut self, work: usize) -> (Bytes, bool) {
        match self {
            Self::Writer(writer) => {
                let mut slice = Vec::with_capacity(Self::SLICE);
                let last = writer.advance(&mut slice, &mut Budget::of(work));
                (slice.into(), last)
            }
            #[cfg(feature = "exporter")]
            Self::Rendered(text, ready) => {
                if text.is_empty() {
                    let mut rest = Vec::new();
                    ready.write_rest(&mut rest);
                    return (rest.into(), true);
                }
                (text.split_to(text.len().min(Self::SLICE)), false)
            }
        }
    }
}

impl Registry {
    /// The page as text 0.0.4, at once: for a file, a test or a push.
    #[must_use]
    pub fn render(&self) -> String {
        let snapshot = Arc::new(Snapshot::now(self));
        let mut page = Vec::new();
        Writer::new(snapshot, super::Format::Text, ReadyFamilies::default())
            .advance(&mut page, &mut Budget::unlimited());
        // It is made of strings: neither looked for what is none, nor copied.
        String::from_utf8(page).unwrap_or_default()
    }
}
