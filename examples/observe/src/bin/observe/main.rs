//! A demo shop under load: its metrics compared with the measurements of its clients.
//!
//! ```text
//! cargo run --release -p observe --bin observe
//! ```
//!
//! 1. Starts the shop, a Prometheus that scrapes it every second (if one is installed), and the query proxy.
//! 2. Sends requests for a minute. Some clients disconnect; some endpoints are slow, fail or panic.
//! 3. Prints a report and stops everything.
//!
//! `-- 10` takes 10 seconds instead.

mod report;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tower_prometheus_mixin::{Definitions, Mixin, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Slo};

use observe::Result;
use observe::driver::{Driver, Measured};
use observe::prometheus::Prometheus;
use observe::query_client::QueryClient;
use observe::shop::{self, Shop};

use self::report::Reported;

#[tokio::main]
async fn main() -> Result<()> {
    let seconds = match std::env::args().nth(1) {
        None => 60,
        Some(text) => text
            .parse()
            .ok()
            .filter(|seconds| (1..=3600).contains(seconds))
            .ok_or_else(|| format!("the duration must be 1 to 3600 seconds, got {text:?}"))?,
    };
    tokio::select! {
        result = observe(seconds) => result,
        // Returning drops and so stops Prometheus.
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

async fn observe(seconds: u64) -> Result<()> {
    let shop = Shop::start().await?;
    let Some(prometheus) = Prometheus::start(&mixin(&shop)?)? else {
        println!("Prometheus is not installed: comparing with the shop's metrics page.");
        let measured = load(&shop, seconds).await?;
        let url = format!("http://{}/metrics", shop.address);
        let client = reqwest::Client::builder().no_proxy().build()?;
        let page = client.get(url).send().await?.text().await?;
        report::print(&measured, &Reported::by_page(&page));
        return Ok(());
    };
    println!("metrics page         http://{}/metrics", shop.address);
    println!("Prometheus           {}", prometheus.url);
    let client = QueryClient::start(&prometheus.url).await?;
    client.wait_for("sum(up)", 1.0).await?;
    let measured = load(&shop, seconds).await?;
    let (requests, _) = shop.requests();
    client
        .wait_for("sum(http_requests_total)", requests)
        .await?;
    // `rate` needs two scrapes in its range.
    let range = measured.elapsed.as_secs().max(5);
    let reported = Reported::by_prometheus(&client, range).await?;
    report::print(&measured, &reported);
    Ok(())
}

/// Builds the rules and the scrape configuration for the shop.
fn mixin(shop: &Shop) -> Result<Mixin> {
    let http = shop::http();
    let definitions = Definitions::new(http.families()?);
    let rules = Rules::new(definitions.clone())
        .group(RuleGroup::http("http", &http)?.interval("1s"))
        .group(
            Slo::http_availability("http", 0.999, &http)?
                .group()?
                .interval("1s"),
        )
        .group(RuleGroup::health("health", definitions).interval("1s"));
    let job = ScrapeJob::new("shop").target(&shop.address);
    Ok(Mixin::new().rules("shop", rules).scrape_config(
        ScrapeConfig::new()
            .interval("1s")
            .job(job)
            .rule_file("rules/*.yml"),
    ))
}

/// Generates load, and waits until the shop has counted all requests.
async fn load(shop: &Shop, seconds: u64) -> Result<Measured> {
    let bar = ProgressBar::new(seconds);
    bar.set_style(ProgressStyle::with_template(
        "{bar:40} {pos} of {len} s, {msg}",
    )?);
    let driver = Driver::new(shop)?;
    let measured = driver.run(Duration::from_secs(seconds), |elapsed| {
        let (requests, open) = shop.requests();
        bar.set_position(elapsed.as_secs());
        bar.set_message(format!("{requests} requests, {open} open"));
    });
    let measured = measured.await?;
    bar.finish_and_clear();
    // The shop notices with a delay that a client disconnected.
    let all_counted = async {
        while shop.requests() != (measured.requests() as f64, 0.0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // After a timeout, the report shows the difference.
    let _ = tokio::time::timeout(Duration::from_secs(10), all_counted).await;
    Ok(measured)
}
