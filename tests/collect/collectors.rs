//! Collector metrics are on the metrics page, and a collector that fails loses only its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use http::{Method, Request};
use metrics::Unit;
use tower::ServiceExt;
use tower_prometheus::collect::{Blocking, CollectError, Collector, Deadline, Samples};
use tower_prometheus::{MetricsHandler, Registry};

use test_support::page::{assert_valid_text, samples};
use test_support::scrape::{
    collector_succeeded, handler_with_collector, scrape_open_metrics, scrape_text,
    scrape_with_timeout,
};
use test_support::warnings::Warnings;

fn registry() -> Registry {
    let registry = Registry::builder().constant_label("service", "shop");
    let registry = registry.build().unwrap();
    metrics::with_local_recorder(&registry, || {
        metrics::describe_counter!("orders_total", "Orders.");
        metrics::counter!("orders_total").increment(7);
    });
    registry
}

/// A collector that sleeps, like one that waits for the network.
struct Sleeps(Duration);

impl Collector for Sleeps {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        tokio::time::sleep(self.0).await;
        samples.gauge("waited", "").value(self.0);
        Ok(())
    }
}

/// A collector that reports a sample and never returns.
struct Hangs;

impl Collector for Hangs {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        samples.gauge("hangs", "").value(1_u64);
        std::future::pending().await
    }
}

#[tokio::test]
async fn collector_metrics_are_on_the_metrics_page() {
    let registry = registry();
    registry
        .gauge("active_leases", "Leases not yet returned.", || 3_usize)
        .unwrap();
    registry
        .gauge("absent", "Never has a value.", || None::<f64>)
        .unwrap();
    registry
        .collector("memory", |samples: &mut Samples| {
            let mut memory = samples.gauge("process_memory_bytes", "Memory.\nAll of it.");
            memory.unit(Unit::Bytes).sample(&[("type", "vms")], 1.5e18);
            memory.sample(&[("type", "rss \"quoted\"\\\n")], 52_u64);
            Ok(())
        })
        .unwrap();
    registry
        .collector("database", |samples: &mut Samples| {
            samples.counter("a_total", "Whole.").value(u64::MAX);
            samples
                .counter("z_seconds_total", "Fractional.")
                .value(0.25);
            samples.info("build_info", "Build.", &[("version", "1.2.0")]);
            samples
                .gauge("temperature", "")
                .value(-2_i64)
                .unit(Unit::Count);
            samples
                .gauge("ratio", "")
                .sample(&[("b", "2"), ("a", "1")], f64::NAN);
            Ok(())
        })
        .unwrap();
    let handler = registry.handler();
    let page = scrape_text(&handler).await;
    let lines: Vec<_> = page
        .lines()
        .filter(|l| !l.contains("scrape_coll"))
        .collect();
    assert_eq!(
        lines,
        [
            "# HELP a_total Whole.",
            "# TYPE a_total counter",
            "a_total{service=\"shop\"} 18446744073709551615",
            "# HELP active_leases Leases not yet returned.",
            "# TYPE active_leases gauge",
            "active_leases{service=\"shop\"} 3",
            "# HELP build_info Build.",
            "# TYPE build_info gauge",
            "build_info{service=\"shop\",version=\"1.2.0\"} 1",
            "# HELP orders_total Orders.",
            "# TYPE orders_total counter",
            "orders_total{service=\"shop\"} 7",
            "# HELP process_memory_bytes Memory.\\nAll of it.",
            "# TYPE process_memory_bytes gauge",
            "process_memory_bytes{service=\"shop\",type=\"rss \\\"quoted\\\"\\\\\\n\"} 52",
            "process_memory_bytes{service=\"shop\",type=\"vms\"} 1.5e+18",
            "# TYPE ratio gauge",
            "ratio{a=\"1\",b=\"2\",service=\"shop\"} NaN",
            "# TYPE temperature gauge",
            "temperature{service=\"shop\"} -2",
            "# HELP z_seconds_total Fractional.",
            "# TYPE z_seconds_total counter",
            "z_seconds_total{service=\"shop\"} 0.25",
        ]
    );
    let collectors = samples(&page);
    for name in ["active_leases", "absent", "memory", "database"] {
        let labels = format!("{{collector=\"{name}\",service=\"shop\"}}");
        assert_eq!(
            collectors[&format!("scrape_collector_success{labels}")],
            1.0
        );
        assert!(collectors[&format!("scrape_collector_duration_seconds{labels}")] < 5.0);
    }

    let page = scrape_open_metrics(&handler).await;
    for line in [
        "# TYPE a counter",
        "# TYPE build info",
        "build_info{service=\"shop\",version=\"1.2.0\"} 1",
        "# UNIT process_memory_bytes bytes",
        "# UNIT scrape_collector_duration_seconds seconds",
        "# TYPE orders counter",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}\n{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn failing_collector_loses_only_its_own_metrics() {
    let warnings = Warnings::capture();
    let registry = registry();
    registry.gauge("good", "", || 1_u64).unwrap();
    registry
        .collector("fails", |samples: &mut Samples| {
            samples.gauge("fails", "").value(1_u64);
            Err("no such pool".into())
        })
        .unwrap();
    registry
        .collector("io", |_: &mut Samples| {
            std::fs::File::open("/no/such/file")?;
            Ok(())
        })
        .unwrap();
    registry
        .collector("panics", |samples: &mut Samples| {
            samples.gauge("panics", "").value(1_u64);
            panic!("out of cheese")
        })
        .unwrap();
    registry.collector("hangs", Hangs).unwrap();
    let sleeps = Sleeps(Duration::from_millis(700));
    registry.collector("sleeps", sleeps).unwrap();
    let (status, page) = scrape_with_timeout(&registry.handler(), 1.0).await;
    assert_eq!(status, 200);
    assert_valid_text(&page);
    let known = samples(&page);
    let own = known.keys().filter(|name| !name.starts_with("scrape_"));
    let own: Vec<_> = own.cloned().collect();
    let expected =
        ["good", "orders_total", "waited"].map(|name| format!("{name}{{service=\"shop\"}}"));
    assert_eq!(own, expected);
    // The message comes from the operating system.
    let no_such_file = std::fs::File::open("/no/such/file")
        .unwrap_err()
        .to_string();
    for (name, reason) in [
        ("fails", "no such pool"),
        ("io", &no_such_file),
        ("panics", "it panicked: out of cheese"),
        ("hangs", "timed out after 0.9"),
    ] {
        let success = format!("scrape_collector_success{{collector=\"{name}\",service=\"shop\"}}");
        assert_eq!(known[&success], 0.0, "{name}");
        let warnings = warnings.about(&format!("collector \"{name}\" failed"));
        assert_eq!(warnings.len(), 1, "{name}: {warnings:?}");
        assert!(warnings[0].contains(reason), "{warnings:?}");
    }
    let durations = "scrape_collector_duration_seconds";
    let hung = &known[&format!("{durations}{{collector=\"hangs\",service=\"shop\"}}")];
    assert!((0.9..0.95).contains(hung), "{hung}");
}

#[tokio::test]
async fn series_and_collectors_can_change_between_scrapes() {
    let registry = Registry::new();
    let handler = registry.handler();
    let leases = Arc::new(Mutex::new(vec!["a", "b"]));
    let held = Arc::clone(&leases);
    let report_leases = move |samples: &mut Samples| {
        let mut family = samples.gauge("lease_held", "Whether a node holds the lease.");
        for lease in &*held.lock().unwrap() {
            family.sample(&[("lease", lease)], true);
        }
        Ok(())
    };
    registry.collector("leases", report_leases).unwrap();
    let first = scrape_text(&handler).await;
    assert!(first.contains("lease_held{lease=\"a\"} 1\nlease_held{lease=\"b\"} 1\n"));
    leases.lock().unwrap().clear();
    // A collector registered later is on the page of every handler, also of earlier ones.
    let late = registry.collector("late", |samples: &mut Samples| {
        samples.gauge("late", "").value(Duration::from_millis(1500));
        Ok(())
    });
    late.unwrap();
    assert!(
        scrape_text(&registry.handler())
            .await
            .contains("\nlate 1.5\n")
    );
    let second = scrape_text(&handler).await;
    assert!(!second.contains("lease_held"), "{second}");
    assert!(second.contains("\nlate 1.5\n") && collector_succeeded(&second, "leases"));
}

#[test]
fn duplicate_collector_name_is_an_error() {
    let registry = Registry::new();
    let nothing = |_: &mut Samples| Ok(());
    registry.collector("twice", nothing).unwrap();
    for error in [
        registry.collector("twice", nothing).unwrap_err(),
        registry.gauge("twice", "", || 1_u64).unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "collector \"twice\" is already registered; use another name, or remove it first"
        );
        assert!(error.is_conflict());
    }
    // Names are unique within a registry only.
    Registry::new().collector("twice", nothing).unwrap();
}

#[tokio::test(start_paused = true)]
async fn fail_on_collect_error_answers_500_with_the_reasons() {
    let registry = Registry::new();
    registry.collector("hangs", Hangs).unwrap();
    let fails = |_: &mut Samples| Err("no such pool".into());
    registry.collector("fails", fails).unwrap();
    let handler = registry.handler().fail_on_collect_error();
    let (status, reasons) = scrape_with_timeout(&handler, 2.0).await;
    assert_eq!(status, 500);
    let mut lines = reasons.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("collector \"hangs\" failed: timed out after 1.9")
    );
    assert_eq!(
        lines.next(),
        Some("collector \"fails\" failed: no such pool")
    );
    assert_eq!(lines.next(), None);

    let registry = Registry::new();
    registry.gauge("good", "", || 1_u64).unwrap();
    let handler = registry.handler().fail_on_collect_error();
    assert!(scrape_text(&handler).await.contains("\ngood 1\n"));
}

#[tokio::test]
async fn only_get_requests_call_collectors() {
    let calls = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&calls);
    let registry = Registry::new();
    let read = move || count.fetch_add(1, Ordering::SeqCst);
    registry.gauge("calls", "", read).unwrap();
    let handler = registry.handler();
    for method in [Method::HEAD, Method::POST] {
        let request = Request::builder().method(method).body(()).unwrap();
        let _ = handler.clone().oneshot(request).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    scrape_text(&handler).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

/// Returns the handler of a blocking collector that waits for a message, with the sender of messages and the
/// number of calls.
fn waiting_blocking_collector() -> (mpsc::Sender<()>, Arc<AtomicU64>, MetricsHandler) {
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let calls = Arc::new(AtomicU64::new(0));
    let called = Arc::clone(&calls);
    let read = move |samples: &mut Samples| {
        called.fetch_add(1, Ordering::SeqCst);
        released.lock().unwrap().recv()?;
        samples.gauge("disk_free_bytes", "").value(9_u64);
        Ok(())
    };
    let handler = handler_with_collector("disk", Blocking::new(read));
    (release, calls, handler)
}

#[tokio::test]
async fn blocking_collector_is_called_again_after_a_panic() {
    let warnings = Warnings::capture();
    let panics = Blocking::new(|_: &mut Samples| panic!("in a thread"));
    let handler = handler_with_collector("panics", panics);
    for scrapes in 1..3 {
        assert!(!collector_succeeded(&scrape_text(&handler).await, "panics"));
        assert_eq!(warnings.about("its thread panicked").len(), scrapes);
    }
}

#[tokio::test]
async fn hanging_blocking_collector_occupies_one_thread() {
    let warnings = Warnings::capture();
    let (release, calls, handler) = waiting_blocking_collector();
    for reason in ["timed out after", "is still running", "is still running"] {
        let (_, page) = scrape_with_timeout(&handler, 0.2).await;
        assert!(!collector_succeeded(&page, "disk"));
        assert!(!page.contains("disk_free_bytes"));
        let warned = warnings.about("disk");
        assert!(warned.last().unwrap().contains(reason), "{warned:?}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    // Once the running call ends, the collector is called again.
    release.send(()).unwrap();
    release.send(()).unwrap();
    let mut last = String::new();
    for _ in 0..1000 {
        last = scrape_text(&handler).await;
        if collector_succeeded(&last, "disk") {
            assert!(last.contains("\ndisk_free_bytes 9\n"));
            assert_eq!(calls.load(Ordering::SeqCst), 2);
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{last}");
}
