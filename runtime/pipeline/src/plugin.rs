//! Plugins: where they are, what they may do, and the steps that they are.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::name::Name;
use crate::pipeline::Reference;
use crate::spanned::Spanned;

/// A plugin's file, as it is named.
#[derive(Clone, Debug)]
pub struct PluginSource {
    /// A path relative to the pipeline's folder, `org/name[@revision]:FILE` of the hub, or `oci://REGISTRY/NAME:TAG`.
    pub source: Spanned<String>,
    /// The SHA-256 of the file, in hexadecimal digits.
    pub sha256: Option<Spanned<String>>,
}

/// `[plugins.NAME]`: a plugin that is a step, or that changes scores.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// What steps call it.
    pub name: Spanned<Name>,
    /// Its file.
    pub file: PluginSource,
    /// What it may do.
    pub grants: Grants,
}

/// `[plugins.NAME.grants]`: what is not written is not granted, but for some memory and time.
#[derive(Clone, Debug)]
pub struct Grants {
    /// The models that it may call: what it calls each, and which of the pipeline's models that is.
    pub models: Vec<(Spanned<Name>, Spanned<Name>)>,
    /// The models whose tokenizers it may call, in the same way.
    pub tokenizers: Vec<(Spanned<Name>, Spanned<Name>)>,
    /// The tokens that it may have generated for each record.
    pub generated_tokens: usize,
    /// The memory of each of its instances, in MiB.
    pub memory_mib: usize,
    /// The time that it may compute for each record or token.
    pub time: Duration,
    /// Whether what it says may be shown and logged: it may hold the text of records.
    pub log_text: bool,
}

impl Grants {
    /// The memory of an instance where nothing else is granted.
    pub const DEFAULT_MEMORY_MIB: usize = 64;
    /// The time for a record where nothing else is granted; hundreds of pages go through a filter in it.
    pub const DEFAULT_TIME: Duration = Duration::from_secs(1);
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            models: Vec::new(),
            tokenizers: Vec::new(),
            generated_tokens: 0,
            memory_mib: Self::DEFAULT_MEMORY_MIB,
            time: Self::DEFAULT_TIME,
            log_text: false,
        }
    }
}

/// `kind = "plugin"`. Its outputs are the plugin's to say.
#[derive(Clone, Debug)]
pub struct PluginStep {
    /// A declared plugin.
    pub plugin: Spanned<Name>,
    /// What it reads: its own name for it, and where it comes from.
    pub inputs: Vec<(Spanned<String>, Reference)>,
    /// What it is set up with.
    pub parameters: Spanned<Map<String, Value>>,
}

/// A plugin that changes scores in a step that generates.
#[derive(Clone, Debug)]
pub struct LogitsProcessor {
    /// A declared plugin.
    pub plugin: Spanned<Name>,
    /// What it is set up with.
    pub parameters: Map<String, Value>,
}
