//! What the gateway measures, and the events that move it: one call, all families of the event.
//!
//! Workspaces come and never stop coming: [`MAX_WORKSPACES`] have series of their own, in the order they are first
//! seen, and all further ones share the series `overflow`. So sums stay right.

use std::time::Duration;

use tower_prometheus::app::{Ended, Running};
use tower_prometheus::{
    Counter, Histogram, InProgress, Info, Operation, Outcome, catalogue, labels,
};

/// Workspaces with series of their own.
pub const MAX_WORKSPACES: usize = 20;
/// Agents with series of their own.
pub const MAX_AGENTS: usize = 50;

labels! {
    pub struct Build {
        version: open(1),
    }

    /// How something ended.
    pub enum Status {
        Success = "success",
        /// It failed, also by a panic.
        Error = "error",
        /// Who had asked hung up.
        Cancelled = "cancelled",
    }

    /// What an agent is asked to do.
    pub enum AgentOperation {
        Answer = "answer",
        Plan = "plan",
        Summarize = "summarize",
        /// What the agent says of itself.
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

    /// Of the cache's operations, those that look something up.
    pub enum Lookup {
        Get = "get",
    }

    pub enum Found {
        Hit = "hit",
        Miss = "miss",
    }

    pub struct Lookups {
        operation: Lookup,
        result: Found,
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

    /// What providers are chosen by.
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
        /// What runs here.
        pub agentos_info: Info<Build>,

        /// How long agents take, however it ends.
        pub a2a_request_duration_seconds: Histogram<Request> {
            buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
        },
        /// Requests to agents that ended.
        pub a2a_requests_total: Counter<Request>,
        /// Tasks that agents are at.
        pub a2a_active_tasks: InProgress<Agent>,
        /// How long the bodies of agents' responses are.
        pub a2a_response_size_bytes: Histogram<Agent> {
            buckets: [100.0, 500.0, 1000.0, 5000.0, 10_000.0, 50_000.0, 100_000.0]
        },

        /// Look-ups by whether there was something.
        pub cache_operations_total: Counter<Lookups>,
        /// How long the cache takes.
        pub cache_latency_seconds: Histogram<CacheOperation> {
            buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1]
        },

        /// Requests that passed all limits, and those that were refused.
        pub rate_limit_hits_total: Counter<Decisions>,

        /// Requests to providers that ended.
        pub ccr_requests_total: Counter<ProviderRequest>,
        /// How long providers take, however it ends.
        pub ccr_latency_seconds: Histogram<Provider> {
            buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]
        },
        /// Tokens that went to providers and came from them.
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

/// A request to an agent, as far as it is known.
#[derive(Debug)]
pub struct AgentRequest<'a> {
    agent: &'a str,
    operation: AgentOperation,
    /// The body's length, as soon as there is one.
    pub response_bytes: Option<usize>,
}

impl AgentOs {
    /// A rate needs a 0 to begin with: the agent's series are there before it is first asked.
    pub fn agent_registered(self, agent: &str) {
        let (operation, status) = (AgentOperation::Card, Status::Success);
        let request = Request {
            agent,
            operation,
            status,
        };
        self.a2a_requests_total.with(request).add(0);
        drop(self.a2a_active_tasks.with(Agent { agent }).begin());
    }

    /// The timer of a request, which is a guard: dropped before it is told how the request ended, it was cancelled.
    pub fn request_timer<'a>(
        self,
        agent: &'a str,
        operation: AgentOperation,
    ) -> Running<AgentRequest<'a>, impl FnOnce(&Ended<'_, AgentRequest<'a>>)> {
        let request = AgentRequest {
            agent,
            operation,
            response_bytes: None,
        };
        Operation::with(request)
            .in_progress(self.a2a_active_tasks.with(Agent { agent }))
            .on_end(move |end: &Ended<'_, AgentRequest<'a>>| {
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

    pub fn looked_up(self, result: Found, took: Duration) {
        let operation = Lookup::Get;
        let lookups = Lookups { operation, result };
        self.cache_operations_total.with(lookups).increment();
        self.cache_latency_seconds
            .with(CacheOperation::Get)
            .observe_duration(took);
    }

    pub fn stored(self, took: Duration) {
        self.cache_latency_seconds
            .with(CacheOperation::Set)
            .observe_duration(took);
    }

    /// Of a decision that is final: a request counts once, whatever number of limits it met.
    pub fn decided(self, endpoint: Endpoint, workspace_id: &str, result: Decision) {
        let decisions = Decisions {
            endpoint,
            workspace_id,
            result,
        };
        self.rate_limit_hits_total.with(decisions).increment();
    }

    /// A provider's work, counted however it ends.
    pub async fn provider_request<T, E>(
        self,
        provider: Provider,
        task_type: TaskType,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        Operation::new()
            .duration(|_| self.ccr_latency_seconds.with(provider))
            .total(|end| {
                self.ccr_requests_total.with(ProviderRequest {
                    provider,
                    task_type,
                    status: end.outcome.into(),
                })
            })
            .run(work)
            .await
    }

    pub fn tokens(self, provider: Provider, input: usize, output: usize) {
        for (direction, tokens) in [(Direction::Input, input), (Direction::Output, output)] {
            let direction = Tokens {
                provider,
                direction,
            };
            self.ccr_tokens_total.with(direction).add(tokens as u64);
        }
    }
}
