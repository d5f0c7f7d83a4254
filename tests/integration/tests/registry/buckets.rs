//! Histogram buckets with random bounds and samples.

use proptest::prelude::*;
use tower_prometheus::Registry;

fn registry(bounds: Vec<f64>) -> Registry {
    Registry::builder().buckets(bounds).build().unwrap()
}

/// Increasing finite bounds: up to 16 are searched linearly, more by binary search.
fn bounds() -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec(-1e6..1e6_f64, 1..40).prop_map(|mut bounds| {
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        bounds
    })
}

proptest! {
    #[test]
    fn bucket_counts_samples_less_than_or_equal_to_its_bound(bounds in bounds(), samples in proptest::collection::vec(-2e6..2e6_f64, 0..50), exact: prop::sample::Index) {
        let registry = registry(bounds.clone());
        let mut samples = samples;
        samples.push(bounds[exact.index(bounds.len())]);
        metrics::with_local_recorder(&registry, || {
            let histogram = metrics::histogram!("h");
            samples.iter().for_each(|sample| histogram.record(*sample));
        });
        let page = test_support::page::samples(&registry.render());
        let mut last = 0.0;
        for bound in bounds {
            let le = if bound == 0.0 { 0.0 } else { bound };
            let line = page.iter().find(|(name, _)| {
                let shown = name.split("le=\"").nth(1).and_then(|le| le.split('"').next());
                shown.and_then(|shown| shown.parse::<f64>().ok()) == Some(le)
            });
            let expected = samples.iter().filter(|sample| **sample <= bound).count() as f64;
            prop_assert_eq!(*line.unwrap().1, expected);
            prop_assert!(expected >= last);
            last = expected;
        }
        prop_assert_eq!(registry.sum("h_count", &[]), Some(samples.len() as f64));
        prop_assert_eq!(registry.sum("h_bucket", &[("le", "+Inf")]), Some(samples.len() as f64));
    }
}
