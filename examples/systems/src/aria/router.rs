//! [`Router`]: chooses agents by pheromone scores, as in ant colony optimization. Success raises
//! the score of an agent, failure lowers it, and all scores decay over time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::metrics::Aria;

/// Time after which the part of a score above [`FLOOR`] has halved.
const HALF_LIFE: Duration = Duration::from_secs(5);
/// Minimum score, so that every active agent is still chosen sometimes.
const FLOOR: f64 = 0.1;
/// Added to the score after a successful task.
const REWARD: f64 = 0.2;

/// An agent, and the model that it uses.
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
    /// When `score` was set; it decays from then on.
    score_set: Instant,
}

impl Candidate {
    fn score(&self) -> f64 {
        let half_lives = self.score_set.elapsed().as_secs_f64() / HALF_LIFE.as_secs_f64();
        FLOOR + (self.score - FLOOR) * 0.5_f64.powf(half_lives)
    }

    fn set_score(&mut self, score: f64) {
        self.score = score.max(FLOOR);
        self.score_set = Instant::now();
    }
}

#[derive(Debug)]
struct Inner {
    candidates: Vec<Candidate>,
    /// Position of the latest choice in the unit interval: a low-discrepancy sequence with steps of
    /// the golden ratio.
    position: f64,
}

#[derive(Debug)]
pub struct Router {
    inner: Mutex<Inner>,
    aria: Aria,
}

impl Router {
    pub fn new(aria: Aria) -> Self {
        let candidate = |agent: Agent| {
            aria.preregister_agent(agent.id);
            Candidate {
                agent,
                is_active: true,
                score: 1.0,
                score_set: Instant::now(),
            }
        };
        let candidates = AGENTS.map(candidate).into();
        let inner = Mutex::new(Inner {
            candidates,
            position: 0.5,
        });
        Self { inner, aria }
    }

    /// Chooses an active agent, with a probability proportional to its score; `None` if all agents
    /// are inactive.
    pub fn choose(&self) -> Option<Agent> {
        let start = Instant::now();
        let mut inner = self.lock();
        inner.position = (inner.position + 0.618_033_988_75).fract();
        let active = inner
            .candidates
            .iter()
            .filter(|candidate| candidate.is_active);
        let scores: Vec<_> = active
            .map(|candidate| (candidate.agent, candidate.score()))
            .collect();
        let total: f64 = scores.iter().map(|(_, score)| score).sum();
        let mut rest = inner.position * total;
        let chosen = scores.iter().find(|(_, score)| {
            rest -= score;
            rest < 0.0
        });
        // Rounding can leave `rest` at 0 or slightly above: the choice is then the last agent.
        let (agent, _) = chosen.or(scores.last())?;
        self.aria.agent_selected(agent.id, start.elapsed());
        Some(*agent)
    }

    /// Raises the score of an agent after a successful task, and halves it after a failed one.
    pub fn update_score(&self, agent: Agent, success: bool) {
        self.change(agent.id, |candidate| {
            let score = candidate.score();
            candidate.set_score(if success { score + REWARD } else { score / 2.0 });
        });
    }

    /// Activates or deactivates an agent. Returns `false` if the agent does not exist.
    pub fn set_active(&self, id: &str, is_active: bool) -> bool {
        self.change(id, |candidate| candidate.is_active = is_active)
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Candidate)) -> bool {
        let mut inner = self.lock();
        let found = inner
            .candidates
            .iter_mut()
            .find(|candidate| candidate.agent.id == id);
        found.map(change).is_some()
    }

    pub fn active(&self) -> usize {
        let inner = self.lock();
        inner
            .candidates
            .iter()
            .filter(|candidate| candidate.is_active)
            .count()
    }

    pub fn scores(&self) -> Vec<(&'static str, f64)> {
        let inner = self.lock();
        let scores = inner.candidates.iter();
        scores
            .map(|candidate| (candidate.agent.id, candidate.score()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
