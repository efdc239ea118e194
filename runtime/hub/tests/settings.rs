//! Which variable wins, as `huggingface_hub` documents them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use runtime_diagnostics::{Exit, Explain};
use runtime_hub::{Error, Settings};

fn settings(variables: &[(&str, &str)]) -> Result<Settings, Error> {
    let lookup = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| OsString::from(value))
    };
    Settings::from_lookup(lookup, Some(PathBuf::from("/nowhere/ann")))
}

#[test]
fn the_cache_is_where_the_first_variable_says() {
    let table: [(&[(&str, &str)], &str); 8] = [
        (&[], "/nowhere/ann/.cache/huggingface/hub"),
        (&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
        (&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")], "/h/hub"),
        (&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old"),
        (&[("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "/new")], "/new"),
        (&[("HF_HUB_CACHE", ""), ("HF_HOME", "/h")], "/h/hub"),
        (&[("HF_HOME", "~/hf")], "/nowhere/ann/hf/hub"),
        (&[("HF_HUB_CACHE", "relative/~")], "relative/~"),
    ];
    for (variables, cache) in table {
        assert_eq!(settings(variables).unwrap().cache, Path::new(cache), "{variables:?}");
    }
}

#[test]
fn without_a_home_a_variable_must_name_the_cache() {
    let error = Settings::from_lookup(|_| None, None).unwrap_err();
    assert!(matches!(error, Error::NoCache), "{error}");
    assert_eq!(error.exit(), Exit::Config);
    let named = Settings::from_lookup(|name| (name == "HF_HUB_CACHE").then(|| "/c".into()), None).unwrap();
    assert_eq!((named.cache, named.token), (PathBuf::from("/c"), None));
}

#[test]
fn offline_is_one_of_four_words() {
    for (value, offline) in
        [("1", true), ("on", true), ("Yes", true), ("TRUE", true), ("0", false), ("", false), ("2", false)]
    {
        assert_eq!(settings(&[("HF_HUB_OFFLINE", value)]).unwrap().offline, offline, "{value}");
        assert_eq!(settings(&[("TRANSFORMERS_OFFLINE", value)]).unwrap().offline, offline, "{value}");
    }
    let both = settings(&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")]).unwrap();
    assert!(!both.offline, "the first that is set decides");
    assert!(!settings(&[]).unwrap().offline);
}

#[test]
fn the_endpoint_loses_its_slash() {
    assert_eq!(settings(&[("HF_ENDPOINT", "http://mirror/hub//")]).unwrap().endpoint, "http://mirror/hub");
    assert!(settings(&[]).unwrap().endpoint.starts_with("https://"));
}

#[test]
fn the_token_is_a_variable_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    let path = elsewhere.to_str().unwrap();
    let token = |variables: &[(&str, &str)]| settings(variables).unwrap().token;

    assert_eq!(token(&[("HF_HOME", home)]), None, "no file yet");
    fs::write(folder.path().join("token"), " from_home\n").unwrap();
    fs::write(&elsewhere, "from_path\r\n").unwrap();
    let table: [(&[(&str, &str)], &str); 5] = [
        (&[("HF_HOME", home)], "from_home"),
        (&[("HF_HOME", home), ("HF_TOKEN_PATH", path)], "from_path"),
        (&[("HF_HOME", home), ("HUGGING_FACE_HUB_TOKEN", "legacy")], "legacy"),
        (&[("HF_TOKEN_PATH", path), ("HUGGING_FACE_HUB_TOKEN", "legacy"), ("HF_TOKEN", " new \n")], "new"),
        (&[("HF_TOKEN_PATH", path), ("HF_TOKEN", " ")], "from_path"),
    ];
    for (variables, expected) in table {
        assert_eq!(token(variables).as_deref(), Some(expected), "{variables:?}");
    }
    fs::write(&elsewhere, "\n").unwrap();
    assert_eq!(token(&[("HF_TOKEN_PATH", path)]), None, "an empty file is no token");
    let error = settings(&[("HF_TOKEN_PATH", home)]).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "a folder is no file: {error}");
}

#[test]
fn a_token_is_never_printed() {
    let shown = format!("{:?}", settings(&[("HF_TOKEN", "hf_secret")]).unwrap());
    assert!(shown.contains("token: Some") && !shown.contains("hf_secret"), "{shown}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_named() {
    use std::os::unix::ffi::OsStringExt;
    let lookup = |name: &str| (name == "HF_ENDPOINT").then(|| OsString::from_vec(vec![0xff]));
    let error = Settings::from_lookup(lookup, Some("/h".into())).unwrap_err();
    assert!(error.to_string().contains("`HF_ENDPOINT`"), "{error}");
}
