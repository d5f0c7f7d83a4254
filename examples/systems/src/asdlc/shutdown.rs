//! [`Shutdown`]: the signal that everything listens to.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether the program is to end: Ctrl-C, or SIGTERM.
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
            // Nobody listens any more: then it is over already.
            let _ = sender.send(true);
        });
        Ok(Self(receiver))
    }

    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    pub async fn begun(&self) {
        // An error means that who would have said it is gone.
        let _ = self.0.clone().wait_for(|begun| *begun).await;
    }
}
