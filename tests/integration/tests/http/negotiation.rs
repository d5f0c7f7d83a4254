//! Which page a scraper gets, for random `Accept` headers.

use http::{HeaderMap, HeaderValue, Request};
use proptest::prelude::*;
use tower::ServiceExt;
use tower_prometheus::Registry;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const ONE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const ZERO: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";

fn answer(headers: HeaderMap) -> HeaderMap {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        for i in 0..30 {
            metrics::counter!("rows_total", "i" => i.to_string()).increment(1);
        }
    });
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let response = runtime
        .block_on(registry.handler().oneshot(request))
        .unwrap();
    assert_eq!(response.status(), 200);
    response.headers().clone()
}

fn with(name: &'static str, values: &[&str]) -> HeaderMap {
    let values = values
        .iter()
        .map(|value| HeaderValue::from_str(value).unwrap());
    values
        .map(|value| (http::HeaderName::from_static(name), value))
        .collect()
}

proptest! {
    /// Whatever is sent, there is an answer, and it is one of ours.
    #[test]
    fn nothing_that_is_sent_breaks_it(accept in proptest::collection::vec(any::<Vec<u8>>(), 0..3), encoding: Vec<u8>) {
        let mut headers = HeaderMap::new();
        for value in accept {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append("accept", value);
            }
        }
        if let Ok(value) = HeaderValue::from_bytes(&encoding) {
            headers.insert("accept-encoding", value);
        }
        let answer = answer(headers);
        prop_assert!([TEXT, ONE, ZERO].contains(&answer["content-type"].to_str().unwrap()));
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
        let best = [(text, TEXT), (one, ONE), (zero, ZERO)].into_iter().max().unwrap();
        let answer = answer(with("accept", &[&accept]));
        prop_assert_eq!(answer["content-type"].to_str().unwrap(), best.1);
    }
}
