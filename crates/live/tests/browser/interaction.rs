//! What people do on the page, with mouse, keyboard, address, and on a phone.

use serde_json::{Value, json};
use test_support::browser::{Browser, Theme};
use test_support::skip_without;
use tower_prometheus::Registry;

use crate::service::Service;

const ESCAPE: &str = "\u{e00c}";
const LEFT: &str = "\u{e012}";
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

const ROWS: &str =
    "[...document.querySelectorAll('[data-row]')].map((row) => row.dataset.row).join()";

/// A service with requests, and a browser that shows it.
async fn shown(fragment: &str) -> (Service, Browser) {
    let service = Service::start().await;
    service.visit().await;
    let browser = Browser::start();
    service.open(&browser, fragment);
    (service, browser)
}

#[tokio::test(flavor = "multi_thread")]
async fn table_sorts_by_each_column_in_both_directions() {
    skip_without!(Chromium, Chromedriver);
    let (service, browser) = shown("").await;
    browser.wait_until("document.querySelectorAll('[data-row]').length === 5");
    browser.click("th.name button");
    browser.wait_until(&format!(
        "{ROWS} === 'GET /fail,GET /slow,GET /users/{{id}},GET unmatched,POST /orders'"
    ));
    browser.click("th.name button");
    browser.wait_until(&format!(
        "{ROWS} === 'POST /orders,GET unmatched,GET /users/{{id}},GET /slow,GET /fail'"
    ));
    browser.wait_until("document.querySelector('th.name').ariaSort === 'descending'");
    browser.click("th:nth-of-type(8) button");
    browser.wait_until(&format!("{ROWS}.startsWith('GET /users/{{id}}')"));
    browser.wait_until("location.hash.includes('sort=-total')");
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn filter_selects_rows_and_is_kept_in_the_address() {
    skip_without!(Chromium, Chromedriver);
    let (service, browser) = shown("").await;
    browser.wait_until("document.querySelectorAll('[data-row]').length === 5");
    browser.keys("/");
    browser.keys("post");
    browser.wait_until(&format!("{ROWS} === 'POST /orders'"));
    browser.wait_until("location.hash.includes('filter=post')");
    service.open(&browser, "#/?filter=slow");
    browser.wait_until(&format!("{ROWS} === 'GET /slow'"));
    browser.keys("/");
    browser.keys("zzz");
    browser.wait_until(
        "document.querySelector('.no-rows').textContent === 'Nothing matches the filter.'",
    );
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn address_keeps_endpoint_range_and_zoom() {
    skip_without!(Chromium, Chromedriver);
    let (service, browser) = shown("").await;
    browser.wait_until("document.querySelectorAll('[data-row]').length === 5");
    browser.keys("3");
    browser.wait_until("location.hash.includes('range=300')");
    browser.click("[data-row='GET /slow'] a");
    browser.wait_until("document.querySelector('[data-card=Requests] canvas')");
    let address = browser.run("return location.hash");
    assert_eq!(address, "#/endpoint?layer=http&row=GET+%2Fslow&range=300");
    service.open(&browser, address.as_str().unwrap());
    browser.wait_until("document.querySelector('.page-title h2').textContent === 'GET /slow'");
    browser.wait_until("document.querySelector('#ranges [aria-pressed=true]').value === '300'");
    browser.run("history.back()");
    browser.assert_clean(&service.server.url("/"));

    let now = browser.run("return Date.now()").as_u64().unwrap();
    let fragment = format!("#/?from={}&to={}", now - 20_000, now - 10_000);
    browser.open("about:blank");
    browser.open(&format!("{}{fragment}", service.page()));
    browser.wait_until("document.getElementById('status')?.dataset.state === 'paused'");
    browser.keys(ESCAPE);
    browser.wait_until("document.getElementById('status').dataset.state === 'live'");
    assert_eq!(browser.run("return location.hash"), "#/");
}

#[tokio::test(flavor = "multi_thread")]
async fn dragging_zooms_and_pause_keeps_the_shown_numbers() {
    skip_without!(Chromium, Chromedriver);
    let (service, browser) = shown("").await;
    browser.wait_until("document.querySelectorAll('[data-row]').length === 5");
    let canvas = "[data-card=Requests] canvas";
    browser.mouse(canvas, &[(0.4, 0.5), (0.6, 0.5), (0.9, 0.5)], true);
    browser.wait_until("location.hash.includes('from=')");
    browser.wait_until("document.getElementById('pause').textContent === 'Continue'");
    browser.click("#pause");
    browser.wait_until("document.getElementById('status').dataset.state === 'live'");
    browser.wait_until("!location.hash.includes('from=')");

    browser.keys(" ");
    browser.wait_until("document.getElementById('status').dataset.state === 'paused'");
    let total = "document.querySelector('[data-row=\"GET /slow\"] td:nth-of-type(7)').textContent";
    let tick = "document.getElementById('status').dataset.tick";
    let before = browser.run(&format!("return [{total}, {tick}]"));
    service.visit().await;
    // The page receives further samples.
    browser.run_async("await new Promise((resolve) => setTimeout(resolve, 2500)); return true");
    assert_eq!(browser.run(&format!("return [{total}, {tick}]")), before);
    browser.keys(" ");
    browser.wait_until(&format!("{total} === '2'"));
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_cursor_moves_in_all_charts_with_values_in_the_legends() {
    skip_without!(Chromium, Chromedriver);
    let (service, browser) = shown("").await;
    browser.wait_until("document.querySelectorAll('[data-row]').length === 5");
    service.visit().await;
    let tick = "Number(document.getElementById('status').dataset.tick)";
    let start = browser.run(&format!("return {tick}")).as_f64().unwrap();
    browser.wait_until(&format!("{tick} > {start} + 2000"));
    browser.keys(" ");
    browser.wait_until("document.getElementById('status').dataset.state === 'paused'");
    let pixels = "[...document.querySelectorAll('.plot')].map((canvas) => canvas.toDataURL())";
    let drawn = browser.run(&format!("return {pixels}"));
    browser.mouse("[data-card=Requests] canvas", &[(0.5, 0.5)], false);
    browser.run_async("await new Promise((resolve) => setTimeout(resolve, 100)); return true");
    let with_cursor = browser.run(&format!("return {pixels}"));
    let (drawn, with_cursor) = (drawn.as_array().unwrap(), with_cursor.as_array().unwrap());
    assert_eq!(drawn.len(), 4);
    for (before, after) in drawn.iter().zip(with_cursor) {
        assert_ne!(before, after, "a chart has no cursor");
    }
    // Long before the first request, there were none.
    browser.mouse("[data-card='In progress'] canvas", &[(0.2, 0.5)], false);
    browser.wait_until(
        "document.querySelector('[data-card=Requests] .headline span').textContent === '–'",
    );
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_works_by_keyboard() {
    skip_without!(Chromium, Chromedriver);
    let (service, browser) = shown("").await;
    browser.wait_until("document.querySelectorAll('[data-row]').length === 5");
    // All controls are reached with the tab key, and the focus is visible.
    let mut reached = Vec::new();
    for _ in 0..60 {
        browser.keys(TAB);
        let focus = "const it = document.activeElement; \
            const outline = getComputedStyle(it).outlineStyle !== 'none'; \
            return [it.tagName, it.id || it.ariaLabel || it.textContent, outline]";
        let focus = browser.run(focus);
        if focus[0] == json!("BODY") {
            break;
        }
        assert_eq!(focus[2], json!(true), "{focus}");
        reached.push(focus[1].as_str().unwrap().to_owned());
    }
    for control in [
        "to-metrics",
        "1 min",
        "pause",
        "theme",
        "help",
        "Export Requests",
        "Total",
        "GET /slow",
    ] {
        assert!(
            reached.iter().any(|each| each == control),
            "{control}: {reached:?}"
        );
    }
    browser.run("document.querySelector('[data-card=Requests] canvas').focus()");
    browser.keys(LEFT);
    browser.keys("+");
    browser.wait_until("location.hash.includes('from=')");
    browser.keys(ESCAPE);
    browser.wait_until("!location.hash.includes('from=')");
    browser.keys("?");
    browser.wait_until("document.getElementById('help-dialog').open");
    browser.keys(ESCAPE);
    browser.wait_until("!document.getElementById('help-dialog').open");
    browser.run("document.querySelector('[data-row=\"GET /slow\"] a').focus()");
    browser.keys(ENTER);
    browser.wait_until("location.hash.startsWith('#/endpoint')");
    browser.keys(ESCAPE);
    browser.wait_until("document.querySelectorAll('[data-row]').length === 5");
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn legend_entries_hide_and_show_their_lines_by_mouse_and_keyboard() {
    skip_without!(Chromium, Chromedriver);
    let (service, browser) = shown("").await;
    let entry = "[data-card=Latency] .legend li:nth-child(3) button";
    browser.wait_until(&format!(
        "/\\d/.test(document.querySelector('{entry}')?.textContent)"
    ));
    browser.keys(" ");
    browser.wait_until("document.getElementById('status').dataset.state === 'paused'");
    let chart = || {
        let canvas = "document.querySelector('[data-card=Latency] canvas').toDataURL()";
        let pressed = "[...document.querySelectorAll('[data-card=Latency] .legend button')].map((entry) => entry.ariaPressed)";
        let state = browser.run(&format!("return [{canvas}, {pressed}]"));
        (state[0].clone(), state[1].clone())
    };
    let (all, pressed) = chart();
    assert_eq!(pressed, json!(["true", "true", "true"]));
    browser.click(entry);
    let (without, pressed) = chart();
    assert_ne!(without, all);
    assert_eq!(pressed, json!(["true", "true", "false"]));
    // The button has the focus: the space key shows the line again and does not end the pause.
    browser.keys(" ");
    assert_eq!(chart(), (all.clone(), json!(["true", "true", "true"])));
    browser.keys(ENTER);
    assert_eq!(chart().0, without);
    assert_eq!(
        browser.run("return document.getElementById('status').dataset.state"),
        "paused"
    );
    // It stays hidden when samples come.
    browser.click("#pause");
    browser.wait_until("document.getElementById('status').dataset.state === 'live'");
    assert_eq!(chart().1, json!(["true", "true", "false"]));
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_lines_are_not_in_the_exported_csv() {
    skip_without!(Chromium, Chromedriver);
    let (service, browser) = shown("").await;
    let entries = "[...document.querySelectorAll('[data-card=Requests] .legend .name')].map((name) => name.textContent).join()";
    browser.wait_until(&format!("{entries} === '200,201,404,503'"));
    browser.click("[data-card=Requests] .legend li:nth-child(2) button");
    browser.run("const create = URL.createObjectURL; URL.createObjectURL = (blob) => { window.saved = blob; return create(blob); }");
    browser.run("document.querySelectorAll('[data-card=Requests] .menu-items button')[1].click()");
    browser.wait_until("window.saved");
    let csv = browser.run_async("return await window.saved.text()");
    assert!(
        csv.as_str().unwrap().starts_with("time,200,404,503\r\n"),
        "{csv}"
    );
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_row_of_the_table_opens_its_endpoint() {
    skip_without!(Chromium, Chromedriver);
    let (service, browser) = shown("").await;
    browser.wait_until("document.querySelectorAll('[data-row]').length === 5");
    browser.mouse(
        "[data-row='GET /slow'] td:nth-of-type(4)",
        &[(0.5, 0.5)],
        true,
    );
    browser.wait_until("document.querySelector('.page-title h2')?.textContent === 'GET /slow'");
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn overview_shows_the_process_and_metrics_have_links_to_their_groups() {
    skip_without!(Chromium, Chromedriver);
    let (service, browser) = shown("").await;
    // Without the collector of the process, its values are hidden.
    assert_eq!(
        browser.run("return document.querySelector('.process').hidden"),
        json!(true)
    );
    let process = tower_prometheus::collectors::ProcessCollector::new().unwrap();
    service.metrics.collector("process", process).unwrap();
    let build = tower_prometheus::collectors::InfoCollector::build("1.2.3");
    service.metrics.collector("build", build).unwrap();
    let facts = "[...document.querySelectorAll('.process div:not([hidden])')].map((fact) => fact.textContent).join()";
    browser.wait_until(&format!(
        "/^Version1.2.3,Up[\\d.]+ (m?s|min),CPU[\\d.]+ %,Memory[\\d.]+ MiB,Open files\\d+,Threads\\d+$/.test({facts})"
    ));
    browser.click("#to-metrics");
    let links = "[...document.querySelectorAll('.group-links button')].map((link) => link.textContent).join()";
    browser.wait_until(&format!("{links} === 'build,http,process,scrape'"));
    browser.click(".group-links button:nth-child(3)");
    let top = "document.querySelector('section[aria-label=process]').getBoundingClientRect().top";
    browser.wait_until(&format!("{top} >= 0 && {top} < 300"));
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_are_exported_as_csv_png_and_promql() {
    skip_without!(Chromium, Chromedriver);
    let (service, browser) = shown("").await;
    browser.wait_until("document.querySelectorAll('[data-row]').length === 5");
    // Keeps what the page offers for download, and what it copies.
    browser.run(
        "window.saved = []; const create = URL.createObjectURL; \
         URL.createObjectURL = (blob) => { window.saved.push(blob); return create(blob); }; \
         navigator.clipboard.writeText = async (text) => { window.copied = text; }",
    );
    let choose = |item: &str| {
        browser.click("[data-card=Requests] summary");
        browser.run(&format!(
            "[...document.querySelectorAll('[data-card=Requests] .menu-items button')]\
             .find((button) => button.textContent === {item:?}).click()"
        ));
    };
    choose("Save as CSV");
    browser.wait_until("window.saved.length === 1");
    let csv = browser.run_async("return await window.saved[0].text()");
    let csv = csv.as_str().unwrap();
    assert!(csv.starts_with("time,200,201,404,503\r\n20"), "{csv}");
    choose("Save as PNG");
    browser.wait_until("window.saved.length === 2");
    let png = browser.run_async("const blob = window.saved[1]; return [blob.type, (await createImageBitmap(blob)).width > 100]");
    assert_eq!(png, json!(["image/png", true]));
    choose("Copy PromQL");
    browser.wait_until("window.copied");
    let query = browser.run("return window.copied");
    assert_eq!(query, "sum by (status) (rate(http_requests_total[1m]))");
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn spreadsheets_run_no_label_value_as_a_formula() {
    skip_without!(Chromium, Chromedriver);
    let (_service, browser) = shown("").await;
    let csv = browser.run_async(
        "const { chartToCsv } = await import(new URL('export.js', document.baseURI).href); \
         return chartToCsv({ times: [1000], span: { from: 0, to: 2000 }, bounds: [], \
             lines: [{ name: '=1+1', values: [5] }, { name: 'a,\"b\"', values: [NaN] }, { name: '-2', values: [-2] }] })",
    );
    let expected = "time,'=1+1,\"a,\"\"b\"\"\",-2\r\n1970-01-01T00:00:01.000Z,5,,-2\r\n";
    assert_eq!(csv, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn page_fits_a_narrow_screen() {
    skip_without!(Chromium, Chromedriver);
    let (service, browser) = shown("").await;
    browser.resize(360, 740);
    for (fragment, element) in [
        ("#/", "[data-row]"),
        ("#/metrics", ".card canvas"),
        ("#/endpoint?layer=http&row=GET+%2Fslow", ".card canvas"),
    ] {
        service.open(&browser, fragment);
        browser.wait_until(&format!("document.querySelector({element:?})"));
        let width = browser.run("return document.scrollingElement.scrollWidth");
        assert_eq!(width, 360, "{fragment}");
    }
}

/// The contrast of colours, as WCAG defines it: of texts to the background behind them, and of lines to cards.
const CONTRASTS: &str = "
    const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgb = (color) => {
        context.clearRect(0, 0, 1, 1); context.fillStyle = color; context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data];
    };
    const luminance = (color) => {
        const [r, g, b] = rgb(color).map((x) => x / 255).map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a, b) => {
        const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
        return (light + 0.05) / (dark + 0.05);
    };
    const background = (element) => {
        for (let it = element; it; it = it.parentElement) {
            const color = getComputedStyle(it).backgroundColor;
            if (rgb(color)[3] === 255) return color;
        }
        return 'white';
    };
    const low = [];
    for (const element of document.querySelectorAll('body *')) {
        const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!hasText || !element.checkVisibility()) continue;
        const ratio = contrast(getComputedStyle(element).color, background(element));
        if (ratio < 4.5) low.push([element.textContent, ratio]);
    }
    const style = getComputedStyle(document.documentElement);
    for (const name of [...Array(8).keys()].map((n) => `--line-${n}`).concat('--error', '--quantile-1', '--quantile-2')) {
        const ratio = contrast(style.getPropertyValue(name), style.getPropertyValue('--card'));
        if (ratio < 3) low.push([name, ratio]);
    }
    return low;";

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_lines_have_enough_contrast_in_both_themes() {
    skip_without!(Chromium, Chromedriver);
    for theme in [Theme::Light, Theme::Dark] {
        let service = Service::start().await;
        service.visit().await;
        let browser = Browser::with_theme(theme);
        service.open(&browser, "");
        browser.wait_until("document.querySelectorAll('[data-row]').length === 5");
        let low = browser.run(CONTRASTS);
        assert_eq!(low, json!([]), "{theme:?}");
        // The button overrides what the system prefers.
        let background = "return getComputedStyle(document.body).backgroundColor";
        let before = browser.run(background);
        browser.click("#theme");
        assert_ne!(browser.run(background), before);
        assert_eq!(browser.run(CONTRASTS), json!([]), "the other of {theme:?}");
    }
}

/// Distances of the line colours as people with red or green blindness see them (Machado et al., 2009), in CIE Lab.
const COLOR_DISTANCES: &str = "
    const linear = (x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
    const parse = (hex) => [1, 3, 5].map((i) => linear(parseInt(hex.slice(i, i + 2), 16) / 255));
    const times = (m, v) => m.map((row) => row.reduce((sum, x, i) => sum + x * v[i], 0));
    const lab = (rgb) => {
        const [x, y, z] = times([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], rgb)
            .map((value, i) => value / [0.9505, 1, 1.089][i]).map((t) => t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
        return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
    };
    const blindness = [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    ];
    const style = getComputedStyle(document.documentElement);
    const names = ['--line-0', '--line-1', '--line-2', '--line-3', '--error'];
    const close = [];
    for (const matrix of blindness) {
        const seen = names.map((name) => lab(times(matrix, parse(style.getPropertyValue(name).trim()))));
        seen.forEach((a, i) => seen.slice(0, i).forEach((b, j) => {
            const distance = Math.hypot(...a.map((x, k) => x - b[k]));
            if (distance < 18) close.push([names[i], names[j], distance]);
        }));
    }
    return close;";

#[tokio::test(flavor = "multi_thread")]
async fn first_line_colors_differ_for_colour_blind_people() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::start().await;
    for theme in [Theme::Light, Theme::Dark] {
        let browser = Browser::with_theme(theme);
        service.open(&browser, "");
        assert_eq!(browser.run(COLOR_DISTANCES), json!([]), "{theme:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn page_without_requests_says_what_to_do() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::start().await;
    let browser = Browser::start();
    service.open(&browser, "");
    browser.wait_until("document.querySelector('.empty h2').textContent === 'No requests yet'");
    service.visit().await;
    browser.wait_until("document.querySelectorAll('[data-row]').length === 5");
    browser.assert_clean(&service.server.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_metric_has_its_chart_and_can_be_searched() {
    skip_without!(Chromium, Chromedriver);
    let (service, browser) = shown("").await;
    record_all_kinds(&service.metrics);
    service.open(&browser, "#/metrics");
    for (card, element) in [
        ("jobs_total", "canvas"),
        ("queue_length", "canvas"),
        ("wait_seconds", "canvas"),
        ("wait_seconds, distribution", "canvas"),
        ("shop_info", "dl"),
        ("start_time_seconds", "dl"),
    ] {
        browser.wait_until(&format!(
            "document.querySelector('[data-card={card:?}] {element}')"
        ));
    }
    browser.keys("/");
    browser.keys("colour=blue");
    let titles =
        "[...document.querySelectorAll('[data-card]')].map((card) => card.dataset.card).join()";
    browser.wait_until(&format!("{titles} === 'queue_length'"));
    browser.wait_until("document.querySelector('.count').textContent.startsWith('1 of ')");
    browser.assert_clean(&service.server.url("/"));
}

fn record_all_kinds(metrics: &Registry) {
    metrics::with_local_recorder(metrics, || {
        metrics::counter!("jobs_total").increment(1);
        metrics::gauge!("queue_length", "colour" => "blue").set(3.0);
        metrics::gauge!("start_time_seconds").set(1.7e9);
        metrics::histogram!("wait_seconds").record(0.3);
    });
    metrics
        .collector(
            "shop",
            |samples: &mut tower_prometheus::collect::Samples| {
                samples.info("shop_info", "The shop.", &[("version", "1.2")]);
                Ok(())
            },
        )
        .unwrap();
}

/// Returns the text of each notice.
fn notices(browser: &Browser) -> Vec<String> {
    let texts = browser.run(
        "return [...document.querySelectorAll('.notice')].map((notice) => notice.textContent)",
    );
    let texts = texts.as_array().unwrap().iter();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn overflow_failed_collectors_and_hidden_series_are_at_the_top() {
    skip_without!(Chromium, Chromedriver);
    let service = Service::with(|page| page.max_series(20)).await;
    let failing = |_: &mut tower_prometheus::collect::Samples| Err("no database".into());
    service.metrics.collector("pool", failing).unwrap();
    metrics::with_local_recorder(&service.metrics, || {
        metrics::counter!("metrics_label_overflow_total", "family" => "http_requests_total", "label" => "tenant").increment(7);
        for i in 0..30 {
            metrics::gauge!("large", "i" => i.to_string()).set(1.0);
        }
    });
    let browser = Browser::start();
    service.open(&browser, "");
    browser.wait_until("document.querySelectorAll('.notice').length === 3");
    let notices = notices(&browser);
    assert!(
        notices[0].contains("http_requests_total: label \"tenant\" reached its limit. 7 times"),
        "{notices:?}"
    );
    assert!(
        notices[1].contains("Collector \"pool\" failed"),
        "{notices:?}"
    );
    assert!(
        notices[2].contains("series are not shown: the page shows at most 20"),
        "{notices:?}"
    );
}
