//! What was counted and timed, beside what the customers saw.

use std::collections::BTreeMap;

use observe::console::Console;
use observe::driver::Measured;
use observe::{Problem, Result};

const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

/// What somebody else says of the same minute.
pub(crate) struct Said {
    by: &'static str,
    ends: BTreeMap<String, f64>,
    bodies_left: f64,
    rate: Option<f64>,
    error_ratio: Option<f64>,
    /// By endpoint, for each of [`QUANTILES`].
    quantiles: [BTreeMap<String, f64>; 3],
    alerts: Vec<String>,
}

impl Said {
    /// Asked in PromQL; rates over so many seconds.
    pub(crate) async fn by_prometheus(console: &Console, seconds: u64) -> Result<Self> {
        let number =
            async |query: String| Ok::<_, Problem>(console.now(&query, "").await?.remove(""));
        let rate = format!("sum(rate(http_requests_total[{seconds}s]))");
        let errors =
            format!("sum(rate(http_requests_total{{status=~\"5..|error|panicked\"}}[{seconds}s]))");
        let mut quantiles = [const { BTreeMap::new() }; 3];
        for (quantile, answer) in QUANTILES.into_iter().zip(&mut quantiles) {
            let rates = format!("rate(http_request_duration_seconds_bucket[{seconds}s])");
            let query = format!("histogram_quantile({quantile}, sum by (le, endpoint) ({rates}))");
            *answer = console.now(&query, "endpoint").await?;
        }
        let aborted = "sum(http_response_bodies_aborted_total)".to_owned();
        let alerts = console.now("ALERTS", "alertname").await?;
        Ok(Self {
            by: "PromQL",
            ends: console
                .now("sum by (status) (http_requests_total) > 0", "status")
                .await?,
            bodies_left: number(aborted).await?.unwrap_or(0.0),
            error_ratio: number(format!("{errors} / {rate}")).await?,
            rate: number(rate).await?,
            quantiles,
            alerts: alerts.into_keys().collect(),
        })
    }

    /// Read from the app's own page. A page has no past, so there are no rates; and a quantile is what
    /// the buckets say: the bound that it is at most.
    pub(crate) fn by_page(page: &str) -> Self {
        let samples: Vec<_> = page.lines().filter_map(Sample::read).collect();
        let of = |name| samples.iter().filter(move |sample| sample.name == name);
        let mut ends = BTreeMap::new();
        for sample in of("http_requests_total").filter(|sample| sample.value > 0.0) {
            *ends.entry(sample.label("status")).or_default() += sample.value;
        }
        let count: BTreeMap<_, _> = of("http_request_duration_seconds_count")
            .map(|sample| (sample.label("endpoint"), sample.value))
            .collect();
        let quantiles = QUANTILES.map(|quantile| {
            let mut bounds = BTreeMap::new();
            // The page has buckets from the smallest to the largest.
            for sample in of("http_request_duration_seconds_bucket") {
                let endpoint = sample.label("endpoint");
                let all = count.get(&endpoint).copied().unwrap_or(0.0);
                if all > 0.0 && sample.value >= quantile * all {
                    let bound = sample.label("le").parse().unwrap_or(f64::INFINITY);
                    bounds.entry(endpoint).or_insert(bound);
                }
            }
            bounds
        });
        Self {
            by: "page",
            ends,
            bodies_left: of("http_response_bodies_aborted_total")
                .map(|sample| sample.value)
                .sum(),
            rate: None,
            error_ratio: None,
            quantiles,
            alerts: Vec::new(),
        }
    }
}

/// A line of the page; values of this app's labels have neither quotes nor commas.
struct Sample<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
}

impl<'a> Sample<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (name, rest) = line.split_once('{')?;
        let (labels, value) = rest.rsplit_once("} ")?;
        let value = value.parse().ok()?;
        (!name.starts_with('#')).then_some(Self {
            name,
            labels,
            value,
        })
    }

    fn label(&self, name: &str) -> String {
        let mut labels = self
            .labels
            .split(',')
            .filter_map(|pair| pair.split_once('='));
        let found = labels.find(|(label, _)| *label == name);
        found.map_or_else(String::new, |(_, value)| value.trim_matches('"').to_owned())
    }
}

/// Prints both, side by side.
pub(crate) fn print(measured: &Measured, said: &Said) {
    let requests = measured.requests();
    let counted: f64 = said.ends.values().sum();
    println!("\n{:<26}{:>12}{:>12}", "", "driver", said.by);
    line("requests", requests as f64, Some(counted), 0);
    let a_second = requests as f64 / measured.took.as_secs_f64();
    line("requests a second", a_second, said.rate, 1);
    let errors = measured.errors() as f64 / requests as f64 * 100.0;
    let said_errors = said.error_ratio.map(|ratio| ratio * 100.0);
    line("errors, %", errors, said_errors, 2);
    let bodies = measured.bodies_left as f64;
    line("bodies left half-way", bodies, Some(said.bodies_left), 0);

    println!("\nby status");
    let mut ends: Vec<_> = measured.ends.keys().chain(said.ends.keys()).collect();
    ends.sort_unstable();
    ends.dedup();
    for end in ends {
        let seen = measured.ends.get(end).copied().unwrap_or(0);
        let counted = said.ends.get(end).copied().unwrap_or(0.0);
        line(&format!("  {end}"), seen as f64, Some(counted), 0);
    }

    let of = match said.by {
        "page" => "at most",
        by => by,
    };
    println!("\nmilliseconds{:>38}{:>24}{:>24}", "p50", "p95", "p99");
    print!("{:<26}", "");
    println!("{}", format!("{:>12}{of:>12}", "driver").repeat(3));
    for endpoint in measured.endpoints() {
        print!("  {endpoint:<24}");
        for (quantile, said) in QUANTILES.into_iter().zip(&said.quantiles) {
            let exact = measured.quantile(endpoint, quantile);
            let said = said.get(endpoint).copied();
            print!("{:>12}{:>12}", milliseconds(exact), milliseconds(said));
        }
        println!();
    }

    if !said.alerts.is_empty() {
        println!("\nalerts that wait or fire: {}", said.alerts.join(", "));
    }
    let seen: BTreeMap<_, _> = measured
        .ends
        .iter()
        .map(|(end, count)| (end.clone(), *count as f64))
        .collect();
    println!(
        "\n{}",
        match seen == said.ends && bodies == said.bodies_left {
            true => "Every request was counted once, under the status that it ended with.",
            false => "The counts differ.",
        }
    );
}

fn line(what: &str, measured: f64, said: Option<f64>, digits: usize) {
    let said = said.map_or("-".to_owned(), |said| format!("{said:.digits$}"));
    println!("{what:<26}{measured:>12.digits$}{said:>12}");
}

fn milliseconds(seconds: Option<f64>) -> String {
    match seconds {
        Some(seconds) if seconds.is_finite() => format!("{:.1}", seconds * 1000.0),
        Some(seconds) if seconds.is_infinite() => "more".to_owned(),
        _ => "-".to_owned(),
    }
}
