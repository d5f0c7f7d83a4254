//! The format of the metrics page, for random `Accept` headers.

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use test_support::negotiation::{OPEN_METRICS_0, OPEN_METRICS_1, TEXT, headers, negotiate};

proptest! {
    /// Every header gets a response, in one of the supported formats.
    #[test]
    fn any_accept_header_gets_a_supported_format(accept in proptest::collection::vec(any::<Vec<u8>>(), 0..3), encoding: Vec<u8>) {
        let mut sent = HeaderMap::new();
        for value in accept {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                sent.append("accept", value);
            }
        }
        if let Ok(value) = HeaderValue::from_bytes(&encoding) {
            sent.insert("accept-encoding", value);
        }
        let response_headers = negotiate(sent);
        prop_assert!([TEXT, OPEN_METRICS_1, OPEN_METRICS_0].contains(&response_headers["content-type"].to_str().unwrap()));
    }

    #[test]
    fn format_with_the_highest_quality_is_sent(text in 0..=1000_u32, one in 0..=1000_u32, zero in 0..=1000_u32) {
        prop_assume!(text != one && one != zero && text != zero);
        let q = |q: u32| format!("{}.{:03}", q / 1000, q % 1000);
        let accept = format!(
            "text/plain;q={}, application/openmetrics-text;version=1.0.0;q={}, application/openmetrics-text;version=0.0.1;q={}",
            q(text), q(one), q(zero),
        );
        let best = [(text, TEXT), (one, OPEN_METRICS_1), (zero, OPEN_METRICS_0)].into_iter().max().unwrap();
        let response_headers = negotiate(headers("accept", &[&accept]));
        prop_assert_eq!(response_headers["content-type"].to_str().unwrap(), best.1);
    }
}
