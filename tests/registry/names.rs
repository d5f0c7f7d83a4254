//! Invalid names from macros are sanitized without collisions; invalid names in the builder are errors.

use tower_prometheus::Registry;

use test_support::page::{assert_valid_text, samples};
use test_support::warnings::{Warnings, count_warnings_in};

#[test]
fn invalid_names_are_sanitized() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("my.counter", "my.label" => "x").increment(1);
        metrics::gauge!("9 lives").set(9.0);
    });
    assert_valid_text(&registry.render());
    assert_eq!(registry.sum("my_counter", &[("my_label", "x")]), Some(1.0));
    assert_eq!(registry.sum("__lives", &[]), Some(9.0));
}

#[test]
fn names_equal_after_sanitizing_are_escaped_with_one_warning_each() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("a.b").increment(1);
        metrics::counter!("a_b").increment(2);
        metrics::counter!("a-b").increment(3);
        metrics::gauge!("a.b").set(4.0);
    });
    let page = registry.render();
    assert_valid_text(&page);
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

/// A subscriber may record a metric while it handles a warning, even under a name that must be sanitized.
#[test]
fn subscriber_may_record_in_the_registry_that_warns() {
    let registry = Registry::new();
    count_warnings_in(&registry, || {
        metrics::with_local_recorder(&registry, || {
            metrics::counter!("a.b", "c.d" => "x").increment(1);
            metrics::counter!("a_b", "c.d" => "x").increment(1);
        });
    });
    assert!(registry.sum("log_events", &[("log_level", "warn")]) >= Some(3.0));
    assert_valid_text(&registry.render());
}

#[test]
fn metric_with_the_name_of_a_histogram_sample_stays_distinct() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::histogram!("h").record(1.0);
        metrics::counter!("h_count").increment(5);
        metrics::gauge!("g_sum").set(6.0);
        metrics::histogram!("g").record(7.0);
    });
    let page = registry.render();
    assert_valid_text(&page);
    assert_eq!(registry.sum("h_count", &[]), Some(1.0));
    assert_eq!(registry.sum("U__h__count", &[]), Some(5.0));
    assert_eq!(registry.sum("g_sum", &[]), Some(6.0));
    assert_eq!(registry.sum("U__g_sum", &[]), Some(7.0));
}

#[test]
fn labels_equal_after_sanitizing_stay_distinct() {
    let warnings = Warnings::capture();
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
    assert_valid_text(&page);
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
    let expected = "five: label \"le\" is exported as \"U__le\", because \"le\"";
    assert_eq!(warnings.about(expected).len(), 1);
}

#[test]
fn changed_label_names_are_warned_of_once_per_metric() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        for i in 0..1000 {
            metrics::counter!("orders_total", "shop.id" => i.to_string()).increment(1);
            metrics::gauge!("stock", "shop.id" => i.to_string()).set(1.0);
        }
        // Sanitized without a warning, as documented.
        metrics::counter!("dotted.name").increment(1);
    });
    assert_eq!(registry.sum("orders_total", &[]), Some(1000.0));
    let expected = "orders_total: label \"shop.id\" is exported as \"shop_id\"";
    assert_eq!(warnings.about(expected).len(), 1);
    assert_eq!(warnings.about("stock: label \"shop.id\"").len(), 1);
    assert_eq!(warnings.about("").len(), 2);
}

#[test]
fn order_of_labels_does_not_matter() {
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
fn invalid_names_in_the_builder_are_an_error() {
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
}
