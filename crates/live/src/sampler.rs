//! The task that takes samples for all viewers.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::live::Live;
use crate::series::KnownSeries;

/// The time between two samples with viewers.
const WITH_VIEWERS: Duration = Duration::from_secs(1);

/// The time between two samples for the history.
const WITHOUT_VIEWERS: Duration = Duration::from_secs(10);

/// Starts the task, unless it runs. Does nothing outside of a tokio runtime: the first viewer starts the task then.
pub(crate) fn start(live: &Arc<Live>) {
    if let Ok(runtime) = Handle::try_current() {
        live.start_task(|| runtime.spawn(run(Arc::downgrade(live), Arc::clone(&live.wake))));
    }
}

/// Takes samples until the page is dropped.
async fn run(live: Weak<Live>, wake: Arc<Notify>) {
    let mut known = None;
    let mut last: Option<Instant> = None;
    loop {
        let Some(live) = live.upgrade() else { return };
        let next = next_sample(&live, last);
        if next.is_some_and(|next| next <= Instant::now()) {
            last = Some(Instant::now());
            let max_series = live.settings().max_series;
            let known = known.get_or_insert_with(|| KnownSeries::new(max_series));
            live.sample(known).await;
            live.viewers.remove_hung();
            continue;
        }
        // The page may be dropped while the task waits.
        drop(live);
        match next {
            Some(next) => tokio::select! {
                () = sleep_until(next) => {}
                () = wake.notified() => {}
            },
            None => wake.notified().await,
        }
    }
}

/// Returns when to take the next sample; `None` if none is needed until a viewer comes.
fn next_sample(live: &Live, last: Option<Instant>) -> Option<Instant> {
    let interval = match (live.viewers.is_empty(), live.settings().has_history) {
        (false, _) => WITH_VIEWERS,
        (true, true) => WITHOUT_VIEWERS,
        (true, false) => return None,
    };
    Some(last.map_or_else(Instant::now, |last| last + interval))
}
