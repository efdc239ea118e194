//! The program, run to its end.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

/// What a process left behind.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// Runs a command on an input.
    ///
    /// # Panics
    /// Where it cannot be started, or writes what is not UTF-8.
    pub fn of(mut command: Command, input: &[u8]) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        // Written beside the reading, since neither pipe holds an input of any length.
        let output = thread::scope(|scope| {
            scope.spawn(move || {
                // A program that refuses its command line never reads.
                let _closed = stdin.write_all(input);
            });
            child.wait_with_output().expect("it ends")
        });
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The same, having ended with `code` and without a panic.
    ///
    /// # Panics
    /// Otherwise.
    #[must_use]
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// The same, with each of `parts` on stderr. Lines may be wrapped there, so white space is all one.
    ///
    /// # Panics
    /// Otherwise.
    #[must_use]
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        let words = |text: &str| {
            text.split(|c: char| c.is_whitespace() || c == '│')
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let said = words(&self.stderr);
        for part in parts {
            assert!(said.contains(&words(part)), "stderr does not say `{part}`:\n{}", self.stderr);
        }
        self
    }

    /// Standard output as JSON lines.
    ///
    /// # Panics
    /// Where a line is not JSON.
    #[track_caller]
    pub fn records(&self) -> Vec<Value> {
        let record = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(record).collect()
    }

    /// A field of each record on standard output, absent ones as null.
    #[track_caller]
    pub fn field(&self, name: &str) -> Vec<Value> {
        self.records().into_iter().map(|mut record| record[name].take()).collect()
    }
}
