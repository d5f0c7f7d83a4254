//! [`Shutdown`]: notifies all tasks that the program is to shut down.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A shutdown requested by Ctrl-C or SIGTERM.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    pub fn on_signals() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            // Fails only if no receiver is left: then all tasks have ended.
            let _ = sender.send(true);
        });
        Ok(Self(receiver))
    }

    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Completes once the shutdown is requested.
    pub async fn requested(&self) {
        // Fails only if the sender was dropped: then the runtime is shutting down.
        let _ = self.0.clone().wait_for(|requested| *requested).await;
    }
}
