//! Programs that tests start: the examples, binaries of packages, and `curl`.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A child process. Dropping it kills it.
pub struct RunningProgram {
    process: Child,
    /// Kept open, because a program fails when it prints to a closed pipe.
    output: Lines<BufReader<ChildStdout>>,
}

impl RunningProgram {
    pub fn start(command: &mut Command) -> Self {
        let started = command.stdout(Stdio::piped()).spawn();
        let mut process = started.unwrap_or_else(|error| {
            panic!("{command:?}: {error}; tests/run builds and installs what is needed")
        });
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, output }
    }

    /// Reads standard output up to the first line that contains `marker`. Returns the rest of that line after it.
    pub fn read_line_after(&mut self, marker: &str) -> String {
        let lines = self.output.by_ref().map_while(Result::ok);
        let mut found = lines.filter_map(|line| Some(line.split_once(marker)?.1.to_owned()));
        found
            .next()
            .unwrap_or_else(|| panic!("no line of the program's output contains {marker:?}"))
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        let signalled = Command::new("/bin/sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", signal])
            .arg(self.id().to_string())
            .status();
        assert!(signalled.unwrap().success(), "{signal}");
    }

    pub fn has_exited(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Waits until the process exits. Panics after 30 s.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the program did not exit within 30 s");
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An example on a free port. `cargo test` builds it into the directory `examples` beside that of the tests.
pub fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let mut example = Command::new(test.ancestors().nth(2).unwrap().join("examples").join(name));
    example.env("PORT", "0").env_remove("SERVE");
    example
}

/// A binary of the test's own package on a free port: `program(env!("CARGO_BIN_EXE_name"))`.
pub fn program(path: &str) -> Command {
    let mut program = Command::new(path);
    program.env("PORT", "0");
    program
}

/// Returns the output of `curl`. Tests that call this must begin with `skip_without!(Curl)`.
pub fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").arg("-sS").args(arguments).output();
    let output = output.expect("curl is needed: tests/run installs it");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
