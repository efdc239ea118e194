//! Asks for a tensor by a name of a mebibyte less one.

use runtime_plugin_sdk::{Builder, Config, Head, Refusal, export};

export!(guests::guest(build));

fn build(graph: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    let found = graph.find(&"a".repeat((1 << 20) - 1));
    assert_eq!(found, None);
    Ok(())
}
