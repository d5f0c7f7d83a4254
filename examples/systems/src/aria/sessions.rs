//! [`Sessions`]: open sessions. A session ends when its client closes it or when it is idle.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::metrics::{Aria, Role};

/// Time without messages after which a session is idle.
const IDLE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Session {
    opened: Instant,
    last_message: Instant,
}

#[derive(Debug)]
pub struct Sessions {
    /// The last id, and the open sessions by id.
    open: Mutex<(u64, HashMap<u64, Session>)>,
    aria: Aria,
}

impl Sessions {
    pub fn new(aria: Aria) -> Self {
        let open = Mutex::default();
        Self { open, aria }
    }

    /// Opens a session and returns its id.
    pub fn open(&self) -> u64 {
        let now = Instant::now();
        let mut sessions = self.lock();
        let (last, open) = &mut *sessions;
        *last += 1;
        open.insert(
            *last,
            Session {
                opened: now,
                last_message: now,
            },
        );
        self.aria.session_opened();
        *last
    }

    pub fn contains(&self, id: u64) -> bool {
        self.lock().1.contains_key(&id)
    }

    pub fn message(&self, id: u64, role: Role) {
        if let Some(session) = self.lock().1.get_mut(&id) {
            session.last_message = Instant::now();
        }
        self.aria.message(role);
    }

    /// Closes a session. Returns `false` if it does not exist.
    pub fn close(&self, id: u64) -> bool {
        let closed = self.lock().1.remove(&id);
        if let Some(session) = &closed {
            self.aria.session_closed(session.opened.elapsed());
        }
        closed.is_some()
    }

    /// Closes the idle sessions and returns their ids.
    pub fn close_idle(&self) -> Vec<u64> {
        let sessions = self.lock();
        let idle = sessions.1.iter();
        let idle = idle.filter(|(_, session)| session.last_message.elapsed() >= IDLE);
        let idle: Vec<_> = idle.map(|(id, _)| *id).collect();
        drop(sessions);
        idle.into_iter().filter(|id| self.close(*id)).collect()
    }

    pub fn active(&self) -> usize {
        self.lock().1.len()
    }

    fn lock(&self) -> MutexGuard<'_, (u64, HashMap<u64, Session>)> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
