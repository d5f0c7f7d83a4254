//! Built-in collectors: they export the metrics that their `families` describe.

use tower_prometheus::collectors::InfoCollector;
use tower_prometheus::model::MetricKind;

use test_support::scrape::{handler_with_collector, scrape_open_metrics, scrape_text};

#[tokio::test]
async fn build_info_collector_exports_an_info_metric() {
    let build = InfoCollector::build("1.2.0").label("commit", "5ba\"d");
    let [description] = build.families().try_into().unwrap();
    assert_eq!(
        (description.name.as_str(), description.kind),
        ("build_info", MetricKind::Info)
    );
    assert_eq!(description.labels.len(), 2);
    let handler = handler_with_collector("build", build);
    let text = scrape_text(&handler).await;
    assert!(
        text.contains("\nbuild_info{commit=\"5ba\\\"d\",version=\"1.2.0\"} 1\n"),
        "{text}"
    );
    assert!(
        scrape_open_metrics(&handler)
            .await
            .contains("# TYPE build info\n")
    );
}

#[cfg(any(feature = "process", feature = "runtime"))]
mod families {
    use std::collections::BTreeSet;

    use tower_prometheus::model::{FamilyDescription, MetricKind};

    /// Returns the families of a page as `name type`, without the `scrape_collector_…` families.
    pub(super) fn families(page: &str) -> BTreeSet<String> {
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let own = types.filter(|line| !line.starts_with("scrape_"));
        own.map(str::to_owned).collect()
    }

    pub(super) fn described(families: &[FamilyDescription]) -> BTreeSet<String> {
        let described = families.iter().map(|family| {
            let kind = match family.kind {
                MetricKind::Counter => "counter",
                _ => "gauge",
            };
            format!("{} {kind}", family.name)
        });
        described.collect()
    }
}

/// The process collector exists only on Linux.
#[cfg(all(feature = "process", target_os = "linux"))]
mod process {
    use tower_prometheus::collectors::{ProcessCollector, ProcessMemory};

    use super::families::{described, families};
    use test_support::child_test::ignored_test;
    use test_support::page::samples;
    use test_support::scrape::{
        collector_succeeded, handler_with_collector, scrape_open_metrics, scrape_text,
    };

    /// Runs in a child process, because other tests of this process open files at the same time.
    #[test]
    fn process_collector_exports_its_described_metrics() {
        let output = ignored_test("built_in::process::helper_for_process_collector")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{output:?}"
        );
    }

    #[tokio::test]
    #[ignore = "started by process_collector_exports_its_described_metrics in a process of its own"]
    async fn helper_for_process_collector() {
        let handler = handler_with_collector("process", ProcessCollector::new().unwrap());
        // The first call of `page` starts a parser process, whose pipes are open files of this process.
        scrape_text(&handler).await;
        let before = samples(&scrape_text(&handler).await);
        // Change the values: open a file, and use the processor until its counter increases.
        let _file = std::fs::File::open("/proc/self/stat").unwrap();
        let mut after = samples(&scrape_text(&handler).await);
        for work in 0_u64.. {
            if after["process_cpu_seconds_total"] > before["process_cpu_seconds_total"] {
                break;
            }
            std::hint::black_box((0..1_000_000).fold(work, |a, b| a ^ b));
            after = samples(&scrape_text(&handler).await);
        }
        let text = scrape_text(&handler).await;
        assert!(collector_succeeded(&text, "process"));
        assert_eq!(families(&text), described(&ProcessCollector::families()));
        scrape_open_metrics(&handler).await;
        assert_eq!(after["process_open_fds"], before["process_open_fds"] + 1.0);
        assert!(after["process_max_fds"] > after["process_open_fds"]);
        assert!(after["process_threads"] >= 1.0);
        let memory = ProcessMemory::now().unwrap();
        let resident = after["process_resident_memory_bytes"];
        assert!(resident > 1e6 && resident < after["process_virtual_memory_bytes"]);
        // The same value, read a little later.
        assert!((memory.resident as f64 / resident - 1.0).abs() < 0.5);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let age = now.unwrap().as_secs_f64() - after["process_start_time_seconds"];
        assert!((-2.0..600.0).contains(&age), "{age}");
    }

    #[test]
    fn cpu_seconds_have_a_fraction() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let handler = handler_with_collector("process", ProcessCollector::new().unwrap());
        let mut seen = 0.0_f64;
        while seen.fract() == 0.0 {
            std::hint::black_box((0..1_000_000_u64).fold(0, |a, b| a ^ b));
            seen = samples(&runtime.block_on(scrape_text(&handler)))["process_cpu_seconds_total"];
        }
    }
}

#[cfg(feature = "runtime")]
mod runtime {
    use tower_prometheus::collectors::RuntimeCollector;

    use super::families::{described, families};
    use test_support::page::samples;
    use test_support::scrape::{handler_with_collector, scrape_open_metrics, scrape_text};

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn runtime_collector_exports_its_described_metrics() {
        let handler = handler_with_collector("runtime", RuntimeCollector::current().unwrap());
        let (_keep, wait) = tokio::sync::oneshot::channel::<()>();
        let before = samples(&scrape_text(&handler).await)["tokio_alive_tasks"];
        let task = tokio::spawn(wait);
        let text = scrape_text(&handler).await;
        assert_eq!(families(&text), described(&RuntimeCollector::families()));
        scrape_open_metrics(&handler).await;
        let samples = samples(&text);
        assert_eq!(samples["tokio_workers"], 3.0);
        assert_eq!(samples["tokio_alive_tasks"], before + 1.0);
        assert!(samples.contains_key("tokio_global_queue_depth"));
        for worker in 0..3 {
            assert!(samples.contains_key(&format!(
                "tokio_worker_busy_seconds_total{{worker=\"{worker}\"}}"
            )));
            assert!(
                samples.contains_key(&format!("tokio_worker_parks_total{{worker=\"{worker}\"}}"))
            );
        }
        task.abort();
    }

    #[test]
    fn runtime_collector_without_a_runtime_is_an_error() {
        let error = RuntimeCollector::current().unwrap_err().to_string();
        assert!(error.contains("no tokio runtime"), "{error}");
    }
}
