//! The report: the metrics of the shop next to the measurements of its clients.

use std::collections::BTreeMap;

use observe::driver::Measured;
use observe::query_client::QueryClient;
use observe::{BoxError, Result};

const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

/// The metrics of the shop, from Prometheus or from its metrics page.
pub(crate) struct Reported {
    /// Heading of the column: `PromQL` or `page`.
    source: &'static str,
    by_status: BTreeMap<String, f64>,
    aborted_bodies: f64,
    /// Requests per second.
    rate: Option<f64>,
    error_ratio: Option<f64>,
    /// By endpoint, for each of [`QUANTILES`].
    quantiles: [BTreeMap<String, f64>; 3],
    alerts: Vec<String>,
}

impl Reported {
    /// Queries Prometheus. The range of rates and quantiles is `seconds`.
    pub(crate) async fn by_prometheus(client: &QueryClient, seconds: u64) -> Result<Self> {
        let number =
            async |query: String| Ok::<_, BoxError>(client.current(&query, "").await?.remove(""));
        let rate = format!("sum(rate(http_requests_total[{seconds}s]))");
        let errors =
            format!("sum(rate(http_requests_total{{status=~\"5..|error|panicked\"}}[{seconds}s]))");
        let mut quantiles = [const { BTreeMap::new() }; 3];
        for (quantile, by_endpoint) in QUANTILES.into_iter().zip(&mut quantiles) {
            let rates = format!("rate(http_request_duration_seconds_bucket[{seconds}s])");
            let query = format!("histogram_quantile({quantile}, sum by (le, endpoint) ({rates}))");
            *by_endpoint = client.current(&query, "endpoint").await?;
        }
        let aborted = "sum(http_response_bodies_aborted_total)".to_owned();
        let alerts = client.current("ALERTS", "alertname").await?;
        Ok(Self {
            source: "PromQL",
            by_status: client
                .current("sum by (status) (http_requests_total) > 0", "status")
                .await?,
            aborted_bodies: number(aborted).await?.unwrap_or(0.0),
            error_ratio: number(format!("{errors} / {rate}")).await?,
            rate: number(rate).await?,
            quantiles,
            alerts: alerts.into_keys().collect(),
        })
    }

    /// Reads the metrics page. Rates need two pages, so the report has none. A quantile is an
    /// upper bound: that of its bucket.
    pub(crate) fn by_page(page: &str) -> Self {
        let samples: Vec<_> = page.lines().filter_map(Sample::parse).collect();
        let samples_of = |name| samples.iter().filter(move |sample| sample.name == name);
        let mut by_status = BTreeMap::new();
        for sample in samples_of("http_requests_total").filter(|sample| sample.value > 0.0) {
            *by_status.entry(sample.label("status")).or_default() += sample.value;
        }
        let count: BTreeMap<_, _> = samples_of("http_request_duration_seconds_count")
            .map(|sample| (sample.label("endpoint"), sample.value))
            .collect();
        let quantiles = QUANTILES.map(|quantile| {
            let mut bounds = BTreeMap::new();
            // Buckets are in ascending order, so the first match is the smallest bound.
            for sample in samples_of("http_request_duration_seconds_bucket") {
                let endpoint = sample.label("endpoint");
                let total = count.get(&endpoint).copied().unwrap_or(0.0);
                if total > 0.0 && sample.value >= quantile * total {
                    let bound = sample.label("le").parse().unwrap_or(f64::INFINITY);
                    bounds.entry(endpoint).or_insert(bound);
                }
            }
            bounds
        });
        Self {
            source: "page",
            by_status,
            aborted_bodies: samples_of("http_response_bodies_aborted_total")
                .map(|sample| sample.value)
                .sum(),
            rate: None,
            error_ratio: None,
            quantiles,
            alerts: Vec::new(),
        }
    }
}

/// A sample line of the metrics page. The parser is simple: label values must not contain quotes or commas.
struct Sample<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
}

impl<'a> Sample<'a> {
    fn parse(line: &'a str) -> Option<Self> {
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

/// Prints the measurements and the metrics side by side.
pub(crate) fn print(measured: &Measured, reported: &Reported) {
    let requests = measured.requests();
    let counted: f64 = reported.by_status.values().sum();
    println!("\n{:<26}{:>12}{:>12}", "", "clients", reported.source);
    line("requests", requests as f64, Some(counted), 0);
    let per_second = requests as f64 / measured.elapsed.as_secs_f64();
    line("requests per second", per_second, reported.rate, 1);
    let errors = measured.errors() as f64 / requests as f64 * 100.0;
    let reported_errors = reported.error_ratio.map(|ratio| ratio * 100.0);
    line("errors, %", errors, reported_errors, 2);
    let bodies = measured.aborted_bodies as f64;
    line("aborted bodies", bodies, Some(reported.aborted_bodies), 0);

    println!("\nby status");
    let mut statuses: Vec<_> = measured
        .by_status
        .keys()
        .chain(reported.by_status.keys())
        .collect();
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let sent = measured.by_status.get(status).copied().unwrap_or(0);
        let counted = reported.by_status.get(status).copied().unwrap_or(0.0);
        line(&format!("  {status}"), sent as f64, Some(counted), 0);
    }

    let heading = match reported.source {
        "page" => "at most",
        source => source,
    };
    println!("\nmilliseconds{:>38}{:>24}{:>24}", "p50", "p95", "p99");
    print!("{:<26}", "");
    println!("{}", format!("{:>12}{heading:>12}", "clients").repeat(3));
    for endpoint in measured.endpoints() {
        print!("  {endpoint:<24}");
        for (quantile, by_endpoint) in QUANTILES.into_iter().zip(&reported.quantiles) {
            let exact = measured.quantile(endpoint, quantile);
            let estimate = by_endpoint.get(endpoint).copied();
            print!("{:>12}{:>12}", milliseconds(exact), milliseconds(estimate));
        }
        println!();
    }

    if !reported.alerts.is_empty() {
        println!(
            "\npending and firing alerts: {}",
            reported.alerts.join(", ")
        );
    }
    let sent: BTreeMap<_, _> = measured
        .by_status
        .iter()
        .map(|(status, count)| (status.clone(), *count as f64))
        .collect();
    println!(
        "\n{}",
        match sent == reported.by_status && bodies == reported.aborted_bodies {
            true => "Every request was counted once, with its final status.",
            false => "The counts differ.",
        }
    );
}

fn line(heading: &str, measured: f64, reported: Option<f64>, digits: usize) {
    let reported = reported.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    println!("{heading:<26}{measured:>12.digits$}{reported:>12}");
}

fn milliseconds(seconds: Option<f64>) -> String {
    match seconds {
        Some(seconds) if seconds.is_finite() => format!("{:.1}", seconds * 1000.0),
        Some(seconds) if seconds.is_infinite() => "+Inf".to_owned(),
        _ => "-".to_owned(),
    }
}
