//! [`Driver`]: clients that send requests, and record the results and durations themselves.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Result;
use crate::rng::Rng;
use crate::shop::Shop;

/// Maximum number of requests in progress, however slow the shop is.
const MAX_CONCURRENT: usize = 64;

/// A kind of request.
#[derive(Clone, Copy, Debug)]
enum RequestKind {
    User,
    Search,
    Order,
    Export,
    /// The client disconnects in the middle of the response body.
    ExportAborted,
    Legacy,
    /// The client disconnects before the response.
    QuoteCancelled,
    Events,
    Unmatched,
}

/// The kinds of request, with their shares in percent.
const MIX: [(RequestKind, f64); 9] = [
    (RequestKind::User, 50.0),
    (RequestKind::Search, 15.0),
    (RequestKind::Order, 18.0),
    (RequestKind::Export, 4.0),
    (RequestKind::ExportAborted, 2.0),
    (RequestKind::Legacy, 2.0),
    (RequestKind::QuoteCancelled, 3.0),
    (RequestKind::Events, 1.0),
    (RequestKind::Unmatched, 5.0),
];

impl RequestKind {
    fn random(rng: &mut Rng) -> Self {
        let mut rest = rng.next_f64() * 100.0;
        for (kind, share) in MIX {
            rest -= share;
            if rest < 0.0 {
                return kind;
            }
        }
        Self::User
    }

    /// Returns the route template.
    fn endpoint(self) -> &'static str {
        match self {
            Self::User => "/users/{id}",
            Self::Search => "/search",
            Self::Order => "/orders",
            Self::Export | Self::ExportAborted => "/export/{pieces}",
            Self::Legacy => "/legacy",
            Self::QuoteCancelled => "/quotes",
            Self::Events => "/events",
            Self::Unmatched => "unmatched",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::User => "/users/42",
            Self::Export => "/export/15",
            Self::ExportAborted => "/export/1000",
            Self::Unmatched => "/wp-login.php",
            other => other.endpoint(),
        }
    }
}

/// A finished request, as the client measured it.
struct Finished {
    endpoint: &'static str,
    /// The status as the layer records it: `panicked` instead of the 500 that the client received.
    status: String,
    is_body_aborted: bool,
    duration: Duration,
}

/// The measurements of all clients.
#[derive(Default)]
pub struct Measured {
    pub by_status: BTreeMap<String, u64>,
    pub aborted_bodies: u64,
    /// Sorted durations by endpoint.
    durations: BTreeMap<&'static str, Vec<Duration>>,
    /// Duration of the whole run.
    pub elapsed: Duration,
}

impl Measured {
    fn add(&mut self, request: Finished) {
        *self.by_status.entry(request.status).or_default() += 1;
        self.aborted_bodies += u64::from(request.is_body_aborted);
        self.durations
            .entry(request.endpoint)
            .or_default()
            .push(request.duration);
    }

    pub fn requests(&self) -> u64 {
        self.by_status.values().sum()
    }

    pub fn errors(&self) -> u64 {
        let is_error =
            |status: &str| status.starts_with('5') || matches!(status, "panicked" | "error");
        let errors = self.by_status.iter().filter(|(status, _)| is_error(status));
        errors.map(|(_, count)| count).sum()
    }

    pub fn endpoints(&self) -> impl Iterator<Item = &'static str> {
        self.durations.keys().copied()
    }

    /// Returns the exact quantile in seconds: the smallest duration that at least this share of
    /// requests does not exceed.
    pub fn quantile(&self, endpoint: &str, quantile: f64) -> Option<f64> {
        let durations = self.durations.get(endpoint)?;
        let rank = (quantile * durations.len() as f64).ceil() as usize;
        let duration = durations.get(rank.saturating_sub(1))?;
        Some(duration.as_secs_f64())
    }
}

/// Generates load on a shop.
pub struct Driver {
    shop: Shop,
    client: reqwest::Client,
}

impl Driver {
    pub fn new(shop: &Shop) -> Result<Self> {
        Ok(Self {
            shop: shop.clone(),
            client: reqwest::Client::builder().no_proxy().build()?,
        })
    }

    /// Sends requests for `duration`, at 40 to 100 requests per second in waves. From 45 % to 65 %
    /// of the time, the simulated bank is down. Calls `progress` with the elapsed time before each
    /// request.
    pub async fn run(&self, duration: Duration, progress: impl Fn(Duration)) -> Result<Measured> {
        let (start, mut rng) = (Instant::now(), Rng::new(7));
        let semaphore = Arc::new(Semaphore::new(MAX_CONCURRENT));
        let mut requests = JoinSet::new();
        let mut measured = Measured::default();
        while start.elapsed() < duration {
            let share = start.elapsed().as_secs_f64() / duration.as_secs_f64();
            self.shop.set_bank_down((0.45..0.65).contains(&share));
            progress(start.elapsed());
            let permit = Arc::clone(&semaphore).acquire_owned().await?;
            let kind = RequestKind::random(&mut rng);
            let request = send(self.shop.clone(), self.client.clone(), kind);
            requests.spawn(async move {
                let finished = request.await;
                drop(permit);
                finished
            });
            while let Some(finished) = requests.try_join_next() {
                measured.add(finished??);
            }
            let per_second = 70.0 + 30.0 * (share * 3.0 * TAU).sin();
            tokio::time::sleep(Duration::from_secs_f64(1.0 / per_second)).await;
        }
        self.shop.set_bank_down(false);
        while let Some(finished) = requests.join_next().await {
            measured.add(finished??);
        }
        measured.elapsed = start.elapsed();
        for durations in measured.durations.values_mut() {
            durations.sort_unstable();
        }
        Ok(measured)
    }
}

async fn send(shop: Shop, client: reqwest::Client, kind: RequestKind) -> Result<Finished> {
    let url = format!("http://{}{}", shop.address, kind.path());
    let request = match kind {
        RequestKind::Order => client.post(url),
        _ => client.get(url),
    };
    let start = Instant::now();
    let mut is_body_aborted = false;
    let mut duration = None;
    let status = if matches!(kind, RequestKind::QuoteCancelled) {
        tokio::select! {
            response = request.send() => response?.status().as_str().to_owned(),
            timeout = quote_timeout(&shop) => timeout.map(|()| "cancelled".to_owned())?,
        }
    } else {
        let mut response = request.send().await?;
        let status = response.status().as_u16();
        match kind {
            RequestKind::ExportAborted => {
                response.chunk().await?;
                is_body_aborted = true;
            }
            // The layer measures event streams up to the response head only.
            RequestKind::Events => {
                duration = Some(start.elapsed());
                let read = async { while let Ok(Some(_)) = response.chunk().await {} };
                let _ = tokio::time::timeout(Duration::from_secs(3), read).await;
            }
            _ => while response.chunk().await?.is_some() {},
        }
        match status {
            500 => "panicked".to_owned(),
            status => status.to_string(),
        }
    };
    Ok(Finished {
        endpoint: kind.endpoint(),
        status,
        is_body_aborted,
        duration: duration.unwrap_or_else(|| start.elapsed()),
    })
}

/// Completes 200 ms after the shop has started to handle a request for a quote.
async fn quote_timeout(shop: &Shop) -> Result<()> {
    shop.quote_started().await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(())
}
