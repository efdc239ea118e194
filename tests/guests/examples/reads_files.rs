//! Looks for arguments and variables, of which there are none, and then opens a file.

use std::{env, fs};

use runtime_plugin_sdk::{Builder, Config, Head, Refusal, export};

export!(guests::guest(build));

fn build(_: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    assert_eq!(env::vars_os().count() + env::args_os().count(), 0, "the environment is visible");
    snoop();
    Ok(())
}

#[inline(never)]
fn snoop() {
    let text = fs::read_to_string("/etc/passwd");
    panic!("reading gave {text:?}");
}
