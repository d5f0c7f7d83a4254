//! The page of the example.

use test_support::browser::Browser;
use test_support::process::{RunningProgram, example};
use test_support::skip_without;

#[test]
fn example_shows_all_endpoints_of_the_shop_and_every_metric() {
    skip_without!(Chromium, Chromedriver);
    let mut shop = RunningProgram::start(&mut example("live"));
    let page = shop.read_line_after("live page:    ");
    let base = page.trim_end_matches("live");
    let browser = Browser::start();
    browser.open(&page);
    browser.wait_until("document.querySelectorAll('[data-row]').length >= 8");
    // Numbers are there with the first sample after the page was opened: the samples before it are known.
    browser.wait_until(
        "/^[\\d.]+ ?k?\\/s$/.test(document.querySelector('.headline span').textContent)",
    );
    assert_eq!(browser.text("#service"), "shop");
    browser.click("#to-metrics");
    for group in ["build", "http", "process", "tokio", "order", "orders"] {
        browser.wait_until(&format!(
            "document.querySelector('section[aria-label={group}]')"
        ));
    }
    browser.open(&format!("{page}/#/endpoint?layer=http&row=GET+%2Fsearch"));
    for card in [
        "Requests",
        "Latency distribution",
        "Errors",
        "Latency",
        "In progress",
        "http_response_body_size_bytes",
    ] {
        browser.wait_until(&format!(
            "document.querySelector('[data-card={card:?}] canvas')"
        ));
    }
    browser.assert_clean(base);
}
