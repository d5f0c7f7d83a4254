//! [`Prometheus`]: a real one, started and stopped with the program.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tower_prometheus::mixin::Mixin;

use crate::Result;

/// A child that scrapes by what a [`Mixin`] says, on a free port; it and its data are gone with this.
pub struct Prometheus {
    child: Child,
    directory: PathBuf,
    pub url: String,
}

impl Prometheus {
    /// None when it is not installed. `PROMETHEUS` names another program.
    pub fn start(mixin: &Mixin) -> Result<Option<Self>> {
        let program = std::env::var("PROMETHEUS").unwrap_or_else(|_| "prometheus".to_owned());
        let name = format!("tower-prometheus-observe-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        mixin.write_to(&directory)?;
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let started = Command::new(program)
            .current_dir(&directory)
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={free}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match started {
            Ok(child) => Ok(Some(Self {
                child,
                directory,
                url: format!("http://{free}"),
            })),
            Err(error) => {
                std::fs::remove_dir_all(&directory)?;
                match error.kind() {
                    io::ErrorKind::NotFound => Ok(None),
                    _ => Err(error.into()),
                }
            }
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
