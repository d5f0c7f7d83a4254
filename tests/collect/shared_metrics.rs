//! Several collectors report the same metric.

use metrics::Unit;
use tower_prometheus::Registry;
use tower_prometheus::collect::{CollectError, HistogramSample, Samples};

use test_support::scrape::{collector_succeeded, scrape_open_metrics, scrape_text};
use test_support::warnings::Warnings;

/// Returns a collector of a database pool.
fn pool(name: &'static str) -> impl Fn(&mut Samples) -> Result<(), CollectError> {
    move |samples| {
        let labels = &[("pool", name)];
        samples
            .gauge("pool_connections", "Connections.")
            .sample(&[("pool", name), ("state", "idle")], 3_u64)
            .sample(&[("pool", name), ("state", "used")], 1_u64);
        samples
            .histogram("pool_wait_seconds", "Waits.")
            .unit(Unit::Seconds)
            .sample(
                labels,
                HistogramSample::cumulative([(0.1, 2), (1.0, 3)], 4, 5.5),
            );
        samples
            .state_set("pool_state", "State.")
            .sample(labels, &["up", "down"], "up");
        Ok(())
    }
}

#[tokio::test]
async fn collectors_share_a_metric_with_different_labels() {
    let warnings = Warnings::capture();
    let registry = Registry::builder().constant_label("service", "shop");
    let registry = registry.build().unwrap();
    for name in ["b", "a", "c"] {
        registry.collector(name, pool(name)).unwrap();
    }
    let handler = registry.handler();
    let page = scrape_text(&handler).await;
    let lines = page.lines().filter(|line| !line.contains("scrape_"));
    let lines: Vec<_> = lines.collect();
    let mut expected = vec![
        "# HELP pool_connections Connections.".to_owned(),
        "# TYPE pool_connections gauge".to_owned(),
    ];
    for pool in ["a", "b", "c"] {
        for (state, number) in [("idle", 3), ("used", 1)] {
            expected.push(format!(
                "pool_connections{{pool=\"{pool}\",service=\"shop\",state=\"{state}\"}} {number}"
            ));
        }
    }
    assert_eq!(lines[..expected.len()], expected);
    assert_eq!(
        page.matches("# TYPE pool_wait_seconds histogram").count(),
        1
    );
    assert_eq!(page.matches("pool_wait_seconds_count{").count(), 3);
    assert_eq!(page.matches("# TYPE pool_state ").count(), 1);
    assert_eq!(page.matches("pool_state{").count(), 6);
    let open_metrics = scrape_open_metrics(&handler).await;
    assert_eq!(open_metrics.matches("pool_wait_seconds_count{").count(), 3);
    assert!(open_metrics.contains("# UNIT pool_wait_seconds seconds\n"));
    let snapshot = registry.gather().await;
    assert_eq!(snapshot.family("pool_connections").unwrap().len(), 6);
    assert_eq!(snapshot.family("pool_wait_seconds").unwrap().len(), 3);
    assert_eq!(warnings.about("collector"), [""; 0]);
}

#[tokio::test]
async fn dead_pool_loses_only_its_own_series_of_a_shared_metric() {
    let registry = Registry::new();
    registry
        .collector("dead", |samples: &mut Samples| {
            pool("dead")(samples)?;
            Err("connection refused".into())
        })
        .unwrap();
    registry.collector("alive", pool("alive")).unwrap();
    let page = scrape_text(&registry.handler()).await;
    assert!(!collector_succeeded(&page, "dead") && collector_succeeded(&page, "alive"));
    assert!(!page.contains("pool=\"dead\""), "{page}");
    let alive = "pool_connections{pool=\"alive\",state=\"idle\"} 3\n";
    assert!(page.contains(alive), "{page}");
}

/// Registers two collectors and returns the page and the warning about the second.
async fn conflict(
    first: impl Fn(&mut Samples) + Send + Sync + 'static,
    second: impl Fn(&mut Samples) + Send + Sync + 'static,
) -> (String, String) {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let first = move |samples: &mut Samples| {
        first(samples);
        Ok(())
    };
    let second = move |samples: &mut Samples| {
        samples.gauge("other", "").value(1_u64);
        second(samples);
        Ok(())
    };
    registry.collector("first", first).unwrap();
    registry.collector("second", second).unwrap();
    let page = scrape_text(&registry.handler()).await;
    assert!(collector_succeeded(&page, "first"), "{page}");
    assert!(!collector_succeeded(&page, "second"), "{page}");
    assert!(!page.contains("\nother"), "{page}");
    let warned = warnings.about("collector");
    assert_eq!(warned.len(), 1, "{warned:?}");
    (page, warned[0].clone())
}

#[tokio::test]
async fn collector_with_another_type_unit_or_help_is_refused() {
    let first = |samples: &mut Samples| {
        let mut size = samples.gauge("size_bytes", "Size.");
        size.unit(Unit::Bytes).sample(&[("pool", "a")], 1_u64);
    };
    let (page, warning) = conflict(first, |samples| {
        let mut size = samples.counter("size_bytes", "Size.");
        size.unit(Unit::Bytes).sample(&[("pool", "b")], 2_u64);
    })
    .await;
    assert!(page.contains("\nsize_bytes{pool=\"a\"} 1\n"), "{page}");
    assert!(!page.contains("pool=\"b\""), "{page}");
    let reason = "collector \"second\" failed, its metrics are not exported: \"size_bytes\" has the type counter here \
                  and gauge in collector \"first\"; make them equal, or use another name";
    assert!(warning.contains(reason), "{warning}");

    let (_, warning) = conflict(first, |samples| {
        let mut size = samples.gauge("size_bytes", "Size.");
        size.sample(&[("pool", "b")], 2_u64);
    })
    .await;
    let reason =
        "\"size_bytes\" has the unit none here and bytes in collector \"first\"; make them equal";
    assert!(warning.contains(reason), "{warning}");

    let (_, warning) = conflict(first, |samples| {
        let mut size = samples.gauge("size_bytes", "Other.");
        size.unit(Unit::Bytes).sample(&[("pool", "b")], 2_u64);
    })
    .await;
    let reason = "\"size_bytes\" has the HELP \"Other.\" here and \"Size.\" in collector \"first\"";
    assert!(warning.contains(reason), "{warning}");
}

#[tokio::test]
async fn collector_that_repeats_a_series_is_refused() {
    let (page, warning) = conflict(
        |samples| {
            let mut size = samples.gauge("size", "");
            size.sample(&[("pool", "b"), ("kind", "x")], 1_u64);
        },
        |samples| {
            let mut size = samples.gauge("size", "");
            size.sample(&[("pool", "a"), ("kind", "x")], 2_u64);
            size.sample(&[("kind", "x"), ("pool", "b")], 2_u64);
        },
    )
    .await;
    assert_eq!(page.matches("\nsize{").count(), 1, "{page}");
    let reason = "collector \"second\" failed, its metrics are not exported: series \
                  \"size{kind=\\\"x\\\",pool=\\\"b\\\"}\" is also reported by collector \"first\"";
    assert!(warning.contains(reason), "{warning}");

    let histogram = |samples: &mut Samples| {
        let sample = HistogramSample::cumulative([(1.0, 1)], 1, 1.0);
        samples.histogram("waits", "").value(sample);
    };
    let (page, warning) = conflict(histogram, histogram).await;
    assert_eq!(page.matches("\nwaits_count").count(), 1, "{page}");
    assert!(
        warning.contains("series \"waits\" is also reported by"),
        "{warning}"
    );
}

#[tokio::test]
async fn collector_with_the_sample_name_of_another_is_refused() {
    let (page, warning) = conflict(
        |samples| {
            samples.gauge("waits_count", "").value(1_u64);
        },
        |samples| {
            let sample = HistogramSample::cumulative([(1.0, 1)], 1, 1.0);
            samples.histogram("waits", "").value(sample);
        },
    )
    .await;
    assert!(page.contains("\nwaits_count 1\n"), "{page}");
    let reason = "the name \"waits_count\" is taken by a metric of collector \"first\"";
    assert!(warning.contains(reason), "{warning}");
}

/// A refused collector must leave nothing behind that refuses a third one.
#[tokio::test]
async fn third_collector_can_report_the_series_of_a_refused_one() {
    let registry = Registry::new();
    let report = |pool: &'static str, help: &'static str| {
        move |samples: &mut Samples| {
            samples.gauge("size", "").sample(&[("pool", pool)], 1_u64);
            samples
                .gauge("other", help)
                .sample(&[("pool", pool)], 1_u64);
            Ok(())
        }
    };
    registry.collector("first", report("a", "")).unwrap();
    registry
        .collector("refused", report("b", "Other."))
        .unwrap();
    registry.collector("third", report("b", "")).unwrap();
    let page = scrape_text(&registry.handler()).await;
    assert!(collector_succeeded(&page, "first") && collector_succeeded(&page, "third"));
    assert!(!collector_succeeded(&page, "refused"));
    assert_eq!(page.matches("\nsize{").count(), 2, "{page}");
}

#[tokio::test]
async fn metric_of_the_registry_cannot_be_shared() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::gauge!("size", "pool" => "a").set(1.0);
    });
    let report = |samples: &mut Samples| {
        samples.gauge("size", "").sample(&[("pool", "b")], 1_u64);
        Ok(())
    };
    registry.collector("pool", report).unwrap();
    let page = scrape_text(&registry.handler()).await;
    assert!(!collector_succeeded(&page, "pool"), "{page}");
    assert!(page.contains("\nsize{pool=\"a\"} 1\n"), "{page}");
    let warned = warnings.about("collector \"pool\" failed");
    let reason = "the name \"size\" is taken by another metric, which no collector reports";
    assert!(warned[0].contains(reason), "{warned:?}");
}
