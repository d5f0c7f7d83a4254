//! Captures what a thread logs with `tracing`.

use std::error::Error;
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
    /// Captures events of level `INFO` and above.
    pub fn capture() -> Self {
        Self::from_level(Level::INFO)
    }

    /// Captures events of all levels.
    pub fn capture_all() -> Self {
        Self::from_level(Level::TRACE)
    }

    fn from_level(level: Level) -> Self {
        ask_all_subscribers();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        let capture = move |line| lines.lock().unwrap().push(line);
        let _guard = subscriber::set_default(LineSubscriber(level, capture));
        Self { log, _guard }
    }

    /// Returns all captured events, one line each.
    pub fn all(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
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
    subscriber::with_default(LineSubscriber(Level::INFO, count), run);
}

/// Makes `tracing` ask the subscribers of all threads whether an event is enabled.
///
/// While a process has at most one subscriber, `tracing` asks only that of the thread which logs an event first, and
/// caches the answer. If this is another test without a subscriber, the event is disabled for all threads. A second
/// subscriber, which lives as long as the process, avoids this.
fn ask_all_subscribers() {
    static SECOND_SUBSCRIBER: OnceLock<Dispatch> = OnceLock::new();
    SECOND_SUBSCRIBER.get_or_init(|| Dispatch::new(LineSubscriber(Level::INFO, |_| ())));
}

/// Calls a function with a line for each event of a level and above: `WARN target: message field=value`.
struct LineSubscriber<F>(Level, F);

impl<F: Fn(String) + 'static + Send + Sync> Subscriber for LineSubscriber<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.0
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line(format!("{} {}:", metadata.level(), metadata.target()));
        event.record(&mut line);
        (self.1)(line.0);
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
    /// Writes the error with its sources, as the subscriber of `tracing-subscriber` does.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let errors = std::iter::successors(Some(value), |error| (**error).source());
        let messages: Vec<_> = errors.map(ToString::to_string).collect();
        self.record_debug(field, &messages);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("writing to a String never fails");
    }
}
