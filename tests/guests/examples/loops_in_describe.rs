//! Never says what it is for.

use std::hint;

use runtime_plugin_sdk::{Architecture, Builder, Config, Head, Refusal, export};

export!(ponder());

#[inline(never)]
fn ponder() -> Architecture {
    while hint::black_box(true) {}
    guests::guest(build)
}

fn build(_: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    Ok(())
}
