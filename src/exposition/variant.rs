//! [`VariantWriter`]: writes one metrics page in one format and encoding, a slice at a time.

use std::sync::Arc;

use bytes::Bytes;

use crate::budget::Budget;
use crate::collect::checked::CheckedFamily;
#[cfg(feature = "gzip")]
use crate::exposition::compress::Compressor;
#[cfg(feature = "gzip")]
use crate::exposition::negotiate::Encoding;
use crate::exposition::negotiate::{Format, Variant};
use crate::exposition::protobuf::ProtobufWriter;
use crate::exposition::text::{CollectedWriter, TextWriter};
use crate::registry::Registry;
use crate::registry::expiry::pages::Purpose;
use crate::registry::snapshot::Snapshot;

/// The content of a metrics page.
pub(crate) enum PageContent {
    Snapshot(Snapshot),
    /// A page rendered by other code, with the samples of collectors after it.
    Rendered(Bytes, Vec<Arc<CheckedFamily>>),
}

pub(crate) struct VariantWriter {
    content: VariantContent,
    #[cfg(feature = "gzip")]
    compressor: Option<Compressor>,
}

enum VariantContent {
    Text(TextWriter),
    Protobuf(ProtobufWriter),
    Rendered(Bytes, CollectedWriter),
}

impl VariantWriter {
    /// The budget of one slice in approximate nanoseconds. It produces about 64 KiB of text.
    const SLICE: usize = 12_000;

    pub(crate) fn new(variant: Variant, content: PageContent) -> Self {
        Self {
            content: match content {
                PageContent::Snapshot(snapshot) => match variant.format {
                    Format::Protobuf(scheme) => {
                        VariantContent::Protobuf(ProtobufWriter::new(snapshot, scheme))
                    }
                    format => VariantContent::Text(TextWriter::new(snapshot, format)),
                },
                PageContent::Rendered(text, collected) => {
                    VariantContent::Rendered(text, CollectedWriter::new(collected))
                }
            },
            #[cfg(feature = "gzip")]
            compressor: (variant.encoding == Encoding::Gzip).then(Compressor::new),
        }
    }

    /// Returns the next slice, which can be empty, and whether it is the last.
    pub(crate) fn advance(&mut self, budget: &mut Budget) -> (Bytes, bool) {
        let (slice, last) = self.content.advance(Self::SLICE);
        budget.spend(Self::SLICE);
        #[cfg(feature = "gzip")]
        if let Some(compressor) = &mut self.compressor {
            // Compression takes about a nanosecond per byte.
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

impl VariantContent {
    /// The capacity of a slice in bytes: a little more than the text that the budget of one slice produces.
    const SLICE: usize = 96 * 1024;

    fn advance(&mut self, work: usize) -> (Bytes, bool) {
        let mut slice = Vec::new();
        let last = match self {
            Self::Rendered(text, _) if !text.is_empty() => {
                return (text.split_to(text.len().min(Self::SLICE)), false);
            }
            Self::Protobuf(writer) => return writer.advance(&mut Budget::of(work)),
            Self::Text(writer) => {
                slice.reserve_exact(Self::SLICE);
                writer.advance(&mut slice, &mut Budget::of(work))
            }
            Self::Rendered(_, collected) => collected.advance(&mut slice, &mut Budget::of(work)),
        };
        (slice.into(), last)
    }
}

impl Registry {
    /// Returns the metrics page in the text format 0.0.4, to write it to a file or use it in a test.
    ///
    /// To serve the page, use [`handler`](Self::handler). `render` is synchronous: it does not yield while a large
    /// registry is rendered, and metrics of collectors are not included. To read them, use
    /// [`gather`](Self::gather).
    ///
    /// ```
    /// # let registry = tower_prometheus::Registry::new();
    /// # metrics::with_local_recorder(&registry, || {
    /// metrics::counter!("orders_total").increment(3);
    /// # });
    /// assert_eq!(registry.render(), "# TYPE orders_total counter\norders_total 3\n");
    /// ```
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = Vec::new();
        let snapshot = self.snapshot_now(Purpose::Page);
        let mut writer = TextWriter::new(snapshot.clone(), Format::Text);
        writer.advance(&mut page, &mut Budget::unlimited());
        snapshot.values.complete();
        // The page consists of strings, so it is valid UTF-8. The conversion neither copies nor fails.
        String::from_utf8(page).unwrap_or_default()
    }
}
