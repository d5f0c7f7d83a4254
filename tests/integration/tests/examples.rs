//! The examples of the root package that start a server answer `curl` as their documentation shows. Build them
//! with `cargo build --examples --all-features`; `tests/run` builds them with the tests.

use test_support::page::{assert_valid_text, samples};
use test_support::process::{RunningProgram, curl, example};

#[test]
fn hyper_example_counts_requests_by_route_template() {
    let mut hyper = RunningProgram::start(&mut example("hyper"));
    let url = hyper.read_line_after("listening on ");
    let users = curl(&[&format!("{url}/users/[1-3]"), &format!("{url}/nowhere")]);
    assert_eq!(users, "user 1\nuser 2\nuser 3\nno such page\n");
    // HTTP/2 works as well, and a scrape does not change the page.
    let http2 = "--http2-prior-knowledge";
    assert_eq!(curl(&[http2, &format!("{url}/users/4")]), "user 4\n");
    let metrics = format!("{url}/metrics");
    let page = curl(&[&metrics]);
    assert_valid_text(&page);
    assert_eq!(curl(&[http2, "--compressed", &metrics]), page);
    let samples = samples(&page);
    for (endpoint, status, count) in [("/users/{id}", "200", 4.0), ("unmatched", "404", 1.0)] {
        let labels = format!("endpoint=\"{endpoint}\",method=\"GET\"");
        let requests = format!("http_requests_total{{{labels},status=\"{status}\"}}");
        assert_eq!(samples[&requests], count, "{page}");
        let durations = format!("http_request_duration_seconds_count{{{labels}}}");
        assert_eq!(samples[&durations], count, "{page}");
        let in_progress = format!("http_requests_in_progress{{{labels}}}");
        assert_eq!(samples.get(&in_progress).copied().unwrap_or(0.0), 0.0);
    }
}

/// `curl` receives the page and the health response that the documentation of the example shows.
#[test]
fn server_example_serves_its_documented_page_while_its_cache_hangs() {
    let mut server = RunningProgram::start(
        example("server")
            .env("METRICS_PORT", "127.0.0.1:0")
            .stderr(std::process::Stdio::null()),
    );
    let url = server.read_line_after("curl -s ");
    let timeout = "X-Prometheus-Scrape-Timeout-Seconds: 2";
    let page = curl(&["-H", timeout, &url]);
    assert_valid_text(&page);
    let shown = page.lines();
    let shown = shown.filter(|line| !line.starts_with('#') && !line.contains("duration"));
    let source = include_str!("../../../examples/server.rs").lines();
    let lines = source.filter_map(|line| line.strip_prefix("//! "));
    let lines = lines.skip_while(|line| !line.starts_with("$ curl")).skip(1);
    let documented: Vec<_> = lines.take_while(|line| !line.starts_with('$')).collect();
    assert_eq!(shown.collect::<Vec<_>>(), documented, "{page}");
    let health = url.replace("/metrics", "/health");
    assert_eq!(curl(&[&health]), "ok\n");
}
