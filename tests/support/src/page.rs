//! Checks of metrics pages, with Prometheus' own parser where it is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_prometheus::Registry;

use super::tools::{self, Tool};

/// Asserts that a page in the text format 0.0.4 is valid.
///
/// That is: Prometheus' Python parser reads every sample, no series or family is there twice, and the samples of a
/// family are together. The parser does not check the last two. If it is not installed, only these are checked: see
/// [`tools`].
#[track_caller]
pub fn assert_valid_text(page: &str) {
    assert_parser_reads_every_sample("text", page);
    assert_unique_and_grouped(page);
}

/// [`assert_valid_text`] for a page in OpenMetrics.
#[track_caller]
pub fn assert_valid_open_metrics(page: &str) {
    assert!(page.ends_with("# EOF\n"), "no # EOF:\n{page}");
    assert_parser_reads_every_sample("openmetrics", page);
    assert_unique_and_grouped(page);
}

#[track_caller]
fn assert_parser_reads_every_sample(format: &str, page: &str) {
    let samples = page.lines().filter(|line| !line.starts_with('#')).count();
    let Some(answer) = Parser::parse(format, page) else {
        tools::skip(Tool::PythonParser, "reading pages with Prometheus' parser");
        return;
    };
    assert_eq!(answer, format!("ok {samples}"), "\n{page}");
}

/// The page that a scraper gets if it prefers OpenMetrics.
pub fn render_open_metrics(registry: &Registry) -> String {
    render_for(registry, "application/openmetrics-text; version=1.0.0")
}

/// The page that a scraper with this `Accept` header gets.
pub fn render_for(registry: &Registry, accept: &str) -> String {
    let request = http::Request::get("/metrics").header("accept", accept);
    let page = async {
        let scrape = registry.handler().oneshot(request.body(()).unwrap());
        scrape.await.unwrap().into_body().collect().await.unwrap()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let page = runtime.unwrap().block_on(page).to_bytes();
    String::from_utf8(page.to_vec()).unwrap()
}

/// The process of Prometheus' Python parser. The tests of a binary share one.
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

    /// Returns the parser's answer, or `None` if Python or the parser is not installed.
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
fn assert_unique_and_grouped(page: &str) {
    let mut series = BTreeSet::new();
    let mut families = BTreeSet::new();
    let mut family = String::new();
    for line in page.lines() {
        assert!(!line.is_empty(), "blank line:\n{page}");
        if let Some(type_line) = line.strip_prefix("# TYPE ") {
            family = type_line.split(' ').next().unwrap().to_owned();
            assert!(
                families.insert(family.clone()),
                "family {family} is there twice:\n{page}"
            );
        } else if !line.starts_with('#') {
            let (name, _) = line.rsplit_once(' ').unwrap();
            assert!(
                name.starts_with(&family),
                "{name} is among the samples of {family}:\n{page}"
            );
            assert!(
                series.insert(name.to_owned()),
                "series {name} is there twice:\n{page}"
            );
        }
    }
}

/// The value of each series of a page, by its name and labels as they are in the page.
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

/// [`samples`] with sorted labels, to compare pages of exporters that order labels differently.
pub fn samples_with_sorted_labels(page: &str) -> BTreeMap<String, f64> {
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
