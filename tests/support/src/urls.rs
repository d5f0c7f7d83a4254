//! Base URLs of HTTP servers, which the query proxy and the push client read the same way.

/// Valid URLs, each with the base URL that is used: without spaces, credentials and trailing slash.
pub const VALID_URLS: [(&str, &str); 11] = [
    ("http://host", "http://host"),
    ("http://host/", "http://host"),
    ("http://host:9091", "http://host:9091"),
    ("HTTP://host", "http://host"),
    ("http://[::1]:9091/base", "http://[::1]:9091/base"),
    ("http://host/a/b//", "http://host/a/b"),
    ("http://host/a.b/..c/%2ed", "http://host/a.b/..c/%2ed"),
    (" http://host/a\n", "http://host/a"),
    ("http://@host", "http://host"),
    ("http://ada:s3cret@host:1/a", "http://host:1/a"),
    ("http://ada:s3cret%40%2F%3F%23@host", "http://host"),
];

/// Invalid URLs. Errors must not show the password `s3cret`.
pub const INVALID_URLS: [&str; 22] = [
    "",
    " ",
    "/path",
    "host:9091",
    "ftp://host",
    "http:/host",
    "http://",
    "http://:9091",
    "http://ada:s3cret@",
    "http://host:",
    "http://host:99999",
    "http://ho st",
    "http://host?query=1",
    "http://host/#fragment",
    "http://ada:s3cret#2@host",
    "http://ada:s3cret?2@host",
    "http://ada:1/s3cret@host",
    "http://ada:s3cret%ff@host",
    "http://host/.",
    "http://host/a/../b",
    "http://host/%2E%2e/b",
    "http://host/a/%2e",
];
