//! With random keys, the page is valid, and no two keys share a series.

use std::collections::BTreeMap;

use metrics::{Key, Label, Level, Metadata, Recorder};
use proptest::prelude::*;
use tower_prometheus::Registry;

use test_support::page::{assert_valid_text, render_for, samples};

const METADATA: Metadata<'static> = Metadata::new("names", Level::INFO, None);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Each label value has its own line, and unescaping the line results in the value again.
    #[test]
    fn distinct_label_values_are_distinct_series(values in proptest::collection::hash_set("[\\\\\"\n,={}a é\u{0}]{0,6}", 1..20)) {
        let registry = Registry::new();
        for (i, value) in values.iter().enumerate() {
            let key = Key::from_parts("c", vec![Label::new("v", value.clone())]);
            registry.register_counter(&key, &METADATA).increment(i as u64 + 1);
        }
        let page = registry.render();
        let series = samples(&page);
        prop_assert_eq!(series.len(), values.len());
        let unescape = |name: &str| {
            let escaped = name.strip_prefix("c{v=\"").unwrap().strip_suffix("\"}").unwrap();
            let mut unescaped = String::new();
            let mut chars = escaped.chars();
            while let Some(c) = chars.next() {
                unescaped.push(match c {
                    '\\' => match chars.next().unwrap() { 'n' => '\n', c => c },
                    c => c,
                });
            }
            unescaped
        };
        let read: BTreeMap<String, f64> = series.iter().map(|(name, value)| (unescape(name), *value)).collect();
        for (i, value) in values.iter().enumerate() {
            prop_assert_eq!(read[value], i as f64 + 1.0);
            prop_assert_eq!(registry.sum("c", &[("v", value)]), Some(i as f64 + 1.0));
        }
    }

    /// The page is valid, every key has its own series, and no value is lost.
    #[test]
    fn distinct_keys_are_distinct_series(
        keys in proptest::collection::vec(
            (0..3_u8, "[a_.\\-]{1,3}(_count|_sum|_total)?", proptest::collection::vec(("[a_.:]{0,2}|le|zone|__name__", "[ab]"), 0..4)),
            1..30,
        ),
        scrape_between: prop::sample::Index,
    ) {
        let registry = Registry::builder().constant_label("zone", "eu").utf8_names().build().unwrap();
        let between = scrape_between.index(keys.len());
        let mut expected = std::collections::HashMap::new();
        for (i, (kind, name, labels)) in keys.iter().enumerate() {
            if i == between {
                drop(registry.render());
            }
            let labels: Vec<_> = labels.iter().map(|(name, value)| Label::new(name.clone(), value.clone())).collect();
            let key = Key::from_parts(name.clone(), labels);
            match kind {
                0 => registry.register_counter(&key, &METADATA).increment(1),
                1 => registry.register_gauge(&key, &METADATA).increment(1.0),
                _ => registry.register_histogram(&key, &METADATA).record(1.0),
            }
            *expected.entry((*kind, key)).or_insert(0.0) += 1.0;
        }
        let page = registry.render();
        if page.lines().any(|line| !line.starts_with('#')) {
            assert_valid_text(&page);
        }
        // One line per series, of a histogram its count. Together they hold every recorded event.
        let histograms: Vec<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" histogram"))
            .map(str::to_owned)
            .collect();
        let is_part = |name: &str, part: &str| histograms.iter().any(|family| name == format!("{family}{part}"));
        let series: Vec<f64> = samples(&page)
            .into_iter()
            .filter(|(series, _)| {
                let name = series.split('{').next().unwrap();
                !is_part(name, "_bucket") && !is_part(name, "_sum")
            })
            .map(|(_, value)| value)
            .collect();
        prop_assert_eq!(series.len(), expected.len(), "{}", page);
        prop_assert_eq!(series.iter().sum::<f64>(), expected.values().sum::<f64>());
        // In each escaping scheme, the page has the same values under other names, and no name twice.
        let mut values: Vec<f64> = samples(&page).into_values().collect();
        values.sort_by(f64::total_cmp);
        for scheme in ["allow-utf-8", "dots", "values"] {
            let page = render_for(&registry, &format!("text/plain;version=1.0.0;escaping={scheme}"));
            if scheme != "allow-utf-8" && !values.is_empty() {
                assert_valid_text(&page);
            }
            let mut escaped: Vec<f64> = samples(&page).into_values().collect();
            escaped.sort_by(f64::total_cmp);
            prop_assert_eq!(&escaped, &values, "{}", page);
        }
    }
}
