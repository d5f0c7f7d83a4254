//! [`Prometheus`]: a real Prometheus, started and stopped with the program.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tower_prometheus_mixin::Mixin;

use crate::Result;

/// A Prometheus with the configuration of a [`Mixin`], on a free port. Dropping this stops it and
/// removes its data.
pub struct Prometheus {
    child: Child,
    _directory: Directory,
    pub url: String,
}

impl Prometheus {
    /// Starts the program `PROMETHEUS`, by default `prometheus`. Returns `None` if it is not installed.
    pub fn start(mixin: &Mixin) -> Result<Option<Self>> {
        let program = std::env::var("PROMETHEUS").unwrap_or_else(|_| "prometheus".to_owned());
        let directory = Directory::new()?;
        mixin.write_to(&directory.0)?;
        let started = Command::new(program)
            .current_dir(&directory.0)
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let log = child.stderr.take();
        let mut prometheus = Self {
            child,
            _directory: directory,
            url: String::new(),
        };
        let address = log.and_then(logged_address);
        let address =
            address.ok_or("Prometheus did not log \"Listening on\" within 30 s of its start")?;
        prometheus.url = format!("http://{address}");
        Ok(Some(prometheus))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the address in the log line `… msg="Listening on" address=127.0.0.1:41937`. The thread
/// reads the log until Prometheus ends, because Prometheus ends if it cannot write its log.
fn logged_address(log: ChildStderr) -> Option<String> {
    let (found, address) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
                let _ = found.send(address.trim_end().to_owned());
            }
        }
    });
    address.recv_timeout(Duration::from_secs(30)).ok()
}

/// A new directory for temporary files, removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> io::Result<Self> {
        for number in 0.. {
            let name = format!("tower-prometheus-observe-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left by a killed process with the same id.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("the loop has no end")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
