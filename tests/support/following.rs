//! The program while it runs: its lines as they come, with patience that ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// After so long without what is waited for, a test fails. Generous, since machines that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running process, ended with the value.
pub struct Following {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
}

/// Lines of a pipe, read on a thread of their own.
struct Lines {
    receiver: Receiver<String>,
    /// All so far, for the message of a failure.
    seen: Vec<String>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(pipe).lines().map_while(Result::ok);
            lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        });
        Self { receiver, seen: Vec::new() }
    }

    /// The next line; `None` at the end, or where none comes in time.
    fn next(&mut self, until: Instant) -> Option<String> {
        let line = self.receiver.recv_timeout(until.saturating_duration_since(Instant::now())).ok()?;
        self.seen.push(line.clone());
        Some(line)
    }
}

impl Following {
    /// Starts a command whose input and outputs are pipes.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdin = child.stdin.take();
        let stdout = Lines::of(child.stdout.take().expect("it is piped"));
        let stderr = Lines::of(child.stderr.take().expect("it is piped"));
        Self { child, stdin, stdout, stderr }
    }

    /// Writes to its standard input.
    ///
    /// # Panics
    /// Where the process no longer reads, or the input has been [closed](Self::close_input).
    pub fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("the input is open");
        stdin.write_all(text.as_bytes()).expect("the process reads");
        stdin.flush().expect("the process reads");
    }

    /// Ends its standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// The next line of standard output.
    ///
    /// # Panics
    /// Where none comes in time.
    #[track_caller]
    pub fn line(&mut self) -> String {
        match self.stdout.next(Instant::now() + PATIENCE) {
            Some(line) => line,
            None => panic!("no further line on stdout\n{}", self.story()),
        }
    }

    /// The next `count` lines of standard output, each with its line break.
    ///
    /// # Panics
    /// Where they do not come in time.
    #[track_caller]
    pub fn lines(&mut self, count: usize) -> String {
        (0..count).map(|_| self.line() + "\n").collect()
    }

    /// The next line of standard error that holds `part`; those before are passed over.
    ///
    /// # Panics
    /// Where none comes in time.
    #[track_caller]
    pub fn said(&mut self, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.stderr.next(until) {
                Some(line) if line.contains(part) => return line,
                Some(_) => {}
                None => panic!("nobody says `{part}`\n{}", self.story()),
            }
        }
    }

    /// Waits until the last lines of standard output are `expected`. A change that is noticed in two halves makes the
    /// program answer twice, so that others may come before.
    ///
    /// # Panics
    /// Where they do not come in time.
    #[track_caller]
    pub fn settles_on(&mut self, expected: &str) {
        let expected: Vec<String> = expected.lines().map(str::to_owned).collect();
        assert!(!expected.is_empty(), "there is something to wait for");
        let until = Instant::now() + PATIENCE;
        let from = self.stdout.seen.len();
        while !self.stdout.seen[from..].ends_with(&expected) {
            if self.stdout.next(until).is_none() {
                panic!("stdout never ends in\n{}\n{}", expected.join("\n"), self.story());
            }
        }
    }

    /// A line of standard output, where one comes within a moment.
    pub fn soon(&mut self) -> Option<String> {
        self.stdout.next(Instant::now() + Duration::from_millis(400))
    }

    /// Every line of standard error so far that holds `part`.
    pub fn all_said(&mut self, part: &str) -> Vec<String> {
        while self.stderr.next(Instant::now()).is_some() {}
        self.stderr.seen.iter().filter(|line| line.contains(part)).cloned().collect()
    }

    /// Waits for the process to end by itself.
    ///
    /// # Panics
    /// Where it does not in time.
    #[track_caller]
    pub fn ends(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the process is ours") {
                return status;
            }
            assert!(Instant::now() < until, "the process does not end\n{}", self.story());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn story(&mut self) -> String {
        while self.stderr.next(Instant::now()).is_some() {}
        format!("stdout so far:\n{}\nstderr so far:\n{}", self.stdout.seen.join("\n"), self.stderr.seen.join("\n"))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}
