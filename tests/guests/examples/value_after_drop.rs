//! Uses a handle after having given it back.

use runtime_plugin_sdk::wit::inference::runtime::graph::{self, Value};
use runtime_plugin_sdk::{Builder, Config, Head, Refusal, export};

export!(guests::guest(build));

fn build(_: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    revive();
    Ok(())
}

#[inline(never)]
fn revive() {
    let value = graph::token_ids();
    let number = value.handle();
    drop(value);
    // SAFETY: none; that the host notices is what is tested.
    #[expect(unsafe_code, reason = "only so can a handle be forged")]
    let revived = unsafe { Value::from_handle(number) };
    let _ = revived.shape();
}
