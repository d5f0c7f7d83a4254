//! Real ones: promtool, Prometheus and VictoriaMetrics, on free ports.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::process::Running;

/// A directory of its own, gone with the test.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("mixin-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
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

/// Runs promtool, which must find nothing to complain about.
#[track_caller]
pub fn promtool(arguments: &[&str], directory: &Path) -> String {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(directory)
        .output();
    let output = output.expect("promtool is needed: tests/run installs it");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}\n{said}");
    said
}

/// A server that scrapes, and its query API.
pub struct Store {
    _running: Running,
    _directory: Directory,
    url: String,
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

impl Store {
    /// A Prometheus with this configuration; files are given by their names beside it.
    pub fn prometheus(config: &str, files: &[(&str, &str)]) -> Self {
        let directory = Directory::new();
        for (name, text) in files {
            directory.write(name, text);
        }
        let config = directory.write("prometheus.yml", config);
        let address = free_address();
        let mut prometheus = Command::new("prometheus");
        prometheus
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.0.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stderr(Stdio::null());
        Self {
            _running: Running::start(&mut prometheus),
            _directory: directory,
            url: format!("http://{address}"),
        }
    }

    /// A VictoriaMetrics with this scrape configuration, which it refuses when it knows a key not.
    pub fn victoria_metrics(config: &str) -> Self {
        let directory = Directory::new();
        let config = directory.write("vmagent.yml", config);
        let address = free_address();
        let mut store = Command::new("victoria-metrics");
        store
            .arg(format!("-promscrape.config={}", config.display()))
            .arg(format!(
                "-storageDataPath={}",
                directory.0.join("data").display()
            ))
            .arg(format!("-httpListenAddr={address}"))
            .arg("-search.latencyOffset=0s")
            .stderr(Stdio::null());
        Self {
            _running: Running::start(&mut store),
            _directory: directory,
            url: format!("http://{address}"),
        }
    }

    /// What the API answers, once it is so.
    #[track_caller]
    pub fn get_when(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + Duration::from_secs(90);
        let mut last = None;
        while Instant::now() < deadline {
            let mut curl = Command::new("curl");
            curl.args(["-sG", &format!("{}{path}", self.url)]);
            for (name, value) in parameters {
                curl.args(["--data-urlencode", &format!("{name}={value}")]);
            }
            let answer = curl
                .output()
                .expect("curl is needed: tests/run installs it");
            match serde_json::from_slice::<Value>(&answer.stdout) {
                Ok(answer) if is_so(&answer) => return answer,
                Ok(answer) => last = Some(answer),
                Err(_) => {}
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{path} {parameters:?}: never came true, at last {last:#?}");
    }

    /// The values of an instant query, once it has some that are numbers.
    #[track_caller]
    pub fn values(&self, query: &str) -> Vec<f64> {
        let numbers = |answer: &Value| -> Vec<f64> {
            assert_ne!(answer["status"], "error", "{query}: {answer}");
            let result = &answer["data"]["result"];
            let value = |value: &Value| value[1].as_str()?.parse::<f64>().ok();
            let values = match answer["data"]["resultType"].as_str() {
                Some("scalar") => vec![value(result)],
                _ => result
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|series| value(&series["value"]))
                    .collect(),
            };
            values
                .into_iter()
                .flatten()
                .filter(|value| value.is_finite())
                .collect()
        };
        let answer = self.get_when("/api/v1/query", &[("query", query)], |answer| {
            !numbers(answer).is_empty()
        });
        numbers(&answer)
    }
}
