//! Series that expire or are removed, through the public API. `src/registry/expiry` tests the times.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_prometheus::{Error, Registry, RegistryBuilder};

use test_support::{registry_with, render_until_gone};

const SHORT: Duration = Duration::from_millis(1);

fn expiring() -> Registry {
    Registry::builder().idle_timeout(SHORT).build().unwrap()
}

#[test]
fn series_stay_by_default() {
    let registry = registry_with(|| metrics::counter!("jobs_total").increment(1));
    for _ in 0..100 {
        assert!(registry.render().contains("jobs_total 1\n"));
    }
}

#[test]
fn idle_series_leave_the_page_and_return() {
    let registry = expiring();
    metrics::with_local_recorder(&registry, || {
        for _ in 0..3 {
            metrics::counter!("jobs_total", "tenant" => "a").increment(2);
            assert_eq!(registry.sum("jobs_total", &[]), Some(2.0));
            assert_eq!(render_until_gone(&registry, "jobs_total"), "");
        }
    });
}

/// The body of the metrics page, and a snapshot, show values as well as `render` does.
#[tokio::test]
async fn pages_of_handlers_and_snapshots_let_series_expire() {
    let registry = expiring();
    let handler = registry.handler();
    for of_handler in [true, false] {
        metrics::with_local_recorder(&registry, || metrics::counter!("jobs_total").increment(1));
        let mut pages = 0;
        loop {
            pages += 1;
            let is_shown = match of_handler {
                true => {
                    let response = handler.clone().oneshot(http::Request::new(())).await;
                    let body = response.unwrap().into_body().collect().await.unwrap();
                    !body.to_bytes().is_empty()
                }
                false => registry.gather().await.families().next().is_some(),
            };
            if !is_shown {
                break;
            }
            tokio::time::sleep(SHORT).await;
        }
        assert!(pages >= 2, "the value was shown first");
    }
}

/// A page that the client does not read to its end shows nothing.
#[tokio::test]
async fn page_that_is_not_read_lets_nothing_expire() {
    let registry = expiring();
    metrics::with_local_recorder(&registry, || metrics::counter!("jobs_total").increment(1));
    let handler = registry.handler();
    for _ in 0..5 {
        let response = handler.clone().oneshot(http::Request::new(())).await;
        let mut body = response.unwrap().into_body();
        assert!(body.frame().await.is_some());
        drop(body);
        tokio::time::sleep(2 * SHORT).await;
    }
    assert!(registry.render().contains("jobs_total 1\n"));
}

#[test]
fn removed_series_leave_the_page() {
    let registry = registry_with(|| {
        for tenant in ["a", "b"] {
            metrics::gauge!("queue_length", "tenant" => tenant, "kind" => "x").set(1.0);
            metrics::counter!("jobs_total", "tenant" => tenant).increment(1);
        }
    });
    assert_eq!(registry.remove("queue_length", &[("tenant", "a")]), 1);
    assert_eq!(registry.sum("queue_length", &[]), Some(1.0));
    assert_eq!(registry.remove("jobs_total", &[]), 2);
    assert_eq!(registry.sum("jobs_total", &[]), Some(2.0), "not shown yet");
    let _ = registry.render();
    let page = registry.render();
    assert!(!page.contains("jobs_total"), "{page}");
    assert_eq!(registry.remove("jobs_total", &[]), 0);
}

#[test]
fn wrong_timeouts_are_errors() {
    let error = |builder: RegistryBuilder| {
        let built: Result<Registry, Error> = builder.build();
        built.unwrap_err().to_string()
    };
    let new = Registry::builder;
    let zero = "the time must be more than 0, and at least two scrape intervals; for series that never expire, use `None`";
    for (builder, expected) in [
        (
            new().idle_timeout(Duration::ZERO),
            format!("idle_timeout: {zero}"),
        ),
        (
            new().idle_timeout_for("jobs", Duration::ZERO),
            format!("idle_timeout_for(\"jobs\"): {zero}"),
        ),
        (
            new().idle_timeout_for_label("tenant", Duration::ZERO),
            format!("idle_timeout_for_label(\"tenant\"): {zero}"),
        ),
        (
            new()
                .idle_timeout_for_label("tenant", SHORT)
                .idle_timeout_for_label("tenant", None),
            "idle_timeout_for_label(\"tenant\") is set twice; remove one of them".to_owned(),
        ),
        (
            new().idle_timeout_for_prefix("", SHORT),
            "idle_timeout_for_prefix(\"\"): the name is empty; for all metrics, use `idle_timeout`"
                .to_owned(),
        ),
    ] {
        assert_eq!(error(builder), expected);
    }
}

#[test]
fn increment_of_a_thread_that_never_runs_again_is_on_the_next_page() {
    let registry = expiring();
    let (recorded, wait_for_recorded) = std::sync::mpsc::channel();
    let (go, wait_for_go) = std::sync::mpsc::channel::<()>();
    let (end, wait_for_end) = std::sync::mpsc::channel::<()>();
    let jobs = metrics::with_local_recorder(&registry, || metrics::counter!("jobs_total"));
    std::thread::scope(|scope| {
        let jobs_of_thread = jobs.clone();
        scope.spawn(move || {
            let jobs = jobs_of_thread;
            jobs.increment(1);
            recorded.send(()).unwrap();
            wait_for_go.recv().unwrap();
            // The series has expired.
            jobs.increment(5);
            recorded.send(()).unwrap();
            // From now on, the thread does not run until the test has seen the page.
            let _ = wait_for_end.recv();
        });
        wait_for_recorded.recv().unwrap();
        assert_eq!(registry.sum("jobs_total", &[]), Some(1.0));
        let _ = render_until_gone(&registry, "jobs_total");
        go.send(()).unwrap();
        wait_for_recorded.recv().unwrap();
        assert!(registry.render().contains("jobs_total 5\n"));
        // Its shard is read for this life and for each further one.
        let _ = render_until_gone(&registry, "jobs_total");
        jobs.increment(2);
        assert!(registry.render().contains("jobs_total 2\n"));
        drop(end);
    });
}

#[test]
fn expiry_of_many_series_yields_to_other_tasks() {
    const SERIES: usize = 5_000;
    let registry = Registry::builder().idle_timeout(Duration::from_nanos(1));
    let registry = registry.build().unwrap();
    metrics::with_local_recorder(&registry, || {
        for i in 0..SERIES {
            metrics::counter!("jobs_total", "job" => i.to_string()).increment(1);
        }
    });
    let mut cx = Context::from_waker(Waker::noop());
    // How often a snapshot yields, and the number of its series.
    let mut gather = || {
        let mut gathering = pin!(registry.gather());
        for yields in 0.. {
            if let Poll::Ready(snapshot) = gathering.as_mut().poll(&mut cx) {
                let family = snapshot.family("jobs_total");
                return (yields, family.map_or(0, |family| family.len()));
            }
        }
        (0, 0)
    };
    let (_, series) = gather();
    assert_eq!(series, SERIES);
    let (yields, series) = gather();
    assert_eq!(series, 0);
    // A slice has at most 0.1 ms of work, and a series that expires is counted as 2 µs.
    assert!(yields > SERIES / 60, "{yields}");
}
