//! Hostile label values, many series and viewers, broken connections, and access rules as the page shows them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use serde_json::json;
use test_support::browser::Browser;
use test_support::server::{Protocol, Server};
use test_support::skip_without;
use tower_prometheus::Registry;
use tower_prometheus_live::LivePage;

use crate::service::{Service, app};

const IS_LIVE: &str = "document.getElementById('status')?.dataset.state === 'live'";

#[tokio::test(flavor = "multi_thread")]
async fn hostile_label_values_are_shown_as_text() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::start().await;
    let browser = Browser::start();
    let hostile = [
        "<img src=x onerror=\"window.hacked=1\">",
        "</textarea><script>window.hacked=1</script>",
        "\"'`${window.hacked=1}",
        "__proto__",
        "line\nbreak\u{0}\u{202e}",
        "javascript:window.hacked=1",
    ];
    metrics::with_local_recorder(&service.metrics, || {
        for value in hostile {
            metrics::gauge!("hostile_gauge", "value" => value).set(1.0);
            let labels = [
                ("endpoint", value.to_owned()),
                ("method", "GET".to_owned()),
                ("status", "200".to_owned()),
            ];
            metrics::counter!("http_requests_total", &labels).increment(1);
        }
        metrics::describe_gauge!("hostile_gauge", "<b>help</b>");
    });
    service.open(&browser, "");
    browser.wait_until(&format!(
        "document.querySelectorAll('[data-row]').length === {}",
        hostile.len()
    ));
    service.open(&browser, "#/metrics?filter=hostile_gauge");
    browser.wait_until(&format!(
        "document.querySelectorAll('.legend li').length === {}",
        hostile.len()
    ));
    let names = browser.run(
        "return [...document.querySelectorAll('.legend .name')].map((name) => name.textContent)",
    );
    for value in hostile {
        let is_shown = names.as_array().unwrap().contains(&json!(value));
        assert!(is_shown, "{value:?}: {names}");
    }
    assert_eq!(browser.count("main img, main script, main b"), 0);
    browser.run("document.querySelector('.card summary').click()");
    service.open(
        &browser,
        "#/endpoint?layer=http&row=GET+%3Cimg+src%3Dx+onerror%3D%22window.hacked%3D1%22%3E",
    );
    browser.wait_until("document.querySelector('[data-card=Requests] canvas')");
    assert_eq!(browser.run("return window.hacked ?? null"), json!(null));
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_series_are_shown_without_delay_of_the_samples() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::start().await;
    let browser = Browser::start();
    metrics::with_local_recorder(&service.metrics, || {
        for i in 0..2_500 {
            metrics::counter!("many_total", "i" => i.to_string()).increment(1);
            metrics::histogram!("many_seconds", "i" => i.to_string()).record(0.1);
            metrics::gauge!("many", "i" => i.to_string()).set(1.0);
            let labels = [
                ("endpoint", format!("/{i}")),
                ("method", "GET".to_owned()),
                ("status", "200".to_owned()),
            ];
            metrics::counter!("http_requests_total", &labels).increment(1);
        }
    });
    service.open(&browser, "");
    browser.wait_until("document.querySelectorAll('[data-row]').length === 100");
    browser.click(".more");
    browser.wait_until("document.querySelectorAll('[data-row]').length === 2500");
    service.open(&browser, "#/metrics?filter=many");
    browser.wait_until(
        "document.querySelector('.legend').lastChild?.textContent.includes('more series')",
    );
    let tick = browser.run("return document.getElementById('status').dataset.tick");
    browser.wait_until(&format!(
        "Number(document.getElementById('status').dataset.tick) > {tick} + 3000",
        tick = tick.as_str().unwrap()
    ));
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn page_says_that_there_are_too_many_viewers_and_continues_when_one_leaves() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::with(|page| page.max_viewers(50)).await;
    let mut viewers = Vec::new();
    for _ in 0..50 {
        let mut client = service.server.connect(Protocol::Http1).await;
        let response = client.send("GET", "/live/data").await.unwrap();
        assert_eq!(response.status(), 200);
        viewers.push((client, response));
    }
    let browser = Browser::start();
    browser.open(&service.page());
    browser.wait_until(
        "document.getElementById('status')?.textContent.includes('has 50 viewers, its maximum')",
    );
    viewers.pop();
    browser.wait_until(IS_LIVE);
}

#[tokio::test(flavor = "multi_thread")]
async fn page_continues_after_the_service_restarts() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::start().await;
    for _ in 0..20 {
        service.visit().await;
    }
    let browser = Browser::start();
    service.open(&browser, "");
    browser.wait_until("document.querySelectorAll('[data-row]').length === 5");
    let address = service.server.address;
    drop(service);
    browser.wait_until("document.getElementById('status').dataset.state === 'lost'");
    browser
        .wait_until("document.getElementById('status').textContent.startsWith('Reconnecting: ')");

    // Another process on the same address, with new counters.
    let metrics = Registry::builder()
        .constant_label("service", "shop")
        .build()
        .unwrap();
    let page = tower_prometheus_live::page(&metrics);
    let service = Service {
        server: serve_on(address, app(&metrics, page)).await,
        metrics,
    };
    browser.wait_until(IS_LIVE);
    service.visit().await;
    let total = "document.querySelector('[data-row=\"GET /slow\"] td:nth-of-type(7)').textContent";
    browser.wait_until(&format!("{total} === '1'"));
    // No rate is computed from the counters of both processes.
    let rates = browser.run("return [...document.querySelectorAll('.headline span')].map((headline) => headline.textContent)");
    assert!(!rates.to_string().contains('-'), "{rates}");
}

/// Serves on an address that was used before.
async fn serve_on(address: std::net::SocketAddr, app: Router) -> Server {
    let listener = loop {
        // The old listener closes when its task has ended.
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    Server::start_on(listener, app)
}

#[tokio::test(flavor = "multi_thread")]
async fn page_works_on_a_slow_network() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::start().await;
    service.visit().await;
    let browser = Browser::start();
    browser.devtools("Network.enable", &json!({}));
    let slow = json!({"offline": false, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 20_000});
    browser.devtools("Network.emulateNetworkConditions", &slow);
    service.open(&browser, "");
    browser.wait_until("document.querySelectorAll('[data-row]').length === 5");
    service.visit().await;
    let total = "document.querySelector('[data-row=\"GET /slow\"] td:nth-of-type(7)').textContent";
    browser.wait_until(&format!("{total} === '2'"));
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn page_shows_a_gap_after_a_sleep_of_an_hour() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::start().await;
    let browser = Browser::start();
    service.open(&browser, "");
    // The store gets the lines that a page gets that was suspended for an hour: the stream starts again with the samples of
    // the last ten minutes.
    let result = browser.run_async(
        "const { Store } = await import(new URL('store.js', document.baseURI).href);
         const { rate } = await import(new URL('query.js', document.baseURI).href);
         const store = new Store();
         const start = (time, value) => {
             store.line({ hello: 'a', max_series: 10 });
             store.line({ families: [[1, 'hits_total', 'counter', '', '', []]] });
             store.line({ series: [[1, 1, ['page', '/'], 1]] });
             store.line({ values: [1, value] });
             return store.line({ tick: time, hidden: 0, gone: [] });
         };
         const next = (time, value) => {
             store.line({ values: [1, value] });
             return store.line({ tick: time, hidden: 0, gone: [] });
         };
         const hour = 3600_000;
         start(1000, 5); next(2000, 6); next(3000, 7);
         const isNew = [start(2000, 6), next(3000, 7), next(4000, 9)];
         start(hour, 3600); next(hour + 10_000, 3610); next(hour + 11_000, 3612);
         const series = store.families.get('hits_total').series;
         const frame = store.frame(0, 2 * hour);
         return { isNew, count: series.length, times: store.times, rates: rate(series, frame).map((x) => Number.isNaN(x) ? 'gap' : x) };",
    );
    assert_eq!(
        result,
        json!({
            "isNew": [false, false, true],
            "count": 1,
            "times": [1000, 2000, 3000, 4000, 3_600_000, 3_610_000, 3_611_000],
            "rates": ["gap", 1, 1, 4.0 / 3.0, "gap", 1, 12.0 / 11.0],
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn page_asks_for_the_token_and_says_if_it_is_wrong() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::with(|page| page.token("s3cret")).await;
    let browser = Browser::start();
    browser.open(&service.page());
    browser.wait_until("document.getElementById('token-dialog').open");
    browser.keys("wrong\u{e007}");
    browser.wait_until(
        "document.getElementById('token-error').textContent.includes('does not accept')",
    );
    // `fetch` refuses characters beyond Latin-1 in a header.
    for token in ["s3cret€", "s3cret"] {
        browser.run("document.getElementById('token-input').value = ''; document.getElementById('token-error').textContent = ''");
        browser.click("#token-input");
        browser.keys(&format!("{token}\u{e007}"));
        if token != "s3cret" {
            browser.wait_until(
                "document.getElementById('token-error').textContent.includes('does not accept')",
            );
        }
    }
    browser.wait_until(IS_LIVE);
    // It is kept for the tab, not in cookies or for other tabs.
    browser.open(&service.page());
    browser.wait_until(IS_LIVE);
    assert_eq!(
        browser.run("return [document.cookie, localStorage.length]"),
        json!(["", 0])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn page_shows_why_a_request_is_refused() {
    skip_without!(Chromium, Chromedriver);
    // As if a proxy allowed the page, but not its data.
    let refuses = Arc::new(AtomicBool::new(true));
    let is_refused = Arc::clone(&refuses);
    let guard = from_fn(move |request: Request, next: Next| {
        let refuse = is_refused.load(Ordering::Relaxed) && request.uri().path().ends_with("/data");
        async move {
            match refuse {
                true => (StatusCode::FORBIDDEN, "ask the operators").into_response(),
                false => next.run(request).await,
            }
        }
    });
    let metrics = Registry::new();
    let page = LivePage::builder(&metrics).build().unwrap();
    let server = Server::start(app(&metrics, page).layer(guard)).await;
    let browser = Browser::start();
    browser.open(&server.url("/live"));
    browser.wait_until("document.getElementById('status')?.textContent === 'ask the operators'");
    refuses.store(false, Ordering::Relaxed);
    browser.wait_until(IS_LIVE);
}

#[tokio::test(flavor = "multi_thread")]
async fn ratios_above_one_are_drawn() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::start().await;
    let browser = Browser::start();
    service.open(&browser, "");
    let pixels = browser.run_async(
        "const { drawLines } = await import(new URL('plot.js', document.baseURI).href);
         const canvas = document.createElement('canvas');
         canvas.style = 'width: 300px; height: 200px';
         document.body.append(canvas);
         const pixels = (values, color) => {
             const lines = [{ name: 'load', color, values }];
             drawLines(canvas, { span: { from: 0, to: 20_000 }, times: [0, 10_000, 20_000], lines, unit: 'ratio', cursor: null });
             return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.join();
         };
         return [[1.5, 1.6, 1.5], [3, 3, 3], [1, 1, 1]].map((values) => pixels(values, '--error') !== pixels(values, '--line-0'));",
    );
    assert_eq!(pixels, json!([true, true, true]));
}

#[tokio::test(flavor = "multi_thread")]
async fn page_continues_if_the_clock_of_the_restarted_service_is_behind() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::start().await;
    let browser = Browser::start();
    service.open(&browser, "");
    let result = browser.run_async(
        "const { Store } = await import(new URL('store.js', document.baseURI).href);
         const start = (store, instance, time) => {
             store.line({ hello: instance, time, max_series: 10 });
             store.line({ families: [[1, 'hits_total', 'counter', '', '', []]] });
             store.line({ series: [[1, 1, ['page', instance], 1]] });
             store.line({ values: [1, 5] });
             return store.line({ tick: time, hidden: 0, gone: [] });
         };
         const pages = (store) => store.families.get('hits_total').series.map((series) => series.label('page'));
         const restarted = (time) => {
             const store = new Store();
             start(store, 'a', 60_000);
             const isNew = start(store, 'b', time);
             return [isNew, store.times, pages(store)];
         };
         return [restarted(40_000), restarted(70_000)];",
    );
    assert_eq!(
        result,
        json!([
            [true, [40_000], ["b"]],
            [true, [60_000, 70_000], ["a", "b"]],
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn zoom_in_the_address_is_ignored_if_it_is_too_long_or_not_a_time() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::start().await;
    let browser = Browser::start();
    for times in ["from=0&to=9e15", "from=9e20&to=900000000000000500000"] {
        service.open(&browser, &format!("#/?{times}"));
    }
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_that_the_page_cannot_read_are_not_called_a_lost_connection() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::start().await;
    let browser = Browser::start();
    service.open(&browser, "");
    let result = browser.run_async(
        "const { Stream } = await import(new URL('stream.js', document.baseURI).href);
         return await new Promise((resolve) => {
             new Stream({
                 onLine: () => { throw new TypeError('a mistake of the page'); },
                 onState: (...state) => resolve(state),
                 askToken: () => {},
             }).run();
         });",
    );
    assert_eq!(
        result,
        json!(["lost", "cannot read the samples; reload the page"])
    );
}
