//! Clears the screen by its name.

use runtime_plugin_sdk::{Architecture, Builder, Config, Head, Refusal, export};

export!(Architecture { name: "\u{1b}[2Jbert", ..guests::guest(build) });

fn build(_: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    Ok(())
}
