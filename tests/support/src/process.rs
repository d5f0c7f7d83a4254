//! Programs beside the tests: the examples, as a user starts them, and `curl`.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A process that ends with its test.
pub struct Running {
    process: Child,
    /// Kept open: a program whose pipe is closed fails when it prints.
    output: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let started = command.stdout(Stdio::piped()).spawn();
        let mut process = started.unwrap_or_else(|error| {
            panic!("{command:?}: {error}; tests/run builds and installs what is needed")
        });
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, output }
    }

    /// What follows `before` on the first line that it prints with it.
    pub fn printed(&mut self, before: &str) -> String {
        let lines = self.output.by_ref().map_while(Result::ok);
        let mut found = lines.filter_map(|line| Some(line.split_once(before)?.1.to_owned()));
        found
            .next()
            .unwrap_or_else(|| panic!("it does not print {before:?}"))
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

    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// How it ended; it ends soon, or this fails.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An example on a free port, built with the tests beside the tests' own directory.
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

/// What `curl` prints; a test that calls this begins with `skip_without!(Curl)`.
pub fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").arg("-sS").args(arguments).output();
    let output = output.expect("curl is needed: tests/run installs it");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
