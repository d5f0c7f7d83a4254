//! [`Scheduler`]: jobs that run at an interval or on demand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::engine::{Engine, EngineError};
use super::metrics::JobStatus;

#[derive(Clone, Copy, Debug)]
enum Work {
    /// Closes idle sessions.
    CloseIdleSessions,
    /// Counts the messages.
    Compact,
    /// Lets a model write a digest.
    Digest,
}

#[derive(Debug)]
pub struct Job {
    pub id: &'static str,
    /// The interval; `None` for a job that only runs on demand.
    every: Option<Duration>,
    work: Work,
    status: Mutex<JobStatus>,
}

#[derive(Debug)]
pub struct Scheduler {
    engine: Arc<Engine>,
    jobs: Vec<Job>,
}

impl Scheduler {
    pub fn new(engine: Arc<Engine>) -> Self {
        let job = |id, every: Option<u64>, work| Job {
            id,
            every: every.map(Duration::from_millis),
            work,
            status: Mutex::new(JobStatus::Active),
        };
        let jobs = vec![
            job("close_idle_sessions", Some(250), Work::CloseIdleSessions),
            job("compact", Some(1000), Work::Compact),
            job("digest", None, Work::Digest),
        ];
        for job in &jobs {
            engine.aria.job_added(job.id, JobStatus::Active);
        }
        Self { engine, jobs }
    }

    pub fn job(&self, id: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }

    /// Runs a job now, whatever its status.
    pub async fn run(&self, job: &Job) -> Result<(), EngineError> {
        let work = self.work(job.work);
        let result = self.engine.aria.job_run(job.id, work).await;
        let status = match &result {
            Ok(()) => JobStatus::Active,
            Err(_) => JobStatus::Failed,
        };
        self.change_status(job, |before| match before {
            JobStatus::Paused => JobStatus::Paused,
            JobStatus::Active | JobStatus::Failed => status,
        });
        result
    }

    /// Stops the periodic runs of a job until it is resumed. It can still be run on demand.
    pub fn pause(&self, job: &Job) {
        self.change_status(job, |_| JobStatus::Paused);
    }

    pub fn resume(&self, job: &Job) {
        self.change_status(job, |_| JobStatus::Active);
    }

    fn change_status(&self, job: &Job, change: impl FnOnce(JobStatus) -> JobStatus) {
        let mut status = job.status.lock().unwrap_or_else(PoisonError::into_inner);
        let after = change(*status);
        self.engine.aria.job_changed(*status, after);
        *status = after;
    }

    async fn work(&self, work: Work) -> Result<(), EngineError> {
        match work {
            Work::CloseIdleSessions => {
                for session in self.engine.sessions.close_idle() {
                    self.engine.close(session).await?;
                }
                Ok(())
            }
            Work::Compact => self.count().await.map(drop),
            Work::Digest => {
                let prompt = format!("{} messages today", self.count().await?);
                let model = self.engine.model("deep").ok_or(EngineError::NoAgent)?;
                let digest = model.complete(&prompt).await;
                digest.map(drop).map_err(EngineError::Llm)
            }
        }
    }

    async fn count(&self) -> Result<usize, EngineError> {
        let count = self.engine.database.count().await;
        count.map_err(EngineError::Database)
    }

    /// Runs the jobs at their intervals until the future is dropped.
    pub async fn run_periodic_jobs(self: Arc<Self>) {
        let mut running = JoinSet::new();
        for (i, job) in self.jobs.iter().enumerate() {
            if let Some(every) = job.every {
                running.spawn(Arc::clone(&self).run_periodically(i, every));
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn run_periodically(self: Arc<Self>, i: usize, every: Duration) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let job = &self.jobs[i];
            let status = *job.status.lock().unwrap_or_else(PoisonError::into_inner);
            if status != JobStatus::Paused {
                // `run` counts the error and sets the job's status.
                let _ = self.run(job).await;
            }
        }
    }
}
