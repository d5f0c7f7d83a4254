//! The `method` label: the standard methods, and one value for all others.

/// A request method, as a label value and as an array index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    Query,
    Other,
}

impl Method {
    pub(crate) const COUNT: usize = Self::ALL.len();

    pub(crate) const ALL: [Self; 11] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Delete,
        Self::Connect,
        Self::Options,
        Self::Trace,
        Self::Patch,
        Self::Query,
        Self::Other,
    ];

    /// Recognizes the methods of RFC 9110, PATCH (RFC 5789) and QUERY. Clients can send any other token as a
    /// method, so all others share one label value.
    #[inline]
    pub(crate) fn of(method: &http::Method) -> Self {
        match *method {
            http::Method::GET => Self::Get,
            http::Method::HEAD => Self::Head,
            http::Method::POST => Self::Post,
            http::Method::PUT => Self::Put,
            http::Method::DELETE => Self::Delete,
            http::Method::CONNECT => Self::Connect,
            http::Method::OPTIONS => Self::Options,
            http::Method::TRACE => Self::Trace,
            http::Method::PATCH => Self::Patch,
            http::Method::QUERY => Self::Query,
            _ => Self::Other,
        }
    }

    /// Whether a response to this method may lack a body for the client, whatever its status.
    pub(crate) fn may_lack_body(self) -> bool {
        matches!(self, Self::Head | Self::Connect)
    }

    /// The label value; `other` for methods that are not standard.
    pub(crate) fn label(self, other: &'static str) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Query => "QUERY",
            Self::Other => other,
        }
    }
}
