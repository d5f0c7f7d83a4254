//! The `method` label: the standard methods, those that the configuration adds, and one value for all others.

/// A request method, as a number: first the standard methods, then "other", then those of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method(u8);

/// The label values of the standard methods, in the order of the constants of [`Method`].
const STANDARD: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
];

impl Method {
    pub(crate) const GET: Self = Self(0);
    pub(crate) const HEAD: Self = Self(1);
    const POST: Self = Self(2);
    const PUT: Self = Self(3);
    const DELETE: Self = Self(4);
    pub(crate) const CONNECT: Self = Self(5);
    const OPTIONS: Self = Self(6);
    const TRACE: Self = Self(7);
    const PATCH: Self = Self(8);
    const QUERY: Self = Self(9);
    pub(crate) const OTHER: Self = Self(STANDARD.len() as u8);

    /// The number of methods without those that the configuration adds.
    pub(crate) const COUNT: usize = STANDARD.len() + 1;

    /// Recognizes the methods of RFC 9110, PATCH (RFC 5789) and QUERY. Clients can send any other token as a
    /// method, so all others share one label value.
    #[inline]
    pub(crate) fn of(method: &http::Method) -> Self {
        match *method {
            http::Method::GET => Self::GET,
            http::Method::HEAD => Self::HEAD,
            http::Method::POST => Self::POST,
            http::Method::PUT => Self::PUT,
            http::Method::DELETE => Self::DELETE,
            http::Method::CONNECT => Self::CONNECT,
            http::Method::OPTIONS => Self::OPTIONS,
            http::Method::TRACE => Self::TRACE,
            http::Method::PATCH => Self::PATCH,
            http::Method::QUERY => Self::QUERY,
            _ => Self::OTHER,
        }
    }

    /// Like [`of`](Self::of), and recognizes the `added` methods too.
    #[inline]
    pub(crate) fn among(method: &http::Method, added: &[http::Method]) -> Self {
        match Self::of(method) {
            Self::OTHER if !added.is_empty() => Self::added(method, added),
            known => known,
        }
    }

    #[cold]
    fn added(method: &http::Method, added: &[http::Method]) -> Self {
        let index = added.iter().position(|known| known == method);
        index.map_or(Self::OTHER, |index| Self((Self::COUNT + index) as u8))
    }

    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0.into()
    }

    /// Whether a response to this method may lack a body for the client, whatever its status.
    pub(crate) fn may_lack_body(self) -> bool {
        self == Self::HEAD || self == Self::CONNECT
    }

    /// The label value: of a standard method, of an `added` one, or `other`.
    pub(crate) fn label<'a>(self, other: &'a str, added: &'a [http::Method]) -> &'a str {
        let index = self.index();
        if let Some(standard) = STANDARD.get(index) {
            return standard;
        }
        let added = index
            .checked_sub(Self::COUNT)
            .and_then(|index| added.get(index));
        added.map_or(other, http::Method::as_str)
    }

    /// All label values.
    pub(crate) fn labels<'a>(
        other: &'a str,
        added: &'a [http::Method],
    ) -> impl Iterator<Item = &'a str> {
        let count = Self::COUNT + added.len();
        (0..count).map(move |index| Self(index as u8).label(other, added))
    }
}
