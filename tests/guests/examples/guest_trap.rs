//! Panics with a message.

use runtime_plugin_sdk::{Builder, Config, Head, Refusal, export};

export!(guests::guest(build));

fn build(_: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    give_up(7);
    Ok(())
}

#[inline(never)]
fn give_up(experts: u32) {
    assert!(experts.is_multiple_of(2), "cannot wire {experts} experts\u{1b}[2J");
}
