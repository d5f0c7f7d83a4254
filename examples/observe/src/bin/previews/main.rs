//! Draws dashboards with real data: `docs/previews/*.svg`.
//!
//! ```text
//! cargo run --release -p observe --bin previews
//! ```
//!
//! loads the shop of `observe` for three minutes while a real Prometheus scrapes it, runs every
//! query of every panel through the query proxy, and draws the dashboards of the HTTP layer and of
//! the process. `-- 30` takes 30 seconds instead. It also draws the dashboard of any running
//! service that already has traffic:
//!
//! ```text
//! … --bin previews -- 180 examples/systems/generated/aria/dashboards/aria-engine-prod.json 127.0.0.1:8081
//! ```
//!
//! The files are written to `docs/previews` in the current directory.

mod board;
mod picture;
mod units;

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use tower_prometheus::collectors::{ProcessCollector, RuntimeCollector};
use tower_prometheus_mixin::{Dashboard, Definitions, Mixin, ScrapeConfig, ScrapeJob};

use self::board::{Board, Panel};
use observe::Result;
use observe::driver::Driver;
use observe::prometheus::Prometheus;
use observe::query_client::{QueryClient, Series, now};
use observe::shop::{self, Shop};

use self::picture::Line;

/// Number of points of a line.
const POINTS: f64 = 75.0;

/// Value of Grafana's `$__rate_interval`, in seconds. The load starts this long before the picture,
/// so that the first rates cover as much data as the last ones.
const RATE_INTERVAL: u32 = 15;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u32 = arguments.next().map_or(Ok(180), |text| text.parse())?;
    let given = arguments.next().zip(arguments.next());
    tokio::select! {
        result = preview(seconds.into(), given) => result,
        // Returning drops and so stops Prometheus.
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

async fn preview(seconds: f64, given: Option<(String, String)>) -> Result<()> {
    let shop = Shop::start().await?;
    let (boards, target) = match given {
        Some((file, target)) => (vec![std::fs::read_to_string(file)?], target),
        None => (dashboards()?, shop.address.clone()),
    };
    let boards: Vec<Board> = boards
        .iter()
        .map(|json| serde_json::from_str(json))
        .collect::<Result<_, _>>()?;
    let is_shop = target == shop.address;
    let job = ScrapeJob::new("service").target(target);
    let config = ScrapeConfig::new().interval("1s").job(job);
    let prometheus = Prometheus::start(&Mixin::new().scrape_config(config))?;
    let prometheus = prometheus
        .ok_or("Prometheus is not installed; install it, or set PROMETHEUS to its path")?;
    let client = QueryClient::start(&prometheus.url).await?;
    client.wait_for("sum(up)", 1.0).await?;

    let total = seconds + f64::from(RATE_INTERVAL + 5);
    let bar = ProgressBar::new(total as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos} of {len} s")?);
    let (start, duration) = (now() + total - seconds, Duration::from_secs_f64(total));
    if is_shop {
        let driver = Driver::new(&shop)?;
        let progress = |elapsed: Duration| bar.set_position(elapsed.as_secs());
        driver.run(duration, progress).await?;
    } else {
        tokio::time::sleep(duration).await;
    }
    bar.finish_and_clear();
    let directory = Path::new("docs/previews");
    std::fs::create_dir_all(directory)?;
    for board in boards {
        let mut lines = Vec::new();
        for panel in &board.panels {
            lines.push(query(&client, panel, start, seconds).await?);
        }
        let path = directory.join(format!("{}.svg", board.uid));
        picture::draw(&path, &board, &lines, seconds)?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Returns the dashboards of the shop, as JSON.
fn dashboards() -> Result<Vec<String>> {
    let definitions = [ProcessCollector::families(), RuntimeCollector::families()].concat();
    Ok(vec![
        Dashboard::http("http", "Shop: HTTP", shop::http())?.to_json()?,
        Dashboard::process("process", "Shop: process", Definitions::new(definitions)).to_json()?,
    ])
}

/// Runs the queries of a panel, as Grafana does.
async fn query(client: &QueryClient, panel: &Panel, start: f64, seconds: f64) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for target in &panel.targets {
        let query = target
            .expr
            .replace("$job", ".+")
            .replace("$instance", ".+")
            .replace("$__rate_interval", &format!("{RATE_INTERVAL}s"));
        let step = (seconds / POINTS).max(1.0);
        let series = client.range(&query, start, start + seconds, step).await?;
        lines.extend(series.iter().map(|series| {
            Line {
                name: name(&target.legend_format, series),
                points: series
                    .points()
                    .map(|(at, value)| (at - start, value))
                    .collect(),
            }
        }));
    }
    Ok(lines)
}

/// Returns the legend with the label values of a series.
fn name(legend: &str, series: &Series) -> String {
    let mut name = legend.to_owned();
    for (label, value) in &series.labels {
        name = name.replace(&format!("{{{{{label}}}}}"), value);
    }
    name
}
