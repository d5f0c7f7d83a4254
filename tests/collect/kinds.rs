//! Collectors report every kind of metric: on the pages and in the snapshot.

use metrics::Unit;
use tower_prometheus::collect::{CollectError, HistogramSample, Samples, SummarySample};
use tower_prometheus::model::{MetricKind, Number};
use tower_prometheus::snapshot::{SeriesSnapshot, Value};
use tower_prometheus::{MetricsHandler, Registry, scrape::PageSource};

use test_support::scrape::{collector_succeeded, scrape_open_metrics, scrape_text};
use test_support::snapshot::{page_samples, snapshot_samples};
use test_support::warnings::Warnings;

type Report = fn(&mut Samples) -> Result<(), CollectError>;

/// Reports every kind of metric.
#[expect(clippy::unnecessary_wraps, reason = "the form of a collector")]
fn every_kind(samples: &mut Samples) -> Result<(), CollectError> {
    samples.counter("db_queries_total", "Queries.").value(7_u64);
    samples
        .counter("db_retries", "Retries, by an old name.")
        .value(2_u64);
    samples.gauge("db_size", "Connections.").value(-1.5);
    samples
        .histogram("db_wait_seconds", "Waits.")
        .unit(Unit::Seconds)
        .sample(
            &[("pool", "b"), ("kind", "\"x\"\n")],
            HistogramSample::cumulative([(0.1, 0), (1.0, 0)], 0, 0.0),
        )
        .sample(
            &[("pool", "a")],
            HistogramSample::cumulative([(0.1, 3), (1.0, 8), (f64::INFINITY, 9)], 9, 4.5),
        )
        .sample(
            &[("pool", "c")],
            HistogramSample::cumulative([(-0.0, 1), (1.5e18, u64::MAX)], u64::MAX, f64::INFINITY),
        );
    samples
        .histogram("db_rows", "")
        .value(HistogramSample::cumulative([], 4, 2.0));
    samples.info("db_info", "Database.", &[("version", "17")]);
    samples
        .state_set("db_state", "State.")
        .sample(
            &[("a", "1"), ("pool", "b")],
            &["up", "down", "a \"b\"\\"],
            "down",
        )
        .sample(&[("pool", "a")], &["up", "down"], "up")
        .sample(&[("z", "1")], &["up", "down"], "up")
        .value(&["up"], "up");
    samples
        .summary("db_query_bytes", "Sizes.")
        .unit(Unit::Bytes)
        .sample(
            &[("pool", "a")],
            SummarySample::new([(1.0, 8.0), (0.0, 1.5), (0.999, f64::NAN)], 10, 20.25),
        )
        .sample(&[("pool", "b")], SummarySample::new([], 1, 2.0));
    Ok(())
}

fn registry() -> Registry {
    let registry = Registry::new();
    registry.collector("db", every_kind).unwrap();
    registry
}

fn own_lines(page: &str) -> Vec<&str> {
    let lines = page.lines();
    lines.filter(|line| !line.contains("scrape_coll")).collect()
}

const PAGE: &str = r#"# HELP db_info Database.
# TYPE db_info gauge
db_info{version="17"} 1
# HELP db_queries_total Queries.
# TYPE db_queries_total counter
db_queries_total 7
# HELP db_query_bytes Sizes.
# TYPE db_query_bytes summary
db_query_bytes{pool="a",quantile="0"} 1.5
db_query_bytes{pool="a",quantile="0.999"} NaN
db_query_bytes{pool="a",quantile="1"} 8
db_query_bytes_sum{pool="a"} 20.25
db_query_bytes_count{pool="a"} 10
db_query_bytes_sum{pool="b"} 2
db_query_bytes_count{pool="b"} 1
# HELP db_retries Retries, by an old name.
# TYPE db_retries counter
db_retries 2
# TYPE db_rows histogram
db_rows_bucket{le="+Inf"} 4
db_rows_sum 2
db_rows_count 4
# HELP db_size Connections.
# TYPE db_size gauge
db_size -1.5
# HELP db_state State.
# TYPE db_state gauge
db_state{a="1",pool="b",db_state="a \"b\"\\"} 0
db_state{a="1",pool="b",db_state="down"} 1
db_state{a="1",pool="b",db_state="up"} 0
db_state{db_state="up"} 1
db_state{pool="a",db_state="down"} 0
db_state{pool="a",db_state="up"} 1
db_state{z="1",db_state="down"} 0
db_state{z="1",db_state="up"} 1
# HELP db_wait_seconds Waits.
# TYPE db_wait_seconds histogram
db_wait_seconds_bucket{kind="\"x\"\n",pool="b",le="0.1"} 0
db_wait_seconds_bucket{kind="\"x\"\n",pool="b",le="1"} 0
db_wait_seconds_bucket{kind="\"x\"\n",pool="b",le="+Inf"} 0
db_wait_seconds_sum{kind="\"x\"\n",pool="b"} 0
db_wait_seconds_count{kind="\"x\"\n",pool="b"} 0
db_wait_seconds_bucket{pool="a",le="0.1"} 3
db_wait_seconds_bucket{pool="a",le="1"} 8
db_wait_seconds_bucket{pool="a",le="+Inf"} 9
db_wait_seconds_sum{pool="a"} 4.5
db_wait_seconds_count{pool="a"} 9
db_wait_seconds_bucket{pool="c",le="0"} 1
db_wait_seconds_bucket{pool="c",le="1.5e+18"} 18446744073709551615
db_wait_seconds_bucket{pool="c",le="+Inf"} 18446744073709551615
db_wait_seconds_sum{pool="c"} +Inf
db_wait_seconds_count{pool="c"} 18446744073709551615
"#;

#[tokio::test]
async fn every_kind_is_on_the_text_page() {
    let page = scrape_text(&registry().handler()).await;
    assert_eq!(own_lines(&page), PAGE.lines().collect::<Vec<_>>());
}

#[tokio::test]
async fn every_kind_is_on_a_page_rendered_by_other_code() {
    let other = PageSource::rendered(|| "# TYPE up gauge\nup 1\n".to_owned());
    let page = scrape_text(&MetricsHandler::new(other.collectors(&registry()))).await;
    let expected: Vec<_> = ["# TYPE up gauge", "up 1"]
        .into_iter()
        .chain(PAGE.lines())
        .collect();
    assert_eq!(own_lines(&page), expected);
}

#[tokio::test]
async fn open_metrics_has_the_type_of_every_kind() {
    let page = scrape_open_metrics(&registry().handler()).await;
    for line in [
        "# TYPE db_state stateset",
        "db_state{a=\"1\",pool=\"b\",db_state=\"down\"} 1",
        "# TYPE db_wait_seconds histogram",
        "# UNIT db_wait_seconds seconds",
        "db_wait_seconds_bucket{pool=\"a\",le=\"1.0\"} 8",
        "# TYPE db_query_bytes summary",
        "# UNIT db_query_bytes bytes",
        "db_query_bytes{pool=\"a\",quantile=\"1.0\"} 8.0",
        "# TYPE db info",
        "# TYPE db_queries counter",
        "# TYPE db_retries unknown",
        "db_retries 2",
    ] {
        assert!(own_lines(&page).contains(&line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn snapshot_has_the_value_of_every_kind() {
    let registry = registry();
    let snapshot = registry.gather().await;
    let kind = |name: &str| snapshot.family(name).unwrap().kind();
    assert_eq!(kind("db_state"), MetricKind::StateSet);
    assert_eq!(kind("db_wait_seconds"), MetricKind::Histogram);
    assert_eq!(kind("db_query_bytes"), MetricKind::Summary);
    let series = |name: &str, pool: &str| {
        let has_pool = |series: &SeriesSnapshot<'_>| series.labels().any(|(_, v)| v == pool);
        let mut found = snapshot.family(name).unwrap().series();
        found.find(has_pool).unwrap()
    };
    let Value::Histogram(waits) = series("db_wait_seconds", "a").value() else {
        panic!("{snapshot:?}");
    };
    let buckets = waits.buckets().map(|b| (b.upper_bound, b.cumulative_count));
    let buckets: Vec<_> = buckets.collect();
    assert_eq!(buckets, [(0.1, 3), (1.0, 8), (f64::INFINITY, 9)]);
    assert_eq!((waits.count(), waits.sum()), (9, 4.5));
    let Value::Summary(sizes) = series("db_query_bytes", "a").value() else {
        panic!("{snapshot:?}");
    };
    assert_eq!((sizes.count, sizes.sum), (10, 20.25));
    assert_eq!(sizes.quantiles[0], (0.0, 1.5));
    let states = snapshot.family("db_state").unwrap();
    assert_eq!(states.len(), 8);
    let current: Vec<_> = states
        .series()
        .filter(|series| matches!(series.value(), Value::State(true)))
        .map(|series| series.labels().last().unwrap().1.into_owned())
        .collect();
    assert_eq!(current, ["down", "up", "up", "up"]);
    let retries = snapshot.family("db_retries").unwrap();
    let retries = retries.series().next().unwrap().value();
    assert!(matches!(retries, Value::Counter(Number::Integer(2))));

    let mut from_page = page_samples(&scrape_text(&registry.handler()).await);
    let mut gathered = snapshot_samples(&snapshot);
    for samples in [&mut from_page, &mut gathered] {
        samples.retain(|(name, _), _| !name.starts_with("scrape_"));
    }
    assert_eq!(gathered, from_page);
}

#[tokio::test]
async fn every_kind_has_the_constant_labels() {
    let registry = Registry::builder().constant_label("service", "shop");
    let registry = registry.build().unwrap();
    registry.collector("db", every_kind).unwrap();
    let page = scrape_text(&registry.handler()).await;
    for line in own_lines(&page) {
        let has_label = line.contains("service=\"shop\"");
        assert_eq!(has_label, !line.starts_with('#'), "{line}");
    }
    let state = "db_state{pool=\"a\",service=\"shop\",db_state=\"up\"} 1\n";
    assert!(page.contains(state), "{page}");
}

#[tokio::test]
async fn invalid_values_fail_the_collector_with_one_reason() {
    let cases: [(&str, Report); 16] = [
        (
            "histogram h{a=\"1\"}: bucket bound 0.1 follows 0.5; bounds must be in increasing order",
            |s| {
                let sample = HistogramSample::cumulative([(0.5, 1), (0.1, 2)], 2, 1.0);
                s.histogram("h", "").sample(&[("a", "1")], sample);
                Ok(())
            },
        ),
        (
            "histogram h: bucket bound 0.5 follows 0.5; bounds must be in increasing order",
            |s| {
                let sample = HistogramSample::cumulative([(0.5, 1), (0.5, 2)], 2, 1.0);
                s.histogram("h", "").value(sample);
                Ok(())
            },
        ),
        ("histogram h: bucket bound NaN is not finite", |s| {
            let sample = HistogramSample::cumulative([(f64::NAN, 1)], 2, 1.0);
            s.histogram("h", "").value(sample);
            Ok(())
        }),
        (
            "histogram h: bucket bound inf is not finite; only the last bound may be +Inf",
            |s| {
                let sample =
                    HistogramSample::cumulative([(f64::INFINITY, 1), (f64::INFINITY, 2)], 2, 1.0);
                s.histogram("h", "").value(sample);
                Ok(())
            },
        ),
        ("histogram h: bucket bound -inf is not finite", |s| {
            let sample = HistogramSample::cumulative([(f64::NEG_INFINITY, 1)], 2, 1.0);
            s.histogram("h", "").value(sample);
            Ok(())
        }),
        (
            "histogram h: bucket 1 has 2 observations and the bucket before it 3; counts must be cumulative",
            |s| {
                let sample = HistogramSample::cumulative([(0.1, 3), (1.0, 2)], 5, 1.0);
                s.histogram("h", "").value(sample);
                Ok(())
            },
        ),
        (
            "histogram h: the last bucket has 3 observations and the count is 2",
            |s| {
                let sample = HistogramSample::cumulative([(0.1, 3)], 2, 1.0);
                s.histogram("h", "").value(sample);
                Ok(())
            },
        ),
        (
            "histogram h: the bucket of +Inf has 4 observations and the count is 5; they must be equal",
            |s| {
                let sample = HistogramSample::cumulative([(0.1, 3), (f64::INFINITY, 4)], 5, 1.0);
                s.histogram("h", "").value(sample);
                Ok(())
            },
        ),
        ("label name \"le\"", |s| {
            let sample = HistogramSample::cumulative([(0.1, 3)], 5, 1.0);
            s.histogram("h", "").sample(&[("le", "1")], sample);
            Ok(())
        }),
        ("series \"h{a=\\\"1\\\"}\" is added twice", |s| {
            let sample = HistogramSample::cumulative([(0.1, 3)], 5, 1.0);
            let mut histogram = s.histogram("h", "");
            histogram.sample(&[("a", "1")], sample.clone());
            histogram.sample(&[("a", "1")], sample);
            Ok(())
        }),
        ("summary s: quantile 1.5 is not between 0 and 1", |s| {
            s.summary("s", "")
                .value(SummarySample::new([(1.5, 1.0)], 1, 1.0));
            Ok(())
        }),
        ("summary s: quantile NaN is not between 0 and 1", |s| {
            s.summary("s", "")
                .value(SummarySample::new([(f64::NAN, 1.0)], 1, 1.0));
            Ok(())
        }),
        ("summary s: quantile 0.5 is given twice", |s| {
            let quantiles = [(0.5, 1.0), (0.9, 1.0), (0.5, 2.0)];
            s.summary("s", "")
                .value(SummarySample::new(quantiles, 1, 1.0));
            Ok(())
        }),
        (
            "stateset st: its state \"gone\" is not among [\"up\", \"down\"]",
            |s| {
                s.state_set("st", "").value(&["up", "down"], "gone");
                Ok(())
            },
        ),
        ("state set \"st\": the label \"st\" has the state", |s| {
            s.state_set("st", "")
                .sample(&[("st", "x")], &["up", "down"], "up");
            Ok(())
        }),
        ("state set \"a:b\" needs a label with its name", |s| {
            s.state_set("a:b", "").value(&["up"], "up");
            Ok(())
        }),
    ];
    for (reason, report) in cases {
        let warnings = Warnings::capture();
        let registry = Registry::new();
        registry.collector("bad", report).unwrap();
        let handler = registry.handler();
        let page = scrape_text(&handler).await;
        assert!(!collector_succeeded(&page, "bad"), "{reason}\n{page}");
        assert_eq!(own_lines(&page), [""; 0]);
        let warned = warnings.about("collector \"bad\" failed");
        assert_eq!(warned.len(), 1);
        assert!(warned[0].contains(reason), "{reason}: {warned:?}");
    }
}

#[tokio::test]
async fn sample_names_of_two_metrics_never_collide() {
    let histogram = |samples: &mut Samples, name: &str| {
        let sample = HistogramSample::cumulative([(1.0, 1)], 1, 1.0);
        samples.histogram(name, "").value(sample);
    };
    // In one collector.
    for (kind, name) in [
        ("counter", "x_count"),
        ("gauge", "x_bucket"),
        ("gauge", "x_sum"),
        ("gauge", "x_created"),
    ] {
        for histogram_first in [true, false] {
            let warnings = Warnings::capture();
            let registry = Registry::new();
            let report = move |samples: &mut Samples| {
                if histogram_first {
                    histogram(samples, "x");
                }
                match kind {
                    "counter" => samples.counter(name, "").value(1_u64),
                    _ => samples.gauge(name, "").value(1_u64),
                };
                if !histogram_first {
                    histogram(samples, "x");
                }
                Ok(())
            };
            registry.collector("both", report).unwrap();
            let page = scrape_text(&registry.handler()).await;
            assert!(!collector_succeeded(&page, "both"), "{page}");
            let warned = warnings.about("collector \"both\" failed");
            let reason = format!("have both the sample name \"{name}\"");
            assert!(warned[0].contains(&reason), "{warned:?}");
        }
    }
    // In two collectors, and in the registry and a collector. The first one stays.
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("registered_count").increment(1);
        metrics::histogram!("recorded").record(1.0);
    });
    registry.gauge("first_sum", "", || 1_u64).unwrap();
    let reports: [(&str, Report); 3] = [
        ("first", |s| {
            let sample = HistogramSample::cumulative([(1.0, 1)], 1, 1.0);
            s.histogram("first", "").value(sample);
            Ok(())
        }),
        ("registered", |s| {
            let sample = HistogramSample::cumulative([(1.0, 1)], 1, 1.0);
            s.histogram("registered", "").value(sample);
            Ok(())
        }),
        ("recorded", |s| {
            s.summary("recorded_sum", "")
                .value(SummarySample::new([], 1, 1.0));
            Ok(())
        }),
    ];
    for (name, report) in reports {
        registry.collector(name, report).unwrap();
    }
    let handler = registry.handler();
    let page = scrape_text(&handler).await;
    for (name, _) in reports {
        assert!(!collector_succeeded(&page, name), "{name}\n{page}");
    }
    assert!(collector_succeeded(&page, "first_sum"), "{page}");
    assert!(page.contains("\nregistered_count 1\n"), "{page}");
    scrape_open_metrics(&handler).await;
}

/// In OpenMetrics, the counter `x_total` is the family `x`.
#[tokio::test]
async fn counter_keeps_its_suffix_if_a_histogram_has_its_short_name() {
    let registry = Registry::new();
    let report = |samples: &mut Samples| {
        let sample = HistogramSample::cumulative([(1.0, 1)], 1, 1.0);
        samples.histogram("x", "").value(sample);
        samples.counter("x_total", "").value(1_u64);
        samples.counter("x_count_total", "").value(1_u64);
        Ok(())
    };
    registry.collector("names", report).unwrap();
    let page = scrape_open_metrics(&registry.handler()).await;
    for line in [
        "# TYPE x histogram",
        "# TYPE x_total unknown",
        "# TYPE x_count_total unknown",
    ] {
        assert!(own_lines(&page).contains(&line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn sum_can_be_nan() {
    let registry = Registry::new();
    let collector = |samples: &mut Samples| {
        let waits = HistogramSample::cumulative([(0.1, 3)], 5, f64::NAN);
        samples.histogram("h", "").value(waits);
        samples
            .summary("s", "")
            .value(SummarySample::new([(0.5, 1.0)], 1, f64::NAN));
        Ok(())
    };
    registry.collector("db", collector).unwrap();
    let page = scrape_text(&registry.handler()).await;
    assert!(collector_succeeded(&page, "db"), "{page}");
    assert!(
        page.contains("\nh_sum NaN\n") && page.contains("\ns_sum NaN\n"),
        "{page}"
    );
}

#[tokio::test]
async fn unit_can_have_any_name() {
    let registry = Registry::new();
    let collector = |samples: &mut Samples| {
        samples
            .gauge("battery_volts", "")
            .unit_name("volts")
            .value(12.5);
        samples
            .gauge("wait_seconds", "")
            .unit_name("seconds")
            .value(1.0);
        samples
            .gauge("wait_milliseconds", "")
            .unit_name("milliseconds")
            .value(1.0);
        samples.gauge("other", "").unit_name("volts").value(1.0);
        Ok(())
    };
    registry.collector("db", collector).unwrap();
    let page = scrape_open_metrics(&registry.handler()).await;
    let lines = page.lines().filter(|line| line.starts_with("# UNIT "));
    let units: Vec<_> = lines
        .filter(|line| !line.contains("scrape_collector"))
        .collect();
    let expected = ["# UNIT battery_volts volts", "# UNIT wait_seconds seconds"];
    assert_eq!(units, expected, "{page}");
    let snapshot = registry.gather().await;
    let family = |name: &str| snapshot.family(name).unwrap();
    assert_eq!(family("battery_volts").unit_name(), Some("volts"));
    assert_eq!(family("battery_volts").unit(), None);
    assert_eq!(family("wait_seconds").unit(), Some(Unit::Seconds));
}

#[tokio::test]
async fn every_type_of_numbers_is_a_value() {
    let registry = Registry::new();
    let report: Report = |samples| {
        let mut gauge = samples.gauge("x", "");
        gauge.sample(&[("type", "u8")], u8::MAX);
        gauge.sample(&[("type", "u16")], u16::MAX);
        gauge.sample(&[("type", "u32")], u32::MAX);
        gauge.sample(&[("type", "u64")], u64::MAX);
        gauge.sample(&[("type", "usize")], 7_usize);
        gauge.sample(&[("type", "i8")], i8::MIN);
        gauge.sample(&[("type", "i16")], i16::MIN);
        gauge.sample(&[("type", "i32")], i32::MIN);
        gauge.sample(&[("type", "i64")], i64::MIN);
        gauge.sample(&[("type", "isize")], -7_isize);
        gauge.sample(&[("type", "f32")], 0.5_f32);
        gauge.sample(&[("type", "f64")], Some(0.25));
        Ok(())
    };
    registry.collector("numbers", report).unwrap();
    let page = scrape_text(&registry.handler()).await;
    for (name, value) in [
        ("u8", "255"),
        ("u16", "65535"),
        ("u32", "4294967295"),
        ("u64", "18446744073709551615"),
        ("usize", "7"),
        ("i8", "-128"),
        ("i16", "-32768"),
        ("i32", "-2147483648"),
        ("i64", "-9.223372036854776e+18"),
        ("isize", "-7"),
        ("f32", "0.5"),
        ("f64", "0.25"),
    ] {
        let line = format!("\nx{{type=\"{name}\"}} {value}\n");
        assert!(page.contains(&line), "{line}{page}");
    }
}

/// Samples of several families, added in turns.
#[tokio::test]
async fn calls_with_the_same_name_and_type_add_to_one_family() {
    let registry = Registry::new();
    let report: Report = |samples| {
        for i in 0..2_u8 {
            for name in ["a", "b", "c"] {
                let label = i.to_string();
                samples
                    .gauge(name, "")
                    .sample(&[("i", &label)], u64::from(i));
            }
        }
        Ok(())
    };
    registry.collector("turns", report).unwrap();
    let page = scrape_text(&registry.handler()).await;
    for name in ["a", "b", "c"] {
        assert_eq!(page.matches(&format!("# TYPE {name} gauge\n")).count(), 1);
        let samples = format!("\n{name}{{i=\"0\"}} 0\n{name}{{i=\"1\"}} 1\n");
        assert!(page.contains(&samples), "{page}");
    }
}
