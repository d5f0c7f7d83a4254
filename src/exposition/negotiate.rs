//! Content negotiation: the format and the encoding of a metrics page.

use crate::exposition::escaping::EscapingScheme;
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
    /// Prometheus' text format 1.0.0.
    Text1(EscapingScheme),
    /// With the scheme that the scraper names.
    OpenMetrics1(Option<EscapingScheme>),
    OpenMetrics0,
    /// Delimited messages of the type `io.prometheus.client.MetricFamily`.
    /// With the scheme that the scraper names.
    Protobuf(Option<EscapingScheme>),
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
    const ALL: [Self; 5] = [
        Self::Text,
        Self::OpenMetrics1(None),
        Self::OpenMetrics0,
        Self::Text1(EscapingScheme::Underscores),
        Self::Protobuf(None),
    ];

    pub(crate) fn is_open_metrics(self) -> bool {
        matches!(self, Self::OpenMetrics1(_) | Self::OpenMetrics0)
    }

    pub(crate) fn whole_numbers(self) -> WholeNumbers {
        match self.is_open_metrics() {
            true => WholeNumbers::WithPoint,
            false => WholeNumbers::Plain,
        }
    }

    /// The scheme that the scraper names.
    pub(crate) fn escaping(self) -> Option<EscapingScheme> {
        match self {
            Self::Text1(scheme) => Some(scheme),
            Self::OpenMetrics1(scheme) | Self::Protobuf(scheme) => scheme,
            Self::Text | Self::OpenMetrics0 => None,
        }
    }

    pub(crate) fn content_type(self) -> HeaderValue {
        let without_scheme = match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::Text1(_) => "text/plain; version=1.0.0; charset=utf-8",
            Self::OpenMetrics1(_) => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::OpenMetrics0 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Self::Protobuf(_) => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        };
        let with_scheme = self.escaping().and_then(|scheme| {
            HeaderValue::try_from(format!("{without_scheme}; escaping={}", scheme.name())).ok()
        });
        with_scheme.unwrap_or(HeaderValue::from_static(without_scheme))
    }

    fn as_wanted_by(self, range: &Range<'_>) -> Self {
        let named = range.media.get_param(ESCAPING);
        let scheme = named.map(|name| EscapingScheme::named(&name.unquoted_str()));
        match self {
            Self::Text1(default) => Self::Text1(scheme.unwrap_or(default)),
            Self::OpenMetrics1(_) => Self::OpenMetrics1(scheme),
            Self::Protobuf(_) => Self::Protobuf(scheme),
            Self::Text | Self::OpenMetrics0 => self,
        }
    }

    fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Text | Self::Text1(_) => ("text", "plain"),
            Self::OpenMetrics1(_) | Self::OpenMetrics0 => ("application", "openmetrics-text"),
            Self::Protobuf(_) => ("application", "vnd.google.protobuf"),
        }
    }

    /// The parameters that name this format in a media range. A range of text without a version means any version.
    fn parameters(self) -> &'static [(Name<'static>, &'static str)] {
        match self {
            Self::Text => &[(VERSION, "0.0.4")],
            Self::Text1(_) => &[(VERSION, "1.0.0")],
            Self::OpenMetrics1(_) => &[(VERSION, "1.0.0")],
            Self::OpenMetrics0 => &[(VERSION, "0.0.1")],
            Self::Protobuf(_) => &[
                (PROTO, "io.prometheus.client.MetricFamily"),
                (ENCODING, "delimited"),
            ],
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
            let matching = ranges
                .iter()
                .filter_map(|range| Some((range.specificity(format)?, range)));
            // The most specific range that matches a format decides its quality.
            let Some((specificity, range)) = matching.max_by_key(|(specificity, _)| *specificity)
            else {
                continue;
            };
            let preference = range.preference(specificity);
            if preference.is_above(&best.1) {
                best = (format.as_wanted_by(range), preference);
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

    /// Returns how specifically this range matches a format, from 0 for `*/*` to 3 for the exact parameters; `None` if it
    /// does not match.
    fn specificity(&self, format: Format) -> Option<u8> {
        let (ty, subty) = format.media_type();
        let range = (self.media.ty.as_str(), self.media.subty.as_str());
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        match range {
            ("*", "*") => Some(0),
            (t, "*") if same(t, ty) => Some(1),
            (t, s) if same(t, ty) && same(s, subty) => self.specificity_of_parameters(format),
            _ => None,
        }
    }

    fn specificity_of_parameters(&self, format: Format) -> Option<u8> {
        let is_named = |(name, wanted): &(Name<'static>, &str)| {
            let value = self.media.get_param(*name);
            value.is_some_and(|value| value.unquoted_str() == *wanted)
        };
        if format.parameters().iter().all(is_named) {
            return Some(3);
        }
        // Protobuf without a message type means nothing.
        let is_protobuf = matches!(format, Format::Protobuf(_));
        let is_any_version = !is_protobuf && self.media.get_param(VERSION).is_none();
        is_any_version.then_some(2)
    }

    fn preference(&self, specificity: u8) -> Preference {
        let is_wildcard = specificity < 2;
        Preference {
            quality: self.quality,
            position: if is_wildcard {
                usize::MAX
            } else {
                self.position
            },
        }
    }
}

const Q: Name<'static> = Name::new_unchecked("q");
const VERSION: Name<'static> = Name::new_unchecked("version");
const PROTO: Name<'static> = Name::new_unchecked("proto");
const ENCODING: Name<'static> = Name::new_unchecked("encoding");
const ESCAPING: Name<'static> = Name::new_unchecked("escaping");

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
