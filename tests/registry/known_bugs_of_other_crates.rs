//! Known bugs of other registries and exporters, each as a test of the correct behaviour. `exact.rs` has two more:
//! samples lost during a scrape, and samples kept in memory until the next scrape.

use metrics::{Key, Label, Level, Metadata, Recorder};
use tower_prometheus::Registry;

use test_support::page::samples;
use test_support::registry_with;

const METADATA: Metadata<'static> = Metadata::new("mistakes", Level::INFO, None);

/// metrics-exporter-prometheus renders `\` and `\\` as the same series, twice.
#[test]
fn values_that_differ_in_escaping_are_two_series() {
    let registry = registry_with(|| {
        metrics::counter!("c", "v" => "\\").increment(1);
        metrics::counter!("c", "v" => "\\\\").increment(2);
        metrics::counter!("c", "v" => "\n").increment(4);
        metrics::counter!("c", "v" => "\\n").increment(8);
    });
    assert_eq!(samples(&registry.render()).len(), 4);
    assert_eq!(registry.sum("c", &[("v", "\\n")]), Some(8.0));
}

/// metrics-exporter-prometheus overwrites one with the other.
#[test]
fn names_equal_after_mending_are_two_families() {
    let registry = registry_with(|| {
        metrics::counter!("a.b").increment(1);
        metrics::counter!("a-b").increment(2);
    });
    assert_eq!(samples(&registry.render()).values().sum::<f64>(), 3.0);
}

/// metrics-exporter-prometheus writes the label twice.
#[test]
fn a_label_called_le_is_not_doubled() {
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
fn a_counter_and_a_gauge_of_one_name_are_two_families() {
    let registry = registry_with(|| {
        metrics::counter!("x").increment(1);
        metrics::gauge!("x").set(2.0);
    });
    assert_eq!(registry.sum("x", &[]), Some(1.0));
    assert_eq!(registry.sum("U__x", &[]), Some(2.0));
}

/// metrics-exporter-prometheus' sum is NaN from then on.
#[test]
fn a_nan_does_not_poison_a_sum() {
    let registry = registry_with(|| {
        metrics::histogram!("h").record(f64::NAN);
        metrics::histogram!("h").record(2.0);
    });
    assert_eq!(registry.sum("h_sum", &[]), Some(2.0));
}

/// metrics-exporter-prometheus takes them in any order.
#[test]
fn bucket_lists_are_checked() {
    assert!(Registry::builder().buckets([2.0, 1.0]).build().is_err());
}

/// In metrics-exporter-prometheus the first description wins, and comes too late if the series exists.
#[test]
fn the_last_description_wins_whenever_it_comes() {
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

/// metrics-exporter-prometheus' families come in random order.
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

/// `prometheus` keys children by their label values joined without a separator.
#[test]
fn label_values_are_not_joined() {
    let registry = registry_with(|| {
        metrics::counter!("c", "service" => "pkg.Foo", "method" => "BarGet").increment(1);
        metrics::counter!("c", "service" => "pkg.FooBar", "method" => "Get").increment(2);
    });
    assert_eq!(registry.sum("c", &[("method", "Get")]), Some(2.0));
    assert_eq!(registry.sum("c", &[("method", "BarGet")]), Some(1.0));
}

/// `metrics` before 0.24.6 gave label sets with swapped names and values the same hash.
#[test]
fn swapped_names_and_values_are_two_series() {
    let registry = Registry::new();
    for (name, value) in [("a", "b"), ("b", "a")] {
        let key = Key::from_parts("c", vec![Label::new(name, value)]);
        registry.register_counter(&key, &METADATA).increment(1);
    }
    assert_eq!(samples(&registry.render()).len(), 2);
}
