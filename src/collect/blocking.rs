//! [`Blocking`]: a collector whose code blocks its thread.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;

use crate::collect::deadline::Deadline;
use crate::collect::samples::Samples;
use crate::collect::{CollectError, Collector};

/// A collector whose closure may block, run on a separate thread.
///
/// Use it for code that reads from a disk, takes a contended lock or calls a blocking library. Each run of the
/// collector starts a thread, so closures that do not block are cheaper without it.
///
/// A thread cannot be stopped: if it hangs, it keeps running after the collector timed out. Until it ends, the
/// collector fails immediately, so a collector never has more than one thread. A panic of the closure is
/// handled like an error.
///
/// ```
/// use tower_prometheus::Registry;
/// use tower_prometheus::collect::{Blocking, Samples};
///
/// let metrics = Registry::new();
/// metrics.collector(
///     "spool",
///     Blocking::new(|samples: &mut Samples| {
///         let files = std::fs::read_dir("/var/spool/shop")?.count();
///         samples.gauge("spool_files", "Number of spooled files.").value(files);
///         Ok(())
///     }),
/// )?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
pub struct Blocking<F> {
    read: Arc<F>,
    is_running: Arc<AtomicBool>,
}

impl<F> Blocking<F>
where
    F: Fn(&mut Samples) -> Result<(), CollectError> + Send + Sync + 'static,
{
    /// Creates a collector that calls `read` on a separate thread at each scrape.
    pub fn new(read: F) -> Self {
        Self {
            read: Arc::new(read),
            is_running: Arc::default(),
        }
    }

    fn start(&self) -> Result<oneshot::Receiver<Result<Samples, CollectError>>, CollectError> {
        let running = RunningFlag::start(&self.is_running)
            .ok_or("the thread of an earlier scrape is still running")?;
        let read = Arc::clone(&self.read);
        let (answer, answered) = oneshot::channel();
        let work = move || {
            let mut samples = Samples::default();
            let result = read(&mut samples).map(|()| samples);
            // Cleared before the result is sent, so that the next scrape can start a thread.
            drop(running);
            // Fails if the collector has timed out.
            let _ = answer.send(result);
        };
        let thread = std::thread::Builder::new().name("metrics-collector".to_owned());
        thread.spawn(work)?;
        Ok(answered)
    }
}

impl<F> Collector for Blocking<F>
where
    F: Fn(&mut Samples) -> Result<(), CollectError> + Send + Sync + 'static,
{
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let answered = self.start()?.await;
        *samples = answered.map_err(|_| "its thread panicked")??;
        Ok(())
    }
}

/// A guard that marks the thread of a collector as running until it is dropped.
struct RunningFlag(Arc<AtomicBool>);

impl RunningFlag {
    /// Returns `None` if the thread of an earlier run is still running.
    fn start(is_running: &Arc<AtomicBool>) -> Option<Self> {
        let was_running = is_running.swap(true, Ordering::AcqRel);
        (!was_running).then(|| Self(Arc::clone(is_running)))
    }
}

impl Drop for RunningFlag {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<F> fmt::Debug for Blocking<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").finish_non_exhaustive()
    }
}
