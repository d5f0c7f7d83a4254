//! A real Redis.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::Running;
use super::store::Directory;
use super::tools::Tool;

/// A Redis that starts empty and keeps nothing. Its address, a Unix socket, outlives the process, so that it can be
/// started again; both end with the test.
pub struct RedisServer {
    running: Option<Running>,
    // Removed after the process has ended.
    directory: Directory,
}

impl RedisServer {
    #[track_caller]
    pub fn start() -> Self {
        let mut redis = Self {
            running: None,
            // The path of a Unix socket has at most 107 bytes, which the `target` directory may exceed.
            directory: Directory::within(&std::env::temp_dir()),
        };
        redis.restart();
        redis
    }

    /// Starts it, and waits until it accepts connections.
    #[track_caller]
    pub fn restart(&mut self) {
        let mut redis = Command::new(Tool::Redis.program());
        redis
            .args(["--port", "0", "--unixsocket"])
            .arg(self.socket())
            .arg("--dir")
            .arg(&self.directory.0)
            .args(["--save", "", "--appendonly", "no"]);
        self.kill();
        let running = self.running.insert(Running::start(&mut redis));
        // The directory is new, so what listens there is this process.
        let end = Instant::now() + Duration::from_secs(30);
        while UnixStream::connect(self.directory.0.join(SOCKET)).is_err() {
            assert!(!running.has_ended(), "{redis:?} ends");
            assert!(Instant::now() < end, "{redis:?} does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Sends a signal: `STOP`, `CONT`.
    #[track_caller]
    pub fn signal(&self, signal: &str) {
        self.running.as_ref().expect("it runs").signal(signal);
    }

    /// Runs a command with `redis-cli`.
    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) {
        let mut cli = Command::new("redis-cli");
        let output = cli.arg("-s").arg(self.socket()).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("redis-cli: {error}"));
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.directory.0.join(SOCKET)
    }
}

const SOCKET: &str = "redis.sock";
