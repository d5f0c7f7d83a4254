//! A real Redis.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::RunningProgram;
use super::store::Directory;
use super::tools::Tool;

/// A Redis that starts empty and stores nothing on disk. It listens on a Unix socket and can be started again with the
/// same address. Dropping it kills the process and removes the socket.
pub struct RedisServer {
    running: Option<RunningProgram>,
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

    /// Starts Redis and waits until it accepts connections.
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
        let running = self.running.insert(RunningProgram::start(&mut redis));
        // Only this process listens on the socket, because no other test uses the directory.
        let deadline = Instant::now() + Duration::from_secs(30);
        while UnixStream::connect(self.directory.0.join(SOCKET)).is_err() {
            assert!(!running.has_exited(), "{redis:?} exited");
            assert!(Instant::now() < deadline, "{redis:?} does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Sends a signal: `STOP`, `CONT`.
    #[track_caller]
    pub fn signal(&self, signal: &str) {
        self.running
            .as_ref()
            .expect("Redis is running")
            .signal(signal);
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
