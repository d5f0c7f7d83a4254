//! The number of series of a collector is limited, and scrapes of many samples yield.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_prometheus::Registry;
use tower_prometheus::collect::{HistogramSample, Samples};

use test_support::page::samples;
use test_support::scrape::{collector_succeeded, scrape_open_metrics, scrape_text};
use test_support::warnings::Warnings;

fn small_registry() -> Registry {
    let registry = Registry::builder().max_series_per_collector(5);
    registry.build().unwrap()
}

fn own_lines(page: &str) -> Vec<String> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let own = lines.filter(|line| !line.starts_with("scrape_"));
    own.map(str::to_owned).collect()
}

#[tokio::test]
async fn series_beyond_the_maximum_are_dropped_with_one_warning() {
    let warnings = Warnings::capture();
    let registry = small_registry();
    let within = |samples: &mut Samples| {
        let mut within = samples.gauge("within", "");
        for i in 0..5 {
            within.sample(&[("i", &i.to_string())], 1_u64);
        }
        Ok(())
    };
    registry.collector("within", within).unwrap();
    // Adds its series in another order at each scrape.
    let order = std::sync::atomic::AtomicUsize::new(0);
    let beyond = move |samples: &mut Samples| {
        let first = order.fetch_add(3, std::sync::atomic::Ordering::Relaxed);
        let mut beyond = samples.gauge("beyond", "");
        for i in 0..8 {
            beyond.sample(&[("i", &((first + i) % 8).to_string())], 1_u64);
        }
        samples.gauge("single", "").value(1_u64);
        Ok(())
    };
    registry.collector("beyond", beyond).unwrap();
    let handler = registry.handler();
    for _ in 0..3 {
        let page = scrape_text(&handler).await;
        // The metric with few series is complete, of the other one the first series stay.
        let own = own_lines(&page);
        assert_eq!(
            own[..5],
            [
                "beyond{i=\"0\"} 1",
                "beyond{i=\"1\"} 1",
                "beyond{i=\"2\"} 1",
                "beyond{i=\"3\"} 1",
                "single 1"
            ]
        );
        assert_eq!(own.len(), 10, "{page}");
        let values = samples(&page);
        assert_eq!(
            values["scrape_collector_dropped_series{collector=\"beyond\"}"],
            4.0
        );
        assert_eq!(page.matches("scrape_collector_dropped_series{").count(), 1);
        assert!(collector_succeeded(&page, "beyond") && collector_succeeded(&page, "within"));
        scrape_open_metrics(&handler).await;
    }
    let warned = warnings.about("collector \"beyond\" has more than 5 series, 4 are not exported");
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert_eq!(warnings.about("\"within\"").len(), 0);
}

#[tokio::test]
async fn page_without_dropped_series_has_no_metric_about_them() {
    let registry = Registry::new();
    registry.gauge("depth", "", || 1_u64).unwrap();
    let page = scrape_text(&registry.handler()).await;
    assert!(!page.contains("dropped"), "{page}");
}

#[tokio::test]
async fn histogram_is_one_series_and_default_maximum_is_10_000() {
    let registry = Registry::new();
    let report = |samples: &mut Samples| {
        let mut waits = samples.histogram("waits", "");
        for i in 0..10_002 {
            let sample = HistogramSample::cumulative([(1.0, 1)], 1, 1.0);
            waits.sample(&[("i", &format!("{i:05}"))], sample);
        }
        Ok(())
    };
    registry.collector("waits", report).unwrap();
    let page = scrape_text(&registry.handler()).await;
    assert_eq!(page.matches("\nwaits_count{").count(), 10_000);
    assert!(page.contains("waits_count{i=\"09999\"} 1\n"));
    assert_eq!(
        samples(&page)["scrape_collector_dropped_series{collector=\"waits\"}"],
        2.0
    );
}

#[test]
fn maximum_of_0_series_is_an_error() {
    let error = Registry::builder().max_series_per_collector(0).build();
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with("max_series_per_collector must be 1 or more, got 0"),
        "{error}"
    );
}

/// Polls a future to completion without a runtime. Returns the number of polls and the output.
fn poll_count<T>(future: impl Future<Output = T>) -> (usize, T) {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for polls in 1.. {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return (polls, output);
        }
    }
    unreachable!()
}

/// Reads a page without a runtime. Returns the number of polls and the page.
fn page_polls(registry: &Registry) -> (usize, String) {
    let handler = registry.handler();
    let (polls, page) = poll_count(async {
        let response = handler.oneshot(Request::new(())).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes()
    });
    (polls, String::from_utf8(page.to_vec()).unwrap())
}

#[test]
fn validating_many_samples_yields() {
    let registry = Registry::new();
    let report = |samples: &mut Samples| {
        let mut many = samples.gauge("many", "");
        for i in 0..10_000 {
            many.sample(&[("i", &i.to_string())], 1_u64);
        }
        Ok(())
    };
    registry.collector("many", report).unwrap();
    let (polls, snapshot) = poll_count(registry.gather());
    assert_eq!(snapshot.family("many").unwrap().len(), 10_000);
    // 4 ms of work at 0.1 ms per poll.
    assert!(polls > 30, "{polls} polls");
    let (polls, page) = page_polls(&registry);
    assert_eq!(page.matches("\nmany{").count(), 10_000);
    assert!(polls > 30, "{polls} polls");
}

#[test]
fn scrape_of_200_collectors_yields() {
    let registry = Registry::new();
    for i in 0..200 {
        let report = move |samples: &mut Samples| {
            let labels = &[("i", &*i.to_string())];
            samples.gauge("shared", "").sample(labels, 1_u64);
            samples.gauge(format!("own_{i}"), "").value(1_u64);
            Ok(())
        };
        registry.collector(&format!("c{i}"), report).unwrap();
    }
    let (polls, snapshot) = poll_count(registry.gather());
    assert_eq!(snapshot.family("shared").unwrap().len(), 200);
    assert_eq!(snapshot.families().count(), 203);
    assert!(polls > 5, "{polls} polls");
    let (polls, page) = page_polls(&registry);
    assert_eq!(page.matches("\nshared{").count(), 200);
    assert_eq!(page.matches("scrape_collector_success{").count(), 200);
    assert!(polls > 5, "{polls} polls");
}

#[test]
fn merging_a_large_shared_metric_yields() {
    let polls = |name: fn(usize) -> String| {
        let registry = Registry::new();
        for i in 0..2 {
            let report = move |samples: &mut Samples| {
                let mut many = samples.gauge(name(i), "");
                for j in 0..5000 {
                    many.sample(&[("i", &i.to_string()), ("j", &j.to_string())], 1_u64);
                }
                Ok(())
            };
            registry.collector(&format!("c{i}"), report).unwrap();
        }
        let (polls, page) = page_polls(&registry);
        assert_eq!(page.matches("\nmany").count(), 10_000);
        polls
    };
    let separate = polls(|i| format!("many_{i}"));
    let shared = polls(|_| "many".to_owned());
    assert!(
        shared > separate + 20,
        "{shared} polls, {separate} if not shared"
    );
}
