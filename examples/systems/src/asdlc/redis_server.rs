//! [`RedisServer`]: a Redis server that the program starts and stops if `REDIS_URL` is not set.

use std::error::Error;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// A `redis-server` process on a Unix socket in a new temporary directory.
pub struct RedisServer {
    shell: Child,
    directory: PathBuf,
}

/// Creates an empty directory. Its name has a number, because an earlier process with the same id
/// may have left one.
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
    unreachable!("the loop has no end")
}

/// Runs Redis and stops it when the program ends. Redis does not notice the end of its parent
/// process. The shell does, even after SIGKILL, because its standard input is a pipe from the
/// program; it then stops Redis and removes the directory. It ignores Ctrl-C: the program handles
/// that and closes the pipe.
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
    /// Starts the server, and waits until it accepts connections.
    pub async fn start() -> Result<Self, Box<dyn Error>> {
        let installed = Command::new("redis-server").arg("--version").output();
        if let Err(error) = installed.await {
            return Err(match error.kind() {
                io::ErrorKind::NotFound => {
                    "redis-server is not installed: install it with `apt install redis-server`, \
                     or set REDIS_URL to a running Redis, such as redis://127.0.0.1:6379"
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
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = client.get_multiplexed_async_connection().await {
            if Instant::now() > deadline {
                return Err(format!(
                    "redis-server did not accept connections within 10 s: {error}"
                )
                .into());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Stops the server, and waits until it has ended.
    pub async fn stop(mut self) {
        drop(self.shell.stdin.take());
        if let Err(error) = self.shell.wait().await {
            tracing::warn!("cannot wait for the end of redis-server: {error}");
        }
    }
}
