//! Content negotiation: the format and the encoding of a metrics page.

use crate::model::numbers::WholeNumbers;
use http::header::ACCEPT;
#[cfg(feature = "gzip")]
use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderValue};
use mediatype::{MediaType, MediaTypeList, Name, ReadParams};

/// The exposition format of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    OpenMetrics1,
    OpenMetrics0,
}

/// The content encoding of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    #[cfg(feature = "gzip")]
    Gzip,
}

/// The format and the encoding of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) format: Format,
    pub(crate) encoding: Encoding,
}

impl Format {
    /// All formats. If the scraper prefers several of them equally, the first one is used.
    const ALL: [Self; 3] = [Self::Text, Self::OpenMetrics1, Self::OpenMetrics0];

    pub(crate) fn is_open_metrics(self) -> bool {
        self != Self::Text
    }

    pub(crate) fn whole_numbers(self) -> WholeNumbers {
        match self.is_open_metrics() {
            true => WholeNumbers::WithPoint,
            false => WholeNumbers::Plain,
        }
    }

    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics1 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::OpenMetrics0 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
        })
    }

    fn version(self) -> &'static str {
        match self {
            Self::Text => "0.0.4",
            Self::OpenMetrics1 => "1.0.0",
            Self::OpenMetrics0 => "0.0.1",
        }
    }

    fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("text", "plain"),
            _ => ("application", "openmetrics-text"),
        }
    }

    /// Returns the format that the `Accept` headers prefer; several headers count as one. If no format is
    /// acceptable, returns text 0.0.4, because a page is more useful in a browser than a 406.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Self {
        let ranges: Vec<Range<'_>> = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(MediaTypeList::new)
            .enumerate()
            .filter_map(|(position, range)| Range::new(position, range.ok()?))
            .collect();
        let mut best = (Self::Text, Preference::NONE);
        for format in Self::ALL {
            let matching = ranges.iter().filter_map(|range| range.matches(format));
            // The most specific range that matches a format decides its quality.
            let preference = matching.max_by_key(|(specificity, _)| *specificity);
            if let Some((_, preference)) = preference
                && preference.is_above(&best.1)
            {
                best = (format, preference);
            }
        }
        best.0
    }
}

/// A media range of an `Accept` header.
struct Range<'a> {
    media: MediaType<'a>,
    /// In thousandths.
    quality: u16,
    position: usize,
}

/// The preference of a scraper for a format: by quality, then by position in the header. Wildcards come
/// last, because they do not name the format.
struct Preference {
    quality: u16,
    position: usize,
}

impl Preference {
    const NONE: Self = Self {
        quality: 0,
        position: 0,
    };

    fn is_above(&self, other: &Self) -> bool {
        (self.quality, other.position) > (other.quality, self.position)
    }
}

impl<'a> Range<'a> {
    fn new(position: usize, media: MediaType<'a>) -> Option<Self> {
        let quality = match media.get_param(Q) {
            Some(q) => quality(q.as_str())?,
            None => 1000,
        };
        Some(Self {
            media,
            quality,
            position,
        })
    }

    /// Returns how specifically this range matches a format, from 0 for `*/*` to 3 for the exact version, and the
    /// preference of the range; `None` if it does not match.
    fn matches(&self, format: Format) -> Option<(u8, Preference)> {
        let (ty, subty) = format.media_type();
        let range = (self.media.ty.as_str(), self.media.subty.as_str());
        let version = self.media.get_param(VERSION);
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        let specificity = match range {
            ("*", "*") => 0,
            (t, "*") if same(t, ty) => 1,
            (t, s) if same(t, ty) && same(s, subty) => match version {
                None => 2,
                Some(v) if v.unquoted_str() == format.version() => 3,
                Some(_) => return None,
            },
            _ => return None,
        };
        let wildcard = specificity < 2;
        let position = if wildcard { usize::MAX } else { self.position };
        let quality = self.quality;
        Some((specificity, Preference { quality, position }))
    }
}

const Q: Name<'static> = Name::new_unchecked("q");
const VERSION: Name<'static> = Name::new_unchecked("version");

impl Encoding {
    /// Returns the encoding that the `Accept-Encoding` headers prefer.
    ///
    /// If gzip is accepted, it is used in two cases:
    ///
    /// - `identity` is refused
    /// - `is_worth_compressing` is true, and gzip has at least the quality of `identity`
    #[cfg(feature = "gzip")]
    pub(crate) fn negotiate(headers: &HeaderMap, is_worth_compressing: bool) -> Self {
        let accepted: Vec<(String, u16)> = headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(encoding)
            .collect();
        let named = |wanted: &str| {
            let found = accepted.iter().find(|(name, _)| name == wanted);
            found.map(|(_, quality)| *quality)
        };
        let any = named("*");
        let gzip = named("gzip").or(named("x-gzip")).or(any).unwrap_or(0);
        // `identity` is acceptable unless it is refused. If it is not named, gzip is preferred to it.
        let identity = named("identity").or(any.filter(|quality| *quality == 0));
        let only_gzip = identity == Some(0);
        if gzip > 0 && (only_gzip || (is_worth_compressing && gzip >= identity.unwrap_or(0))) {
            Self::Gzip
        } else {
            Self::Identity
        }
    }

    #[cfg(not(feature = "gzip"))]
    pub(crate) fn negotiate(_: &HeaderMap, _: bool) -> Self {
        Self::Identity
    }

    pub(crate) fn content_encoding(self) -> Option<HeaderValue> {
        match self {
            Self::Identity => None,
            #[cfg(feature = "gzip")]
            Self::Gzip => Some(HeaderValue::from_static("gzip")),
        }
    }
}

/// Parses one entry of an `Accept-Encoding` header.
#[cfg(feature = "gzip")]
fn encoding(part: &str) -> Option<(String, u16)> {
    let mut parts = part.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let mut q = parts.filter_map(|parameter| parameter.split_once('='));
    let q = q.find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let quality = q.map_or(Some(1000), |(_, value)| quality(value.trim()))?;
    Some((name, quality))
}

/// Parses a quality from 0 to 1, in thousandths; `None` if it is invalid.
fn quality(text: &str) -> Option<u16> {
    let quality: f32 = text.parse().ok()?;
    (0.0..=1.0)
        .contains(&quality)
        .then(|| (quality * 1000.0).round() as u16)
}
