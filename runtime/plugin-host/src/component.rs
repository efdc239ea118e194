//! A plugin's file: reading it, compiling it, connecting what it imports.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};

use crate::sandbox::Sandbox;
use crate::state::Guest;
use crate::{Error, World, text, v0_1, wasi};

/// A file with a plugin, and what it must be.
#[derive(Clone, Copy, Debug)]
pub struct PluginFile<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// Its SHA-256 in hexadecimal digits; any other file is refused before it is looked at.
    pub sha256: Option<&'a str>,
}

impl<'a> From<&'a Path> for PluginFile<'a> {
    fn from(path: &'a Path) -> Self {
        Self { path, sha256: None }
    }
}

impl<'a> From<&'a PathBuf> for PluginFile<'a> {
    fn from(path: &'a PathBuf) -> Self {
        Self::from(path.as_path())
    }
}

/// A component that was compiled, of a world that is known.
pub(crate) struct Compiled {
    pub(crate) path: PathBuf,
    pub(crate) component: Component,
    pub(crate) world: World,
    pub(crate) size: u64,
    pub(crate) digest: String,
}

impl Compiled {
    /// # Errors
    /// Where the file cannot be read, has another digest than `sha256`, or is no component of the interface.
    pub(crate) fn open(file: PluginFile<'_>, sandbox: &Sandbox) -> Result<Self, Error> {
        let PluginFile { path, sha256 } = file;
        let bytes = read(path, sandbox.limits.component)?;
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        // Before anything looks at what it holds.
        if let Some(expected) = sha256.filter(|expected| !expected.eq_ignore_ascii_case(&digest)) {
            let (path, expected) = (path.to_owned(), expected.to_owned());
            return Err(Error::OtherDigest { path, expected, found: digest });
        }
        let component = compile(path, &bytes, sandbox)?;
        let kind = component.component_type();
        for (import, _) in kind.imports(&sandbox.engine).filter(|(import, _)| !import.starts_with("wasi:")) {
            let (path, import) = (path.to_owned(), text::printable(import));
            match import.strip_prefix("inference:runtime/").map(v0_1::has) {
                Some(true) => {}
                Some(false) => return Err(Error::Interface { path, reason: format!("it imports `{import}`") }),
                None => return Err(Error::ForeignImport { path, import }),
            }
        }
        let world = v0_1::world(&kind, &sandbox.engine).ok_or_else(|| {
            let exports: Vec<String> =
                kind.exports(&sandbox.engine).map(|(export, _)| format!("`{}`", text::printable(export))).collect();
            let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
            let reason = format!("it exports {exports}, which is the export of no world");
            Error::Interface { path: path.to_owned(), reason }
        })?;
        Ok(Self { path: path.to_owned(), component, world, size: bytes.len() as u64, digest })
    }

    /// # Errors
    /// Where it is of another world.
    pub(crate) fn expect(self, world: World) -> Result<Self, Error> {
        if self.world == world {
            return Ok(self);
        }
        Err(Error::OtherWorld { path: self.path, found: self.world, wanted: world })
    }

    /// Connects the component's imports; `bind` makes the interface of its world.
    pub(crate) fn link<G: Guest, I>(
        &self,
        sandbox: &Sandbox,
        linker: &Linker<G>,
        bind: impl FnOnce(&Linker<G>, &Component) -> wasmtime::Result<I>,
    ) -> Result<I, Error> {
        let mut linker = linker.clone();
        let kind = self.component.component_type();
        let bound = wasi::define(&mut linker, &kind, &sandbox.engine).and_then(|()| bind(&linker, &self.component));
        bound.map_err(|error| {
            let reasons: Vec<String> = error.chain().map(ToString::to_string).collect();
            Error::Interface { path: self.path.clone(), reason: text::printable(&reasons.join(": ")) }
        })
    }

    /// What its file is called, for messages about a plugin that has not said its name.
    pub(crate) fn file_name(&self) -> String {
        text::printable(&self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy())
    }

    pub(crate) fn badly_described(&self, reason: String) -> Error {
        Error::Description { path: self.path.clone(), reason }
    }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    // Opening a pipe could wait for ever.
    let is_file = fs::metadata(path).and_then(|metadata| match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")),
    });
    is_file
        .and_then(|()| File::open(path))
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

fn compile(path: &Path, bytes: &[u8], sandbox: &Sandbox) -> Result<Component, Error> {
    let not_a_component = |reason| Error::NotAComponent { path: path.to_owned(), reason };
    // The preamble: a magic number, then a version and a layer, which core modules and components share.
    match bytes {
        [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => {}
        [b'\0', b'a', b's', b'm', _, _, 0, 0, ..] => {
            return Err(not_a_component("it is a core module".to_owned()));
        }
        _ => return Err(not_a_component("it does not begin as WebAssembly does".to_owned())),
    }
    Component::new(&sandbox.engine, bytes)
        .map_err(|error| not_a_component(text::printable(&error.root_cause().to_string())))
}
