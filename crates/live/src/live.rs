//! [`Live`]: the state that all clones of a page and all viewers share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;
use tower_prometheus::Registry;

use crate::clock::Clock;
use crate::history::History;
use crate::series::KnownSeries;
use crate::settings::Settings;
use crate::tick::{Position, Tick};
use crate::viewers::Viewers;

/// Ticks that a viewer may be late. A viewer that is later gets the last state again.
const MAX_LATE_TICKS: usize = 16;

/// Collectors may take this long, so that a slow one delays no sample.
const COLLECT_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Live {
    registry: Registry,
    settings: Settings,
    pub(crate) viewers: Arc<Viewers>,
    /// Wakes the task that takes samples: a viewer came, or the page is dropped.
    pub(crate) wake: Arc<Notify>,
    clock: Mutex<Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    history: History,
    ticks: broadcast::Sender<Bytes>,
    /// Identifies this process and its task: counters and ids of another instance are not comparable.
    instance: u128,
    task: Option<JoinHandle<()>>,
}

/// A viewer's position in the stream: ticks to read first, then those that follow.
pub(crate) struct Subscription {
    pub(crate) hello: String,
    pub(crate) replay: VecDeque<Arc<Tick>>,
    pub(crate) ticks: broadcast::Receiver<Bytes>,
}

impl Live {
    pub(crate) fn new(registry: &Registry, settings: Settings) -> Self {
        Self {
            registry: registry.clone(),
            settings,
            viewers: Arc::new(Viewers::new(settings.max_viewers)),
            wake: Arc::default(),
            clock: Mutex::default(),
            state: Mutex::new(State::new(settings.has_history)),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a task that takes samples, unless one is running. It starts with an empty history.
    pub(crate) fn start_task(&self, spawn: impl FnOnce() -> JoinHandle<()>) {
        let mut state = self.state();
        let is_running = |task: &JoinHandle<()>| !task.is_finished();
        if !state.task.as_ref().is_some_and(is_running) {
            // The receivers of the old sender end.
            *state = State::new(self.settings.has_history);
            state.task = Some(spawn());
        }
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        let time = self.clock().time(unix_time(), Instant::now());
        let state = self.state();
        let Settings { max_series, .. } = self.settings;
        let instance = state.instance;
        Subscription {
            hello: format!(
                "{{\"hello\":\"{instance}\",\"time\":{time},\"max_series\":{max_series}}}\n"
            ),
            replay: state.history.replay(),
            ticks: state.ticks.subscribe(),
        }
    }

    /// Takes a sample, keeps it in the history and sends it to the viewers.
    pub(crate) async fn sample(&self, known: &mut KnownSeries) {
        let snapshot = self.registry.gather_within(COLLECT_TIMEOUT).await;
        let time = self.clock().time(unix_time(), Instant::now());
        let tick = known.changes(&self.registry, &snapshot, time).await;
        drop(snapshot);
        let lines = match self.viewers.is_empty() {
            true => None,
            false => Some(encode(&tick).await),
        };
        let mut state = self.state();
        state.history.push(&tick);
        if state.ticks.receiver_count() > 0 {
            // The first viewer may have come after `is_empty`: it needs this tick, because it has an older state.
            let lines = lines.unwrap_or_else(|| lines_of(&tick).collect::<String>().into());
            // An error means that the last viewer has left.
            let _ = state.ticks.send(lines);
        }
    }
}

impl State {
    fn new(has_history: bool) -> Self {
        Self {
            history: History::new(has_history),
            ticks: broadcast::Sender::new(MAX_LATE_TICKS),
            instance: unix_time().as_nanos(),
            task: None,
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

async fn encode(tick: &Tick) -> Bytes {
    let mut lines = String::new();
    for line in lines_of(tick) {
        lines.push_str(&line);
        tokio::task::yield_now().await;
    }
    lines.into()
}

fn lines_of(tick: &Tick) -> impl Iterator<Item = String> {
    let mut position = Position::default();
    std::iter::from_fn(move || tick.line(&mut position))
}

fn unix_time() -> Duration {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.unwrap_or_default()
}
