//! Draws dashboards with real data: `docs/previews/*.svg`.
//!
//! ```text
//! cargo run --release -p observe --bin previews
//! ```
//!
//! loads the shop of `observe` for three minutes while a real Prometheus scrapes it, runs every query of every panel
//! through the query proxy, and draws the dashboards of the HTTP layer and of the process. `-- 30` takes 30 seconds
//! instead. It also draws the dashboard of a service that runs already and has traffic of its own:
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
use observe::console::{Console, Series, now};
use observe::driver::Driver;
use observe::prometheus::Prometheus;
use observe::shop::{self, Shop};

use self::picture::Line;

/// How many values a line has.
const POINTS: f64 = 75.0;

/// Grafana's `$__rate_interval`, and seconds before the picture begins, so that its first rates are of as
/// much as its last.
const RATE_INTERVAL: u32 = 15;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u32 = arguments.next().map_or(Ok(180), |text| text.parse())?;
    let given = arguments.next().zip(arguments.next());
    tokio::select! {
        drawn = preview(seconds.into(), given) => drawn,
        // Returning stops the child.
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

async fn preview(seconds: f64, given: Option<(String, String)>) -> Result<()> {
    let shop = Shop::open().await?;
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
    let prometheus = prometheus.ok_or("pictures need data: install Prometheus")?;
    let console = Console::open(&prometheus.url).await?;
    console.reaches("sum(up)", 1.0).await?;

    let all = seconds + f64::from(RATE_INTERVAL + 5);
    let bar = ProgressBar::new(all as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos} of {len} s")?);
    let (start, lasting) = (now() + all - seconds, Duration::from_secs_f64(all));
    if is_shop {
        let driver = Driver::new(&shop)?;
        let passed = |passed: Duration| bar.set_position(passed.as_secs());
        driver.run(lasting, passed).await?;
    } else {
        tokio::time::sleep(lasting).await;
    }
    bar.finish_and_clear();
    let directory = Path::new("docs/previews");
    std::fs::create_dir_all(directory)?;
    for board in boards {
        let mut lines = Vec::new();
        for panel in &board.panels {
            lines.push(answers(&console, panel, start, seconds).await?);
        }
        let path = directory.join(format!("{}.svg", board.uid));
        picture::draw(&path, &board, &lines, seconds)?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Those of the shop.
fn dashboards() -> Result<Vec<String>> {
    let definitions = [ProcessCollector::families(), RuntimeCollector::families()].concat();
    Ok(vec![
        Dashboard::http("http", "Shop: HTTP", shop::http())?.to_json()?,
        Dashboard::process("process", "Shop: process", Definitions::new(definitions)).to_json()?,
    ])
}

/// What Grafana would ask, and be answered.
async fn answers(console: &Console, panel: &Panel, start: f64, seconds: f64) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for target in &panel.targets {
        let query = target
            .expr
            .replace("$job", ".+")
            .replace("$instance", ".+")
            .replace("$__rate_interval", &format!("{RATE_INTERVAL}s"));
        let step = (seconds / POINTS).max(1.0);
        let series = console.range(&query, start, start + seconds, step).await?;
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

/// The legend with its labels filled in.
fn name(legend: &str, series: &Series) -> String {
    let mut name = legend.to_owned();
    for (label, value) in &series.labels {
        name = name.replace(&format!("{{{{{label}}}}}"), value);
    }
    name
}
