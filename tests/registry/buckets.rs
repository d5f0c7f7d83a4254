//! Bucket bounds of histograms: which setting applies, and which bounds are invalid.

use tokio::runtime::Builder;
use tower_prometheus::snapshot::Value;
use tower_prometheus::{HttpMetrics, Registry, Unit, buckets};

use test_support::warnings::Warnings;

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

/// Returns the upper bounds of a histogram, without `+Inf`.
fn bounds(registry: &Registry, name: &str) -> Vec<f64> {
    let runtime = Builder::new_current_thread().build().unwrap();
    let snapshot = runtime.block_on(registry.gather());
    let family = snapshot.family(name).expect(name);
    let Value::Histogram(histogram) = family.series().next().unwrap().value() else {
        panic!("{name} is no histogram");
    };
    let bounds = histogram.buckets().map(|bucket| bucket.upper_bound);
    bounds.filter(|bound| bound.is_finite()).collect()
}

#[test]
fn names_of_rules_are_sanitized_as_those_of_macros() {
    let registry = Registry::builder()
        .buckets_for("db.query.seconds", [1.0])
        .buckets_for_prefix("cache.", [2.0])
        .build()
        .unwrap();
    metrics::with_local_recorder(&registry, || {
        metrics::histogram!("db.query.seconds").record(0.0);
        metrics::histogram!("cache.read").record(0.0);
        // The sanitized name is taken, so that it is escaped. The rule applies nevertheless.
        metrics::counter!("cache_get").increment(1);
        metrics::histogram!("cache.get").record(0.0);
    });
    assert_eq!(bounds(&registry, "db_query_seconds"), [1.0]);
    assert_eq!(bounds(&registry, "cache_read"), [2.0]);
    assert_eq!(bounds(&registry, "U__cache_2e_get"), [2.0]);
}

#[test]
fn histograms_of_bytes_have_buckets_for_bytes() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::describe_histogram!("body", Unit::Bytes, "Size of bodies.");
        metrics::histogram!("body").record(20_000.0);
        // Without a description, the name tells the unit.
        metrics::histogram!("upload_bytes").record(20_000.0);
        metrics::histogram!("wait_seconds").record(0.1);
        metrics::describe_histogram!("wait", Unit::Seconds, "Time of waiting.");
        metrics::histogram!("wait").record(0.1);
    });
    assert_eq!(bounds(&registry, "body"), buckets::BYTES);
    assert_eq!(bounds(&registry, "upload_bytes"), buckets::BYTES);
    assert_eq!(bounds(&registry, "wait_seconds"), buckets::DEFAULT);
    assert_eq!(bounds(&registry, "wait"), buckets::DEFAULT);
    assert_eq!(warnings.about(""), [""; 0]);
}

#[test]
fn default_buckets_of_another_unit_than_seconds_are_warned_of_once() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::describe_histogram!("batch_size", Unit::Count, "Items of a batch.");
        for i in 0..100 {
            metrics::histogram!("batch_size", "shop" => i.to_string()).record(40.0);
            metrics::histogram!("unit.not.known", "shop" => i.to_string()).record(40.0);
        }
    });
    assert_eq!(bounds(&registry, "batch_size"), buckets::DEFAULT);
    let batch = "histogram \"batch_size\": its unit is count and no buckets are set, so it has the default buckets for \
                 seconds, 0.005 to 10; set buckets_for(\"batch_size\", …) when the registry is built, or \
                 buckets_for_unit(Unit::Count, …)";
    assert_eq!(warnings.about(batch).len(), 1);
    let unknown = "histogram \"unit.not.known\": its unit is not known and no buckets are set";
    assert_eq!(warnings.about(unknown).len(), 1);
    assert_eq!(warnings.about("").len(), 2);
}

#[test]
fn buckets_that_are_set_are_not_warned_of() {
    let warnings = Warnings::capture();
    let with_default = Registry::builder().buckets([1.0]).build().unwrap();
    let with_rule = Registry::builder().buckets_for_prefix("batch_", [1.0]);
    for registry in [with_default, with_rule.build().unwrap()] {
        metrics::with_local_recorder(&registry, || metrics::histogram!("batch_size").record(1.0));
        assert_eq!(bounds(&registry, "batch_size"), [1.0]);
    }
    assert_eq!(warnings.about(""), [""; 0]);
}

#[test]
fn bounds_are_chosen_by_name_then_prefix_then_suffix_then_unit_then_default() {
    let registry = Registry::builder()
        .buckets([1.0])
        .buckets_for_unit(Unit::Bytes, [2.0])
        .buckets_for_suffix("_bytes", [3.0])
        .buckets_for_suffix(".body.bytes", [4.0])
        .buckets_for_prefix("http_", [5.0])
        .buckets_for("http_body_bytes", [6.0])
        // A suffix may start with a digit.
        .buckets_for_suffix("2xx", [7.0])
        .build()
        .unwrap();
    metrics::with_local_recorder(&registry, || {
        metrics::describe_histogram!("upload", Unit::Bytes, "Size of uploads.");
    });
    for (name, bound) in [
        ("other", 1.0),
        ("upload", 2.0),
        ("upload_bytes", 3.0),
        ("grpc_body_bytes", 4.0),
        ("http_header_bytes", 5.0),
        ("http_body_bytes", 6.0),
        ("answers_2xx", 7.0),
    ] {
        metrics::with_local_recorder(&registry, || metrics::histogram!(name).record(0.0));
        assert_eq!(bounds(&registry, name), [bound], "{name}");
    }
}

#[test]
fn bounds_by_suffix_and_unit_apply_to_durations_of_layers() {
    for builder in [
        Registry::builder().buckets_for_suffix("_duration_seconds", [0.5]),
        Registry::builder().buckets_for_unit(Unit::Seconds, [0.5]),
    ] {
        let registry = builder.build().unwrap();
        let metrics = HttpMetrics::server().preregister(http::Method::GET, "/", [200]);
        let described = metrics.families_in(&registry).unwrap();
        let _layer = metrics.build(&registry).unwrap();
        let name = "http_request_duration_seconds";
        assert_eq!(bounds(&registry, name), [0.5]);
        let described = described.iter().find(|family| family.name == name);
        assert_eq!(described.unwrap().buckets, [0.5]);
    }
}
