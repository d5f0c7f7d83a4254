//! Catching what is logged.

use std::io;
use std::sync::{Arc, Mutex};

use tower_prometheus::Registry;
use tracing_subscriber::fmt::MakeWriter;

/// The log of the calling thread while it lives.
pub struct Warnings {
    log: Log,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Warnings {
    pub fn catch() -> Self {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false)
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        Self { log, _guard }
    }

    /// The warnings that contain a text.
    pub fn about(&self, text: &str) -> Vec<String> {
        let log = self.log.0.lock().unwrap();
        let log = String::from_utf8_lossy(&log);
        let lines = log
            .lines()
            .filter(|l| l.contains("WARN") && l.contains(text));
        lines.map(str::to_owned).collect()
    }
}

/// Runs something under a subscriber that counts what is logged, in the registry it is about.
pub fn with_counted_warnings(registry: &Registry, run: impl FnOnce()) {
    #[derive(Clone)]
    struct Counts(Registry);
    impl io::Write for Counts {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            metrics::with_local_recorder(&self.0, || {
                metrics::counter!("log.events", "log.level" => "warn").increment(1);
            });
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let counts = Counts(registry.clone());
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || counts.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, run);
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
