//! A real Pushgateway.

use std::process::Command;

use super::listening::ListeningProgram;
use super::page::samples;
use super::process::curl;
use super::tools::Tool;

/// Prometheus' Pushgateway, empty when it starts. Dropping it kills it.
pub struct Pushgateway {
    program: ListeningProgram,
}

impl Pushgateway {
    #[track_caller]
    pub fn start() -> Self {
        let mut program = ListeningProgram::new();
        program.start(
            Command::new(Tool::Pushgateway.program())
                .arg(format!("--web.listen-address={}", program.address.get()))
                // Debian's default is a system-wide file, which may contain pushed metrics.
                .arg("--persistence.file="),
        );
        Self { program }
    }

    pub fn url(&self) -> String {
        self.program.url()
    }

    /// The samples of all groups as sorted lines `name{labels} value`, without those that the gateway adds to each group
    /// (`push_time_seconds`, `push_failure_time_seconds`).
    pub fn group_contents(&self) -> Vec<String> {
        let page = curl(&[&format!("{}/metrics", self.url())]);
        let samples = samples(&page).into_iter();
        let pushed =
            samples.filter(|(name, _)| name.contains("job=") && !name.starts_with("push_"));
        pushed
            .map(|(name, value)| format!("{name} {value}"))
            .collect()
    }
}
