//! `OperationLayer` around services that are not HTTP: the server and the client of a line protocol over TCP, with
//! tower's layers outside and inside.

use std::future::{Ready, pending, ready};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tower::retry::Policy;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_prometheus::custom::{OperationEnd, OperationLayer, Outcome};
use tower_prometheus::{Counter, Histogram, InProgress, Operation, Registry, catalogue, labels};

use test_support::wait_until;

labels! {
    pub enum Command("command") { Get = "get", Fail = "fail", Hang = "hang", Panic = "panic", Other = "other" }
    pub struct Ended { command: Command, outcome: Outcome }
}

catalogue! {
    pub struct Commands {
        /// Total number of commands, by command and outcome.
        pub commands_total: Counter<Ended>,
        /// Duration of commands in seconds.
        pub command_duration_seconds: Histogram<Command>,
        /// Number of commands in progress.
        pub commands_in_progress: InProgress<Command>,
    }
}

impl Command {
    fn of(line: &str) -> Self {
        let name = line.split(' ').next().unwrap_or_default();
        let known = Self::ALL.iter().find(|command| command.as_str() == name);
        known.copied().unwrap_or(Self::Other)
    }
}

impl Commands {
    fn operation(self, line: &str) -> Operation<(), impl FnOnce(&OperationEnd<'_, ()>) + use<>> {
        let command = Command::of(line);
        Operation::new()
            .in_progress(self.commands_in_progress.with(command))
            .duration(move |_| self.command_duration_seconds.with(command))
            .count(move |end| {
                let outcome = end.outcome;
                self.commands_total.with(Ended { command, outcome })
            })
    }
}

struct Recorded(Registry);

impl Recorded {
    fn new() -> (Self, Commands) {
        let registry = Registry::new();
        let commands = Commands::on(&registry).unwrap();
        (Self(registry), commands)
    }

    fn in_progress(&self) -> f64 {
        self.0.sum("commands_in_progress", &[]).unwrap()
    }

    fn commands(&self, labels: &[(&str, &str)]) -> f64 {
        self.0.sum("commands_total", labels).unwrap()
    }

    async fn wait_in_progress(&self, commands: f64) {
        wait_until("commands are in progress", || {
            self.in_progress() == commands
        })
        .await;
    }

    /// Waits until `commands` have ended and none is in progress. Then asserts that each was counted and timed once.
    async fn wait_ended(&self, commands: u32) {
        let commands = f64::from(commands);
        wait_until("commands have ended", || {
            self.commands(&[]) >= commands && self.in_progress() == 0.0
        })
        .await;
        assert_eq!(self.commands(&[]), commands, "commands");
        let durations = self.0.sum("command_duration_seconds_count", &[]);
        assert_eq!(durations, Some(commands), "durations");
    }
}

/// Answers one line. The error is sent to the client, too.
async fn answer(line: String) -> Result<String, io::Error> {
    match Command::of(&line) {
        Command::Get => Ok(format!("value of {line}")),
        Command::Fail => Err(io::Error::other("no such key")),
        Command::Hang => pending().await,
        Command::Panic => panic!("on fire"),
        Command::Other => Ok(String::from("unknown command")),
    }
}

/// Serves connections with clones of a service, one task for each, and returns the address.
async fn serve<S>(service: S) -> SocketAddr
where
    S: Service<String, Response = String, Error = io::Error> + Clone + Send + 'static,
    S::Future: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_connection(stream, service.clone()));
        }
    });
    address
}

/// Answers the lines of a connection, and drops the call in progress if the client disconnects.
async fn serve_connection<S>(stream: TcpStream, mut service: S) -> io::Result<()>
where
    S: Service<String, Response = String, Error = io::Error>,
{
    let mut stream = BufStream::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let call = service.ready().await?.call(line.trim().to_owned());
        line.clear();
        let answer = tokio::select! {
            answer = call => answer.unwrap_or_else(|error| format!("error: {error}")),
            _ = stream.read_line(&mut line) => return Ok(()),
        };
        stream.write_all(format!("{answer}\n").as_bytes()).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// A client of the line protocol: sends one line over a new connection and returns the answer.
async fn send(server: SocketAddr, line: &str) -> io::Result<String> {
    let mut stream = BufStream::new(TcpStream::connect(server).await?);
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    stream.flush().await?;
    let mut answer = String::new();
    match stream.read_line(&mut answer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(answer.trim().to_owned()),
    }
}

fn client(
    server: SocketAddr,
) -> impl Service<String, Response = String, Error = io::Error, Future: Send> + Copy + Send + 'static
{
    service_fn(move |line: String| async move { send(server, &line).await })
}

#[tokio::test]
async fn server_of_a_line_protocol_counts_each_command_by_its_outcome() {
    let (recorded, commands) = Recorded::new();
    let start = move |line: &String| commands.operation(line);
    let service = ServiceBuilder::new()
        .layer(OperationLayer::new(start))
        .service_fn(answer);
    let server = serve(service).await;
    assert_eq!(send(server, "get ada").await.unwrap(), "value of get ada");
    assert_eq!(send(server, "fail").await.unwrap(), "error: no such key");
    assert_eq!(send(server, "what").await.unwrap(), "unknown command");
    recorded.wait_ended(3).await;

    // The client disconnects while the server works.
    let mut hanging = Box::pin(send(server, "hang"));
    tokio::select! {
        _ = &mut hanging => panic!("the server never answers"),
        () = recorded.wait_in_progress(1.0) => {}
    }
    drop(hanging);
    recorded.wait_ended(4).await;
    // The connection's task panics, and the client sees the end of the connection.
    let ended = send(server, "panic").await.unwrap_err();
    assert!(
        matches!(
            ended.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
        ),
        "{ended:?}"
    );
    recorded.wait_ended(5).await;
    for (command, outcome) in [
        ("get", "success"),
        ("fail", "error"),
        ("other", "success"),
        ("hang", "cancelled"),
        ("panic", "panicked"),
    ] {
        let labels = [("command", command), ("outcome", outcome)];
        assert_eq!(recorded.commands(&labels), 1.0, "{labels:?}");
    }
}

#[tokio::test]
async fn answers_that_report_an_error_are_errors_of_a_client() {
    let server = serve(service_fn(answer)).await;
    let (recorded, commands) = Recorded::new();
    let start = move |line: &String| commands.operation(line);
    let layer =
        OperationLayer::new(start).on_result(|operation, answer: &Result<String, io::Error>| {
            if let Ok(answer) = answer
                && answer.starts_with("error:")
            {
                operation.set_error("answer");
            }
        });
    let mut client = layer.layer(client(server));
    for line in ["get ada", "fail", "panic"] {
        let _ = client.ready().await.unwrap().call(line.to_owned()).await;
    }
    recorded.wait_ended(3).await;
    for (command, outcome) in [("get", "success"), ("fail", "error"), ("panic", "error")] {
        let labels = [("command", command), ("outcome", outcome)];
        assert_eq!(recorded.commands(&labels), 1.0, "{labels:?}");
    }
}

#[tokio::test]
async fn timeout_outside_is_cancelled_and_inside_is_an_error() {
    let server = serve(service_fn(answer)).await;
    let client = client(server);
    let timeout = Duration::from_millis(1);

    let (recorded, commands) = Recorded::new();
    let start = move |line: &String| commands.operation(line);
    let outside = ServiceBuilder::new()
        .timeout(timeout)
        .layer(OperationLayer::new(start))
        .service(client);
    outside.oneshot("hang".into()).await.unwrap_err();
    recorded.wait_ended(1).await;
    assert_eq!(recorded.commands(&[("outcome", "cancelled")]), 1.0);

    let inside = ServiceBuilder::new()
        .layer(OperationLayer::new(start))
        .timeout(timeout)
        .service(client);
    inside.oneshot("hang".into()).await.unwrap_err();
    recorded.wait_ended(2).await;
    assert_eq!(recorded.commands(&[("outcome", "error")]), 1.0);
}

/// Repeats a command that failed, up to a number of times.
#[derive(Clone)]
struct Attempts(u32);

impl<E> Policy<String, String, E> for Attempts {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut String, result: &mut Result<String, E>) -> Option<Ready<()>> {
        let again = result.is_err() && self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        again.then(|| ready(()))
    }

    fn clone_request(&mut self, line: &String) -> Option<String> {
        Some(line.clone())
    }
}

#[tokio::test]
async fn each_attempt_of_an_outer_retry_is_a_call_and_those_of_an_inner_one_are_one_call() {
    let server = serve(service_fn(answer)).await;
    let client = client(server);

    let (recorded, commands) = Recorded::new();
    let start = move |line: &String| commands.operation(line);
    let outside = ServiceBuilder::new()
        .retry(Attempts(2))
        .layer(OperationLayer::new(start))
        .service(client);
    outside.oneshot("panic".into()).await.unwrap_err();
    recorded.wait_ended(3).await;

    let (recorded, commands) = Recorded::new();
    let start = move |line: &String| commands.operation(line);
    let inside = ServiceBuilder::new()
        .layer(OperationLayer::new(start))
        .retry(Attempts(2))
        .service(client);
    inside.oneshot("panic".into()).await.unwrap_err();
    recorded.wait_ended(1).await;
    assert_eq!(recorded.commands(&[("outcome", "error")]), 1.0);
}

/// The queue is that of tower's buffer, before a service that works on one command at a time.
#[tokio::test]
async fn time_in_a_queue_is_measured_if_the_queue_is_inside() {
    let server = serve(service_fn(answer)).await;
    let client = client(server);
    type Call = std::pin::Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>;
    async fn start_two(service: impl Fn() -> Call) -> (Call, Call) {
        let (mut first, mut second) = (service(), service());
        for call in [&mut first, &mut second] {
            assert!(call.as_mut().now_or_never().is_none());
        }
        (first, second)
    }

    let (recorded, commands) = Recorded::new();
    let start = move |line: &String| commands.operation(line);
    let outside = ServiceBuilder::new()
        .buffer(8)
        .layer(OperationLayer::new(start))
        .concurrency_limit(1)
        .service(client);
    let calls = start_two(|| Box::pin(outside.clone().oneshot("hang".into()))).await;
    recorded.wait_in_progress(1.0).await;
    tokio::task::yield_now().await;
    assert_eq!(recorded.in_progress(), 1.0, "the second call is queued");
    // The queued call starts only when the first one ends.
    let (first, second) = calls;
    drop(first);
    wait_until("the second call starts", || {
        recorded.commands(&[]) == 1.0 && recorded.in_progress() == 1.0
    })
    .await;
    drop(second);
    recorded.wait_ended(2).await;
    assert_eq!(recorded.commands(&[("outcome", "cancelled")]), 2.0);

    let (recorded, commands) = Recorded::new();
    let start = move |line: &String| commands.operation(line);
    let inside = ServiceBuilder::new()
        .layer(OperationLayer::new(start))
        .buffer(8)
        .concurrency_limit(1)
        .service(client);
    let calls = start_two(|| Box::pin(inside.clone().oneshot("hang".into()))).await;
    assert_eq!(recorded.in_progress(), 2.0);
    drop(calls);
    recorded.wait_ended(2).await;
}

#[tokio::test]
async fn rejected_call_is_an_error_if_load_is_shed_inside_and_no_call_outside() {
    let server = serve(service_fn(answer)).await;
    let client = client(server);

    for (is_inside, rejected) in [(true, 1.0), (false, 0.0)] {
        let (recorded, commands) = Recorded::new();
        let layer = OperationLayer::new(move |line: &String| commands.operation(line));
        let service = ServiceBuilder::new()
            .option_layer(is_inside.then_some(layer))
            .load_shed()
            .option_layer((!is_inside).then_some(layer))
            .concurrency_limit(1)
            .service(client);
        let mut hanging = Box::pin(service.clone().oneshot("hang".into()));
        assert!(hanging.as_mut().now_or_never().is_none());
        service.oneshot("get".into()).await.unwrap_err();
        assert_eq!(recorded.commands(&[("outcome", "error")]), rejected);
        drop(hanging);
        recorded.wait_ended(1 + u32::from(is_inside)).await;
    }
}
