//! Bucket bounds of histograms: which setting applies, and which bounds are invalid.

use tower_prometheus::Registry;

#[test]
fn bounds_are_chosen_by_name_then_longest_prefix_then_default() {
    let registry = Registry::builder()
        .buckets([1.0])
        .buckets_for_prefix("db_", [2.0])
        .buckets_for_prefix("db_query_", [3.0])
        .buckets_for("db_query_seconds", [4.0])
        .build()
        .unwrap();
    metrics::with_local_recorder(&registry, || {
        for name in ["other", "db_open", "db_query_rows", "db_query_seconds"] {
            metrics::histogram!(name).record(0.0);
        }
    });
    for (name, le) in [
        ("other_bucket", "1"),
        ("db_open_bucket", "2"),
        ("db_query_rows_bucket", "3"),
        ("db_query_seconds_bucket", "4"),
    ] {
        assert_eq!(registry.sum(name, &[("le", le)]), Some(1.0), "{name}");
    }
}

#[test]
fn invalid_bounds_are_an_error() {
    for (bounds, expected) in [
        (vec![], "at least one"),
        (vec![1.0, 1.0], "1 follows 1"),
        (vec![2.0, 1.0], "1 follows 2"),
        (vec![-0.0, 0.0], "0 follows 0"),
        (vec![f64::NAN], "NaN is not finite"),
        (
            vec![1.0, f64::INFINITY],
            "+Inf bucket is added automatically",
        ),
    ] {
        let error = Registry::builder()
            .buckets(bounds.clone())
            .build()
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{bounds:?}: {error}");
        let error = Registry::builder()
            .buckets_for("db_seconds", bounds)
            .build()
            .unwrap_err();
        assert!(error.to_string().contains("db_seconds"), "{error}");
    }
}
