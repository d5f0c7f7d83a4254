//! The metrics page and `Registry::gather` have the same samples, for random metrics.

use futures_util::FutureExt;
use http_body_util::BodyExt;
use metrics::{Key, Label, Level, Metadata, Recorder};
use proptest::collection::vec;
use proptest::prelude::*;
use tower::ServiceExt;
use tower_prometheus::Registry;
use tower_prometheus::collect::Samples;

use test_support::snapshot::{SampleTexts, page_samples, snapshot_samples};

const METADATA: Metadata<'static> = Metadata::new("gather", Level::INFO, None);

/// A metric: kind, name, labels and value.
type Recorded = (u8, String, Vec<(String, String)>, f64);

fn metrics(name: &'static str, label: &'static str) -> impl Strategy<Value = Vec<Recorded>> {
    let value = prop_oneof![any::<f64>(), (0..100_u32).prop_map(f64::from)];
    let labels = vec((label, "[\\\\\"\n,={}a é]{0,4}"), 0..4);
    vec((0..3_u8, name, labels, value), 0..20)
}

fn record(registry: &Registry, recorded: &[Recorded]) {
    for (kind, name, labels, value) in recorded {
        let labels = labels.iter().cloned();
        let labels: Vec<_> = labels
            .map(|(name, value)| Label::new(name, value))
            .collect();
        let key = Key::from_parts(name.clone(), labels);
        match kind {
            0 => {
                let counter = registry.register_counter(&key, &METADATA);
                counter.increment(value.to_bits() >> 3);
            }
            1 => registry.register_gauge(&key, &METADATA).set(*value),
            _ => registry.register_histogram(&key, &METADATA).record(*value),
        }
    }
}

/// Clears the durations of collectors, which differ from call to call.
fn without_durations(mut samples: SampleTexts) -> SampleTexts {
    for ((name, _), text) in &mut samples {
        if name == "scrape_collector_duration_seconds" {
            text.clear();
        }
    }
    samples
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn page_and_snapshot_have_the_same_samples(
        recorded in metrics("[a_.\\-]{1,3}(_count|_total|_info)?", "[ab_.]{0,2}|le|zone"),
        collected in metrics("[xa]{1,2}(_count|_total|_info)?", "[ab]"),
        more in metrics("[a_.\\-]{1,3}(_total)?", "[ab]"),
        zone: bool,
    ) {
        let mut builder = Registry::builder();
        if zone {
            builder = builder.constant_label("zone", "e\"u\\");
        }
        let registry = builder.build().unwrap();
        record(&registry, &recorded);
        registry.collector("random", move |samples: &mut Samples| {
            for (kind, name, labels, value) in &collected {
                let labels: Vec<_> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                match kind {
                    0 => samples.counter(name, "").sample(&labels, value.to_bits()),
                    1 => samples.gauge(name, "").sample(&labels, *value),
                    _ => {
                        samples.info(name, "", &labels);
                        continue;
                    }
                };
            }
            Ok(())
        }).unwrap();
        // The second time, the index already exists.
        for _ in 0..2 {
            let page = async {
                let response = registry.handler().oneshot(http::Request::new(())).await.unwrap();
                response.into_body().collect().await.unwrap().to_bytes()
            };
            let page = page.now_or_never().unwrap();
            let page = String::from_utf8(page.to_vec()).unwrap();
            let snapshot = registry.gather().now_or_never().unwrap();
            prop_assert_eq!(
                without_durations(snapshot_samples(&snapshot)),
                without_durations(page_samples(&page)),
                "{}", page
            );
            record(&registry, &more);
        }
    }
}
