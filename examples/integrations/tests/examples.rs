//! The examples print the metrics that their documentation shows.

use std::process::Command;

use test_support::page::{assert_valid_text, samples};
use test_support::process::{RunningProgram, curl};
use test_support::skip_without;

/// Returns the command of an example, on a free port.
fn example(path: &str) -> Command {
    let mut example = Command::new(path);
    example.env("PORT", "0").env_remove("SERVE");
    example
}

/// Runs an example to its end and returns what it prints.
#[track_caller]
fn output(path: &str) -> String {
    let output = example(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the part of `text` after `from` and before `to`, or up to the end if `to` is missing.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text
        .split_once(from)
        .unwrap_or_else(|| panic!("no {from:?}:\n{text}"));
    rest.split_once(to).map_or(rest, |(part, _)| part)
}

#[test]
fn long_lived_connections_are_a_gauge_and_not_in_durations() {
    let text = output(env!("CARGO_BIN_EXE_long_lived"));
    let open = samples(between(&text, "connections open:\n", "\n\n"));
    let closed = samples(between(&text, "connections closed:\n", "\n\n"));
    for (endpoint, kind, connections) in
        [("/chat", "websocket", 3.0), ("/ticks", "event-stream", 2.0)]
    {
        let gauge = format!("http_connections_open{{endpoint=\"{endpoint}\",kind=\"{kind}\"}}");
        assert_eq!((open[&gauge], closed[&gauge]), (connections, 0.0), "{text}");
        // The duration ends when the connection opens, so closing it changes nothing.
        let sum = "http_request_duration_seconds_sum";
        let sum = format!("{sum}{{endpoint=\"{endpoint}\",method=\"GET\"}}");
        assert_eq!(open[&sum], closed[&sum], "{text}");
    }
}

#[test]
fn reqwest_prints_the_documented_metrics() {
    let printed = output(env!("CARGO_BIN_EXE_reqwest"));
    let source = include_str!("../src/bin/reqwest.rs").lines();
    let documented: Vec<_> = source
        .filter_map(|line| line.strip_prefix("//! "))
        .filter(|line| line.starts_with("http_client"))
        .collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), documented);
}

/// Every sample in the documentation of `tonic` is on the metrics page.
#[test]
fn tonic_serves_the_documented_metrics() {
    skip_without!(Curl);
    let mut shop = RunningProgram::start(&mut example(env!("CARGO_BIN_EXE_tonic")));
    let url = shop.read_line_after("curl -s ");
    let page = curl(&[url.split(' ').next().unwrap()]);
    assert_valid_text(&page);
    let source = include_str!("../src/bin/tonic.rs").lines();
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
    // Client and server count the same calls. The unknown method has its own labels on the client.
    let samples = samples(&page);
    let calls = |side: &str| {
        let metric = format!("grpc_{side}_handled_total{{");
        let calls = samples.iter().filter(|(name, _)| name.starts_with(&metric));
        calls.map(|(_, value)| value).sum::<f64>()
    };
    assert_eq!((calls("client"), calls("server")), (6.0, 6.0), "{page}");
}
