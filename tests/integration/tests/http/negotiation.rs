//! Which page a scraper gets, for random `Accept` headers.

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use test_support::negotiation::{OPEN_METRICS_0, OPEN_METRICS_1, TEXT, headers, negotiate};

proptest! {
    /// Whatever is sent, there is an answer, and it is one of ours.
    #[test]
    fn nothing_that_is_sent_breaks_it(accept in proptest::collection::vec(any::<Vec<u8>>(), 0..3), encoding: Vec<u8>) {
        let mut sent = HeaderMap::new();
        for value in accept {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                sent.append("accept", value);
            }
        }
        if let Ok(value) = HeaderValue::from_bytes(&encoding) {
            sent.insert("accept-encoding", value);
        }
        let answer = negotiate(sent);
        prop_assert!([TEXT, OPEN_METRICS_1, OPEN_METRICS_0].contains(&answer["content-type"].to_str().unwrap()));
    }

    /// Of ranges with different qualities, the best that can be had is what is sent.
    #[test]
    fn the_best_quality_wins(text in 0..=1000_u32, one in 0..=1000_u32, zero in 0..=1000_u32) {
        prop_assume!(text != one && one != zero && text != zero);
        let q = |q: u32| format!("{}.{:03}", q / 1000, q % 1000);
        let accept = format!(
            "text/plain;q={}, application/openmetrics-text;version=1.0.0;q={}, application/openmetrics-text;version=0.0.1;q={}",
            q(text), q(one), q(zero),
        );
        let best = [(text, TEXT), (one, OPEN_METRICS_1), (zero, OPEN_METRICS_0)].into_iter().max().unwrap();
        let answer = negotiate(headers("accept", &[&accept]));
        prop_assert_eq!(answer["content-type"].to_str().unwrap(), best.1);
    }
}
