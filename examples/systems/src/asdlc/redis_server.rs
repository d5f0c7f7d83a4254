//! [`RedisServer`]: a Redis that the program starts and ends, if `REDIS_URL` is not set.

use std::error::Error;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// A real one, on a Unix socket in a directory of its own.
pub struct RedisServer {
    shell: Child,
    directory: PathBuf,
}

/// Creates an empty directory. One of the same name may be left by a process that had the same id.
fn new_directory() -> io::Result<PathBuf> {
    for number in 0.. {
        let name = format!("asdlc-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        match std::fs::DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    unreachable!("the numbers do not end")
}

/// Redis does not notice that who started it is gone. A shell whose input is a pipe does, even if the end was
/// SIGKILL, and cleans up; a Ctrl-C in the terminal is for the program, which then closes the pipe.
const SCRIPT: &str = r#"
trap '' INT
directory=$1
redis-server --port 0 --unixsocket redis.sock --dir "$directory" --save '' --appendonly no &
read -r nothing
kill $!
wait $!
rm -r "$directory"
"#;

impl RedisServer {
    /// Starts it, and waits until it can be reached.
    pub async fn start() -> Result<Self, Box<dyn Error>> {
        let installed = Command::new("redis-server").arg("--version").output();
        if let Err(error) = installed.await {
            return Err(match error.kind() {
                io::ErrorKind::NotFound => {
                    "redis-server is not installed: `apt install redis-server`, \
                     or set REDIS_URL to a Redis that runs (redis://127.0.0.1:6379)"
                        .into()
                }
                _ => format!("redis-server cannot be started: {error}").into(),
            });
        }
        let directory = new_directory()?;
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "redis-server"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let server = Self { shell, directory };
        server.ready().await?;
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!(
            "redis+unix://{}",
            self.directory.join("redis.sock").display()
        )
    }

    async fn ready(&self) -> Result<(), Box<dyn Error>> {
        let client = redis::Client::open(self.url())?;
        let end = Instant::now() + Duration::from_secs(10);
        while let Err(error) = client.get_multiplexed_async_connection().await {
            if Instant::now() > end {
                return Err(
                    format!("redis-server was started and does not answer: {error}").into(),
                );
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Ends it, and waits until it is gone.
    pub async fn stop(mut self) {
        drop(self.shell.stdin.take());
        if let Err(error) = self.shell.wait().await {
            tracing::warn!("redis-server: {error}");
        }
    }
}
