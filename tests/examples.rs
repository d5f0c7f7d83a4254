//! The examples print what they say they print. `tests/run` installs `curl`.

use test_support::page::{assert_readable, samples};
use test_support::process::{Running, curl, example};
use test_support::skip_without;

/// The part of a text between two lines of it.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text
        .split_once(from)
        .unwrap_or_else(|| panic!("no {from:?}:\n{text}"));
    rest.split_once(to).map_or(rest, |(part, _)| part)
}

#[test]
fn long_lived_connections_are_a_gauge_and_no_latency() {
    let output = example("long_lived")
        .output()
        .expect("it is built with the tests");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let open = samples(between(&text, "while they are open:\n", "\n\n"));
    let closed = samples(between(&text, "after they were closed:\n", "\n\n"));
    for (endpoint, kind, connections) in
        [("/chat", "websocket", 3.0), ("/ticks", "event-stream", 2.0)]
    {
        let gauge = format!("http_connections_open{{endpoint=\"{endpoint}\",kind=\"{kind}\"}}");
        assert_eq!((open[&gauge], closed[&gauge]), (connections, 0.0), "{text}");
        // Timed when they were opened; that they closed changed nothing.
        let sum = "http_request_duration_seconds_sum";
        let sum = format!("{sum}{{endpoint=\"{endpoint}\",method=\"GET\"}}");
        assert_eq!(open[&sum], closed[&sum], "{text}");
    }
}

#[test]
fn plain_hyper_names_its_endpoints() {
    skip_without!(Curl);
    let mut hyper = Running::start(&mut example("hyper"));
    let url = hyper.printed("listening on ");
    let users = curl(&[&format!("{url}/users/[1-3]"), &format!("{url}/nowhere")]);
    assert_eq!(users, "user 1\nuser 2\nuser 3\nno such page\n");
    // Over HTTP/2 as well, and looking changes nothing.
    let prior = "--http2-prior-knowledge";
    assert_eq!(curl(&[prior, &format!("{url}/users/4")]), "user 4\n");
    let metrics = format!("{url}/metrics");
    let page = curl(&[&metrics]);
    assert_readable(&page);
    assert_eq!(curl(&[prior, "--compressed", &metrics]), page);
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

/// Those that print and end print what is documented at their top, to the letter.
#[test]
fn examples_print_what_their_documentation_says() {
    for (name, source) in [
        ("catalogue", include_str!("../examples/catalogue.rs")),
        ("client", include_str!("../examples/client.rs")),
        ("labels", include_str!("../examples/labels.rs")),
        ("namings", include_str!("../examples/namings.rs")),
    ] {
        let output = example(name).output().expect("it is built with the tests");
        assert!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        let documentation = source.lines().map_while(|line| line.strip_prefix("//!"));
        let lines = documentation.map(|line| line.strip_prefix(' ').unwrap_or(line));
        let lines = lines
            .skip_while(|line| !line.starts_with("$ cargo run"))
            .skip(1);
        let documented: Vec<_> = lines.take_while(|line| *line != "```").collect();
        assert_eq!(printed.lines().collect::<Vec<_>>(), documented, "{name}");
    }
}

/// The page and the health that its documentation shows are what `curl` gets.
#[test]
fn server_answers_though_its_cache_hangs() {
    skip_without!(Curl);
    let mut server = Running::start(
        example("server")
            .env("METRICS_PORT", "127.0.0.1:0")
            .stderr(std::process::Stdio::null()),
    );
    let url = server.printed("curl -s ");
    let timeout = "X-Prometheus-Scrape-Timeout-Seconds: 2";
    let page = curl(&["-H", timeout, &url]);
    assert_readable(&page);
    let shown = page.lines();
    let shown = shown.filter(|line| !line.starts_with('#') && !line.contains("duration"));
    let source = include_str!("../examples/server.rs").lines();
    let lines = source.filter_map(|line| line.strip_prefix("//! "));
    let lines = lines.skip_while(|line| !line.starts_with("$ curl")).skip(1);
    let documented: Vec<_> = lines.take_while(|line| !line.starts_with('$')).collect();
    assert_eq!(shown.collect::<Vec<_>>(), documented, "{page}");
    let health = url.replace("/metrics", "/health");
    assert_eq!(curl(&[&health]), "ok\n");
}

/// What its documentation shows of the page is what `curl` gets.
#[test]
fn tonic_counts_its_customer() {
    skip_without!(Curl);
    let mut shop = Running::start(&mut example("tonic"));
    let url = shop.printed("curl -s ");
    let page = curl(&[url.split(' ').next().unwrap()]);
    assert_readable(&page);
    let source = include_str!("../examples/tonic.rs").lines();
    let documented: Vec<_> = source
        .filter_map(|line| line.strip_prefix("//! grpc_server"))
        .collect();
    assert!(documented.len() > 5);
    for line in documented {
        assert!(
            page.contains(&format!("\ngrpc_server{line}\n")),
            "{line}\n{page}"
        );
    }
}
