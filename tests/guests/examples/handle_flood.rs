//! Takes handles of one value without end.

use std::{hint, mem};

use runtime_plugin_sdk::wit::inference::runtime::graph;
use runtime_plugin_sdk::{Builder, Config, Head, Refusal, export};

export!(guests::guest(build));

fn build(_: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    flood();
    Ok(())
}

#[inline(never)]
fn flood() {
    while hint::black_box(true) {
        mem::forget(graph::token_ids());
    }
}
