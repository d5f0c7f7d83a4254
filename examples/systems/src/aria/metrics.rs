//! The catalogue of Aria, and a method per event.

use std::time::{Duration, SystemTime};

use futures_util::Stream;
use tower_prometheus::collect::{FamilySamples, Samples};
use tower_prometheus::custom::{OperationEnd, OperationGuard, Owned};
use tower_prometheus::{
    Counter, FloatCounter, Gauge, Histogram, InProgress, Info, Operation, Unit, catalogue,
    custom::Outcome,
    labels,
    model::{FamilyDescription, LabelDescription, MetricKind},
};

labels! {
    /// The final status of a request, with the label values that Aria's clients know.
    pub enum Status {
        Ok = "200",
        Failed = "500",
        Cancelled = "cancelled",
        Panicked = "panicked",
    }
    /// The author of a message.
    pub enum Role("role") { User = "user", Assistant = "assistant" }
    /// The state of a job; `Failed` if its last run failed.
    pub enum JobStatus("status") { Active = "active", Paused = "paused", Failed = "failed" }
    /// The kind of a query.
    pub enum DbOperation("operation") { Select = "select", Insert = "insert", Delete = "delete" }

    pub struct Build { version: open(10), rust: open(10), engine: open(10) }
    pub struct Method { method: open(50) }
    pub struct Request { method: open(50), status: Status }
    pub struct Model { model: open(50) }
    pub struct Call { model: open(50), status: Outcome }
    pub struct Routed { selected_agent: open(100) }
    pub struct AgentTask { agent_id: open(100), status: Outcome }
    pub struct Job { job_id: open(200) }
    pub struct Execution { job_id: open(200), status: Outcome }
    pub struct Skill { skill_name: open(200) }
    pub struct SkillExecution { skill_name: open(200), status: Outcome }
    pub struct Failure { error_type: open(100), component: open(50) }
}

const REQUEST: [f64; 10] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const LLM: [f64; 8] = [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
const THINKING: [f64; 8] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0];
const ROUTING: [f64; 6] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5];
const SESSION: [f64; 7] = [60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 86_400.0];
const JOB: [f64; 8] = [0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0];
const SKILL: [f64; 8] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];
const DB: [f64; 7] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];

catalogue! {
    /// Metrics that are recorded where the event happens.
    #[prefix = "aria_"]
    pub struct Aria {
        /// Version of the engine, and its minimum supported Rust version.
        pub build_info: Info<Build>,
        /// Total number of requests, by method and final status.
        pub requests_total: Counter<Request>,
        /// Duration of requests in seconds.
        pub request_duration_seconds: Histogram<Method> { buckets: REQUEST },
        /// Number of requests in progress.
        pub requests_in_progress: InProgress<Method>,
        /// Total number of LLM calls, by model and final status.
        pub llm_requests_total: Counter<Call>,
        /// Duration of LLM calls in seconds; of streams, the time to the first token.
        pub llm_request_duration_seconds: Histogram<Model> { buckets: LLM },
        /// Total number of input tokens.
        pub llm_tokens_input_total: Counter<Model>,
        /// Total number of output tokens, thinking included.
        pub llm_tokens_output_total: Counter<Model>,
        /// Estimated cost of tokens in US dollars.
        pub llm_token_cost_estimate_total: FloatCounter<Model>,
        /// Time from the start of thinking to the first word in seconds.
        pub llm_thinking_duration_seconds: Histogram<Model> { buckets: THINKING },
        /// Total number of routing decisions, by selected agent.
        pub agent_routing_total: Counter<Routed>,
        /// Duration of routing decisions in seconds.
        pub agent_routing_duration_seconds: Histogram { buckets: ROUTING },
        /// Total number of agent tasks, by agent and final status.
        pub agent_tasks_total: Counter<AgentTask>,
        /// Total number of sessions created.
        pub sessions_created_total: Counter,
        /// Total number of messages, by role of the author.
        pub sessions_messages_total: Counter<Role>,
        /// Duration of sessions in seconds.
        pub session_duration_seconds: Histogram { buckets: SESSION },
        /// Number of jobs, by status; a gauge despite its name.
        pub scheduler_jobs_total: Gauge<JobStatus> { unconventional: true },
        /// Total number of job executions, by job and final status.
        pub scheduler_executions_total: Counter<Execution>,
        /// Duration of job executions in seconds.
        pub scheduler_execution_duration_seconds: Histogram<Job> { buckets: JOB },
        /// Start of the last execution of a job, in seconds since the Unix epoch.
        pub scheduler_last_run_timestamp: Gauge<Job> { unit: Unit::Seconds },
        /// Total number of skill executions, by skill and final status.
        pub skill_executions_total: Counter<SkillExecution>,
        /// Duration of skill executions in seconds.
        pub skill_execution_duration_seconds: Histogram<Skill> { buckets: SKILL },
        /// Total number of database queries, by operation.
        pub db_queries_total: Counter<DbOperation>,
        /// Duration of database queries in seconds, including the wait for a connection.
        pub db_query_duration_seconds: Histogram<DbOperation> { buckets: DB },
        /// Total number of errors, by type and component.
        pub errors_total: Counter<Failure>,
    }
}

/// A gauge that a collector exports, with its label if it has one.
pub struct CollectedGauge {
    name: &'static str,
    help: &'static str,
    label: Option<&'static str>,
}

macro_rules! collected_gauges {
    ($($constant:ident: $name:literal $([$label:literal])?, $help:literal;)+) => {
        $(
            pub const $constant: CollectedGauge = CollectedGauge {
                name: concat!("aria_", $name),
                help: $help,
                label: [$(Some($label),)? None][0],
            };
        )+
        const COLLECTED: &[CollectedGauge] = &[$($constant),+];
    };
}

collected_gauges! {
    LLM_CIRCUIT_BREAKER_STATE: "llm_circuit_breaker_state" ["model"], "State of the circuit breaker: 0 closed, 1 open, 2 half-open.";
    AGENT_PHEROMONE_SCORE: "agent_pheromone_score" ["agent_id"], "Pheromone score of an agent.";
    AGENTS_ACTIVE: "agents_active", "Number of agents that accept tasks.";
    SESSIONS_ACTIVE: "sessions_active", "Number of open sessions.";
    DB_POOL_SIZE: "db_pool_size", "Number of connections in the database pool.";
    DB_POOL_AVAILABLE: "db_pool_available", "Number of idle connections in the database pool.";
    MEMORY_RSS_BYTES: "memory_rss_bytes", "Resident memory in bytes.";
    MEMORY_GC_OBJECTS: "memory_gc_objects", "Number of live heap allocations.";
}

impl CollectedGauge {
    /// The metric family in the samples of a collector.
    pub fn of<'a>(&self, samples: &'a mut Samples) -> FamilySamples<'a> {
        samples.gauge(self.name, self.help)
    }

    fn describe(&self) -> FamilyDescription {
        let mut family = FamilyDescription::new(self.name, MetricKind::Gauge);
        family.help = self.help.to_owned();
        family.labels = self.label.map(LabelDescription::new).into_iter().collect();
        family
    }
}

/// Every metric family of Aria, for dashboards and rules.
pub fn families() -> Vec<FamilyDescription> {
    let collected = COLLECTED.iter().map(CollectedGauge::describe);
    Aria::families().into_iter().chain(collected).collect()
}

/// An error with a type name, the label `error_type` of `errors_total`.
pub trait ErrorType {
    /// Returns the value of the label.
    fn error_type(&self) -> &'static str;
}

impl From<Outcome> for Status {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Ok,
            Outcome::Error => Self::Failed,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Panicked => Self::Panicked,
        }
    }
}

/// Operations. Each is counted exactly once, with its outcome, and decrements its in-progress gauge
/// when it ends.
impl Aria {
    /// A request: any async function, by the name of its method.
    pub async fn request<T, E: ErrorType>(
        self,
        method: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        Operation::new()
            .in_progress(self.requests_in_progress.with(Method { method }))
            .duration(|_| self.request_duration_seconds.with(Method { method }))
            .count(|end| {
                let status = Status::from(end.outcome);
                self.requests_total.with(Request { method, status })
            })
            .errors(|_, error_type| self.error(error_type, method))
            .run_with(work, set_error_type)
            .await
    }

    /// An LLM call without streaming: any async function.
    pub async fn llm_call<T, E: ErrorType>(
        self,
        model: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.llm_operation(model)
            .run_with(work, set_error_type)
            .await
    }

    /// A streaming LLM call; its duration is the time to the first token.
    pub fn llm_stream<T, E: ErrorType>(
        self,
        model: &str,
        chunks: impl Stream<Item = Result<T, E>>,
    ) -> impl Stream<Item = Result<T, E>> {
        self.llm_operation(model)
            .stream(chunks, |operation, chunk| {
                operation.stop_clock();
                set_error_type(operation, chunk);
            })
    }

    fn llm_operation(self, model: &str) -> Operation<(), impl FnOnce(&OperationEnd<'_, ()>)> {
        Operation::new()
            .duration(move |_| self.llm_request_duration_seconds.with(Model { model }))
            .count(move |end| {
                let status = end.outcome;
                self.llm_requests_total.with(Call { model, status })
            })
            .errors(move |_, error_type| self.error(error_type, "llm"))
    }

    /// An agent task. Its errors are counted where they occur, not here.
    pub async fn agent_task<T, E>(
        self,
        agent_id: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        Operation::new()
            .count(|end| {
                let status = end.outcome;
                self.agent_tasks_total.with(AgentTask { agent_id, status })
            })
            .run(work)
            .await
    }

    /// An execution of a job.
    pub async fn job_run<T, E: ErrorType>(
        self,
        job_id: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        self.scheduler_last_run_timestamp
            .with(Job { job_id })
            .set(since_1970.as_secs_f64());
        Operation::new()
            .duration(|_| {
                self.scheduler_execution_duration_seconds
                    .with(Job { job_id })
            })
            .count(|end| {
                let status = end.outcome;
                self.scheduler_executions_total
                    .with(Execution { job_id, status })
            })
            .errors(|_, error_type| self.error(error_type, "scheduler"))
            .run_with(work, set_error_type)
            .await
    }

    /// An execution of a skill.
    pub async fn skill<T, E: ErrorType>(
        self,
        skill_name: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        Operation::new()
            .duration(|_| {
                self.skill_execution_duration_seconds
                    .with(Skill { skill_name })
            })
            .count(|end| {
                let status = end.outcome;
                self.skill_executions_total
                    .with(SkillExecution { skill_name, status })
            })
            .errors(|_, error_type| self.error(error_type, "skill"))
            .run_with(work, set_error_type)
            .await
    }

    /// A database query, including the wait for a connection.
    pub async fn query<T, E: ErrorType>(
        self,
        operation: DbOperation,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        Operation::new()
            .duration(|_| self.db_query_duration_seconds.with(operation))
            .count(|_| self.db_queries_total.with(operation))
            .errors(|_, error_type| self.error(error_type, "database"))
            .run_with(work, set_error_type)
            .await
    }

    fn error(self, error_type: &str, component: &str) -> Counter<Owned> {
        self.errors_total.with(Failure {
            error_type,
            component,
        })
    }
}

/// Counts an error by its type name.
fn set_error_type<Record, T, E: ErrorType>(
    operation: &mut OperationGuard<(), Record>,
    result: &Result<T, E>,
) where
    Record: FnOnce(&OperationEnd<'_, ()>),
{
    if let Err(error) = result {
        operation.set_error(error.error_type());
    }
}

/// Preregistration of the values of free-form labels that are known at start-up: `with` alone
/// exports the series as 0, for every value of the enum labels.
impl Aria {
    pub fn preregister_method(self, method: &str) {
        let status = Status::Ok;
        let _ = self.requests_total.with(Request { method, status });
        let _ = self.request_duration_seconds.with(Method { method });
        let _ = self.requests_in_progress.with(Method { method });
    }

    pub fn preregister_model(self, model: &str) {
        let status = Outcome::Success;
        let _ = self.llm_requests_total.with(Call { model, status });
        let _ = self.llm_request_duration_seconds.with(Model { model });
        let _ = self.llm_tokens_input_total.with(Model { model });
        let _ = self.llm_tokens_output_total.with(Model { model });
        let _ = self.llm_token_cost_estimate_total.with(Model { model });
        let _ = self.llm_thinking_duration_seconds.with(Model { model });
    }

    pub fn preregister_agent(self, agent_id: &str) {
        let status = Outcome::Success;
        let _ = self.agent_tasks_total.with(AgentTask { agent_id, status });
        let selected_agent = agent_id;
        let _ = self.agent_routing_total.with(Routed { selected_agent });
    }

    pub fn preregister_skill(self, skill_name: &str) {
        let status = Outcome::Success;
        let _ = self
            .skill_executions_total
            .with(SkillExecution { skill_name, status });
        let _ = self
            .skill_execution_duration_seconds
            .with(Skill { skill_name });
    }
}

/// Events.
impl Aria {
    /// The engine started.
    pub fn started(self, version: &str) {
        self.build_info.set(Build {
            version,
            // The minimum supported version: only a build script could tell the version of the compiler.
            rust: env!("CARGO_PKG_RUST_VERSION"),
            engine: "aria",
        });
    }

    /// The engine refused to call a model.
    pub fn llm_refused(self, error: &impl ErrorType) {
        self.error(error.error_type(), "llm").increment();
    }

    /// A model has read a prompt.
    pub fn prompt_read(self, model: &str, tokens: u64, dollars: f64) {
        self.llm_tokens_input_total
            .with(Model { model })
            .add(tokens);
        self.llm_token_cost_estimate_total
            .with(Model { model })
            .add(dollars);
    }

    /// A model has written a token.
    pub fn token_written(self, model: &str, dollars: f64) {
        self.llm_tokens_output_total
            .with(Model { model })
            .increment();
        self.llm_token_cost_estimate_total
            .with(Model { model })
            .add(dollars);
    }

    /// A model has finished thinking.
    pub fn thinking_finished(self, model: &str, duration: Duration) {
        self.llm_thinking_duration_seconds
            .with(Model { model })
            .observe_duration(duration);
    }

    /// An agent was selected.
    pub fn agent_selected(self, selected_agent: &str, duration: Duration) {
        self.agent_routing_total
            .with(Routed { selected_agent })
            .increment();
        self.agent_routing_duration_seconds
            .observe_duration(duration);
    }

    /// A session was opened.
    pub fn session_opened(self) {
        self.sessions_created_total.increment();
    }

    /// A session was closed by its user or because it was idle.
    pub fn session_closed(self, duration: Duration) {
        self.session_duration_seconds.observe_duration(duration);
    }

    /// A message was added to a session.
    pub fn message(self, role: Role) {
        self.sessions_messages_total.with(role).increment();
    }

    /// A job was added.
    pub fn job_added(self, job_id: &str, status: JobStatus) {
        self.scheduler_jobs_total.with(status).increment();
        let execution = Execution {
            job_id,
            status: Outcome::Success,
        };
        let _ = self.scheduler_executions_total.with(execution);
        let _ = self
            .scheduler_execution_duration_seconds
            .with(Job { job_id });
    }

    /// The status of a job changed.
    pub fn job_changed(self, before: JobStatus, after: JobStatus) {
        self.scheduler_jobs_total.with(before).decrement();
        self.scheduler_jobs_total.with(after).increment();
    }
}
