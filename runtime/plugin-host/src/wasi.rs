//! The `wasi:*` imports that compilers put into every component, of which a plugin is granted none.
//!
//! What a language's start-up and panic handler call is answered with nothing: no variables, no arguments, a seed that
//! is always the same, an error stream that is kept for the message. Whatever else is called ends the plugin.

use wasmtime::StoreContextMut;
use wasmtime::component::types::{Component, ComponentItem};
use wasmtime::component::{Linker, Resource, ResourceType, Val};
use wasmtime::{Engine, Result};

use crate::error::Cause;
use crate::state::Guest;
use crate::text;

/// What every resource of WASI is here.
struct Nothing;

/// The streams that a guest can get hold of, by the number behind the handle.
const STDERR: u32 = 2;
/// The others, which end the plugin once used.
const CLOSED: u32 = 0;

/// Bytes that are kept of what a guest writes to its standard error.
const KEPT: usize = 4096;

/// What a guest wrote to its standard error.
#[derive(Debug, Default)]
pub(crate) struct Stderr(Vec<u8>);

impl Stderr {
    fn write(&mut self, bytes: &[Val]) {
        let room = KEPT.saturating_sub(self.0.len());
        let bytes = bytes.iter().filter_map(|byte| if let Val::U8(byte) = byte { Some(*byte) } else { None });
        self.0.extend(bytes.take(room));
    }

    /// The message on one line, without what Rust's panic handler says around it.
    pub(crate) fn panic_message(&self) -> Option<String> {
        let written = String::from_utf8_lossy(&self.0);
        let lines =
            written.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("note: run with"));
        let lines = lines.map(|line| match line.find("panicked at ") {
            Some(start) if line.starts_with("thread ") => &line[start..],
            _ => line,
        });
        let message = lines.collect::<Vec<_>>().join(" ");
        (!message.is_empty()).then(|| text::printable(&message))
    }
}

/// Defines each `wasi:*` interface that `component` imports.
pub(crate) fn define<G: Guest>(linker: &mut Linker<G>, component: &Component, engine: &Engine) -> Result<()> {
    for (name, import) in component.imports(engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else { continue };
        if !name.starts_with("wasi:") {
            continue;
        }
        let bare = name.split_once('@').map_or(name, |(bare, _)| bare);
        let mut instance = linker.instance(name)?;
        for (item, definition) in interface.exports(engine) {
            match definition.ty {
                ComponentItem::Resource(_) => {
                    instance.resource(item, ResourceType::host::<Nothing>(), |_, _| Ok(()))?;
                }
                ComponentItem::ComponentFunc(_) => {
                    let (interface, function) = (bare.to_owned(), item.to_owned());
                    instance.func_new(item, move |store, _, arguments, results| {
                        let granted = answer(store, &interface, &function, arguments)?;
                        let value = granted.ok_or_else(|| Cause::NotGranted { import: interface.clone() })?;
                        // A function without result drops it.
                        results.iter_mut().take(1).for_each(|result| *result = value.clone());
                        Ok(())
                    })?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// What a call returns, or `None` where it is not granted.
fn answer<G: Guest>(
    mut store: StoreContextMut<'_, G>,
    interface: &str,
    function: &str,
    arguments: &[Val],
) -> Result<Option<Val>> {
    Ok(match (interface, function) {
        ("wasi:cli/environment", "get-environment" | "get-arguments") => Some(Val::List(Vec::new())),
        ("wasi:random/insecure-seed", _) => Some(Val::Tuple(vec![Val::U64(0), Val::U64(0)])),
        ("wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr", _) => {
            Some(Val::Option(None))
        }
        ("wasi:cli/stderr", _) => Some(stream(store, STDERR)?),
        ("wasi:cli/stdin" | "wasi:cli/stdout", _) => Some(stream(store, CLOSED)?),
        ("wasi:io/streams" | "wasi:io/poll", _) => match arguments {
            [Val::Resource(this), rest @ ..] if this.try_into_resource::<Nothing>(&mut store)?.rep() == STDERR => {
                match function {
                    // A pollable goes by the number of its stream.
                    "[method]output-stream.subscribe" => Some(stream(store, STDERR)?),
                    _ => write(&mut store.data_mut().bounds().stderr, function, rest),
                }
            }
            _ => None,
        },
        _ => None,
    })
}

fn stream<G: Guest>(store: StoreContextMut<'_, G>, number: u32) -> Result<Val> {
    Ok(Val::Resource(Resource::<Nothing>::new_own(number).try_into_resource_any(store)?))
}

/// What an `output-stream` that writes at once, and the `pollable` of one, answer.
fn write(stderr: &mut Stderr, method: &str, arguments: &[Val]) -> Option<Val> {
    match (method.strip_prefix("[method]")?, arguments) {
        ("output-stream.check-write", []) => return Some(Val::Result(Ok(Some(Box::new(Val::U64(KEPT as u64)))))),
        ("output-stream.write" | "output-stream.blocking-write-and-flush", [Val::List(bytes)]) => stderr.write(bytes),
        ("output-stream.flush" | "output-stream.blocking-flush", []) => {}
        ("pollable.ready" | "pollable.block", []) => return Some(Val::Bool(true)),
        _ => return None,
    }
    Some(Val::Result(Ok(None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_one_line_and_bounded() {
        let mut stderr = Stderr::default();
        assert_eq!(stderr.panic_message(), None);
        let said =
            "\nthread 'main' (1) panicked at src/lib.rs:9:5:\nno such layer\nnote: run with `RUST_BACKTRACE=1`\n";
        stderr.write(&said.bytes().map(Val::U8).collect::<Vec<_>>());
        assert_eq!(stderr.panic_message().as_deref(), Some("panicked at src/lib.rs:9:5: no such layer"));
        stderr.write(&vec![Val::U8(b'x'); 2 * KEPT]);
        assert_eq!(stderr.0.len(), KEPT);
    }
}
