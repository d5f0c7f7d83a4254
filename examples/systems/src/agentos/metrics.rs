//! The catalogue of the gateway, and a method per event that updates all metrics of the event.
//!
//! The number of workspaces is not known in advance, so the label is limited: the first
//! [`MAX_WORKSPACES`] workspaces get separate series, and further ones are recorded as `overflow`.
//! Sums over all workspaces stay correct.

use std::time::Duration;

use tower_prometheus::custom::{OperationEnd, OperationGuard};
use tower_prometheus::{
    Counter, Histogram, InProgress, Info, Operation, catalogue, custom::Outcome, labels,
};

/// Limit of the label `workspace_id`.
pub const MAX_WORKSPACES: usize = 20;
/// Limit of the label `agent`.
pub const MAX_AGENTS: usize = 50;

labels! {
    pub struct Build {
        version: open(1),
    }

    /// How a request ended.
    pub enum Status {
        Success = "success",
        /// Failed or panicked.
        Error = "error",
        /// The caller disconnected.
        Cancelled = "cancelled",
    }

    /// The operations of an agent.
    pub enum AgentOperation {
        Answer = "answer",
        Plan = "plan",
        Summarize = "summarize",
        /// Returns the agent's description.
        Card = "card",
    }

    pub struct Agent {
        agent: open(MAX_AGENTS),
    }

    pub struct Request {
        agent: open(MAX_AGENTS),
        operation: AgentOperation,
        status: Status,
    }

    pub enum CacheOperation("operation") {
        Get = "get",
        Set = "set",
    }

    /// The cache operations that are look-ups.
    pub enum Lookup {
        Get = "get",
    }

    pub enum CacheResult {
        Hit = "hit",
        Miss = "miss",
    }

    pub struct Lookups {
        operation: Lookup,
        result: CacheResult,
    }

    /// Routes that have limits.
    pub enum Endpoint {
        Agent = "/a2a/{agent}",
        Operation = "/a2a/{agent}/{operation}",
    }

    pub enum Decision {
        Allowed = "allowed",
        Denied = "denied",
    }

    pub struct Decisions {
        endpoint: Endpoint,
        workspace_id: open(MAX_WORKSPACES),
        result: Decision,
    }

    pub enum Provider("provider") {
        Small = "small",
        Large = "large",
    }

    /// The task types by which a provider is chosen.
    pub enum TaskType {
        Default = "default",
        Think = "think",
        Background = "background",
    }

    pub struct ProviderRequest {
        provider: Provider,
        task_type: TaskType,
        status: Status,
    }

    pub enum Direction {
        Input = "input",
        Output = "output",
    }

    pub struct Tokens {
        provider: Provider,
        direction: Direction,
    }
}

catalogue! {
    /// A gateway between agents.
    pub struct AgentOs {
        /// Version of the gateway.
        pub agentos_info: Info<Build>,

        /// Duration of requests to agents in seconds, however they end.
        pub a2a_request_duration_seconds: Histogram<Request> {
            buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
        },
        /// Total number of requests to agents, by agent, operation and final status.
        pub a2a_requests_total: Counter<Request>,
        /// Number of tasks in progress, by agent.
        pub a2a_active_tasks: InProgress<Agent>,
        /// Size of the response bodies of agents in bytes.
        pub a2a_response_size_bytes: Histogram<Agent> {
            buckets: [100.0, 500.0, 1000.0, 5000.0, 10_000.0, 50_000.0, 100_000.0]
        },

        /// Total number of cache look-ups, by result.
        pub cache_operations_total: Counter<Lookups>,
        /// Duration of cache operations in seconds.
        pub cache_latency_seconds: Histogram<CacheOperation> {
            buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1]
        },

        /// Total number of requests that rate limits allowed or denied.
        pub rate_limit_hits_total: Counter<Decisions>,

        /// Total number of requests to providers, by final status.
        pub ccr_requests_total: Counter<ProviderRequest>,
        /// Duration of requests to providers in seconds, however they end.
        pub ccr_latency_seconds: Histogram<Provider> {
            buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]
        },
        /// Total number of tokens sent to and received from providers.
        pub ccr_tokens_total: Counter<Tokens>,
    }
}

impl From<Outcome> for Status {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Error | Outcome::Panicked => Self::Error,
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

/// A request to an agent.
#[derive(Debug)]
pub struct AgentRequest<'a> {
    agent: &'a str,
    operation: AgentOperation,
    /// The length of the response body, once there is a response.
    pub response_bytes: Option<usize>,
}

impl AgentOs {
    /// Exports the series of an agent as 0 before its first request: `rate` misses what happens
    /// before the first scrape of a series.
    pub fn agent_registered(self, agent: &str) {
        let (operation, status) = (AgentOperation::Card, Status::Success);
        let request = Request {
            agent,
            operation,
            status,
        };
        self.a2a_requests_total.with(request).add(0);
        drop(self.a2a_active_tasks.with(Agent { agent }).start());
    }

    /// Starts the timer of a request. If the guard is dropped without an outcome, the request
    /// counts as cancelled.
    pub fn request_timer<'a>(
        self,
        agent: &'a str,
        operation: AgentOperation,
    ) -> OperationGuard<AgentRequest<'a>, impl FnOnce(&OperationEnd<'_, AgentRequest<'a>>)> {
        let request = AgentRequest {
            agent,
            operation,
            response_bytes: None,
        };
        Operation::with(request)
            .in_progress(self.a2a_active_tasks.with(Agent { agent }))
            .on_end(move |end: &OperationEnd<'_, AgentRequest<'a>>| {
                let AgentRequest {
                    agent,
                    operation,
                    response_bytes,
                } = *end.labels;
                let request = Request {
                    agent,
                    operation,
                    status: end.outcome.into(),
                };
                self.a2a_requests_total.with(request).increment();
                self.a2a_request_duration_seconds
                    .with(request)
                    .observe(end.seconds);
                if let Some(bytes) = response_bytes {
                    let sizes = self.a2a_response_size_bytes.with(Agent { agent });
                    sizes.observe(bytes as f64);
                }
            })
            .start()
    }

    pub fn record_lookup(self, result: CacheResult, duration: Duration) {
        let operation = Lookup::Get;
        let lookups = Lookups { operation, result };
        self.cache_operations_total.with(lookups).increment();
        self.cache_latency_seconds
            .with(CacheOperation::Get)
            .observe_duration(duration);
    }

    pub fn record_insert(self, duration: Duration) {
        self.cache_latency_seconds
            .with(CacheOperation::Set)
            .observe_duration(duration);
    }

    /// Records a final decision. A request counts once, however many limits apply to it.
    pub fn record_decision(self, endpoint: Endpoint, workspace_id: &str, result: Decision) {
        let decisions = Decisions {
            endpoint,
            workspace_id,
            result,
        };
        self.rate_limit_hits_total.with(decisions).increment();
    }

    /// Counts and times a request to a provider, however it ends.
    pub async fn provider_request<T, E>(
        self,
        provider: Provider,
        task_type: TaskType,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        Operation::new()
            .duration(|_| self.ccr_latency_seconds.with(provider))
            .count(|end| {
                self.ccr_requests_total.with(ProviderRequest {
                    provider,
                    task_type,
                    status: end.outcome.into(),
                })
            })
            .run(work)
            .await
    }

    pub fn record_tokens(self, provider: Provider, input: usize, output: usize) {
        for (direction, tokens) in [(Direction::Input, input), (Direction::Output, output)] {
            let direction = Tokens {
                provider,
                direction,
            };
            self.ccr_tokens_total.with(direction).add(tokens as u64);
        }
    }
}
