//! [`QueryClient`]: PromQL queries through the query proxy, as a dashboard's front end sends them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use reqwest::Url;
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_prometheus_query::QueryProxy;

use crate::Result;

/// A query proxy in front of a store, and a client of the proxy.
pub struct QueryClient {
    url: String,
    client: reqwest::Client,
}

/// A series of a query result.
#[derive(Debug, Deserialize)]
pub struct Series {
    #[serde(rename = "metric")]
    pub labels: BTreeMap<String, String>,
    /// Unix time in seconds, and the value as text.
    values: Vec<(f64, String)>,
}

impl Series {
    /// Returns the points: Unix time in seconds, and the value.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let number = |text: &str| text.parse().unwrap_or(f64::NAN);
        self.values
            .iter()
            .map(move |(at, text)| (*at, number(text)))
    }
}

/// The response body of the query API.
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum QueryResponse {
    Success { data: Data },
    Error { error: String },
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

/// Limit for [`QueryClient::wait_for`].
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

impl QueryClient {
    /// Starts a proxy in front of the store, on a free port.
    pub async fn start(store: &str) -> Result<Self> {
        let proxy = QueryProxy::builder(store).health_path("/-/ready").build()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/api/metrics", listener.local_addr()?);
        let app = Router::new().nest_service("/api/metrics", proxy);
        tokio::spawn(axum::serve(listener, app).into_future());
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { url, client })
    }

    /// Runs a range query. `start` and `end` are Unix times in seconds, `step` is in seconds.
    pub async fn range(&self, query: &str, start: f64, end: f64, step: f64) -> Result<Vec<Series>> {
        let [start, end, step] = [start, end, step].map(|seconds| format!("{seconds:.3}"));
        let url = Url::parse_with_params(
            &format!("{}/query_range", self.url),
            [
                ("query", query),
                ("start", &start),
                ("end", &end),
                ("step", &step),
            ],
        )?;
        let text = self.client.get(url).send().await?.text().await?;
        match serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))? {
            QueryResponse::Success { data } => Ok(data.result),
            QueryResponse::Error { error } => Err(format!("{query}: {error}").into()),
        }
    }

    /// Returns the current values of a query, by the value of a label.
    pub async fn current(&self, query: &str, label: &str) -> Result<BTreeMap<String, f64>> {
        let series = self.range(query, now(), now(), 1.0).await?;
        let last = |series: &Series| {
            let name = series.labels.get(label).cloned().unwrap_or_default();
            series.points().last().map(|(_, value)| (name, value))
        };
        Ok(series.iter().filter_map(last).collect())
    }

    /// Waits until the value of a query without labels is at least `value`.
    pub async fn wait_for(&self, query: &str, value: f64) -> Result<()> {
        let waiting = async {
            loop {
                // Errors are ignored: the store may still be starting.
                let found = self.current(query, "").await.unwrap_or_default();
                if found.get("").is_some_and(|found| *found >= value) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let result = tokio::time::timeout(WAIT_TIMEOUT, waiting).await;
        result.map_err(|_| format!("{query} did not reach {value} within {WAIT_TIMEOUT:?}").into())
    }
}

/// Returns the Unix time in seconds.
pub fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
