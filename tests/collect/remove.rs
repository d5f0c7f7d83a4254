//! Collectors can be registered and removed at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tower_prometheus::Registry;
use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};

use test_support::page::samples;
use test_support::scrape::{collector_succeeded, scrape_open_metrics, scrape_text};
use test_support::wait_until;

/// Returns the names of the collectors on the page.
async fn collectors(registry: &Registry) -> Vec<String> {
    let page = scrape_text(&registry.handler()).await;
    let samples = samples(&page);
    let names = samples.keys().filter_map(|name| {
        let name = name.strip_prefix("scrape_collector_success{collector=\"")?;
        Some(name.strip_suffix("\"}").unwrap().to_owned())
    });
    names.collect()
}

#[tokio::test]
async fn removed_collector_is_not_on_the_next_page() {
    let registry = Registry::new();
    let handler = registry.handler();
    let depth = registry.gauge("depth", "", || 1_u64).unwrap();
    registry.gauge("stays", "", || 2_u64).unwrap();
    assert!(scrape_text(&handler).await.contains("\ndepth 1\n"));
    depth.remove();
    for page in [
        scrape_text(&handler).await,
        scrape_open_metrics(&handler).await,
    ] {
        assert!(!page.contains("depth"), "{page}");
        assert!(page.contains("\nstays 2\n") && collector_succeeded(&page, "stays"));
    }
    assert!(registry.gather().await.family("depth").is_none());
}

#[tokio::test]
async fn name_of_a_removed_collector_can_be_reused() {
    let registry = Registry::new();
    let first = registry.gauge("depth", "", || 1_u64).unwrap();
    assert!(registry.gauge("depth", "", || 2_u64).is_err());
    first.remove();
    registry.gauge("depth", "", || 2_u64).unwrap();
    assert!(
        scrape_text(&registry.handler())
            .await
            .contains("\ndepth 2\n")
    );
}

#[tokio::test]
async fn removing_twice_does_not_remove_a_new_collector_of_the_same_name() {
    let registry = Registry::new();
    let first = registry.gauge("depth", "", || 1_u64).unwrap();
    let clone = first.clone();
    registry.gauge("other", "", || 3_u64).unwrap();
    first.remove();
    clone.clone().remove();
    assert_eq!(collectors(&registry).await, ["other"]);
    registry.gauge("depth", "", || 2_u64).unwrap();
    clone.remove();
    assert_eq!(collectors(&registry).await, ["depth", "other"]);
    assert!(
        scrape_text(&registry.handler())
            .await
            .contains("\ndepth 2\n")
    );
}

/// Closures without captures are zero-sized, so several may have the same address.
#[tokio::test]
async fn handle_removes_only_its_own_collector() {
    let registry = Registry::new();
    let nothing = |_: &mut Samples| Ok(());
    let mut handles = Vec::new();
    for name in ["a", "b", "c"] {
        handles.push(registry.collector(name, nothing).unwrap());
    }
    handles.remove(1).remove();
    assert_eq!(collectors(&registry).await, ["a", "c"]);
}

#[tokio::test]
async fn handle_does_not_remove_a_collector_of_another_registry() {
    let (one, two) = (Registry::new(), Registry::new());
    let shared = Arc::new(|_: &mut Samples| Ok(()));
    let in_one = one.collector("same", Arc::clone(&shared)).unwrap();
    two.collector("same", shared).unwrap();
    in_one.remove();
    assert_eq!(collectors(&one).await, [""; 0]);
    assert_eq!(collectors(&two).await, ["same"]);
}

#[tokio::test]
async fn dropping_a_handle_does_not_remove_the_collector() {
    let registry = Registry::new();
    drop(registry.gauge("depth", "", || 1_u64).unwrap());
    assert_eq!(collectors(&registry).await, ["depth"]);
}

/// A collector that waits for a permit. It counts its calls and its drop.
struct Slow {
    dropped: Arc<AtomicUsize>,
    permits: Arc<tokio::sync::Semaphore>,
    started: Arc<AtomicUsize>,
}

impl Collector for Slow {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        self.started.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await?.forget();
        samples.gauge("slow", "").value(1_u64);
        Ok(())
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn running_call_of_a_removed_collector_finishes() {
    let (dropped, started) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let permits = Arc::new(tokio::sync::Semaphore::new(0));
    let registry = Registry::new();
    let handle = registry
        .collector(
            "slow",
            Slow {
                dropped: Arc::clone(&dropped),
                permits: Arc::clone(&permits),
                started: Arc::clone(&started),
            },
        )
        .unwrap();
    let handler = registry.handler();
    let scrape = tokio::spawn(async move { scrape_text(&handler).await });
    wait_until("the call starts", || started.load(Ordering::SeqCst) == 1).await;
    handle.remove();
    // A scrape that starts later does not call it.
    assert_eq!(collectors(&registry).await, [""; 0]);
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    permits.add_permits(1);
    assert!(scrape.await.unwrap().contains("\nslow 1\n"));
    assert_eq!(started.load(Ordering::SeqCst), 1);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn collector_can_remove_itself_during_a_call() {
    let registry = Registry::new();
    let own = Arc::new(std::sync::Mutex::new(None));
    let slot = Arc::clone(&own);
    let once = move |samples: &mut Samples| {
        let handle: Option<tower_prometheus::CollectorHandle> = slot.lock().unwrap().take();
        samples.gauge("once", "").value(handle.is_some());
        if let Some(handle) = handle {
            handle.remove();
        }
        Ok(())
    };
    *own.lock().unwrap() = Some(registry.collector("once", once).unwrap());
    assert!(
        scrape_text(&registry.handler())
            .await
            .contains("\nonce 1\n")
    );
    assert_eq!(collectors(&registry).await, [""; 0]);
}
