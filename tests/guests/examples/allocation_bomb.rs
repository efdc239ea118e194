//! Allocates until there is no more.

use std::hint;

use runtime_plugin_sdk::{Builder, Config, Head, Refusal, export};

export!(guests::guest(build));

fn build(_: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    hoard();
    Ok(())
}

#[inline(never)]
fn hoard() {
    let mut hoard = Vec::new();
    while hint::black_box(true) {
        hoard.push(vec![1_u8; 1 << 20]);
    }
}
