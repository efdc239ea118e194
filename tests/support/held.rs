//! What a process holds, counted where nothing else comes and goes.

use std::fs;
use std::process::Command;

/// What the process holds.
#[derive(Debug)]
pub struct Held {
    /// Threads that run or wait.
    pub threads: usize,
    /// Open file descriptors.
    pub files: usize,
    /// Mappings of memory; an instance of a component is at least three.
    pub mappings: usize,
    /// Resident memory, in bytes.
    pub bytes: usize,
}

impl Held {
    /// What it holds now, read from `/proc`.
    ///
    /// # Panics
    /// On systems other than Linux.
    pub fn now() -> Self {
        let entries = |folder: &str| fs::read_dir(folder).expect("Linux has it").count();
        let text = |file: &str| fs::read_to_string(file).expect("Linux has it");
        let pages: usize =
            text("/proc/self/statm").split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
        Self {
            threads: entries("/proc/self/task"),
            files: entries("/proc/self/fd"),
            mappings: text("/proc/self/maps").lines().count(),
            bytes: pages * 4096,
        }
    }
}

/// Runs the body of the test of this name in a process of its own: other tests of its binary run beside it otherwise,
/// and what they hold would be counted too. What it prints is shown.
///
/// # Panics
/// Where the body panics.
pub fn in_its_own_process(test: &str, body: impl FnOnce()) {
    const CHILD: &str = "RUNTIME_TESTS_HELD";
    if std::env::var_os(CHILD).is_some() {
        return body();
    }
    let binary = std::env::current_exe().expect("a test knows where it is");
    let output = Command::new(binary).args(["--exact", test, "--nocapture"]).env(CHILD, "1").output();
    let output = output.expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("running 1 test"), "there is no test `{test}`: {said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
}
