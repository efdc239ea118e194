//! Calls itself until the stack ends.

use std::hint;

use runtime_plugin_sdk::{Builder, Config, Head, Refusal, export};

export!(guests::guest(build));

fn build(_: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    hint::black_box(descend(0));
    Ok(())
}

#[inline(never)]
fn descend(depth: u64) -> u64 {
    let mut here = hint::black_box([depth; 16]);
    if hint::black_box(true) {
        here[0] += descend(depth + 1);
    }
    here.iter().sum()
}
