//! The templates and special tokens of a model folder, found as transformers finds them.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use serde_json::{Map, Value};

use crate::template::Source;
use crate::{ChatTemplate, Error};

/// Bytes of a file, at most.
const LARGEST: u64 = 64 << 20;

/// Special tokens that every tokenizer of transformers knows.
const STANDARD: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

impl ChatTemplate {
    /// The templates of a model folder, or `None` where it has none.
    ///
    /// Files (`chat_template.jinja`, `additional_chat_templates/*.jinja`) go before `chat_template` in
    /// `tokenizer_config.json`, which is a text or a list of named ones, and that before `chat_template.json`.
    ///
    /// # Errors
    /// Where a file cannot be read or is not as it should be.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join("tokenizer_config.json");
        let config = object(&path)?.unwrap_or_default();
        let mut sources = files(folder)?;
        if sources.is_empty() {
            sources = configured(&path, &config)?;
        }
        if sources.is_empty() {
            // Where processors of images and sounds had theirs.
            let path = folder.join("chat_template.json");
            sources = configured(&path, &object(&path)?.unwrap_or_default())?;
        }
        if sources.is_empty() {
            return Ok(None);
        }
        let tokens = special_tokens(folder, &config)?;
        Ok(Some(Self::of(sources, tokens)))
    }

    /// The templates of a model that has all of its files in one, at `path`: what its `tokenizer_config.json` would say.
    ///
    /// # Errors
    /// Where the templates are not as they should be.
    pub fn of_config(path: &Path, config: &Map<String, Value>) -> Result<Option<Self>, Error> {
        let sources = configured(path, config)?;
        if sources.is_empty() {
            return Ok(None);
        }
        let mut tokens = Map::new();
        collect(&mut tokens, config);
        Ok(Some(Self::of(sources, tokens)))
    }
}

/// The templates that are files.
fn files(folder: &Path) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    let path = folder.join("chat_template.jinja");
    if let Some(source) = text(&path)? {
        sources.push(Source::new("default", place(&path), source));
    }
    let more = folder.join("additional_chat_templates");
    if !more.is_dir() {
        return Ok(sources);
    }
    let failed = |source| Error::Read { path: more.clone(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(&more).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".jinja"));
        if let (Some(name), Some(source)) = (name, text(&path)?) {
            // A file of the name `default` there goes before the one beside `tokenizer.json`.
            sources.retain(|other: &Source| other.name != name);
            sources.push(Source::new(name, place(&path), source));
        }
    }
    Ok(sources)
}

/// The templates in `tokenizer_config.json` or `chat_template.json`.
fn configured(path: &Path, config: &Map<String, Value>) -> Result<Vec<Source>, Error> {
    let place = format!("`chat_template` in {}", place(path));
    match config.get("chat_template") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(source)) => Ok(vec![Source::new("default", place, source.clone())]),
        Some(Value::Array(list)) => {
            let named = |entry: &Value| {
                let (name, source) = (entry["name"].as_str()?, entry["template"].as_str()?);
                Some(Source::new(name, format!("the template `{name}` of {place}"), source.to_owned()))
            };
            let expected = "a list of objects with `name` and `template`";
            let wrong = || Error::Field { path: path.to_owned(), field: "chat_template".to_owned(), expected };
            let mut sources = list.iter().map(|entry| named(entry).ok_or_else(wrong)).collect::<Result<Vec<_>, _>>()?;
            // The last of a name counts.
            sources.reverse();
            Ok(sources)
        }
        Some(_) => {
            let expected = "a text or a list of named ones";
            Err(Error::Field { path: path.to_owned(), field: "chat_template".to_owned(), expected })
        }
    }
}

fn place(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// The special tokens by name. `special_tokens_map.json` goes before `tokenizer_config.json`, and is not read where the
/// latter lists `added_tokens_decoder`.
fn special_tokens(folder: &Path, config: &Map<String, Value>) -> Result<Map<String, Value>, Error> {
    let mut tokens = Map::new();
    collect(&mut tokens, config);
    if !config.contains_key("added_tokens_decoder") {
        collect(&mut tokens, &object(&folder.join("special_tokens_map.json"))?.unwrap_or_default());
    }
    Ok(tokens)
}

/// The standard ones, those that a model adds by a name in `_token`, and those in `extra_special_tokens`.
fn collect(tokens: &mut Map<String, Value>, fields: &Map<String, Value>) {
    let named = fields.get("extra_special_tokens").or_else(|| fields.get("model_specific_special_tokens"));
    let named = named.and_then(Value::as_object).into_iter().flatten();
    let named_here = |name: &str| STANDARD.contains(&name) || name.ends_with("_token");
    for (name, value) in fields.iter().filter(|(name, _)| named_here(name)).chain(named) {
        match value {
            Value::String(token) => tokens.insert(name.clone(), Value::String(token.clone())),
            Value::Object(token) if token.get("content").is_some_and(Value::is_string) => {
                tokens.insert(name.clone(), token["content"].clone())
            }
            // `add_bos_token` and the like; and a token that is null is none.
            Value::Null => tokens.remove(name),
            _ => None,
        };
    }
}

/// A JSON object, or `None` where there is no file.
fn object(path: &Path) -> Result<Option<Map<String, Value>>, Error> {
    let Some(text) = text(path)? else { return Ok(None) };
    let parsed = serde_json::from_str(&text);
    parsed.map(Some).map_err(|source| Error::Json { path: path.to_owned(), source })
}

/// A text, or `None` where there is no file.
fn text(path: &Path) -> Result<Option<String>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        // Opening a pipe could wait for ever.
        Ok(_) => return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::TooLarge { path: path.to_owned(), limit: LARGEST });
    }
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))
}
