//! Names from macros are mended, never merged or doubled; names from builders are refused.

use tower_prometheus::Registry;

use test_support::page::{assert_readable, samples};
use test_support::warnings::{Warnings, with_counted_warnings};

#[test]
fn names_are_mended() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("my.counter", "my.label" => "x").increment(1);
        metrics::gauge!("9 lives").set(9.0);
    });
    assert_readable(&registry.render());
    assert_eq!(registry.sum("my_counter", &[("my_label", "x")]), Some(1.0));
    assert_eq!(registry.sum("__lives", &[]), Some(9.0));
}

#[test]
fn names_that_would_be_the_same_are_escaped_with_one_warning() {
    let warnings = Warnings::catch();
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("a.b").increment(1);
        metrics::counter!("a_b").increment(2);
        metrics::counter!("a-b").increment(3);
        metrics::gauge!("a.b").set(4.0);
    });
    let page = registry.render();
    assert_readable(&page);
    let expected = [
        ("U__a_2e_b", 4.0),
        ("U__a_2d_b", 3.0),
        ("U__a__b", 2.0),
        ("a_b", 1.0),
    ];
    let shown = samples(&page);
    assert_eq!(shown.values().sum::<f64>(), 10.0);
    for (name, value) in expected {
        assert_eq!(shown.get(name), Some(&value), "{page}");
    }
    assert_eq!(warnings.about("is taken by another metric").len(), 3);
}

/// Who listens to warnings may record something in turn, under a name that has to be mended too.
#[test]
fn a_warning_may_be_counted_where_it_comes_from() {
    let registry = Registry::new();
    with_counted_warnings(&registry, || {
        metrics::with_local_recorder(&registry, || {
            metrics::counter!("a.b", "c.d" => "x").increment(1);
            metrics::counter!("a_b", "c.d" => "x").increment(1);
        });
    });
    assert!(registry.sum("log_events", &[("log_level", "warn")]) >= Some(3.0));
    assert_readable(&registry.render());
}

#[test]
fn a_family_does_not_take_the_samples_of_a_histogram() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::histogram!("h").record(1.0);
        metrics::counter!("h_count").increment(5);
        metrics::gauge!("g_sum").set(6.0);
        metrics::histogram!("g").record(7.0);
    });
    let page = registry.render();
    assert_readable(&page);
    assert_eq!(registry.sum("h_count", &[]), Some(1.0));
    assert_eq!(registry.sum("U__h__count", &[]), Some(5.0));
    assert_eq!(registry.sum("g_sum", &[]), Some(6.0));
    assert_eq!(registry.sum("U__g_sum", &[]), Some(7.0));
}

#[test]
fn labels_that_would_be_the_same_stay_apart() {
    let warnings = Warnings::catch();
    let registry = Registry::builder()
        .constant_label("zone", "eu")
        .build()
        .unwrap();
    metrics::with_local_recorder(&registry, || {
        // Within one series.
        metrics::counter!("one", "a.b" => "1", "a_b" => "2", "a-b" => "3").increment(1);
        metrics::counter!("two", "zone" => "own", "le" => "7", "__name__" => "x").increment(1);
        // Between two series, in both orders.
        metrics::counter!("three", "a.b" => "1").increment(1);
        metrics::counter!("three", "a_b" => "1").increment(2);
        metrics::counter!("four", "a_b" => "1").increment(1);
        metrics::counter!("four", "a.b" => "1").increment(2);
        metrics::counter!("four", "a-b" => "1").increment(4);
        metrics::histogram!("five", "le" => "mine").record(1.0);
    });
    let page = registry.render();
    assert_readable(&page);
    let shown = samples(&page);
    let of = |family: &str| {
        let samples = shown
            .iter()
            .filter(|(name, _)| name.starts_with(&format!("{family}{{")));
        samples.map(|(_, value)| *value).collect::<Vec<_>>()
    };
    assert_eq!(of("one"), [1.0]);
    assert_eq!(of("three").iter().sum::<f64>(), 3.0);
    assert_eq!(of("three").len(), 2);
    assert_eq!(of("four").iter().sum::<f64>(), 7.0);
    assert_eq!(of("four").len(), 3);
    assert_eq!(
        registry.sum("two", &[("zone", "eu"), ("U__zone", "own")]),
        Some(1.0)
    );
    assert_eq!(
        registry.sum("five_bucket", &[("U__le", "mine"), ("le", "1")]),
        Some(1.0)
    );
    let expected = "five: label \"le\" is exported as \"U__le\"; ";
    assert_eq!(warnings.about(expected).len(), 1);
}

#[test]
fn the_order_of_labels_does_not_matter() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("c", "a" => "1", "b" => "2").increment(1);
        metrics::counter!("c", "b" => "2", "a" => "1").increment(1);
    });
    assert_eq!(
        registry.render(),
        "# TYPE c counter\nc{a=\"1\",b=\"2\"} 2\n"
    );
}

#[test]
fn builders_refuse_names_that_cannot_be_read() {
    for (name, value) in [
        ("my-label", "x"),
        ("", "x"),
        ("1a", "x"),
        ("le", "x"),
        ("__a", "x"),
        ("quantile", "x"),
    ] {
        let error = Registry::builder()
            .constant_label(name, value)
            .build()
            .unwrap_err();
        let expected = format!("invalid label name {name:?}");
        assert!(error.to_string().contains(&expected), "{error}");
    }
    let twice = Registry::builder()
        .constant_label("a", "1")
        .constant_label("a", "2");
    assert!(
        twice
            .build()
            .unwrap_err()
            .to_string()
            .contains("label \"a\" is set twice")
    );
    let name = Registry::builder()
        .buckets_for("a b", [1.0])
        .build()
        .unwrap_err();
    assert!(
        name.to_string().contains("invalid metric name \"a b\""),
        "{name}"
    );
}
