//! Programs that tests need, and how tests are skipped if one is not installed.
//!
//! `cargo test` needs only Rust. A test that needs another program begins with [`skip_without!`](crate::skip_without). If
//! the program is missing, the test is skipped and prints a note. `tests/run` installs all programs and sets
//! `TEST_TOOLS=required`: then a test with a missing program fails.

use std::collections::BTreeSet;
use std::env::{self, VarError, consts::EXE_SUFFIX};
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// A program that tests start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Prometheus' library for Go, and Go itself.
    ClientGolang,
    /// A browser for tests of web pages, controlled by [`Chromedriver`](Self::Chromedriver).
    Chromium,
    Chromedriver,
    Curl,
    Prometheus,
    Promtool,
    Pushgateway,
    /// Prometheus' Python parser. [`page`](crate::page) checks whether Python has the module.
    PythonParser,
    Redis,
    VictoriaMetrics,
}

impl Tool {
    /// The name of the program.
    pub fn program(self) -> &'static str {
        match self {
            Self::ClientGolang => "go",
            Self::Chromium => "chromium",
            Self::Chromedriver => "chromedriver",
            Self::Curl => "curl",
            Self::Prometheus => "prometheus",
            Self::Promtool => "promtool",
            Self::Pushgateway => "prometheus-pushgateway",
            // Debian's Python, which has Debian's prometheus-client.
            Self::PythonParser => "/usr/bin/python3",
            Self::Redis => "redis-server",
            Self::VictoriaMetrics => "victoria-metrics",
        }
    }

    /// The Debian package that contains the program.
    pub fn package(self) -> &'static str {
        match self {
            Self::ClientGolang => "golang-github-prometheus-client-golang-dev",
            Self::Chromedriver => "chromium-driver",
            Self::Promtool => "prometheus",
            Self::PythonParser => "python3-prometheus-client",
            _ => self.program(),
        }
    }

    /// Whether the program is in `PATH`, and can be used by tests on this system.
    pub fn is_installed(self) -> bool {
        // `listening` reads /proc to see which process listens on a port.
        let needs_linux = matches!(
            self,
            Self::Prometheus | Self::Pushgateway | Self::VictoriaMetrics
        );
        let file = format!("{}{EXE_SUFFIX}", self.program());
        let path = env::var_os("PATH").unwrap_or_default();
        (cfg!(target_os = "linux") || !needs_linux)
            && env::split_paths(&path).any(|directory| directory.join(&file).is_file())
    }
}

/// Returns from the test if one of these tools is not installed, or fails if they are required:
/// `skip_without!(Curl, Prometheus)`.
#[macro_export]
macro_rules! skip_without {
    ($($tool:ident),+) => {
        if !$crate::tools::all_installed(&[$($crate::tools::Tool::$tool),+]) {
            return;
        }
    };
}

/// Whether all these tools are installed. If not, calls [`skip`] for the first missing one.
#[track_caller]
pub fn all_installed(tools: &[Tool]) -> bool {
    let missing = tools.iter().find(|tool| !tool.is_installed());
    if let Some(tool) = missing {
        let test = std::thread::current();
        skip(*tool, test.name().unwrap_or("a test"));
    }
    missing.is_none()
}

/// Prints, once, that something is skipped because a tool is not installed. With `TEST_TOOLS=required`, panics.
#[track_caller]
pub fn skip(tool: Tool, skipped: &str) {
    static PRINTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let missing = format!(
        "{} is not installed: Debian package {}, which tests/run installs",
        match tool {
            Tool::PythonParser => "prometheus_client for /usr/bin/python3",
            _ => tool.program(),
        },
        tool.package()
    );
    assert!(!are_required(), "{missing}");
    let note = format!("{skipped} is skipped: {missing}");
    let mut printed = PRINTED.lock().unwrap_or_else(PoisonError::into_inner);
    if printed.insert(note.clone()) {
        // Not `eprintln!`, which libtest captures and drops if the test passes.
        let _ = writeln!(std::io::stderr(), "{note}");
    }
}

fn are_required() -> bool {
    match env::var("TEST_TOOLS").as_deref() {
        Ok("required") => true,
        Ok("") | Err(VarError::NotPresent) => false,
        other => panic!("TEST_TOOLS must be \"required\" or unset, got {other:?}"),
    }
}
