//! The numbers on the page, compared with the metrics page and with samples that the test reads itself.

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::get;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use test_support::browser::Browser;
use test_support::server::{Protocol, Server};
use test_support::skip_without;
use tower_prometheus::{HttpMetrics, Registry};

use crate::service::Service;

/// The numbers in a row of the table, by column.
fn row(browser: &Browser, name: &str) -> Vec<String> {
    let script = format!(
        "const row = document.querySelector('[data-row={name:?}]'); \
         return row ? [...row.querySelectorAll('td.number')].map((cell) => cell.textContent) : []"
    );
    let cells = browser.run(&script);
    let cells = cells.as_array().unwrap().iter();
    cells
        .map(|cell| cell.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_and_gauges_equal_the_metrics_page() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::start().await;
    let browser = Browser::start();
    service.visit().await;
    let mut client = service.server.connect(Protocol::Http1).await;
    let endless = client.send("GET", "/endless").await.unwrap();
    service.open(&browser, "");
    browser.wait_until("document.querySelectorAll('[data-row]').length === 6");
    browser.wait_until("document.querySelector('[data-row=\"GET /endless\"] td:nth-of-type(6)').textContent === '1'");
    for (name, endpoint, method) in [
        ("GET /users/{id}", "/users/{id}", "GET"),
        ("POST /orders", "/orders", "POST"),
        ("GET /slow", "/slow", "GET"),
        ("GET /fail", "/fail", "GET"),
        ("GET unmatched", "unmatched", "GET"),
        ("GET /endless", "/endless", "GET"),
    ] {
        let labels = [("endpoint", endpoint), ("method", method)];
        let value = |family| {
            service
                .metrics
                .sum(family, &labels)
                .unwrap_or(0.0)
                .to_string()
        };
        let cells = row(&browser, name);
        assert_eq!(cells[6], value("http_requests_total"), "total of {name}");
        assert_eq!(cells[5], value("http_requests_in_progress"), "{name}");
    }
    drop(endless.into_body());
    drop(client);
    browser.wait_until("document.querySelector('[data-row=\"GET /endless\"] td:nth-of-type(6)').textContent === '0'");
    browser.assert_clean(&service.server.url("/"));
}

/// The samples of a registry by tick, read by the test as by any other viewer.
struct Samples(Vec<(f64, BTreeMap<String, Vec<f64>>)>);

impl Samples {
    /// Reads the stream until the tick with this time.
    async fn read_until(service: &Service, time: f64) -> Self {
        let mut client = service.server.connect(Protocol::Http1).await;
        let mut body = client.send("GET", "/live/data").await.unwrap().into_body();
        let (mut names, mut series) = (BTreeMap::new(), BTreeMap::new());
        let mut values: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        let (mut ticks, mut unread) = (Vec::new(), String::new());
        loop {
            let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
            unread.push_str(std::str::from_utf8(&data).unwrap());
            while let Some((line, rest)) = unread.split_once('\n') {
                let line: Value = serde_json::from_str(line).unwrap();
                unread = rest.to_owned();
                for family in line["families"].as_array().into_iter().flatten() {
                    names.insert(family[0].as_u64(), family[1].as_str().unwrap().to_owned());
                }
                for entry in line["series"].as_array().into_iter().flatten() {
                    let key = format!("{} {}", names[&entry[1].as_u64()], entry[2]);
                    series.insert(entry[0].as_u64().unwrap(), key);
                }
                let list = line["values"].as_array().map_or(&[][..], Vec::as_slice);
                for pair in list.chunks(2) {
                    let numbers = pair[1].as_array().cloned().unwrap_or(vec![pair[1].clone()]);
                    let numbers = numbers.iter().filter_map(Value::as_f64).collect();
                    values.insert(pair[0].as_u64().unwrap(), numbers);
                }
                if let Some(tick) = line["tick"].as_f64() {
                    let by_key = values.iter();
                    let by_key = by_key.map(|(id, value)| (series[id].clone(), value.clone()));
                    ticks.push((tick, by_key.collect()));
                    if tick >= time {
                        return Self(ticks);
                    }
                }
            }
        }
    }

    /// The increase per second of what `read` returns, over the window that the page uses: from the last tick that is at
    /// least 9.5 s older, or else from the first.
    fn rate(&self, time: f64, read: impl Fn(&BTreeMap<String, Vec<f64>>) -> f64) -> f64 {
        let is_older = |(tick, _): &&(f64, BTreeMap<String, Vec<f64>>)| *tick <= time - 9_500.0;
        let earlier = self.0.iter().rfind(is_older).unwrap_or(&self.0[0]);
        let now = self.0.iter().find(|(tick, _)| *tick == time).unwrap();
        (read(&now.1) - read(&earlier.1)) / ((now.0 - earlier.0) / 1_000.0)
    }
}

/// The sum of one number of all series whose key contains these texts.
fn sum(samples: &BTreeMap<String, Vec<f64>>, texts: &[&str], index: usize) -> f64 {
    let matching = samples
        .iter()
        .filter(|(key, _)| texts.iter().all(|text| key.contains(text)));
    matching.map(|(_, numbers)| numbers[index]).sum()
}

/// `4.85/s` or `1.20 k/s` as a number.
fn parse(text: &str) -> f64 {
    let (number, unit) = text.split_at(
        text.find(|c: char| c != '.' && !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let factor = match unit.trim() {
        "k/s" => 1e3,
        "ms" => 1e-3,
        "µs" => 1e-6,
        "%" => 1e-2,
        _ => 1.0,
    };
    number.parse::<f64>().unwrap_or(f64::NAN) * factor
}

#[track_caller]
pub fn assert_close(actual: &str, expected: f64) {
    // Three significant digits.
    let difference = (parse(actual) - expected).abs();
    assert!(
        difference <= 0.006 * expected.abs(),
        "{actual} is not {expected}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_error_ratios_and_quantiles_equal_those_of_the_samples() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::start().await;
    let browser = Browser::start();
    service.visit().await;
    service.open(&browser, "");
    let tick = "Number(document.getElementById('status').dataset.tick)";
    let start = browser.run(&format!("return {tick}")).as_f64().unwrap();
    for _ in 0..10 {
        service.visit().await;
    }
    browser.wait_until(&format!("{tick} > {start} + 2500"));
    let script = format!(
        "const texts = (selector, root = document) => \
             [...root.querySelectorAll(selector)].map((element) => element.textContent); \
         const rows = [...document.querySelectorAll('[data-row]')]; \
         return {{ tick: {tick}, headlines: texts('.headline span'), \
             rows: rows.map((row) => [row.dataset.row, ...texts('td.number', row)]) }}"
    );
    let shown = browser.run(&script);
    let time = shown["tick"].as_f64().unwrap();
    let samples = Samples::read_until(&service, time).await;
    let requests = |texts: &[&str]| {
        let texts: Vec<_> = ["http_requests_total"]
            .iter()
            .chain(texts)
            .copied()
            .collect();
        samples.rate(time, |values| sum(values, &texts, 0))
    };
    let headline = |i: usize| shown["headlines"][i].as_str().unwrap();
    assert_close(headline(0), requests(&[]));
    assert_close(headline(1), requests(&["\"503\""]) / requests(&[]));
    for cells in shown["rows"].as_array().unwrap() {
        let text = |i: usize| cells[i].as_str().unwrap();
        let (method, endpoint) = text(0).split_once(' ').unwrap();
        let labels = [format!("\"{endpoint}\""), format!("\"{method}\"")];
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        assert_close(text(1), requests(&labels));
        let errors = if endpoint == "/fail" { 1.0 } else { 0.0 };
        assert_close(text(2), errors);
    }
    let slow = |bucket: usize| {
        let texts = ["http_request_duration_seconds", "\"/slow\""];
        samples.rate(time, |values| sum(values, &texts, bucket + 1))
    };
    // Requests to /slow take 30 ms and a little: in the bucket from 25 to 50 ms, with the index 3, on a quick machine.
    let rates: Vec<_> = (0..12).map(slow).collect();
    let rows = shown["rows"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row[0] == json!("GET /slow"))
        .unwrap();
    assert_close(row[3].as_str().unwrap(), quantile(0.5, &rates));
    assert_close(row[4].as_str().unwrap(), quantile(0.95, &rates));
    assert_close(row[5].as_str().unwrap(), quantile(0.99, &rates));
    browser.assert_clean(&service.server.url("/"));
}

/// The quantile of the default buckets, interpolated linearly.
fn quantile(q: f64, rates: &[f64]) -> f64 {
    let bounds = tower_prometheus::buckets::DEFAULT;
    let rank = q * rates.iter().sum::<f64>();
    let (mut below, mut lower) = (0.0, 0.0);
    for (bound, rate) in bounds.iter().zip(rates) {
        if below + rate >= rank && *rate > 0.0 {
            return lower + (bound - lower) * (rank - below) / rate;
        }
        (below, lower) = (below + rate, *bound);
    }
    lower
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_with_other_names_and_grpc_methods_have_tables() {
    skip_without!(Chromium, Chromedriver);
    let metrics = Registry::new();
    let layer = HttpMetrics::open_telemetry().prefix("shop").build(&metrics);
    let app = Router::new()
        .route("/users/{id}", get(async || "ada"))
        .nest_service("/live", tower_prometheus_live::page(&metrics))
        .layer(layer.unwrap());
    let server = Server::start(app).await;
    for _ in 0..3 {
        server.get("/users/1").await;
    }
    metrics::with_local_recorder(&metrics, || {
        for (code, calls) in [("OK", 5), ("Internal", 1)] {
            let labels = [
                ("grpc_service", "shop.Orders"),
                ("grpc_method", "Place"),
                ("grpc_type", "unary"),
                ("grpc_code", code),
            ];
            metrics::counter!("grpc_server_handled_total", &labels).increment(calls);
            metrics::histogram!("grpc_server_handling_seconds", &labels[..3]).record(0.02);
        }
    });
    let browser = Browser::start();
    browser.open(&server.url("/live"));
    for (row, total) in [("GET /users/{id}", "3"), ("shop.Orders/Place", "6")] {
        let cell = format!("[data-row={row:?}] td:nth-of-type(7)");
        browser.wait_until(&format!(
            "document.querySelector({cell:?})?.textContent === {total:?}"
        ));
    }
    assert_eq!(browser.count("[data-row]"), 2);
    let titles = browser.run(
        "return [...document.querySelectorAll('.layer-title')].map((title) => title.textContent)",
    );
    assert_eq!(titles, json!(["gRPC server", "HTTP server"]));
    browser.click("[data-row='shop.Orders/Place'] a");
    browser.wait_until("document.querySelectorAll('[data-card=Requests] .legend li').length >= 0");
    browser.wait_until("document.querySelector('[data-card=\"Latency distribution\"] canvas')");
    browser.assert_clean(&server.url("/"));
}
