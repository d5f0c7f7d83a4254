//! [`Driver`]: customers, and what they saw with their own watches.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Result;
use crate::dice::Dice;
use crate::shop::Shop;

/// Never more requests than this at one time, however slow the shop is.
const MOST_AT_ONCE: usize = 64;

/// What customers do, and how often out of 100 times.
#[derive(Clone, Copy, Debug)]
enum Visit {
    User,
    Search,
    Order,
    Export,
    /// Leaves in the middle of the body.
    ExportLeft,
    Legacy,
    /// Leaves before there is an answer.
    QuoteLeft,
    Events,
    Nowhere,
}

const HABITS: [(Visit, f64); 9] = [
    (Visit::User, 50.0),
    (Visit::Search, 15.0),
    (Visit::Order, 18.0),
    (Visit::Export, 4.0),
    (Visit::ExportLeft, 2.0),
    (Visit::Legacy, 2.0),
    (Visit::QuoteLeft, 3.0),
    (Visit::Events, 1.0),
    (Visit::Nowhere, 5.0),
];

impl Visit {
    fn by(dice: &mut Dice) -> Self {
        let mut left = dice.share() * 100.0;
        for (visit, share) in HABITS {
            left -= share;
            if left < 0.0 {
                return visit;
            }
        }
        Self::User
    }

    /// The route, by its template.
    fn endpoint(self) -> &'static str {
        match self {
            Self::User => "/users/{id}",
            Self::Search => "/search",
            Self::Order => "/orders",
            Self::Export | Self::ExportLeft => "/export/{pieces}",
            Self::Legacy => "/legacy",
            Self::QuoteLeft => "/quotes",
            Self::Events => "/events",
            Self::Nowhere => "unmatched",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::User => "/users/42",
            Self::Export => "/export/15",
            Self::ExportLeft => "/export/1000",
            Self::Nowhere => "/wp-login.php",
            other => other.endpoint(),
        }
    }
}

/// One request, as the customer saw it.
struct Seen {
    endpoint: &'static str,
    /// As the layer calls it; the client saw a 500 where the handler panicked.
    end: String,
    left_the_body: bool,
    duration: Duration,
}

/// Everything that customers saw.
#[derive(Default)]
pub struct Measured {
    pub ends: BTreeMap<String, u64>,
    pub bodies_left: u64,
    /// Sorted.
    durations: BTreeMap<&'static str, Vec<Duration>>,
    pub took: Duration,
}

impl Measured {
    fn add(&mut self, seen: Seen) {
        *self.ends.entry(seen.end).or_default() += 1;
        self.bodies_left += u64::from(seen.left_the_body);
        self.durations
            .entry(seen.endpoint)
            .or_default()
            .push(seen.duration);
    }

    pub fn requests(&self) -> u64 {
        self.ends.values().sum()
    }

    pub fn errors(&self) -> u64 {
        let is_error = |end: &str| end.starts_with('5') || end == "panicked" || end == "error";
        let errors = self.ends.iter().filter(|(end, _)| is_error(end));
        errors.map(|(_, count)| count).sum()
    }

    pub fn endpoints(&self) -> impl Iterator<Item = &'static str> {
        self.durations.keys().copied()
    }

    /// The exact quantile: so large is the smallest duration that this share is no longer than.
    pub fn quantile(&self, endpoint: &str, quantile: f64) -> Option<f64> {
        let durations = self.durations.get(endpoint)?;
        let rank = (quantile * durations.len() as f64).ceil() as usize;
        let duration = durations.get(rank.saturating_sub(1))?;
        Some(duration.as_secs_f64())
    }
}

/// Sends customers into a shop.
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

    /// Load in waves, 40 to 100 requests a second. In the middle of it the bank is down for a while.
    /// `progress` is told how much has passed.
    pub async fn run(&self, lasting: Duration, progress: impl Fn(Duration)) -> Result<Measured> {
        let (start, mut dice) = (Instant::now(), Dice::new(7));
        let room = Arc::new(Semaphore::new(MOST_AT_ONCE));
        let mut visits = JoinSet::new();
        let mut measured = Measured::default();
        while start.elapsed() < lasting {
            let share = start.elapsed().as_secs_f64() / lasting.as_secs_f64();
            self.shop.bank_is_down((0.45..0.65).contains(&share));
            progress(start.elapsed());
            let place = Arc::clone(&room).acquire_owned().await?;
            let visited = visit(self.shop.clone(), self.client.clone(), Visit::by(&mut dice));
            visits.spawn(async move {
                let seen = visited.await;
                drop(place);
                seen
            });
            while let Some(seen) = visits.try_join_next() {
                measured.add(seen??);
            }
            let a_second = 70.0 + 30.0 * (share * 3.0 * TAU).sin();
            tokio::time::sleep(Duration::from_secs_f64(1.0 / a_second)).await;
        }
        self.shop.bank_is_down(false);
        while let Some(seen) = visits.join_next().await {
            measured.add(seen??);
        }
        measured.took = start.elapsed();
        for durations in measured.durations.values_mut() {
            durations.sort_unstable();
        }
        Ok(measured)
    }
}

async fn visit(shop: Shop, client: reqwest::Client, visit: Visit) -> Result<Seen> {
    let url = format!("http://{}{}", shop.address, visit.path());
    let request = match visit {
        Visit::Order => client.post(url),
        _ => client.get(url),
    };
    let start = Instant::now();
    let mut left_the_body = false;
    let mut duration = None;
    let end = if matches!(visit, Visit::QuoteLeft) {
        tokio::select! {
            answer = request.send() => answer?.status().as_str().to_owned(),
            begun = impatience(&shop) => begun.map(|()| "cancelled".to_owned())?,
        }
    } else {
        let mut answer = request.send().await?;
        let status = answer.status().as_u16();
        match visit {
            Visit::ExportLeft => {
                answer.chunk().await?;
                left_the_body = true;
            }
            // A connection's life is no latency.
            Visit::Events => {
                duration = Some(start.elapsed());
                let staying = Duration::from_secs(3);
                let listening = async { while let Ok(Some(_)) = answer.chunk().await {} };
                let _ = tokio::time::timeout(staying, listening).await;
            }
            _ => while answer.chunk().await?.is_some() {},
        }
        match status {
            500 => "panicked".to_owned(),
            status => status.to_string(),
        }
    };
    Ok(Seen {
        endpoint: visit.endpoint(),
        end,
        left_the_body,
        duration: duration.unwrap_or_else(|| start.elapsed()),
    })
}

/// Waits for a quote as long as a customer does.
async fn impatience(shop: &Shop) -> Result<()> {
    shop.quote_begun().await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(())
}
