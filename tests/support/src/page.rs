//! Reading pages with a parser that is not ours.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_prometheus::Registry;

use super::tools::{self, Tool};

/// Fails unless Prometheus' own Python parser reads every sample of the page of format 0.0.4, and the
/// page keeps the rules that parsers let pass: no series twice, no family twice or interleaved.
/// Where that parser is not installed, only the rules are checked: see [`tools`].
#[track_caller]
pub fn assert_readable(page: &str) {
    assert_parsed("text", page);
    assert_orderly(page);
}

/// As [`assert_readable`], for OpenMetrics.
#[track_caller]
pub fn assert_open_metrics(page: &str) {
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert_parsed("openmetrics", page);
    assert_orderly(page);
}

#[track_caller]
fn assert_parsed(format: &str, page: &str) {
    let samples = page.lines().filter(|line| !line.starts_with('#')).count();
    let Some(answer) = Parser::parse(format, page) else {
        tools::skip(Tool::PythonParser, "reading pages with Prometheus' parser");
        return;
    };
    assert_eq!(answer, format!("ok {samples}"), "\n{page}");
}

/// The page that a scraper gets which asks for OpenMetrics.
pub fn open_metrics(registry: &Registry) -> String {
    let accept = "application/openmetrics-text; version=1.0.0";
    let request = http::Request::get("/metrics").header("accept", accept);
    let page = async {
        let scrape = registry.handler().oneshot(request.body(()).unwrap());
        scrape.await.unwrap().into_body().collect().await.unwrap()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let page = runtime.unwrap().block_on(page).to_bytes();
    String::from_utf8(page.to_vec()).unwrap()
}

/// The parser's process, started once and ended with the tests.
struct Parser {
    _process: Child,
    pages: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Parser {
    /// Returns `None` if Python or the parser is not installed.
    fn start() -> Option<Self> {
        let mut process = Command::new(Tool::PythonParser.program())
            .args(["-c", include_str!("parse.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut parser = Self {
            pages: process.stdin.take()?,
            answers: BufReader::new(process.stdout.take()?),
            _process: process,
        };
        (parser.answer() == "ready").then_some(parser)
    }

    /// The parser's answer, or `None` if it is not installed.
    fn parse(format: &str, page: &str) -> Option<String> {
        static PARSER: OnceLock<Option<Mutex<Parser>>> = OnceLock::new();
        let parser = PARSER.get_or_init(|| Self::start().map(Mutex::new));
        let mut parser = parser
            .as_ref()?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        writeln!(parser.pages, "{format} {}", page.len()).unwrap();
        parser.pages.write_all(page.as_bytes()).unwrap();
        Some(parser.answer())
    }

    fn answer(&mut self) -> String {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }
}

#[track_caller]
fn assert_orderly(page: &str) {
    let mut series = BTreeSet::new();
    let mut families = BTreeSet::new();
    let mut family = String::new();
    for line in page.lines() {
        assert!(!line.is_empty(), "a blank line:\n{page}");
        if let Some(about) = line.strip_prefix("# TYPE ") {
            family = about.split(' ').next().unwrap().to_owned();
            assert!(families.insert(family.clone()), "{family} twice:\n{page}");
        } else if !line.starts_with('#') {
            let (name, _) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(&family), "{name} is not of {family}");
            assert!(series.insert(name.to_owned()), "{name} twice:\n{page}");
        }
    }
}

/// The samples of a page by their whole name, labels included.
pub fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let samples = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let value = value.replace("Inf", "inf");
        (name.to_owned(), value.parse().unwrap())
    });
    samples.collect()
}

/// As [`samples`], with labels in one order: which one a page has is its exporter's own business.
pub fn sorted_samples(page: &str) -> BTreeMap<String, f64> {
    let sorted = samples(page).into_iter().map(|(name, value)| {
        let Some((family, labels)) = name.trim_end_matches('}').split_once('{') else {
            return (name, value);
        };
        let mut labels: Vec<_> = labels
            .split("\",")
            .map(|label| label.trim_end_matches('"'))
            .collect();
        labels.sort_unstable();
        (format!("{family}{{{}}}", labels.join(",")), value)
    });
    sorted.collect()
}
