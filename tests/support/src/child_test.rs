//! Tests that need a process of their own.

use std::process::Command;

/// Returns a command that runs one ignored test of the calling test binary. `name` is its full path, such as
/// `server::helper_for_metrics_port`.
pub fn ignored_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture"]);
    command
}
