//! [`Router`]: chooses agents as ants choose paths, by how strongly earlier success smells.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::metrics::Aria;

/// What is left of a score above [`FLOOR`] after this time is half.
const HALF_LIFE: Duration = Duration::from_secs(5);
/// No agent is forgotten altogether.
const FLOOR: f64 = 0.1;
const REWARD: f64 = 0.2;

/// An agent, and the model that it thinks with.
#[derive(Clone, Copy, Debug)]
pub struct Agent {
    pub id: &'static str,
    pub model: &'static str,
}

pub const AGENTS: [Agent; 3] = [
    Agent {
        id: "researcher",
        model: "deep",
    },
    Agent {
        id: "coder",
        model: "quick",
    },
    Agent {
        id: "clerk",
        model: "quick",
    },
];

#[derive(Debug)]
struct Candidate {
    agent: Agent,
    is_active: bool,
    score: f64,
    /// When it was that.
    at: Instant,
}

impl Candidate {
    fn score(&self) -> f64 {
        let half_lives = self.at.elapsed().as_secs_f64() / HALF_LIFE.as_secs_f64();
        FLOOR + (self.score - FLOOR) * 0.5_f64.powf(half_lives)
    }

    fn set_score(&mut self, score: f64) {
        self.score = score.max(FLOOR);
        self.at = Instant::now();
    }
}

#[derive(Debug)]
struct Inner {
    candidates: Vec<Candidate>,
    /// Where in the unit interval the next choice falls; steps of the golden ratio spread evenly.
    next: f64,
}

#[derive(Debug)]
pub struct Router {
    inner: Mutex<Inner>,
    aria: Aria,
}

impl Router {
    pub fn new(aria: Aria) -> Self {
        let candidate = |agent: Agent| {
            aria.agent_known(agent.id);
            Candidate {
                agent,
                is_active: true,
                score: 1.0,
                at: Instant::now(),
            }
        };
        let candidates = AGENTS.map(candidate).into();
        let inner = Mutex::new(Inner {
            candidates,
            next: 0.5,
        });
        Self { inner, aria }
    }

    /// An active agent, each as likely as its score says.
    pub fn choose(&self) -> Option<Agent> {
        let began = Instant::now();
        let mut inner = self.lock();
        inner.next = (inner.next + 0.618_033_988_75).fract();
        let active = inner.candidates.iter().filter(|one| one.is_active);
        let scores: Vec<_> = active.map(|one| (one.agent, one.score())).collect();
        let all: f64 = scores.iter().map(|(_, score)| score).sum();
        let mut rest = inner.next * all;
        let chosen = scores.iter().find(|(_, score)| {
            rest -= score;
            rest < 0.0
        });
        // Rounding may leave a little.
        let (agent, _) = chosen.or(scores.last())?;
        self.aria.routed(agent.id, began.elapsed());
        Some(*agent)
    }

    /// An agent did its task, or not.
    pub fn judge(&self, agent: Agent, is_good: bool) {
        self.change(agent.id, |one| {
            let score = one.score();
            one.set_score(if is_good { score + REWARD } else { score / 2.0 });
        });
    }

    /// Lets an agent take tasks, or none; `false` if there is no such agent.
    pub fn set_active(&self, id: &str, is_active: bool) -> bool {
        self.change(id, |one| one.is_active = is_active)
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Candidate)) -> bool {
        let mut inner = self.lock();
        let found = inner.candidates.iter_mut().find(|one| one.agent.id == id);
        found.map(change).is_some()
    }

    pub fn active(&self) -> usize {
        let inner = self.lock();
        inner.candidates.iter().filter(|one| one.is_active).count()
    }

    pub fn scores(&self) -> Vec<(&'static str, f64)> {
        let inner = self.lock();
        let scores = inner.candidates.iter();
        scores.map(|one| (one.agent.id, one.score())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
