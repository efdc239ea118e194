//! Components that no compiler of a safe language makes: core modules as text in `tests/guests/wat`, wrapped here.
//!
//! A text holds what is special about its module. What it does not export is added: memory, an allocator, and for the world
//! of an architecture, a step or a processor of scores the exports that behave well.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::root;

/// What the attacks may import beside the interface: of WASI what a plugin could want, with the signatures of preview 2.
const WASI: &str = include_str!("../guests/wat/wasi.wit");

/// An export that behaves well, by its name, and the text that makes it.
struct Part {
    export: &'static str,
    text: &'static str,
}

const COMMON: &[Part] = &[
    Part { export: "memory", text: r#"(memory (export "memory") 4)"# },
    Part {
        export: "cabi_realloc",
        // Nothing is ever given back; 8 is the greatest alignment.
        text: r#"
            (global $free (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get $at) (local.get 3)))
                (local.get $at))"#,
    },
];

/// At 1024: "guest", "0.1.0". A description lies at 1100, the list of its texts at 1160, that of its heads at 1170; at 1200 is
/// what is no error.
const ARCHITECTURE: &[Part] = &[
    Part {
        export: "describe",
        text: r#"
            (data (i32.const 1024) "guest")
            (data (i32.const 1032) "0.1.0")
            (data (i32.const 1100) "\00\04\00\00\05\00\00\00\08\04\00\00\05\00\00\00\88\04\00\00\01\00\00\00\00\00\00\00\00\00\00\00\92\04\00\00\01\00\00\00")
            (data (i32.const 1160) "\00\04\00\00\05\00\00\00")
            (func (export "describe") (result i32) (i32.const 1100))"#,
    },
    Part { export: "build", text: r#"(func (export "build") (param i32 i32 i32) (result i32) (i32.const 1200))"# },
];

/// At 1024: "guest", "0.1.0", "text". The slot `text`, a required text, lies at 1060, and one `number` that may be absent at
/// 1080; a description at 1100.
const STEP: &[Part] = &[
    Part {
        export: "inference:runtime/step-processing@0.1.0#describe",
        text: r#"
            (data (i32.const 1024) "guest")
            (data (i32.const 1032) "0.1.0")
            (data (i32.const 1040) "text")
            (data (i32.const 1048) "number")
            (data (i32.const 1060) "\10\04\00\00\04\00\00\00\00\01\00\00\00\00\00\00\00\00\00\00")
            (data (i32.const 1080) "\18\04\00\00\06\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
            (data (i32.const 1100) "\00\04\00\00\05\00\00\00\08\04\00\00\05\00\00\00\00\00\00\00\00\00\00\00\24\04\00\00\01\00\00\00\38\04\00\00\01\00\00\00")
            (func (export "inference:runtime/step-processing@0.1.0#describe") (result i32) (i32.const 1100))"#,
    },
    Part {
        export: "inference:runtime/step-processing@0.1.0#start",
        text: r#"(func (export "inference:runtime/step-processing@0.1.0#start") (param i32 i32) (result i32) (i32.const 1200))"#,
    },
    Part {
        export: "inference:runtime/step-processing@0.1.0#process",
        text: r#"(func (export "inference:runtime/step-processing@0.1.0#process") (param i32 i32) (result i32) (i32.const 1200))"#,
    },
];

/// At 1024: "guest", "0.1.0"; a description at 1100. The text in hand is number 7 in the guest. Its import, `$new`, must be in
/// the attack's text, since imports come first.
const PROCESSOR: &[Part] = &[
    Part {
        export: "inference:runtime/logits-processing@0.1.0#describe",
        text: r#"
            (data (i32.const 1024) "guest")
            (data (i32.const 1032) "0.1.0")
            (data (i32.const 1100) "\00\04\00\00\05\00\00\00\08\04\00\00\05\00\00\00")
            (func (export "inference:runtime/logits-processing@0.1.0#describe") (result i32) (i32.const 1100))"#,
    },
    Part {
        export: "inference:runtime/logits-processing@0.1.0#[static]sequence.start",
        text: r#"
            (func (export "inference:runtime/logits-processing@0.1.0#[static]sequence.start")
                (param i32 i32 i32 i32) (result i32)
                (i32.store (i32.const 1204) (call $new (i32.const 7)))
                (i32.const 1200))"#,
    },
    Part {
        export: "inference:runtime/logits-processing@0.1.0#[method]sequence.process",
        text: r#"
            (func (export "inference:runtime/logits-processing@0.1.0#[method]sequence.process")
                (param $this i32) (param $tokens i32) (param $count i32) (param $row i32)
                (call $drop_row (local.get $row)))"#,
    },
];

/// The component of the attack `name`, which is of the world whose name its text begins with: `;; architecture`, `;; step` or
/// `;; logits-processor`.
///
/// # Panics
/// Where there is none, or its text is wrong.
pub fn attack(name: &str) -> PathBuf {
    let text = fs::read_to_string(folder().join(name).with_extension("wat")).unwrap_or_else(|_| panic!("no {name}"));
    let world = text.lines().next().and_then(|line| line.strip_prefix(";; ")).expect("a text begins with its world");
    let own = match world {
        "architecture" => ARCHITECTURE,
        "step" => STEP,
        "logits-processor" => PROCESSOR,
        other => panic!("{name} is of the world {other}, which there is not"),
    };
    let added = COMMON.iter().chain(own).filter(|part| !text.contains(&format!("(export \"{}\")", part.export)));
    let added: Vec<&str> = added.map(|part| part.text).collect();
    let module = format!("(module ${name}\n{text}\n{})", added.join("\n"));
    let component = component(&module, world).unwrap_or_else(|error| panic!("{name}: {error}"));
    // Each test has a file of its own, which none sees half written.
    let path =
        env::temp_dir().join(format!("runtime-attack-{name}-{}-{:?}.wasm", process::id(), std::thread::current().id()));
    fs::write(&path, component).expect("there is room");
    path
}

/// The names of all attacks.
///
/// # Panics
/// Where the folder is gone.
pub fn attacks() -> Vec<String> {
    let files = fs::read_dir(folder()).expect("there are attacks").map(|entry| entry.expect("it is readable").path());
    let texts = files.filter(|file| file.extension().is_some_and(|ending| ending == "wat"));
    texts.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect()
}

fn folder() -> PathBuf {
    root().join("tests/guests/wat")
}

fn component(module: &str, world: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut module = wat::parse_str(module)?;
    let mut resolve = Resolve::default();
    resolve.push_dir(root().join("wit/v0.1"))?;
    for package in WASI.split("\n---\n") {
        resolve.push_str(Path::new("wasi.wit"), package)?;
    }
    let attacks = resolve.push_str(
        Path::new("attacks.wit"),
        &format!(
            "package tests:attacks;\nworld attack {{ include inference:runtime/{world}@0.1.0; include wasi:attacked/all; }}"
        ),
    )?;
    let world = resolve.select_world(&[attacks], Some("attack"))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    Ok(ComponentEncoder::default().module(&module)?.validate(true).encode()?)
}
