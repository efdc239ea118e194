//! What can be wrong with a plugin.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use runtime_diagnostics::{Exit, Explain};
use runtime_graph::{GraphError, Head, Refusal};

use crate::World;
use crate::records::Misfit;

/// Why a plugin cannot be loaded, or its graph not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// WebAssembly cannot be run here at all.
    #[error("plugins cannot be run on this machine")]
    Engine {
        /// What wasmtime or the system says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file cannot be read.
    #[error("the plugin `{path}` cannot be read", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is larger than [`Limits::component`](crate::Limits::component).
    #[error("the plugin `{path}` is larger than {limit} bytes", path = .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file is no WebAssembly component.
    #[error("`{path}` is not a WebAssembly component: {reason}", path = .path.display())]
    NotAComponent {
        /// The file.
        path: PathBuf,
        /// What it is instead, or where it breaks off.
        reason: String,
    },
    /// The file is another than the one that was named.
    #[error("the plugin `{path}` has the SHA-256 {found}, not {expected}", path = .path.display())]
    OtherDigest {
        /// The file.
        path: PathBuf,
        /// The digest that it should have.
        expected: String,
        /// The digest that it has.
        found: String,
    },
    /// The plugin is of another kind than is needed.
    #[error("the plugin `{path}` is of the world `{found}`; one of the world `{wanted}` is needed", path = .path.display())]
    OtherWorld {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: World,
        /// What it should be.
        wanted: World,
    },
    /// The component imports something beside the plugin interface.
    #[error("the plugin `{path}` imports `{import}`, which no plugin is given", path = .path.display())]
    ForeignImport {
        /// The file.
        path: PathBuf,
        /// The import.
        import: String,
    },
    /// The component does not fit the plugin interface, or was made for a version that is not known here.
    #[error("the plugin `{path}` does not fit the interface `inference:runtime@0.1`: {reason}", path = .path.display())]
    Interface {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// What the plugin says of itself breaks a rule.
    #[error("the plugin `{path}` describes itself wrongly: {reason}", path = .path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// The rule.
        reason: String,
    },
    /// The plugin cannot build this head.
    #[error("the plugin `{plugin}` {version} has no head `{head}`", head = .head.name())]
    NoHead {
        /// The plugin's name.
        plugin: String,
        /// The plugin's version.
        version: String,
        /// The head.
        head: Head,
    },
    /// The plugin used the graph wrongly.
    #[error("{site} misused the graph")]
    Misuse {
        /// Where.
        site: Box<Site>,
        /// How.
        #[source]
        error: Box<GraphError>,
    },
    /// The plugin was ended.
    #[error("{site} was ended")]
    Trap {
        /// Where.
        site: Box<Site>,
        /// Why.
        #[source]
        cause: Cause,
    },
    /// The plugin cannot serve the model's configuration.
    #[error("the plugin `{plugin}` {version} refuses the model")]
    Refused {
        /// The plugin's name.
        plugin: String,
        /// The plugin's version.
        version: String,
        /// Why.
        #[source]
        refusal: Box<Refusal>,
    },
    /// What a plugin is to be set up with does not fit what it asks for.
    #[error("the parameters of the plugin `{plugin}` {version} do not fit: {misfit}")]
    Parameters {
        /// The plugin's name.
        plugin: String,
        /// The plugin's version.
        version: String,
        /// What does not fit.
        misfit: Misfit,
    },
    /// What a step is to read does not fit what it asks for.
    #[error("the inputs of the plugin `{plugin}` {version} do not fit: {misfit}")]
    Inputs {
        /// The plugin's name.
        plugin: String,
        /// The plugin's version.
        version: String,
        /// What does not fit.
        misfit: Misfit,
    },
    /// The plugin says that its parameters are wrong.
    #[error("the plugin `{plugin}` {version} does not start{}", said(.reason.as_deref()))]
    NotStarted {
        /// The plugin's name.
        plugin: String,
        /// The plugin's version.
        version: String,
        /// Why, where that may be shown.
        reason: Option<String>,
    },
    /// The step says that it has no outputs for a record.
    #[error("the plugin `{plugin}` {version} refuses the record{}", said(.reason.as_deref()))]
    RecordRefused {
        /// The plugin's name.
        plugin: String,
        /// The plugin's version.
        version: String,
        /// Why, where that may be shown.
        reason: Option<String>,
    },
    /// A processor made a score of what is none.
    #[error("the plugin `{plugin}` {version} made the score of token {token} {score}")]
    Score {
        /// The plugin's name.
        plugin: String,
        /// The plugin's version.
        version: String,
        /// The token.
        token: usize,
        /// Not a number, or infinite.
        score: f32,
    },
    /// What a step gives is not what it describes.
    #[error("the outputs of the plugin `{plugin}` {version} are not those that it describes: {reason}")]
    Outputs {
        /// The plugin's name.
        plugin: String,
        /// The plugin's version.
        version: String,
        /// What is wrong.
        reason: String,
    },
}

fn said(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

/// Where in a plugin something happened; printed as ``the plugin `bert` 0.1.0, in `bert::layer`,``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The plugin's name; that of its file while it has not yet said it.
    pub plugin: String,
    /// The plugin's version, once it has said it.
    pub version: Option<String>,
    /// The innermost of the plugin's own functions, or the export that the host called.
    pub function: String,
    /// All of the functions, innermost first.
    pub backtrace: Vec<String>,
    /// Whether its memory and time are what a pipeline file grants.
    pub is_granted: bool,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the plugin `{}`", self.plugin)?;
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        write!(f, ", in `{}`,", self.function)
    }
}

/// Why a plugin was ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// It did not return in time.
    #[error("it ran for more than {} ms", .limit.as_millis())]
    Deadline {
        /// The time it had.
        limit: Duration,
    },
    /// It asked for more memory than it may have.
    #[error("it asked for more than {limit} bytes of memory")]
    Memory {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It asked for more or larger tables than it may have.
    #[error("it asked for tables of more than {limit} elements")]
    Tables {
        /// The limit, of all its tables together.
        limit: usize,
    },
    /// Its calls nest too deep.
    #[error("its calls nest too deep for the stack")]
    Stack,
    /// It read or wrote outside its memory.
    #[error("it reached outside its own memory")]
    OutOfBounds,
    /// It panicked or aborted.
    #[error("it gave up{}", .message.as_deref().map(|message| format!(": {message}")).unwrap_or_default())]
    Panic {
        /// What it wrote to its standard error before.
        message: Option<String>,
    },
    /// It called something that WebAssembly has for other programs.
    #[error("it asked for `{import}`, which no plugin is granted")]
    NotGranted {
        /// The import, such as `wasi:filesystem/preopens`.
        import: String,
    },
    /// It passed something that the interface rules out before the graph sees it.
    #[error("{0}")]
    Rule(String),
    /// Anything else, in wasmtime's words.
    #[error("{0}")]
    Other(String),
}

impl Cause {
    /// The grant that would have let the plugin go on.
    fn grant(&self) -> Option<&'static str> {
        match self {
            Self::Deadline { .. } => Some("seconds"),
            Self::Memory { .. } => Some("memory_mib"),
            _ => None,
        }
    }
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { .. } => Exit::NoInput,
            Self::Engine { .. }
            | Self::TooLarge { .. }
            | Self::NotAComponent { .. }
            | Self::ForeignImport { .. }
            | Self::Interface { .. }
            | Self::Description { .. }
            | Self::OtherDigest { .. }
            | Self::Outputs { .. }
            | Self::Score { .. }
            | Self::Trap { .. } => Exit::Unavailable,
            Self::OtherWorld { .. }
            | Self::NoHead { .. }
            | Self::Misuse { .. }
            | Self::Refused { .. }
            | Self::Parameters { .. }
            | Self::NotStarted { .. } => Exit::Config,
            Self::Inputs { .. } | Self::RecordRefused { .. } => Exit::Data,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotAComponent { .. } => {
                Some("in Rust, `cargo build --release --target wasm32-wasip2` makes a component".to_owned())
            }
            Self::ForeignImport { .. } => {
                Some("a plugin can import the package `inference:runtime` alone, see `wit/`".to_owned())
            }
            Self::Interface { .. } => Some("the interface is in `wit/v0.1`; build the plugin against it".to_owned()),
            Self::NotStarted { reason: None, .. } | Self::RecordRefused { reason: None, .. } => {
                Some("`log_text = true` in its grants shows what it says, which may hold text of the record".to_owned())
            }
            Self::OtherDigest { .. } => Some(
                "the file was changed or is another version; `runtime plugin inspect FILE` shows what it is".to_owned(),
            ),
            Self::Misuse { site, .. } => site.calls(),
            Self::Trap { site, cause } => {
                let grant = cause.grant().filter(|_| site.is_granted);
                let grant = grant.map(|grant| format!("`{grant}` in its grants gives it more"));
                let said: Vec<String> = grant.into_iter().chain(site.calls()).collect();
                (!said.is_empty()).then(|| said.join("; "))
            }
            _ => None,
        }
    }
}

impl Site {
    /// The chain of calls down to the function that the message names, where there is more than that one.
    fn calls(&self) -> Option<String> {
        const SHOWN: usize = 8;
        let mut calls: Vec<&str> = self.backtrace.iter().map(String::as_str).collect();
        // Of a function that was inlined away, those around it say nothing.
        let first = calls.iter().position(|name| *name == self.function)?;
        calls.drain(..first);
        calls.dedup();
        let shown: Vec<String> = calls.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
        (shown.len() > 1).then(|| format!("calls, innermost first: {}", shown.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_shows_the_authors_calls() {
        let site = |backtrace: &[&str]| Site {
            plugin: "bert".to_owned(),
            version: Some("0.1.0".to_owned()),
            function: "bert::layer".to_owned(),
            backtrace: backtrace.iter().map(|&name| name.to_owned()).collect(),
            is_granted: true,
        };
        let deep = site(&["core::panic", "bert::layer", "bert::layer", "bert::build", "build"]);
        assert_eq!(deep.to_string(), "the plugin `bert` 0.1.0, in `bert::layer`,");
        let error = Error::Trap { site: Box::new(deep), cause: Cause::Stack };
        assert_eq!(error.hint().as_deref(), Some("calls, innermost first: `bert::layer`, `bert::build`, `build`"));
        assert_eq!(site(&["bert::layer"]).calls(), None);
        let late =
            |site| Error::Trap { site: Box::new(site), cause: Cause::Deadline { limit: Duration::from_secs(1) } };
        assert_eq!(late(site(&[])).hint().as_deref(), Some("`seconds` in its grants gives it more"));
        assert_eq!(late(Site { is_granted: false, ..site(&[]) }).hint(), None);
        assert_eq!(site(&[]).calls(), None);
    }
}
