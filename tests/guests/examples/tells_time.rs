//! Reads the clock.

use std::time::Instant;

use runtime_plugin_sdk::{Builder, Config, Head, Refusal, export};

export!(guests::guest(build));

fn build(_: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    let now = watch();
    panic!("it is {now:?}");
}

#[inline(never)]
fn watch() -> Instant {
    Instant::now()
}
