//! Whatever collectors give, the page can be read.

use metrics::Unit;
use tower_prometheus::collect::{CollectError, Samples};
use tower_prometheus::{MetricsHandler, Registry};

use test_support::page::samples;
use test_support::scrape::{open_metrics, page, succeeded};
use test_support::warnings::Warnings;

type Fill = fn(&mut Samples) -> Result<(), CollectError>;

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
async fn what_cannot_stand_on_the_page_costs_its_collector() {
    let cases: [(&str, Fill); 13] = [
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
        ("the label \"a\" twice", |s| {
            s.gauge("g", "").sample(&[("a", "1"), ("a", "2")], 1_u64);
            Ok(())
        }),
        ("the label \"service\" twice", |s| {
            s.gauge("g", "").sample(&[("service", "mine")], 1_u64);
            Ok(())
        }),
        ("is there twice", |s| {
            s.gauge("g", "").sample(&[("a", "1"), ("b", "2")], 1_u64);
            s.gauge("g", "").sample(&[("b", "2"), ("a", "1")], 2_u64);
            Ok(())
        }),
        ("two kinds of metric", |s| {
            s.gauge("g_total", "").value(1_u64);
            s.counter("g_total", "").value(1_u64);
            Ok(())
        }),
        ("cannot be", |s| {
            s.counter("g_total", "").value(-1.0);
            Ok(())
        }),
        ("cannot be", |s| {
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
    for (reason, fill) in cases {
        let warnings = Warnings::catch();
        let good = |s: &mut Samples| {
            s.gauge("good", "").value(1_u64);
            Ok(())
        };
        let handler = registry().handler();
        let handler = handler.collector("bad", move |s: &mut Samples| {
            s.gauge("innocent", "").value(1_u64);
            fill(s)
        });
        let handler = handler.collector("good", good);
        let page = page(&handler).await;
        open_metrics(&handler).await;
        let samples = samples(&page);
        let success = |name| {
            samples[&format!("scrape_collector_success{{collector=\"{name}\",service=\"shop\"}}")]
        };
        assert_eq!((success("bad"), success("good")), (0.0, 1.0), "{reason}");
        assert_eq!(samples["good{service=\"shop\"}"], 1.0);
        assert_eq!(samples["depth{service=\"shop\"}"], 1.0);
        assert!(
            !samples.contains_key("innocent{service=\"shop\"}"),
            "{page}"
        );
        let warned = warnings.about("collector \"bad\" failed");
        assert!(warned[0].contains(reason), "{reason}: {warned:?}");
    }
}

#[tokio::test]
async fn of_two_collectors_with_one_name_the_first_has_it() {
    let handler = Registry::new().handler();
    let handler = handler.gauge("depth", "", || 1_u64);
    let handler = handler.collector("second", |samples: &mut Samples| {
        samples.gauge("depth", "").value(2_u64);
        Ok(())
    });
    let page = page(&handler).await;
    assert!(page.contains("\ndepth 1\n"), "{page}");
    assert!(succeeded(&page, "depth") && !succeeded(&page, "second"));
}

/// A name that ours have is theirs: ours go.
#[tokio::test]
async fn an_application_may_have_our_names() {
    let registry = Registry::builder().constant_label("collector", "mine");
    let registry = registry.build().unwrap();
    metrics::with_local_recorder(&registry, || metrics::gauge!("other").set(1.0));
    let handler = registry.handler().gauge("good", "", || 1_u64);
    let text = page(&handler).await;
    assert!(text.contains("good{collector=\"mine\"} 1\n"), "{text}");
    assert!(!text.contains("scrape_collector"), "{text}");

    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::gauge!("scrape_collector_success").set(9.0);
    });
    let handler = registry.handler().gauge("good", "", || 1_u64);
    let text = page(&handler).await;
    assert!(text.contains("\nscrape_collector_success 9\n"), "{text}");
    assert!(text.contains("scrape_collector_duration_seconds{collector=\"good\"}"));
}

/// Names that OpenMetrics shortens are never two families.
#[tokio::test]
async fn short_names_do_not_meet() {
    let handler = |registry: &Registry, fill: Fill| -> MetricsHandler {
        registry.handler().collector("names", fill)
    };
    let announced = async |handler: &MetricsHandler| {
        page(handler).await;
        let page = open_metrics(handler).await;
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let own = types.filter(|line| !line.starts_with("scrape_"));
        own.map(str::to_owned).collect::<Vec<_>>()
    };
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || metrics::counter!("jobs_total").increment(1));
    let with_gauge = handler(&registry, |s| {
        s.gauge("jobs", "").value(1_u64);
        Ok(())
    });
    assert_eq!(
        announced(&with_gauge).await,
        ["jobs gauge", "jobs_total unknown"]
    );
    let with_info = handler(&registry, |s| {
        s.info("jobs_info", "", &[]);
        Ok(())
    });
    assert_eq!(
        announced(&with_info).await,
        ["jobs_info gauge", "jobs counter"]
    );

    let registry = Registry::new();
    let both = handler(&registry, |s| {
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
        announced(&both).await,
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
async fn a_page_of_the_exporter_has_them_too() {
    use metrics_exporter_prometheus::PrometheusBuilder;
    let recorder = PrometheusBuilder::new().set_buckets(&[1.0]).unwrap();
    let recorder = recorder.build_recorder();
    metrics::with_local_recorder(&recorder, || {
        metrics::counter!("orders_total").increment(7);
        metrics::histogram!("latency").record(0.5);
    });
    let handler = MetricsHandler::new(recorder.handle()).gauge("good", "", || 1_u64);
    for name in ["orders_total", "latency_bucket", "latency"] {
        handler
            .add_collector(name, move |samples: &mut Samples| {
                samples.gauge(name, "").value(1_u64);
                Ok(())
            })
            .unwrap();
    }
    let (_, page) = test_support::scrape::scrape(&handler, 10.0).await;
    // The exporter separates its families by empty lines.
    test_support::page::assert_readable(&page.replace("\n\n", "\n"));
    assert!(
        page.contains("\ngood 1\n") && page.contains("\norders_total 7\n"),
        "{page}"
    );
    assert!(succeeded(&page, "good"));
    for name in ["orders_total", "latency_bucket", "latency"] {
        assert!(!succeeded(&page, name), "{name}");
    }
}
