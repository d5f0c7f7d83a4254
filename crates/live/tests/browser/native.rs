//! Native histograms in their own resolution: quantiles, heat map, queries.

use serde_json::{Value, json};
use test_support::browser::Browser;
use test_support::server::Server;
use test_support::skip_without;
use tower_prometheus::snapshot::{NativeBuckets, Value as Sample};
use tower_prometheus::{NativeHistogram, Registry};

use crate::numbers::assert_close;
use crate::service::app;

/// A quantile as Prometheus 3 computes it: each bucket is interpolated exponentially.
fn quantile(q: f64, native: &NativeBuckets) -> f64 {
    let growth = 2_f64.powf(2_f64.powi(-i32::from(native.schema())));
    let negative = native
        .negative()
        .map(|it| (it.bound, it.bound / growth, it.count));
    let mut buckets: Vec<_> = negative.collect();
    buckets.reverse();
    buckets.push((0.0, 0.0, native.zero_count()));
    buckets.extend(
        native
            .positive()
            .map(|it| (it.bound / growth, it.bound, it.count)),
    );
    let count: u64 = buckets.iter().map(|(_, _, count)| count).sum();
    let mut rank = q * count as f64;
    for (lower, upper, count) in buckets {
        let count = count as f64;
        if count > 0.0 && rank <= count {
            let (low, high) = (lower.abs().log2(), upper.abs().log2());
            return match () {
                () if lower == upper => 0.0,
                () if lower > 0.0 => (low + (high - low) * (rank / count)).exp2(),
                () => -(high + (low - high) * (1.0 - rank / count)).exp2(),
            };
        }
        rank -= count;
    }
    unreachable!()
}

/// The native buckets of the only series of a metric.
async fn native_of(metrics: &Registry, family: &str) -> NativeBuckets {
    let snapshot = metrics.gather().await;
    let series = snapshot.family(family).unwrap().series().next();
    match series.unwrap().value() {
        Sample::Histogram(histogram) => histogram.native().unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

fn record(metrics: &Registry, family: &'static str, values: impl IntoIterator<Item = f64>) {
    metrics::with_local_recorder(metrics, || {
        let histogram = metrics::histogram!(family);
        values.into_iter().for_each(|value| histogram.record(value));
    });
}

async fn start(settings: NativeHistogram) -> (Registry, Server, Browser) {
    let metrics = Registry::builder()
        .native_histograms(settings)
        .build()
        .unwrap();
    let server = Server::start(app(&metrics, tower_prometheus_live::page(&metrics))).await;
    (metrics, server, Browser::start())
}

/// The values in the legend of a card.
fn legend(browser: &Browser, card: &str) -> Vec<String> {
    let script = format!(
        "return [...document.querySelectorAll('[data-card={card:?}] .legend .value')].map((value) => value.textContent)"
    );
    serde_json::from_value(browser.run(&script)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn quantiles_of_native_buckets_equal_those_of_prometheus() {
    skip_without!(Chromium, Chromedriver);
    for settings in [
        NativeHistogram::new(1.1),
        NativeHistogram::new(1.1).without_classic_buckets(),
    ] {
        let (metrics, server, browser) = start(settings).await;
        browser.open(&server.url("/live#/metrics"));
        browser.wait_until("document.getElementById('status')?.dataset.state === 'live'");
        record(
            &metrics,
            "wait_seconds",
            (1..=200).map(|i| 0.0031 * 1.02_f64.powi(i)),
        );
        browser.wait_until(
            "/\\d/.test(document.querySelector('[data-card=wait_seconds] .value')?.textContent)",
        );
        let native = native_of(&metrics, "wait_seconds").await;
        let shown = legend(&browser, "wait_seconds");
        assert_eq!(shown.len(), 3, "{shown:?}");
        for (shown, q) in shown.iter().zip([0.5, 0.95, 0.99]) {
            assert_close(shown, quantile(q, &native));
        }
        browser.assert_clean(&server.url("/"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heat_map_has_a_row_for_each_native_bucket() {
    skip_without!(Chromium, Chromedriver);
    let (metrics, server, browser) = start(NativeHistogram::new(1.1)).await;
    browser.open(&server.url("/live#/metrics"));
    browser.wait_until("document.getElementById('status')?.dataset.state === 'live'");
    record(&metrics, "wait_seconds", [0.1, 0.11, 0.2, 0.2]);
    let card = "[data-card='wait_seconds, distribution']";
    browser.wait_until(&format!("document.querySelector(\"{card} canvas\")"));
    browser.run("const create = URL.createObjectURL; URL.createObjectURL = (blob) => { window.saved = blob; return create(blob); }");
    browser.run(&format!(
        "[...document.querySelectorAll(\"{card} .menu-items button\")][1].click()"
    ));
    browser.wait_until("window.saved");
    let csv = browser.run_async("return await window.saved.text()");
    let header = csv.as_str().unwrap().lines().next().unwrap().to_owned();
    let columns: Vec<_> = header.split(',').skip(1).collect();
    let native = native_of(&metrics, "wait_seconds").await;
    let bounds: Vec<_> = native.positive().map(|bucket| bucket.bound).collect();
    assert_eq!(columns.len(), bounds.len(), "{header}");
    for (column, bound) in columns.iter().zip(bounds) {
        let upper: f64 = column.split_once(" to ").unwrap().1.parse().unwrap();
        assert!((upper / bound - 1.0).abs() < 1e-9, "{column} {bound}");
    }
    // The pointer is over the highest bucket.
    browser.mouse(&format!("{card} canvas"), &[(0.7, 0.1)], false);
    browser.wait_until(&format!(
        "document.querySelector(\"{card} .legend\").textContent.startsWith('193 ms to 210 ms')"
    ));
    browser.assert_clean(&server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_of_native_histograms_have_the_native_form() {
    skip_without!(Chromium, Chromedriver);
    let (metrics, server, browser) = start(NativeHistogram::new(1.1)).await;
    server.get("/users/1").await;
    record(&metrics, "wait_seconds", [0.1]);
    browser.open(&server.url("/live#/metrics"));
    browser.wait_until("document.querySelector('[data-card=wait_seconds] canvas')");
    let copy = |card: &str| {
        browser.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }; window.copied = undefined");
        browser.run(&format!(
            "[...document.querySelectorAll('[data-card={card:?}] .menu-items button')][2].click()"
        ));
        browser.wait_until("window.copied");
        browser
            .run("return window.copied")
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        copy("wait_seconds"),
        "histogram_quantile(0.95, sum(rate(wait_seconds[1m])))"
    );
    assert_eq!(
        copy("wait_seconds, distribution"),
        "sum(rate(wait_seconds[1m]))"
    );
    browser.open(&server.url("/live#/endpoint?layer=http&row=GET+%2Fusers%2F%7Bid%7D"));
    browser.wait_until("document.querySelector('[data-card=Latency] canvas')");
    let labels = "{endpoint=\"/users/{id}\",method=\"GET\"}";
    assert_eq!(
        copy("Latency"),
        format!("histogram_quantile(0.95, sum(rate(http_request_duration_seconds{labels}[1m])))")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn native_buckets_of_several_series_are_joined_at_their_lowest_resolution() {
    skip_without!(Chromium, Chromedriver);
    let (_metrics, server, browser) = start(NativeHistogram::new(1.1)).await;
    browser.open(&server.url("/live"));
    // Values of Prometheus' buckets: of schema 1, bucket 1 is 1 to 1.41, and bucket 2 is 1.41 to 2. Of schema 0, bucket 1 is
    // 1 to 2, and bucket 0 is 0.5 to 1.
    let result = browser.run_async(
        "const load = (file) => import(new URL(file, document.baseURI).href); \
         const { Store } = await load('store.js'); const { bucketRates, quantile } = await load('query.js'); \
         const store = new Store(); \
         const lines = [ \
             { hello: 'a' }, { families: [[1, 'x', 'histogram', '', '', [], true]] }, \
             { series: [[1, 1, ['a', '1'], 0], [2, 1, ['a', '2'], 0]] }, \
             { values: [1, { schema: 1, sum: 0, zero: 0, positive: [1, 1] }, 2, { schema: 0, sum: 0, zero: 0, positive: [0, 5] }] }, \
             { tick: 10000, gone: [] }, \
             { values: [1, { sum: 1, zero: 2, positive: [1, 3, 2, 7], negative: [1, 2] }, 2, { sum: 1, zero: 0, positive: [0, 9, 3, 4] }] }, \
             { tick: 20000, gone: [] }, \
         ]; \
         for (const line of lines) store.line(line); \
         const frame = store.frame(0, 20000); \
         const rates = bucketRates(store.families.get('x').series, frame); \
         return [rates.rows.map((row) => [row.position, row.lower, row.upper, row.values[1]]), \
             [0.01, 0.15, 0.5, 0.99].map((q) => quantile(q, rates)[1]), rates.boundsAt(4)]",
    );
    let rows = json!([
        [0, -2, -1, 0.2],
        [1, 0, 0, 0.2],
        [2, 0.5, 1, 0.4],
        [3, 1, 2, 0.9],
        [5, 4, 8, 0.4]
    ]);
    assert_eq!(result[0], rows);
    assert_eq!(result[2], json!([2, 4]), "the bucket without observations");
    // 21 observations: ranks 0.21, 3.15, 10.5 and 20.79.
    let expected = [
        -(2_f64.powf(1.0 - 0.105)),
        0.0,
        2_f64.powf(2.5 / 9.0),
        4.0 * 2_f64.powf(3.79 / 4.0),
    ];
    let quantiles = result[1].as_array().unwrap().iter().map(Value::as_f64);
    for (actual, expected) in quantiles.zip(expected) {
        assert!(
            (actual.unwrap() - expected).abs() < 1e-9,
            "{actual:?} {expected}"
        );
    }
}
