//! Uses a handle that it was never given.

use runtime_plugin_sdk::wit::inference::runtime::graph::Value;
use runtime_plugin_sdk::{Builder, Config, Head, Refusal, export};

export!(guests::guest(build));

fn build(_: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    forge();
    Ok(())
}

#[inline(never)]
fn forge() {
    // SAFETY: none; that the host notices is what is tested.
    #[expect(unsafe_code, reason = "only so can a handle be forged")]
    let forged = unsafe { Value::from_handle(9999) };
    let _ = forged.select_rows();
}
