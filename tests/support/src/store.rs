//! Prometheus and VictoriaMetrics as programs, and promtool.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::listening::ListeningProgram;
use super::tools::Tool;

/// A new, empty directory that nothing else uses. Dropping it removes it.
pub struct Directory(pub PathBuf);

impl Directory {
    /// A directory below `target`.
    #[expect(clippy::new_without_default, reason = "it creates a directory")]
    pub fn new() -> Self {
        Self::within(&target_directory().join("tmp"))
    }

    pub fn within(parent: &Path) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        std::fs::create_dir_all(parent).unwrap();
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("test-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Self(path),
                // A test that was killed left it, and its process had the same id.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The `target` directory that the running test was built in.
pub fn target_directory() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // target/debug/deps/test
    test.ancestors().nth(3).unwrap().to_owned()
}

/// Runs promtool in a directory and returns its output. Panics if promtool fails.
#[track_caller]
pub fn promtool(arguments: &[&str], directory: &Path) -> String {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(directory)
        .output();
    let output = output.expect("promtool is needed: tests/run installs it");
    let output_text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}\n{output_text}");
    output_text
}

/// Asserts that `promtool check metrics` reports no problem of a page in the text format.
#[track_caller]
pub fn assert_promtool_accepts(page: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is needed: tests/run installs it");
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(page.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}\n{page}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{page}");
}

/// The file name of the scrape configuration of both programs.
const CONFIG: &str = "scrape.yml";

/// The program of a [`Store`].
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Prometheus,
    VictoriaMetrics,
}

/// A Prometheus or VictoriaMetrics that scrapes and answers queries. It can be started again with the same address and
/// data. Dropping it kills the process and removes the data.
pub struct Store {
    pub kind: Kind,
    /// The program and the feature flags of Prometheus.
    prometheus: PathBuf,
    features: &'static str,
    program: ListeningProgram,
    pub url: String,
}

/// The labels of a series and its value at the time of the query.
pub type Sample = (BTreeMap<String, String>, f64);

impl Store {
    /// Starts Prometheus with a configuration and with further files, by name, in the same directory.
    pub fn prometheus(config: &str, files: &[(&str, &str)]) -> Self {
        let mut store = Self::new(Kind::Prometheus);
        for (name, text) in files {
            store.program.directory.write(name, text);
        }
        store.start_with_config(config);
        store
    }

    /// Like [`prometheus`](Self::prometheus), with native histograms enabled.
    pub fn prometheus_with_native_histograms(config: &str) -> Self {
        let mut store = Self::new(Kind::Prometheus);
        store.features = "exemplar-storage,native-histograms";
        store.start_with_config(config);
        store
    }

    /// Starts a Prometheus 3 with native histograms and created timestamps.
    pub fn prometheus_3(program: &Path, config: &str) -> Self {
        let mut store = Self::new(Kind::Prometheus);
        store.prometheus = program.to_owned();
        store.features = "created-timestamp-zero-ingestion,native-histograms";
        // From 3.8 on, native histograms are a setting. Older versions reject it.
        let setting = match version(program) >= (3, 8) {
            true => "global: { scrape_native_histograms: true,",
            false => "global: {",
        };
        store.start_with_config(&config.replace("global: {", setting));
        store
    }

    /// Starts VictoriaMetrics with a scrape configuration. VictoriaMetrics exits if it does not know a key of it.
    pub fn victoria_metrics(config: &str) -> Self {
        let mut store = Self::new(Kind::VictoriaMetrics);
        store.start_with_config(config);
        store
    }

    /// A store that is not started.
    pub fn new(kind: Kind) -> Self {
        let program = ListeningProgram::new();
        let url = program.url();
        Self {
            kind,
            prometheus: Tool::Prometheus.program().into(),
            features: "exemplar-storage",
            program,
            url,
        }
    }

    pub fn start_with_config(&mut self, config: &str) {
        self.program.directory.write(CONFIG, config);
        self.restart();
    }

    /// Starts the program again, with the same address and data, and waits until it listens.
    #[track_caller]
    pub fn restart(&mut self) {
        let (address, directory) = (self.program.address.get(), &self.program.directory.0);
        let (config, data) = (directory.join(CONFIG), directory.join("data"));
        let (config, data) = (config.display(), data.display());
        let mut command = match self.kind {
            Kind::Prometheus => {
                let mut prometheus = Command::new(&self.prometheus);
                prometheus
                    .arg(format!("--config.file={config}"))
                    .arg(format!("--storage.tsdb.path={data}"))
                    .arg(format!("--web.listen-address={address}"))
                    .arg(format!("--enable-feature={}", self.features));
                prometheus
            }
            Kind::VictoriaMetrics => {
                let mut store = Command::new(Tool::VictoriaMetrics.program());
                store
                    .arg(format!("-promscrape.config={config}"))
                    .arg(format!("-storageDataPath={data}"))
                    .arg(format!("-httpListenAddr={address}"))
                    // Queries see scraped samples at once; by default only after 30 s.
                    .args(["-search.latencyOffset=0s", "-retentionPeriod=1d"]);
                store
            }
        };
        self.program.start(&mut command);
    }

    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Sends one API request. Returns `None` if the response is not JSON, as while the program starts.
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let mut curl = Command::new("curl");
        curl.args(["-sG", &format!("{}{path}", self.url)]);
        for (name, value) in parameters {
            curl.args(["--data-urlencode", &format!("{name}={value}")]);
        }
        let answer = curl.output();
        let answer = answer.expect("curl is needed: tests/run installs it");
        serde_json::from_slice(&answer.stdout).ok()
    }

    /// Repeats an API request until the condition is true for the response. Panics after 90 s.
    #[track_caller]
    pub fn wait_for_response(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        condition: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + Duration::from_secs(90);
        let mut last = None;
        while Instant::now() < deadline {
            match self.get(path, parameters) {
                Some(answer) if condition(&answer) => return answer,
                Some(answer) => last = Some(answer),
                None => {}
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{path} {parameters:?}: no expected response within 90 s; the last one: {last:#?}");
    }

    /// Waits for at least `count` active targets. Returns the job, instance and URL of each, sorted.
    #[track_caller]
    pub fn active_targets(&self, count: usize) -> Vec<String> {
        let targets = self.wait_for_response("/api/v1/targets", &[], |answer| {
            answer["data"]["activeTargets"]
                .as_array()
                .is_some_and(|targets| targets.len() >= count)
        });
        let targets = targets["data"]["activeTargets"].as_array().unwrap();
        let mut targets: Vec<_> = targets
            .iter()
            .map(|target| {
                let label = |name: &str| target["labels"][name].as_str().unwrap();
                let url = target["scrapeUrl"].as_str().unwrap();
                format!("{} {} {url}", label("job"), label("instance"))
            })
            .collect();
        targets.sort();
        targets
    }

    /// Runs an instant query, now or at a Unix time in seconds. Returns no series while the program starts. Panics if the
    /// response is an error.
    #[track_caller]
    pub fn query(&self, query: &str, time: Option<f64>) -> Vec<Sample> {
        let time = time.map(|time| time.to_string());
        let mut parameters = vec![("query", query)];
        parameters.extend(time.iter().map(|time| ("time", time.as_str())));
        let answer = self.get("/api/v1/query", &parameters);
        let answer = answer.unwrap_or_default();
        assert_ne!(answer["status"], "error", "{query}: {answer}");
        samples(&answer["data"])
    }

    /// Whether a range query over the last `seconds`, as a panel sends it, has a finite value.
    #[track_caller]
    pub fn had_value_within(&self, query: &str, seconds: f64) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let end = now.unwrap().as_secs_f64();
        let (start, end) = ((end - seconds).to_string(), end.to_string());
        let parameters = [
            ("query", query),
            ("start", &start),
            ("end", &end),
            ("step", "1"),
        ];
        let answer = self.get("/api/v1/query_range", &parameters);
        let answer = answer.unwrap_or_default();
        assert_ne!(answer["status"], "error", "{query}: {answer}");
        let series = answer["data"]["result"].as_array().into_iter().flatten();
        let mut values =
            series.flat_map(|series| series["values"].as_array().into_iter().flatten());
        let number = |value: &Value| value[1].as_str()?.parse::<f64>().ok();
        values.any(|value| number(value).is_some_and(f64::is_finite))
    }

    /// Repeats an instant query until it has finite values. Returns these. Panics after 90 s.
    #[track_caller]
    pub fn wait_for_values(&self, query: &str) -> Vec<f64> {
        let deadline = Instant::now() + Duration::from_secs(90);
        while Instant::now() < deadline {
            let values = self.query(query, None).into_iter().map(|(_, value)| value);
            let values: Vec<_> = values.filter(|value| value.is_finite()).collect();
            if !values.is_empty() {
                return values;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{query}: no finite value within 90 s");
    }
}

/// The major and minor version of a Prometheus, which prints `prometheus, version 3.5.0 (branch: …`.
fn version(prometheus: &Path) -> (u32, u32) {
    let output = Command::new(prometheus).arg("--version").output().unwrap();
    // Some versions print it to stderr.
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    let version = printed.split_once("version ").and_then(|(_, version)| {
        let mut numbers = version.split('.').map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    });
    version.unwrap_or_else(|| panic!("{printed} has no version"))
}

/// The series in the response to an instant query. A scalar is one series without labels.
fn samples(data: &Value) -> Vec<Sample> {
    let value = |value: &Value| value[1].as_str().and_then(|value| value.parse().ok());
    let sample = |labels: &Value, at: &Value| {
        let labels = serde_json::from_value(labels.clone()).unwrap_or_default();
        Some((labels, value(at)?))
    };
    match data["resultType"].as_str() {
        Some("scalar") => sample(&Value::Null, &data["result"]).into_iter().collect(),
        _ => {
            let series = data["result"].as_array().into_iter().flatten();
            series
                .filter_map(|series| sample(&series["metric"], &series["value"]))
                .collect()
        }
    }
}

/// Replaces the discovery of Kubernetes pods in a scrape configuration by a static target, because Debian's Prometheus
/// is built without this discovery.
pub fn with_static_target(config: &str) -> String {
    let discovery =
        "  kubernetes_sd_configs:\n  - role: pod\n    namespaces:\n      names:\n      - ";
    let Some((before, after)) = config.split_once(discovery) else {
        return config.to_owned();
    };
    let (_namespace, after) = after.split_once('\n').unwrap();
    format!("{before}  static_configs:\n  - targets:\n    - pod:80\n{after}")
}
