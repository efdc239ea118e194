//! `--adapter`: one for all that is asked, or several with names.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use runtime_diagnostics::{Exit, Problem};

use super::ModelArgs;

/// `FOLDER` or `NAME=FOLDER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AdapterArg {
    name: Option<String>,
    folder: PathBuf,
}

/// What the flags come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AdapterArgs<'a> {
    /// The model's weights are changed by it as they are read.
    All(Option<&'a Path>),
    /// Requests choose one.
    Named(Vec<(&'a str, &'a Path)>),
}

impl FromStr for AdapterArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            name.starts_with(|char: char| char.is_ascii_alphabetic())
                && name.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-'))
        };
        Ok(match text.split_once('=').filter(|(name, _)| is_name(name)) {
            Some((_, "")) => return Err("there is no folder behind `=`".to_owned()),
            Some((name, folder)) => Self { name: Some(name.to_owned()), folder: folder.into() },
            None => Self { name: None, folder: text.into() },
        })
    }
}

impl ModelArgs {
    /// # Errors
    /// Where several are given and one has no name, or two have the same.
    pub(crate) fn adapters(&self) -> Result<AdapterArgs<'_>, Problem> {
        let usage = |message: String, hint: &str| Err(Problem::new(Exit::Usage, message).hint(hint));
        if let [AdapterArg { name: None, folder }] = &self.adapters[..] {
            return Ok(AdapterArgs::All(Some(folder)));
        }
        let mut named: Vec<(&str, &Path)> = Vec::new();
        for AdapterArg { name, folder } in &self.adapters {
            let Some(name) = name else {
                return usage("several adapters need names".to_owned(), "write `--adapter NAME=FOLDER` for each");
            };
            if named.iter().any(|(known, _)| known == name) {
                return usage(format!("two adapters are named `{name}`"), "give each a name of its own");
            }
            named.push((name, folder));
        }
        Ok(if named.is_empty() { AdapterArgs::All(None) } else { AdapterArgs::Named(named) })
    }

    /// The adapter of a command whose requests cannot choose one.
    ///
    /// # Errors
    /// Where several are given, or one has a name.
    pub(crate) fn only_adapter(&self, instead: &str) -> Result<Option<&Path>, Problem> {
        match self.adapters()? {
            AdapterArgs::All(adapter) => Ok(adapter),
            AdapterArgs::Named(_) => {
                Err(Problem::new(Exit::Usage, "nothing chooses among adapters with names here").hint(instead))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::{Args, Command};

    fn found(arguments: &str) -> String {
        let all = ["runtime", "generate", "--model", "m", "hi"].into_iter().chain(arguments.split_whitespace());
        match Args::try_parse_from(all).map(|args| args.command) {
            Ok(Command::Generate(options)) => match options.model.adapters() {
                Ok(adapters) => format!("{adapters:?}"),
                Err(problem) => problem.to_string(),
            },
            Ok(_) => "another command".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn one_needs_no_name_and_several_do() {
        assert_eq!(found(""), "All(None)");
        assert_eq!(found("--adapter lora"), r#"All(Some("lora"))"#);
        assert_eq!(found("--adapter ./a=b"), r#"All(Some("./a=b"))"#);
        assert_eq!(found("--adapter a=b"), r#"Named([("a", "b")])"#);
        assert_eq!(found("--adapter a=b --adapter c=d=e"), r#"Named([("a", "b"), ("c", "d=e")])"#);
        assert_eq!(found("--adapter a --adapter b=c"), "several adapters need names");
        assert_eq!(found("--adapter a=b --adapter a=c"), "two adapters are named `a`");
        assert!(found("--adapter a=").contains("no folder behind `=`"));
    }
}
