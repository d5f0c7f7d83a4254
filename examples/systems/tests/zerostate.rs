//! ZeroState, started as a program and called over gRPC: its metric families, its counts, the
//! limits of its labels, and its queries in a real Prometheus.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tower_prometheus_mixin::{Definitions, ScrapeConfig, ScrapeJob};

use systems::zerostate::api::{Call, Client};
use systems::zerostate::metrics::{MAX_AUCTIONS, MAX_CHANNELS, MAX_PEERS};
use systems::zerostate::{api, metrics, mixin};
use test_support::page::samples;
use test_support::process::{RunningProgram, curl, program};
use test_support::skip_without;
use test_support::store::Store;
use test_support::system::{Row, assert_page_matches_table, histogram_row, row, wait_for_page};

/// The running example; dropping it stops the program.
struct ZeroState {
    _running: RunningProgram,
    client: Client,
    url: String,
}

impl ZeroState {
    fn start(arguments: &[&str]) -> Self {
        let mut command = program(env!("CARGO_BIN_EXE_zerostate"));
        let mut running = RunningProgram::start(command.args(arguments).env_remove("GRPC_PORT"));
        let grpc = format!("http://{}", running.read_line_after("gRPC on "));
        let url = format!("http://{}", running.read_line_after("http://"));
        let endpoint = Endpoint::from_shared(grpc).unwrap();
        let client = Client::new(endpoint.connect_lazy());
        Self {
            _running: running,
            client,
            url,
        }
    }

    async fn call<C: Call>(&self, call: C) -> Result<C::Reply, Status> {
        self.client.call(call).await
    }

    /// Sends a call that must fail, and returns the status code.
    async fn error_code<C: Call>(&self, call: C) -> Code {
        let result = self.call(call).await;
        result.err().expect("the call should fail").code()
    }

    async fn open(&self, opened_by: &str, client: u64, provider: u64) -> api::ChannelStatus {
        let open = api::OpenChannel {
            opened_by: opened_by.to_owned(),
            client_deposit: client,
            provider_deposit: provider,
        };
        self.call(open).await.unwrap()
    }

    async fn auction(&self, r#type: &str, duration_ms: u64, bids: &[u64]) -> String {
        let r#type = r#type.to_owned();
        let open = api::OpenAuction {
            r#type,
            duration_ms,
        };
        let auction_id = self.call(open).await.unwrap().auction_id;
        for amount in bids {
            self.bid(&auction_id, *amount).await.unwrap();
        }
        auction_id
    }

    async fn bid(&self, auction_id: &str, amount: u64) -> Result<(), Code> {
        let auction_id = auction_id.to_owned();
        let bid = self.call(api::Bid { auction_id, amount }).await;
        bid.map(drop).map_err(|status| status.code())
    }

    async fn deliver(&self, auction_id: &str) -> Result<u64, Code> {
        let auction_id = auction_id.to_owned();
        let delivered = self.call(api::Deliver { auction_id }).await;
        let price = delivered.map(|delivered| delivered.price);
        price.map_err(|status| status.code())
    }

    fn page(&self) -> BTreeMap<String, f64> {
        samples(&curl(&[&self.url]))
    }

    /// The samples of the metrics page, once the value of `sample` satisfies the condition.
    #[track_caller]
    fn page_when(&self, sample: &str, condition: impl Fn(f64) -> bool) -> BTreeMap<String, f64> {
        let page = wait_for_page(&self.url, sample, |page| {
            samples(page).get(sample).copied().is_some_and(&condition)
        });
        samples(&page)
    }
}

fn pay(channel_id: &str, party: &str, amount: u64) -> api::Pay {
    api::Pay {
        channel_id: channel_id.to_owned(),
        party: party.to_owned(),
        amount,
    }
}

fn close(channel_id: &str, client_balance: u64) -> api::CloseChannel {
    let channel_id = channel_id.to_owned();
    api::CloseChannel {
        channel_id,
        client_balance,
    }
}

fn resolve(channel_id: &str, upheld: bool) -> api::ResolveDispute {
    let channel_id = channel_id.to_owned();
    api::ResolveDispute { channel_id, upheld }
}

fn task(r#type: &str, peer_id: &str, cost: u64) -> api::SubmitTask {
    api::SubmitTask {
        r#type: r#type.to_owned(),
        peer_id: peer_id.to_owned(),
        cost,
        work_ms: 0,
        limit_ms: 60_000,
        fails: false,
    }
}

const DURATION: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0,
];
const COST: &[f64] = &[0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0];

type Labels = &'static [(&'static str, &'static [&'static str])];

const PARTY: (&str, &[&str]) = ("party", &["client", "provider"]);
const CHANNELS: Labels = &[("state", &["pending", "open", "disputed"]), PARTY];
const TYPE: (&str, &[&str]) = ("type", &["compute", "inference", "storage"]);
const PEER: Labels = &[("peer_id", &[])];
const ESCROW: Labels = &[("type", &["task", "auction"])];
const SUCCESS_OR_FAILED: (&str, &[&str]) = ("status", &["success", "failed"]);

const TABLE: &[Row] = &[
    row("counter", "zerostate_economic_channels_total", CHANNELS),
    row("gauge", "zerostate_economic_channels_active", CHANNELS),
    histogram_row(
        "histogram",
        "zerostate_economic_channel_duration_seconds",
        &[],
        DURATION,
    ),
    row(
        "gauge",
        "zerostate_economic_channel_balances",
        &[("channel_id", &[]), PARTY],
    ),
    row(
        "counter",
        "zerostate_economic_payments_total",
        &[SUCCESS_OR_FAILED],
    ),
    histogram_row("histogram", "zerostate_economic_payment_amount", &[], COST),
    histogram_row(
        "histogram",
        "zerostate_economic_payment_duration_seconds",
        &[],
        DURATION,
    ),
    row("gauge", "zerostate_economic_reputation_scores", PEER),
    row("counter", "zerostate_economic_tasks_executed_total", PEER),
    row("gauge", "zerostate_economic_success_rate", PEER),
    row(
        "gauge",
        "zerostate_economic_average_task_duration_seconds",
        PEER,
    ),
    row("gauge", "zerostate_economic_average_task_cost", PEER),
    row(
        "counter",
        "zerostate_economic_settlements_total",
        &[("status", &["success", "disputed"])],
    ),
    histogram_row(
        "histogram",
        "zerostate_economic_settlement_duration_seconds",
        &[],
        DURATION,
    ),
    row(
        "counter",
        "zerostate_economic_disputes_total",
        &[("status", &["opened", "upheld", "dismissed"])],
    ),
    row(
        "counter",
        "zerostate_economic_auctions_total",
        &[
            ("type", &["english", "sealed"]),
            ("status", &["opened", "sold", "unsold"]),
        ],
    ),
    row(
        "counter",
        "zerostate_economic_bids_total",
        &[("auction_id", &[])],
    ),
    histogram_row("histogram", "zerostate_economic_bid_amount", &[], COST),
    histogram_row(
        "histogram",
        "zerostate_economic_auction_duration_seconds",
        &[],
        DURATION,
    ),
    row(
        "counter",
        "zerostate_economic_tasks_submitted_total",
        &[TYPE],
    ),
    row(
        "counter",
        "zerostate_economic_tasks_completed_total",
        &[TYPE, SUCCESS_OR_FAILED],
    ),
    histogram_row(
        "histogram",
        "zerostate_economic_task_duration_seconds",
        &[TYPE],
        DURATION,
    ),
    histogram_row("histogram", "zerostate_economic_task_cost", &[TYPE], COST),
    row(
        "counter",
        "zerostate_economic_task_errors_total",
        &[TYPE, ("error", &["peer", "timeout"])],
    ),
    row(
        "counter",
        "zerostate_economic_escrows_created_total",
        ESCROW,
    ),
    row(
        "counter",
        "zerostate_economic_escrow_releases_total",
        &[("outcome", &["task_completed", "delivered"])],
    ),
    row(
        "counter",
        "zerostate_economic_escrow_refunds_total",
        &[("reason", &["task_failed", "expired", "abandoned"])],
    ),
    histogram_row(
        "histogram",
        "zerostate_economic_escrow_amount",
        ESCROW,
        COST,
    ),
    row("gauge", "active_peer_monitors", &[]),
    row("gauge", "connection_pool_size", &[]),
    histogram_row("histogram", "content_verification_latency", &[], DURATION),
    row("gauge", "cache_entries", &[]),
    row("gauge", "cache_memory_bytes", &[]),
    row("gauge", "cache_hit_ratio", &[]),
    row("counter", "cache_evictions_total", &[]),
    // Some of the process and runtime metrics.
    row("counter", "process_cpu_seconds_total", &[]),
    row("gauge", "process_resident_memory_bytes", &[]),
    row("gauge", "tokio_workers", &[]),
    row("gauge", "tokio_alive_tasks", &[]),
    row("gauge", "tokio_global_queue_depth", &[]),
    row(
        "counter",
        "tokio_worker_busy_seconds_total",
        &[("worker", &[])],
    ),
];

/// Recorded families with a free-form label: they have no series before the first call.
const FREE_FORM: usize = 6;

/// `families()` describes exactly the metric families of the table, except those of the process and
/// the runtime.
#[test]
fn descriptions_match_the_table() {
    let mut described: Vec<_> = metrics::families()
        .into_iter()
        .map(|family| (family.name, family.kind.as_str()))
        .collect();
    described.sort();
    let economic = TABLE
        .iter()
        .filter(|row| !row.name.starts_with("process_") && !row.name.starts_with("tokio_"));
    let mut table: Vec<_> = economic
        .map(|row| (row.name.to_owned(), row.kind))
        .collect();
    table.sort();
    assert_eq!(described, table);
}

#[tokio::test(flavor = "multi_thread")]
async fn enum_series_are_zero_before_the_first_call() {
    skip_without!(Curl);
    let zero = ZeroState::start(&["--no-traffic"]);
    let page = curl(&[&zero.url]);
    let is_free_form = |row: &&Row| {
        row.labels
            .iter()
            .any(|(name, values)| values.is_empty() && *name != "worker")
    };
    // The balances of the collector have a free-form label, too.
    assert_eq!(TABLE.iter().filter(is_free_form).count(), FREE_FORM + 1);
    let enum_rows = TABLE.iter().filter(|row| !is_free_form(row));
    let enum_rows: Vec<_> = enum_rows
        .map(|row| Row {
            name: row.name,
            kind: row.kind,
            labels: row.labels,
            buckets: row.buckets,
        })
        .collect();
    assert_page_matches_table(&page, &[], &enum_rows);
    for method in api::UNARY {
        let started = "grpc_server_started_total";
        let started = format!(
            "{started}{{grpc_method=\"{method}\",grpc_service=\"{}\",grpc_type=\"unary\"}} 0\n",
            api::SERVICE
        );
        assert!(page.contains(&started), "{started}{page}");
    }
    for (sample, value) in samples(&page) {
        if sample.starts_with("zerostate_") || sample.starts_with("cache_") {
            assert_eq!(value, 0.0, "{sample}");
        }
    }
}

/// Every count equals the number of calls sent.
#[tokio::test(flavor = "multi_thread")]
async fn counts_equal_the_requests_sent() {
    skip_without!(Curl);
    let zero = ZeroState::start(&["--no-traffic"]);
    channels(&zero).await;
    tasks(&zero).await;
    let delivered = auctions(&zero).await;
    let memory = content(&zero).await;
    monitors(&zero).await;

    // Wait for the last event: the refund of the sealed auction, which is not delivered.
    let refunds = r#"zerostate_economic_escrow_refunds_total{reason="expired"}"#;
    zero.page_when(refunds, |refunds| refunds == 1.0);
    let page = curl(&[&zero.url]);
    assert_page_matches_table(&page, &[], TABLE);
    let page = samples(&page);
    let economic = [
        (r#"channels_total{party="client",state="open"}"#, 1.0),
        (r#"channels_total{party="client",state="pending"}"#, 1.0),
        (r#"channels_total{party="provider",state="open"}"#, 1.0),
        (r#"channels_total{party="provider",state="pending"}"#, 1.0),
        (r#"channels_total{party="client",state="disputed"}"#, 0.0),
        (r#"channels_active{party="client",state="pending"}"#, 1.0),
        (r#"channels_active{party="client",state="open"}"#, 0.0),
        (r#"channels_active{party="provider",state="open"}"#, 0.0),
        (r#"channels_active{party="provider",state="pending"}"#, 0.0),
        (r#"channels_active{party="provider",state="disputed"}"#, 0.0),
        ("channel_duration_seconds_count", 3.0),
        (
            r#"channel_balances{channel_id="channel-3",party="client"}"#,
            0.25,
        ),
        (
            r#"channel_balances{channel_id="channel-3",party="provider"}"#,
            0.0,
        ),
        (r#"payments_total{status="success"}"#, 2.0),
        (r#"payments_total{status="failed"}"#, 3.0),
        ("payment_duration_seconds_count", 5.0),
        ("payment_amount_count", 2.0),
        ("payment_amount_sum", 1.75),
        (r#"payment_amount_bucket{le="1"}"#, 1.0),
        (r#"settlements_total{status="success"}"#, 1.0),
        (r#"settlements_total{status="disputed"}"#, 2.0),
        ("settlement_duration_seconds_count", 3.0),
        (r#"disputes_total{status="opened"}"#, 2.0),
        (r#"disputes_total{status="upheld"}"#, 1.0),
        (r#"disputes_total{status="dismissed"}"#, 1.0),
        (r#"tasks_submitted_total{type="compute"}"#, 3.0),
        (r#"tasks_submitted_total{type="storage"}"#, 2.0),
        (r#"tasks_submitted_total{type="inference"}"#, 1.0),
        (
            r#"tasks_completed_total{status="success",type="compute"}"#,
            3.0,
        ),
        (
            r#"tasks_completed_total{status="success",type="storage"}"#,
            1.0,
        ),
        (
            r#"tasks_completed_total{status="failed",type="storage"}"#,
            1.0,
        ),
        (
            r#"tasks_completed_total{status="failed",type="inference"}"#,
            1.0,
        ),
        (r#"task_errors_total{error="peer",type="storage"}"#, 1.0),
        (
            r#"task_errors_total{error="timeout",type="inference"}"#,
            1.0,
        ),
        (r#"task_errors_total{error="timeout",type="compute"}"#, 0.0),
        (r#"task_duration_seconds_count{type="compute"}"#, 3.0),
        (r#"task_cost_sum{type="compute"}"#, 6.0),
        (r#"tasks_executed_total{peer_id="ada"}"#, 4.0),
        (r#"tasks_executed_total{peer_id="bob"}"#, 2.0),
        (r#"success_rate{peer_id="ada"}"#, 0.75),
        (r#"success_rate{peer_id="bob"}"#, 0.5),
        (r#"average_task_cost{peer_id="ada"}"#, 2.5),
        (r#"auctions_total{status="opened",type="english"}"#, 1.0),
        (r#"auctions_total{status="opened",type="sealed"}"#, 2.0),
        (r#"auctions_total{status="sold",type="english"}"#, 1.0),
        (r#"auctions_total{status="sold",type="sealed"}"#, 1.0),
        (r#"auctions_total{status="unsold",type="sealed"}"#, 1.0),
        ("auction_duration_seconds_count", 3.0),
        (r#"bids_total{auction_id="auction-1"}"#, 2.0),
        (r#"bids_total{auction_id="auction-2"}"#, 2.0),
        ("bid_amount_count", 4.0),
        ("bid_amount_sum", 5.015),
        (r#"escrows_created_total{type="task"}"#, 6.0),
        (r#"escrows_created_total{type="auction"}"#, 2.0),
        (r#"escrow_amount_sum{type="auction"}"#, 3.01),
        (r#"escrow_releases_total{outcome="task_completed"}"#, 4.0),
        (r#"escrow_releases_total{outcome="delivered"}"#, 1.0),
        (r#"escrow_refunds_total{reason="task_failed"}"#, 2.0),
        (r#"escrow_refunds_total{reason="abandoned"}"#, 0.0),
    ];
    let economic = economic.map(|(name, value)| (format!("zerostate_economic_{name}"), value));
    let others = [
        ("active_peer_monitors", 0.0),
        ("connection_pool_size", 1.0),
        ("content_verification_latency_count", 16.0),
        ("cache_memory_bytes", memory as f64),
        ("cache_hit_ratio", 1.0 / 17.0),
        (
            r#"grpc_server_handled_total{grpc_code="OK",grpc_method="Pay",grpc_service="zerostate.Economy",grpc_type="unary"}"#,
            2.0,
        ),
        (
            r#"grpc_server_handled_total{grpc_code="FailedPrecondition",grpc_method="Pay",grpc_service="zerostate.Economy",grpc_type="unary"}"#,
            2.0,
        ),
        (
            r#"grpc_server_handled_total{grpc_code="NotFound",grpc_method="Pay",grpc_service="zerostate.Economy",grpc_type="unary"}"#,
            1.0,
        ),
        (
            r#"http_requests_total{endpoint="/channels/{channel_id}",method="GET",status="200"}"#,
            1.0,
        ),
    ];
    let others = others.map(|(name, value)| (name.to_owned(), value));
    for (sample, value) in economic.into_iter().chain(others) {
        let found = page.get(&sample).copied();
        let is_equal = found.is_some_and(|found| (found - value).abs() < 1e-9);
        assert!(
            is_equal,
            "{sample}: expected {value}, got {found:?}\n{page:#?}"
        );
    }
    assert_eq!(page["cache_entries"] + page["cache_evictions_total"], 16.0);
    // Settled channels have no series: only the two balances of the open channel are exported.
    let balances = page
        .keys()
        .filter(|sample| sample.contains("channel_balances"));
    assert_eq!(balances.count(), 2, "{page:#?}");
    let reputation = page[r#"zerostate_economic_reputation_scores{peer_id="ada"}"#];
    assert!(reputation > 0.5, "{reputation}");
    assert_eq!(delivered, 3000);
}

/// Opens four channels: one is settled, two are settled after a dispute, and one stays open.
async fn channels(zero: &ZeroState) {
    let balance = |channel: &str, party: &str| {
        let labels = format!("channel_id=\"{channel}\",party=\"{party}\"");
        format!("zerostate_economic_channel_balances{{{labels}}}")
    };
    let first = zero.open("client", 5_000, 500).await;
    assert_eq!(
        (first.channel_id.as_str(), first.state.as_str()),
        ("channel-1", "open")
    );
    let paid = zero.call(pay("channel-1", "client", 1_500)).await.unwrap();
    assert_eq!((paid.client_balance, paid.provider_balance), (3_500, 2_000));
    let page = zero.page();
    assert_eq!(page[&balance("channel-1", "client")], 3.5);
    assert_eq!(page[&balance("channel-1", "provider")], 2.0);
    let shown = curl(&[&zero.url.replace("/metrics", "/channels/channel-1")]);
    assert_eq!(shown, "open: client 3500, provider 2000\n");

    let second = zero.open("provider", 1_000, 0).await;
    assert_eq!(second.state, "pending");
    let deposit = api::Deposit {
        channel_id: "channel-2".to_owned(),
        party: "provider".to_owned(),
        amount: 250,
    };
    assert_eq!(zero.call(deposit).await.unwrap().state, "open");
    zero.call(pay("channel-2", "provider", 250)).await.unwrap();
    assert_eq!(zero.open("client", 250, 0).await.state, "pending");

    assert_eq!(
        zero.error_code(pay("channel-1", "client", 9_999)).await,
        Code::FailedPrecondition
    );
    assert_eq!(
        zero.error_code(pay("channel-3", "client", 1)).await,
        Code::FailedPrecondition
    );
    assert_eq!(
        zero.error_code(pay("channel-9", "client", 1)).await,
        Code::NotFound
    );

    assert_eq!(
        zero.call(close("channel-1", 3_500)).await.unwrap().state,
        "settled"
    );
    assert_eq!(
        zero.call(close("channel-2", 1)).await.unwrap().state,
        "disputed"
    );
    let disputed = r#"zerostate_economic_channels_active{party="provider",state="disputed"}"#;
    let page = zero.page();
    assert_eq!(page[disputed], 1.0);
    assert!(
        !page.contains_key(&balance("channel-1", "client")),
        "{page:#?}"
    );
    assert!(
        page.contains_key(&balance("channel-2", "client")),
        "{page:#?}"
    );
    zero.call(resolve("channel-2", false)).await.unwrap();
    let fourth = zero.open("provider", 10, 10).await.channel_id;
    assert_eq!(
        zero.call(close(&fourth, 9)).await.unwrap().state,
        "disputed"
    );
    assert_eq!(
        zero.call(resolve(&fourth, true)).await.unwrap().state,
        "settled"
    );
    assert_eq!(
        zero.error_code(resolve(&fourth, true)).await,
        Code::NotFound
    );
}

/// Submits six valid tasks: four succeed, one of them after its caller disconnected. A task of
/// unknown type is rejected.
async fn tasks(zero: &ZeroState) {
    for cost in [1_000, 2_000, 3_000] {
        zero.call(task("compute", "ada", cost)).await.unwrap();
    }
    let fails = api::SubmitTask {
        fails: true,
        ..task("storage", "ada", 4_000)
    };
    assert_eq!(zero.error_code(fails).await, Code::Aborted);
    let takes_too_long = api::SubmitTask {
        work_ms: 60_000,
        limit_ms: 1,
        ..task("inference", "bob", 10)
    };
    assert_eq!(
        zero.error_code(takes_too_long).await,
        Code::DeadlineExceeded
    );

    let submitted = r#"zerostate_economic_tasks_submitted_total{type="storage"}"#;
    let client = zero.client.clone();
    let takes_a_while = api::SubmitTask {
        work_ms: 500,
        ..task("storage", "bob", 10)
    };
    let caller = tokio::spawn(async move { client.call(takes_a_while).await });
    zero.page_when(submitted, |submitted| submitted == 2.0);
    caller.abort();
    let completed = r#"zerostate_economic_tasks_completed_total{status="success",type="storage"}"#;
    zero.page_when(completed, |completed| completed == 1.0);
    assert_eq!(
        zero.error_code(task("cooking", "bob", 1)).await,
        Code::InvalidArgument
    );
}

/// Holds three auctions: one is sold and delivered, one is sold and not delivered, one has no bids.
/// Returns the price of the first.
async fn auctions(zero: &ZeroState) -> u64 {
    let english = zero.auction("english", 3_000, &[2_000, 3_000]).await;
    zero.auction("sealed", 3_000, &[10, 5]).await;
    let too_low = zero.bid(&english, 2_500).await;
    assert_eq!(too_low, Err(Code::FailedPrecondition));
    let early = zero.deliver(&english).await;
    assert_eq!(early, Err(Code::FailedPrecondition));
    let sold = r#"zerostate_economic_auctions_total{status="sold",type="english"}"#;
    zero.page_when(sold, |sold| sold == 1.0);
    let late = zero.bid(&english, 9_000).await;
    assert_eq!(late, Err(Code::FailedPrecondition));
    let price = zero.deliver(&english).await.unwrap();
    zero.auction("sealed", 1, &[]).await;
    price
}

/// Fetches every content once, and the last one again. Returns the number of bytes in the cache.
async fn content(zero: &ZeroState) -> usize {
    let content_ids = zero.call(api::ListContent {}).await.unwrap().content_ids;
    assert_eq!(content_ids.len(), 16);
    let mut sizes = Vec::new();
    for content_id in content_ids.iter().chain(content_ids.last()) {
        let content_id = content_id.clone();
        let content = zero.call(api::FetchContent { content_id }).await.unwrap();
        sizes.push(content.bytes.len());
    }
    sizes.pop();
    let latest = sizes.iter().rev().scan(0, |sum, size| {
        *sum += size;
        (*sum <= 64 * 1024).then_some(*sum)
    });
    latest.last().unwrap()
}

/// Monitors two peers until their streams end.
async fn monitors(zero: &ZeroState) {
    let peers = ["ada", "bob"].map(|peer_id| {
        let (sender, receiver) = tokio::sync::mpsc::channel::<()>(1);
        let first = stream::iter([api::Heartbeat {
            peer_id: peer_id.to_owned(),
        }]);
        let open = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await;
            None::<(api::Heartbeat, _)>
        });
        let client = zero.client.clone();
        let monitored = tokio::spawn(async move { client.monitor(first.chain(open)).await });
        (sender, monitored)
    });
    zero.page_when("active_peer_monitors", |peers| peers == 2.0);
    for (sender, monitored) in peers {
        drop(sender);
        assert_eq!(monitored.await.unwrap().unwrap().heartbeats, 1);
    }
    zero.page_when("active_peer_monitors", |peers| peers == 0.0);
}

/// More peers, auctions and channels than the limits of their labels.
#[tokio::test(flavor = "multi_thread")]
async fn label_values_beyond_the_limits_are_overflow() {
    skip_without!(Curl);
    let zero = ZeroState::start(&["--no-traffic"]);
    for peer in 0..MAX_PEERS + 5 {
        let peer_id = format!("peer-{peer}");
        zero.call(task("compute", &peer_id, 1_000)).await.unwrap();
        zero.call(task("compute", &peer_id, 1_000)).await.unwrap();
    }
    for _ in 0..MAX_AUCTIONS + 5 {
        zero.auction("english", 60_000, &[1, 2, 3]).await;
    }
    for _ in 0..MAX_CHANNELS + 5 {
        zero.open("client", 1_000, 500).await;
    }
    let page = zero.page();
    let series = |family: &str| {
        let start = format!("zerostate_economic_{family}{{");
        page.keys()
            .filter(|sample| sample.starts_with(&start))
            .count()
    };
    // Gauges of further peers are not set.
    for family in [
        "reputation_scores",
        "success_rate",
        "average_task_duration_seconds",
        "average_task_cost",
    ] {
        assert_eq!(series(family), MAX_PEERS, "{family}");
    }
    assert_eq!(series("tasks_executed_total"), MAX_PEERS + 1);
    assert_eq!(series("bids_total"), MAX_AUCTIONS + 1);
    assert_eq!(series("channel_balances"), 2 * (MAX_CHANNELS + 1));
    for (sample, value) in [
        (r#"tasks_executed_total{peer_id="peer-0"}"#, 2.0),
        (r#"tasks_executed_total{peer_id="overflow"}"#, 10.0),
        (r#"bids_total{auction_id="auction-1"}"#, 3.0),
        (r#"bids_total{auction_id="overflow"}"#, 15.0),
        (
            r#"channel_balances{channel_id="channel-1",party="client"}"#,
            1.0,
        ),
        (
            r#"channel_balances{channel_id="overflow",party="client"}"#,
            5.0,
        ),
        (
            r#"channel_balances{channel_id="overflow",party="provider"}"#,
            2.5,
        ),
    ] {
        let sample = format!("zerostate_economic_{sample}");
        assert_eq!(page.get(&sample), Some(&value), "{sample}\n{page:#?}");
    }
    for (family, label) in [
        ("tasks_executed_total", "peer_id"),
        ("bids_total", "auction_id"),
    ] {
        let family = format!("zerostate_economic_{family}");
        let overflow =
            format!("metrics_label_overflow_total{{family=\"{family}\",label=\"{label}\"}}");
        assert!(page[&overflow] > 0.0, "{overflow}");
    }
    // When a channel is settled, the oldest channel of `overflow` takes its place.
    zero.call(close("channel-7", 1_000)).await.unwrap();
    let page = zero.page();
    let balance = |channel: &str| {
        let labels = format!("channel_id=\"{channel}\",party=\"client\"");
        page.get(&format!("zerostate_economic_channel_balances{{{labels}}}"))
    };
    assert_eq!(balance("channel-7"), None);
    assert_eq!(
        balance(&format!("channel-{}", MAX_CHANNELS + 1)),
        Some(&1.0)
    );
    assert_eq!(balance("overflow"), Some(&4.0));
}

/// The built-in traffic updates every metric family of the table. The program ends after SIGTERM.
#[test]
fn built_in_traffic_updates_every_family() {
    let mut zero =
        RunningProgram::start(program(env!("CARGO_BIN_EXE_zerostate")).env_remove("GRPC_PORT"));
    skip_without!(Curl);
    let url = format!("http://{}", zero.read_line_after("http://"));
    let all_updated = |page: &str| {
        let page = samples(page);
        TABLE.iter().all(|row| {
            let is_updated = |(sample, value): (&String, &f64)| {
                let name = sample.split('{').next().unwrap_or_default();
                let is_of = name == row.name || name.strip_suffix("_count") == Some(row.name);
                is_of && *value > 0.0
            };
            // The queue of an almost idle runtime is empty.
            row.name == "tokio_global_queue_depth" || page.iter().any(is_updated)
        })
    };
    let statuses = [
        "disputes_total{status=\"upheld\"}",
        "disputes_total{status=\"dismissed\"}",
        "escrow_refunds_total{reason=\"expired\"}",
        "auctions_total{status=\"unsold\",type=\"sealed\"}",
    ];
    let statuses = statuses.map(|status| format!("zerostate_economic_{status}"));
    // Balances are exported only while a channel is open, so wait for a page that has everything.
    let page = wait_for_page(&url, "every family was updated", |page| {
        let samples = samples(page);
        all_updated(page) && statuses.iter().all(|status| samples[status] > 0.0)
    });
    assert_page_matches_table(&page, &[], TABLE);
    zero.signal("TERM");
    assert!(zero.wait_for_exit().success());
}

/// Sends the queries of the cookbook and the alerts to a real Prometheus.
#[tokio::test(flavor = "multi_thread")]
async fn cookbook_queries_and_alerts_have_results() {
    skip_without!(Curl, Prometheus);
    let zero = ZeroState::start(&[]);
    // Opened first, before the auctions of the built-in client reach the limit of `auction_id`.
    let auction_id = zero.auction("sealed", 600_000, &[]).await;
    let target = zero.url.trim_start_matches("http://");
    let target = target.trim_end_matches("/metrics");
    let config = ScrapeConfig::new()
        .interval("1s")
        .job(ScrapeJob::new("zerostate-api").target(target))
        .to_prometheus_yaml()
        .unwrap();
    let store = Store::prometheus(&config, &[]);
    // Wait for the first scrape: `rate` does not see increases before it.
    store.wait_for_values("zerostate_economic_channels_total");
    store.wait_for_values(&format!(
        "zerostate_economic_bids_total{{auction_id=\"{auction_id}\"}}"
    ));
    for amount in [10, 20, 30] {
        zero.bid(&auction_id, amount).await.unwrap();
    }
    for _ in 0..20 {
        zero.open("client", 1_000, 500).await;
    }
    for _ in 0..40 {
        let fails = api::SubmitTask {
            fails: true,
            ..task("compute", "ada", 10)
        };
        assert_eq!(zero.error_code(fails).await, Code::Aborted);
    }

    let families = metrics::families();
    let definitions = Definitions::from(families.clone());
    for (question, query) in mixin::cookbook() {
        let query = query.to_promql(&definitions).unwrap();
        let values = store.wait_for_values(&query);
        assert!(
            values.iter().any(|value| *value > 0.0),
            "{question}: {values:?}"
        );
    }

    let alert = |name: &str| alert_expression(&families, name);
    assert!(store.wait_for_values(&alert("HighTaskFailureRate"))[0] > 0.1);
    assert!(store.wait_for_values(&alert("PaymentChannelLeaks"))[0] > 10.0);
    // No task is slow: the quantile has a value, and it is below the threshold.
    let slow = alert("SlowTaskExecution");
    let (quantile, threshold) = slow.split_once(" >= ").unwrap();
    let threshold: f64 = threshold.parse().unwrap();
    let quantile = store.wait_for_values(quantile);
    assert!(
        quantile.len() == 1 && quantile[0] < threshold,
        "{quantile:?}"
    );
    store.wait_for_response("/api/v1/query", &[("query", &slow)], |response| {
        response["status"] == "success"
            && response["data"]["result"]
                .as_array()
                .is_some_and(Vec::is_empty)
    });
}

/// Returns the expression of an alert in the rule file.
fn alert_expression(families: &[tower_prometheus::model::FamilyDescription], name: &str) -> String {
    let files = mixin::mixin(families).unwrap().files().unwrap();
    let rules = &files[std::path::Path::new("rules/zerostate.yml")];
    let mut lines = rules.lines();
    lines
        .by_ref()
        .find(|line| line.ends_with(&format!("alert: {name}")))
        .unwrap();
    let expression = lines.next().unwrap().trim().strip_prefix("expr: ");
    expression.unwrap().to_owned()
}
