//! Never returns.

use std::hint;

use runtime_plugin_sdk::{Builder, Config, Head, Refusal, export};

export!(guests::guest(build));

fn build(_: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    spin();
    Ok(())
}

#[inline(never)]
fn spin() {
    while hint::black_box(true) {}
}
