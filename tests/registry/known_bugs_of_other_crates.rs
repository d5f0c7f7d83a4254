//! Known bugs of other registries and exporters, each as a test of the correct behaviour. `exact.rs` has two more:
//! samples lost during a scrape, and samples kept in memory until the next scrape.

use metrics::{Key, Label, Level, Metadata, Recorder};
use tower_prometheus::Registry;

use test_support::page::samples;
use test_support::registry_with;

const METADATA: Metadata<'static> = Metadata::new("known_bugs", Level::INFO, None);

/// metrics-exporter-prometheus renders `\` and `\\` as the same series, twice.
#[test]
fn label_values_that_differ_only_in_escaping_are_distinct_series() {
    let registry = registry_with(|| {
        metrics::counter!("c", "v" => "\\").increment(1);
        metrics::counter!("c", "v" => "\\\\").increment(2);
        metrics::counter!("c", "v" => "\n").increment(4);
        metrics::counter!("c", "v" => "\\n").increment(8);
    });
    assert_eq!(samples(&registry.render()).len(), 4);
    assert_eq!(registry.sum("c", &[("v", "\\n")]), Some(8.0));
}

/// In metrics-exporter-prometheus, one of the metrics overwrites the other.
#[test]
fn names_equal_after_sanitizing_are_distinct_families() {
    let registry = registry_with(|| {
        metrics::counter!("a.b").increment(1);
        metrics::counter!("a-b").increment(2);
    });
    assert_eq!(samples(&registry.render()).values().sum::<f64>(), 3.0);
}

/// metrics-exporter-prometheus writes the label twice.
#[test]
fn label_named_le_is_not_written_twice() {
    let registry = registry_with(|| metrics::histogram!("h", "le" => "x").record(1.0));
    for series in samples(&registry.render()).keys() {
        assert!(
            series.matches("le=").count() <= 2 && series.matches(",le=").count() <= 1,
            "{series}"
        );
    }
}

/// metrics-exporter-prometheus writes two TYPE lines.
#[test]
fn counter_and_gauge_of_one_name_are_distinct_families() {
    let registry = registry_with(|| {
        metrics::counter!("x").increment(1);
        metrics::gauge!("x").set(2.0);
    });
    assert_eq!(registry.sum("x", &[]), Some(1.0));
    assert_eq!(registry.sum("U__x", &[]), Some(2.0));
}

/// In metrics-exporter-prometheus, the sum stays NaN after one NaN sample.
#[test]
fn nan_sample_does_not_change_the_sum() {
    let registry = registry_with(|| {
        metrics::histogram!("h").record(f64::NAN);
        metrics::histogram!("h").record(2.0);
    });
    assert_eq!(registry.sum("h_sum", &[]), Some(2.0));
}

/// metrics-exporter-prometheus accepts bounds in any order.
#[test]
fn unsorted_bucket_bounds_are_an_error() {
    assert!(Registry::builder().buckets([2.0, 1.0]).build().is_err());
}

/// In metrics-exporter-prometheus, the first description wins, and it is ignored if the series already exists.
#[test]
fn last_description_wins_even_after_registration() {
    let registry = registry_with(|| {
        metrics::describe_counter!("c", "before");
        metrics::counter!("c").increment(1);
        metrics::describe_counter!("c", "after");
        metrics::gauge!("g").set(1.0);
        metrics::describe_gauge!("g", "late");
    });
    let page = registry.render();
    assert!(
        page.starts_with("# HELP c after\n# TYPE c counter\n"),
        "{page}"
    );
    assert!(page.contains("# HELP g late\n"), "{page}");
}

/// metrics-exporter-prometheus renders families in random order.
#[test]
fn families_and_series_are_sorted() {
    let registry = registry_with(|| {
        for name in ["z", "a", "m"] {
            for value in ["2", "1"] {
                metrics::counter!(name, "v" => value).increment(1);
            }
        }
    });
    let page = registry.render();
    let lines: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.is_sorted(), "{page}");
}

/// `prometheus` identifies a series by its label values, joined without a separator.
#[test]
fn series_whose_joined_label_values_are_equal_are_distinct() {
    let registry = registry_with(|| {
        metrics::counter!("c", "service" => "pkg.Foo", "method" => "BarGet").increment(1);
        metrics::counter!("c", "service" => "pkg.FooBar", "method" => "Get").increment(2);
    });
    assert_eq!(registry.sum("c", &[("method", "Get")]), Some(2.0));
    assert_eq!(registry.sum("c", &[("method", "BarGet")]), Some(1.0));
}

/// `metrics` before 0.24.6 gave label sets with swapped names and values the same hash.
#[test]
fn series_with_swapped_label_name_and_value_are_distinct() {
    let registry = Registry::new();
    for (name, value) in [("a", "b"), ("b", "a")] {
        let key = Key::from_parts("c", vec![Label::new(name, value)]);
        registry.register_counter(&key, &METADATA).increment(1);
    }
    assert_eq!(samples(&registry.render()).len(), 2);
}
