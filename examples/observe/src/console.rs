//! [`Console`]: PromQL, asked as a dashboard's front end asks, through the query proxy.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use reqwest::Url;
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_prometheus_query::QueryProxy;

use crate::Result;

/// A query proxy before a store, and a client of it.
pub struct Console {
    url: String,
    client: reqwest::Client,
}

/// A series of an answer.
#[derive(Debug, Deserialize)]
pub struct Series {
    #[serde(rename = "metric")]
    pub labels: BTreeMap<String, String>,
    /// Unix seconds, and the value as text.
    values: Vec<(f64, String)>,
}

impl Series {
    /// Unix seconds and values.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let number = |text: &str| text.parse().unwrap_or(f64::NAN);
        self.values
            .iter()
            .map(move |(at, text)| (*at, number(text)))
    }
}

/// What the store answers.
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Answer {
    Success { data: Data },
    Error { error: String },
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

/// Tries again for so long.
const PATIENCE: Duration = Duration::from_secs(30);

impl Console {
    /// Opens a proxy before the store, on a free port.
    pub async fn open(store: &str) -> Result<Self> {
        let proxy = QueryProxy::builder(store).health_path("/-/ready").build()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/api/metrics", listener.local_addr()?);
        let app = Router::new().nest_service("/api/metrics", proxy);
        tokio::spawn(axum::serve(listener, app).into_future());
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { url, client })
    }

    /// The values between two moments (unix seconds), `step` apart.
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
            Answer::Success { data } => Ok(data.result),
            Answer::Error { error } => Err(format!("{query}: {error}").into()),
        }
    }

    /// What it is now, by the value of a label.
    pub async fn now(&self, query: &str, label: &str) -> Result<BTreeMap<String, f64>> {
        let series = self.range(query, now(), now(), 1.0).await?;
        let last = |series: &Series| {
            let name = series.labels.get(label).cloned().unwrap_or_default();
            series.points().last().map(|(_, value)| (name, value))
        };
        Ok(series.iter().filter_map(last).collect())
    }

    /// Waits until a query without labels has a value, at least.
    pub async fn reaches(&self, query: &str, value: f64) -> Result<()> {
        let waiting = async {
            loop {
                // The store may still be starting.
                let found = self.now(query, "").await.unwrap_or_default();
                if found.get("").is_some_and(|found| *found >= value) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.map_err(|_| format!("{query} does not reach {value}").into())
    }
}

/// Unix seconds.
pub fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
