//! Invalid and conflicting metrics of collectors: the metrics page stays valid.

use metrics::Unit;
use tower_prometheus::Registry;
use tower_prometheus::collect::{CollectError, Samples};

use test_support::page::samples;
use test_support::scrape::{
    collector_succeeded, handler_with_collector, scrape_open_metrics, scrape_text,
};
use test_support::warnings::Warnings;

type Report = fn(&mut Samples) -> Result<(), CollectError>;

fn registry() -> Registry {
    let registry = Registry::builder().constant_label("service", "shop");
    let registry = registry.build().unwrap();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("orders_total").increment(7);
        metrics::histogram!("latency_seconds").record(0.1);
        metrics::gauge!("depth").set(1.0);
    });
    registry
}

#[tokio::test]
async fn collector_with_an_invalid_metric_loses_all_its_metrics() {
    let cases: [(&str, Report); 13] = [
        ("metric name", |s| {
            s.gauge("my.gauge", "").value(1_u64);
            Ok(())
        }),
        ("label name \"__name__\"", |s| {
            s.gauge("g", "").sample(&[("__name__", "x")], 1_u64);
            Ok(())
        }),
        ("label name \"le\"", |s| {
            s.gauge("g", "").sample(&[("le", "1")], 1_u64);
            Ok(())
        }),
        ("label \"a\" is set twice", |s| {
            s.gauge("g", "").sample(&[("a", "1"), ("a", "2")], 1_u64);
            Ok(())
        }),
        ("label \"service\" is a constant label", |s| {
            s.gauge("g", "").sample(&[("service", "mine")], 1_u64);
            Ok(())
        }),
        ("is added twice", |s| {
            s.gauge("g", "").sample(&[("a", "1"), ("b", "2")], 1_u64);
            s.gauge("g", "").sample(&[("b", "2"), ("a", "1")], 2_u64);
            Ok(())
        }),
        ("added as two types, gauge and counter", |s| {
            s.gauge("g_total", "").value(1_u64);
            s.counter("g_total", "").value(1_u64);
            Ok(())
        }),
        ("\"g_total\" must be 0 or more, got -1", |s| {
            s.counter("g_total", "").value(-1.0);
            Ok(())
        }),
        ("\"g_total\" must be 0 or more, got NaN", |s| {
            s.counter("g_total", "").value(f64::NAN);
            Ok(())
        }),
        ("\"depth\" is taken", |s| {
            s.gauge("depth", "").value(2_u64);
            Ok(())
        }),
        ("\"orders_total\" is taken", |s| {
            s.gauge("orders_total", "").value(2_u64);
            Ok(())
        }),
        ("\"latency_seconds_bucket\" is taken", |s| {
            s.gauge("latency_seconds_bucket", "").value(2_u64);
            Ok(())
        }),
        ("\"scrape_collector_success\" is taken", |s| {
            s.gauge("scrape_collector_success", "").value(2_u64);
            Ok(())
        }),
    ];
    for (reason, report) in cases {
        let warnings = Warnings::capture();
        let good = |s: &mut Samples| {
            s.gauge("good", "").value(1_u64);
            Ok(())
        };
        let registry = registry();
        let bad = move |s: &mut Samples| {
            s.gauge("valid", "").value(1_u64);
            report(s)
        };
        registry.collector("bad", bad).unwrap();
        registry.collector("good", good).unwrap();
        let handler = registry.handler();
        let page = scrape_text(&handler).await;
        scrape_open_metrics(&handler).await;
        let samples = samples(&page);
        let success = |name| {
            samples[&format!("scrape_collector_success{{collector=\"{name}\",service=\"shop\"}}")]
        };
        assert_eq!((success("bad"), success("good")), (0.0, 1.0), "{reason}");
        assert_eq!(samples["good{service=\"shop\"}"], 1.0);
        assert_eq!(samples["depth{service=\"shop\"}"], 1.0);
        assert!(!samples.contains_key("valid{service=\"shop\"}"), "{page}");
        let warned = warnings.about("collector \"bad\" failed");
        assert!(warned[0].contains(reason), "{reason}: {warned:?}");
    }
}

#[tokio::test]
async fn first_of_two_collectors_with_the_same_metric_is_exported() {
    let registry = Registry::new();
    registry.gauge("depth", "", || 1_u64).unwrap();
    let second = |samples: &mut Samples| {
        samples.gauge("depth", "").value(2_u64);
        Ok(())
    };
    registry.collector("second", second).unwrap();
    let page = scrape_text(&registry.handler()).await;
    assert!(page.contains("\ndepth 1\n"), "{page}");
    assert!(collector_succeeded(&page, "depth") && !collector_succeeded(&page, "second"));
}

#[tokio::test]
async fn scrape_collector_metrics_are_omitted_if_their_name_or_label_is_taken() {
    let registry = Registry::builder().constant_label("collector", "mine");
    let registry = registry.build().unwrap();
    metrics::with_local_recorder(&registry, || metrics::gauge!("other").set(1.0));
    registry.gauge("good", "", || 1_u64).unwrap();
    let text = scrape_text(&registry.handler()).await;
    assert!(text.contains("good{collector=\"mine\"} 1\n"), "{text}");
    assert!(!text.contains("scrape_collector"), "{text}");

    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::gauge!("scrape_collector_success").set(9.0);
    });
    registry.gauge("good", "", || 1_u64).unwrap();
    let text = scrape_text(&registry.handler()).await;
    assert!(text.contains("\nscrape_collector_success 9\n"), "{text}");
    assert!(text.contains("scrape_collector_duration_seconds{collector=\"good\"}"));
}

/// OpenMetrics removes suffixes such as `_total` from family names. Two families must not get the same name.
#[tokio::test]
async fn names_that_open_metrics_shortens_stay_distinct() {
    let type_lines = async |handler: &tower_prometheus::MetricsHandler| {
        scrape_text(handler).await;
        let page = scrape_open_metrics(handler).await;
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let own = types.filter(|line| !line.starts_with("scrape_"));
        own.map(str::to_owned).collect::<Vec<_>>()
    };
    let with_jobs_total = |report: Report| {
        let registry = Registry::new();
        metrics::with_local_recorder(&registry, || metrics::counter!("jobs_total").increment(1));
        registry.collector("names", report).unwrap();
        registry.handler()
    };
    let with_gauge = with_jobs_total(|s| {
        s.gauge("jobs", "").value(1_u64);
        Ok(())
    });
    assert_eq!(
        type_lines(&with_gauge).await,
        ["jobs gauge", "jobs_total unknown"]
    );
    let with_info = with_jobs_total(|s| {
        s.info("jobs_info", "", &[]);
        Ok(())
    });
    assert_eq!(
        type_lines(&with_info).await,
        ["jobs_info gauge", "jobs counter"]
    );

    let both = handler_with_collector("names", |s: &mut Samples| {
        s.counter("jobs_total", "").value(1_u64);
        s.info("jobs_info", "", &[]);
        s.counter("queue_total", "").value(1_u64);
        s.gauge("queue", "").value(1_u64);
        s.counter("seconds", "").value(1_u64);
        s.counter("busy_seconds_total", "")
            .value(1.5)
            .unit(Unit::Seconds);
        Ok(())
    });
    assert_eq!(
        type_lines(&both).await,
        [
            "busy_seconds counter",
            "jobs_info gauge",
            "jobs counter",
            "queue gauge",
            "queue_total unknown",
            "seconds unknown",
        ]
    );
}

#[cfg(feature = "exporter")]
#[tokio::test]
async fn collector_metrics_are_added_to_a_page_of_metrics_exporter_prometheus() {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower_prometheus::{MetricsHandler, scrape::PageSource};
    let recorder = PrometheusBuilder::new().set_buckets(&[1.0]).unwrap();
    let recorder = recorder.build_recorder();
    metrics::with_local_recorder(&recorder, || {
        metrics::counter!("orders_total").increment(7);
        metrics::histogram!("latency").record(0.5);
    });
    let registry = Registry::new();
    registry.gauge("good", "", || 1_u64).unwrap();
    for name in ["orders_total", "latency_bucket", "latency"] {
        registry.gauge(name, "", || 1_u64).unwrap();
    }
    let page = PageSource::from(recorder.handle()).collectors(&registry);
    let handler = MetricsHandler::new(page);
    let (_, page) = test_support::scrape::scrape_with_timeout(&handler, 10.0).await;
    // The exporter separates families by empty lines.
    test_support::page::assert_valid_text(&page.replace("\n\n", "\n"));
    assert!(
        page.contains("\ngood 1\n") && page.contains("\norders_total 7\n"),
        "{page}"
    );
    assert!(collector_succeeded(&page, "good"));
    for name in ["orders_total", "latency_bucket", "latency"] {
        assert!(!collector_succeeded(&page, name), "{name}");
    }
}
