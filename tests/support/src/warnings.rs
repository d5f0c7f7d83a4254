//! Captures what a thread logs with `tracing`.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, OnceLock};

use tower_prometheus::Registry;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{self, DefaultGuard};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// Captures the log of the calling thread until it is dropped.
pub struct Warnings {
    log: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
}

impl Warnings {
    pub fn capture() -> Self {
        ask_all_subscribers();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        let _guard =
            subscriber::set_default(LineSubscriber(move |line| lines.lock().unwrap().push(line)));
        Self { log, _guard }
    }

    /// Returns the warnings that contain a text.
    pub fn about(&self, text: &str) -> Vec<String> {
        let log = self.log.lock().unwrap();
        let warnings = log
            .iter()
            .filter(|line| line.starts_with("WARN ") && line.contains(text));
        warnings.cloned().collect()
    }
}

/// Runs a function under a subscriber that counts log events in the registry, as an application's subscriber may do.
///
/// Deadlocks if the registry holds a lock while it logs.
pub fn count_warnings_in(registry: &Registry, run: impl FnOnce()) {
    ask_all_subscribers();
    let registry = registry.clone();
    let count = move |_| {
        metrics::with_local_recorder(&registry, || {
            metrics::counter!("log.events", "log.level" => "warn").increment(1);
        });
    };
    subscriber::with_default(LineSubscriber(count), run);
}

/// Makes `tracing` ask the subscribers of all threads whether an event is enabled.
///
/// While a process has at most one subscriber, `tracing` asks only that of the thread which logs an event first, and
/// caches the answer. If this is another test without a subscriber, the event is disabled for all threads. A second
/// subscriber, which lives as long as the process, avoids this.
fn ask_all_subscribers() {
    static SECOND_SUBSCRIBER: OnceLock<Dispatch> = OnceLock::new();
    SECOND_SUBSCRIBER.get_or_init(|| Dispatch::new(LineSubscriber(|_| ())));
}

/// Calls a function with a line for each event of level `INFO` and above: `WARN target: message field=value`.
struct LineSubscriber<F>(F);

impl<F: Fn(String) + 'static + Send + Sync> Subscriber for LineSubscriber<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::INFO
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line(format!("{} {}:", metadata.level(), metadata.target()));
        event.record(&mut line);
        (self.0)(line.0);
    }

    // Spans are not enabled.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("writing to a String never fails");
    }
}
