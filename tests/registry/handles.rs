//! Counters, gauges and histograms of the `metrics` macros, with extreme values.

use tower_prometheus::Registry;

use test_support::page::samples;
use test_support::registry_with;

#[test]
fn counter_saturates_at_u64_max() {
    let registry = registry_with(|| {
        let counter = metrics::counter!("c_total");
        counter.increment(u64::MAX);
        counter.increment(1);
    });
    assert!(
        registry
            .render()
            .contains(&format!("c_total {}\n", u64::MAX))
    );
}

#[test]
fn absolute_never_lowers_a_counter() {
    let registry = registry_with(|| {
        let counter = metrics::counter!("c_total");
        counter.absolute(10);
        counter.absolute(7);
        counter.increment(1);
        counter.absolute(11);
    });
    assert_eq!(registry.sum("c_total", &[]), Some(11.0));
}

#[test]
fn concurrent_absolute_calls_keep_the_highest_value() {
    let registry = Registry::new();
    let counter = metrics::with_local_recorder(&registry, || metrics::counter!("c_total"));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let counter = &counter;
            scope.spawn(move || (0..1000).for_each(|i| counter.absolute(i * 8 + thread)));
        }
    });
    assert_eq!(registry.sum("c_total", &[]), Some(7999.0));
}

#[test]
fn gauges_render_every_kind_of_float() {
    for (value, shown) in [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
        (-0.0, "0"),
        (3.0, "3"),
        (-2.5, "-2.5"),
        (0.1, "0.1"),
        (1e15, "1e+15"),
        (1e300, "1e+300"),
        (5e-324, "5e-324"),
    ] {
        let registry = registry_with(|| metrics::gauge!("g").set(value));
        let page = registry.render();
        let line = page.lines().last().unwrap();
        let parsed: f64 = line
            .trim_start_matches("g ")
            .replace("Inf", "inf")
            .parse()
            .unwrap();
        assert!(
            parsed == value || (parsed.is_nan() && value.is_nan()),
            "{line}"
        );
        // The notation of exponents may differ.
        if !shown.contains('e') {
            assert_eq!(line, format!("g {shown}"));
        }
    }
}

#[test]
fn gauges_can_be_set_incremented_and_decremented() {
    let registry = registry_with(|| {
        let gauge = metrics::gauge!("g");
        gauge.set(5.0);
        gauge.increment(2.5);
        gauge.decrement(10.0);
    });
    assert_eq!(registry.sum("g", &[]), Some(-2.5));
}

#[test]
fn histogram_ignores_nan_and_counts_infinity_without_summing_it() {
    let registry = registry_with(|| {
        let histogram = metrics::histogram!("h");
        for sample in [0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.25] {
            histogram.record(sample);
        }
    });
    // NaN is ignored. An infinite sample is counted in its bucket, but not added to the sum.
    let value = |name, le| registry.sum(name, &[("le", le)]);
    assert_eq!(value("h_bucket", "0.005"), Some(2.0));
    assert_eq!(value("h_bucket", "10"), Some(4.0));
    assert_eq!(value("h_bucket", "+Inf"), Some(5.0));
    assert_eq!(registry.sum("h_count", &[]), Some(5.0));
    assert_eq!(registry.sum("h_sum", &[]), Some(0.75));
}

#[test]
fn record_many_counts_every_sample() {
    let registry = registry_with(|| metrics::histogram!("h").record_many(0.5, 1000));
    assert_eq!(registry.sum("h_count", &[]), Some(1000.0));
    assert_eq!(registry.sum("h_sum", &[]), Some(500.0));
}

#[test]
fn registries_are_isolated() {
    let (one, two) = (Registry::new(), Registry::new());
    metrics::with_local_recorder(&one, || metrics::counter!("c_total").increment(1));
    metrics::with_local_recorder(&two, || metrics::counter!("c_total").increment(2));
    assert_eq!(one.sum("c_total", &[]), Some(1.0));
    assert_eq!(two.sum("c_total", &[]), Some(2.0));
}

#[test]
fn constant_labels_are_on_every_series() {
    let registry = Registry::builder()
        .constant_label("zone", "eu")
        .constant_label("app", "shop");
    let registry = registry.build().unwrap();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("c_total", "kind" => "a").increment(1);
        metrics::gauge!("g").set(1.0);
        metrics::histogram!("h").record(1.0);
    });
    for series in samples(&registry.render()).keys() {
        assert!(
            series.contains(r#"app="shop","#) && series.contains(r#"zone="eu""#),
            "{series}"
        );
    }
}

#[test]
fn sum_adds_the_series_that_have_the_labels() {
    let registry = registry_with(|| {
        metrics::counter!("c_total", "a" => "1", "b" => "1").increment(1);
        metrics::counter!("c_total", "a" => "1", "b" => "2").increment(2);
        metrics::counter!("c_total", "a" => "2", "b" => "\"\\\n,a=\"1").increment(4);
    });
    assert_eq!(registry.sum("c_total", &[]), Some(7.0));
    assert_eq!(registry.sum("c_total", &[("a", "1")]), Some(3.0));
    assert_eq!(
        registry.sum("c_total", &[("b", "2"), ("a", "1")]),
        Some(2.0)
    );
    assert_eq!(registry.sum("c_total", &[("b", "\"\\\n,a=\"1")]), Some(4.0));
    assert_eq!(registry.sum("c_total", &[("a", "3")]), None);
    assert_eq!(registry.sum("c", &[]), None);
}
