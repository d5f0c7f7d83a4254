//! Programs that tests start: their addresses, their cleanup, and tests that are skipped because one is missing.

#![cfg(target_os = "linux")]

use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use test_support::child_test::ignored_test;
use test_support::listening::{ListeningProgram, ReservedAddress, is_listening};
use test_support::process::curl;
use test_support::pushgateway::Pushgateway;
use test_support::redis::RedisServer;
use test_support::skip_without;
use test_support::store::{Kind, Store};

/// Runs a function that must panic, and returns the message of the panic.
fn panic_message(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("the function must panic");
    *panic
        .downcast::<String>()
        .expect("the message must be formatted")
}

#[test]
fn is_listening_is_true_only_for_the_process_that_owns_the_socket() {
    let address = ReservedAddress::new();
    let (own, parent) = (std::process::id(), std::os::unix::process::parent_id());
    assert!(
        !is_listening(own, address.get()),
        "a reserved address is not listening"
    );
    let listener = TcpListener::bind(address.get()).unwrap();
    assert!(is_listening(own, address.get()));
    assert!(!is_listening(parent, address.get()));
    drop(listener);
    assert!(!is_listening(own, address.get()));
}

#[test]
fn store_fails_to_start_if_another_process_listens_on_its_address() {
    skip_without!(Prometheus, VictoriaMetrics);
    for kind in [Kind::Prometheus, Kind::VictoriaMetrics] {
        let mut store = Store::new(kind);
        store.start_with_config("scrape_configs: []");
        store.kill();
        let address = store.url.trim_start_matches("http://").to_owned();
        let _other_listener = TcpListener::bind(&address).unwrap();
        let message = panic_message(|| store.restart());
        assert!(
            message.contains(&format!("does not listen on {address}")),
            "{message}"
        );
        assert!(message.contains("address already in use"), "{message}");
    }
}

#[test]
fn pushgateways_do_not_share_groups() {
    skip_without!(Curl, Pushgateway);
    let push = |gateway: &Pushgateway| {
        let url = format!("{}/metrics/job/nightly", gateway.url());
        curl(&["--data-binary", "pushed 1\n", &url]);
    };
    let first = Pushgateway::start();
    push(&first);
    let pushed = ["pushed{instance=\"\",job=\"nightly\"} 1"];
    assert_eq!(first.group_contents(), pushed);
    let second = Pushgateway::start();
    assert!(second.group_contents().is_empty());
    drop(first);
    assert!(Pushgateway::start().group_contents().is_empty());
}

#[test]
fn panicking_test_leaves_no_process_and_no_directory() {
    skip_without!(Prometheus, Redis);
    let (mut processes, mut directories) = (Vec::new(), Vec::new());
    let message = panic_message(|| {
        let redis = RedisServer::start();
        let mut prometheus = ListeningProgram::new();
        let config = prometheus.directory.write("empty.yml", "");
        let arguments = [
            format!("--config.file={}", config.display()),
            format!(
                "--storage.tsdb.path={}",
                config.with_file_name("data").display()
            ),
            format!("--web.listen-address={}", prometheus.address.get()),
        ];
        prometheus.start(Command::new("prometheus").args(arguments));
        let socket = redis.url();
        let socket = Path::new(socket.trim_start_matches("redis+unix://"));
        directories.extend([
            socket.parent().unwrap().to_owned(),
            prometheus.directory.0.clone(),
        ]);
        // Only the children of this thread, because other tests of this process start programs as well.
        let children = std::fs::read_to_string("/proc/thread-self/children").unwrap();
        processes.extend(
            children
                .split_whitespace()
                .map(|id| PathBuf::from("/proc").join(id)),
        );
        assert!(
            processes
                .iter()
                .chain(&directories)
                .all(|path| path.exists())
        );
        panic!("{}", "the test fails");
    });
    assert_eq!(message, "the test fails");
    assert_eq!((processes.len(), directories.len()), (2, 2));
    for path in processes.iter().chain(&directories) {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[test]
#[ignore = "started by missing_tool_skips_the_test_or_fails_it_if_tools_are_required"]
fn test_that_needs_curl() {
    skip_without!(Curl);
    println!("curl is installed");
}

#[test]
fn missing_tool_skips_the_test_or_fails_it_if_tools_are_required() {
    let run = |path: &str, test_tools: &str| -> Output {
        let mut test = ignored_test("test_that_needs_curl");
        test.env("PATH", path).env("TEST_TOOLS", test_tools);
        test.output().unwrap()
    };
    let missing = "curl is not installed: Debian package curl, which tests/run installs";

    let skipped = run("/nowhere", "");
    assert!(skipped.status.success(), "{skipped:?}");
    let note = String::from_utf8_lossy(&skipped.stderr);
    assert!(note.contains("test_that_needs_curl is skipped"), "{note}");
    assert!(note.contains(missing), "{note}");
    assert!(!String::from_utf8_lossy(&skipped.stdout).contains("curl is installed"));

    let failed = run("/nowhere", "required");
    assert!(!failed.status.success(), "{failed:?}");
    assert!(
        String::from_utf8_lossy(&failed.stderr).contains(missing),
        "{failed:?}"
    );

    // A misspelled `TEST_TOOLS` fails too, so that it cannot skip tests unnoticed.
    let misspelled = run("/nowhere", "require");
    assert!(!misspelled.status.success(), "{misspelled:?}");

    skip_without!(Curl);
    let ran = run(&std::env::var("PATH").unwrap(), "required");
    assert!(
        String::from_utf8_lossy(&ran.stdout).contains("curl is installed"),
        "{ran:?}"
    );
}
