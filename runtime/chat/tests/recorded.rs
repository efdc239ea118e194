//! What transformers rendered: every case in `recorded/*.json`, written by `record.py`.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_chat::{Chat, ChatTemplate, Error};
use serde_json::{Map, Value};

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).expect("the file is readable")).expect("the file is JSON")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}

/// Renders what a case gives: `input` holds messages, tools and documents, `params` all else.
fn render(template: &ChatTemplate, input: &Value, params: &Value) -> Result<String, Error> {
    let list = |name: &str| input[name].as_array().map(Vec::as_slice);
    let mut variables: Map<String, Value> = params.as_object().cloned().unwrap_or_default();
    let prompt = variables.remove("add_generation_prompt").is_some_and(|prompt| prompt == true);
    let field = match variables.remove("continue_final_message") {
        Some(Value::Bool(true)) => Some("content".to_owned()),
        Some(Value::String(field)) => Some(field),
        _ => None,
    };
    template.render(&Chat {
        messages: list("messages").unwrap_or_default(),
        tools: list("tools"),
        documents: list("documents"),
        add_generation_prompt: prompt,
        continue_final_message: field.as_deref(),
        variables: Some(&variables),
    })
}

fn difference(found: &Result<String, Error>, expected: &Value) -> Option<String> {
    match (found, expected["text"].as_str()) {
        (Ok(found), Some(text)) if found == text => None,
        (Err(_), None) => None,
        (found, _) => Some(format!("{found:?}\n  recorded {expected}")),
    }
}

#[test]
fn templates_are_rendered_as_transformers_renders_them() {
    let mut failed = Vec::new();
    let mut cases = 0;
    for path in entries(&recorded()) {
        let file = json(&path);
        let tokens = file["special_tokens"].as_object().cloned().unwrap_or_default();
        for recorded in file["templates"].as_array().expect("a list of templates") {
            let source = recorded["template"].as_str().expect("a template");
            let template = ChatTemplate::new("the case", source, tokens.clone());
            for case in recorded["cases"].as_array().expect("a list of cases") {
                cases += 1;
                let given = |name| case.get(name).unwrap_or(&file[name]);
                let found = render(&template, given("input"), given("params"));
                let told = difference(&found, &case["expected"]);
                let shown: String = source.chars().take(300).collect();
                failed.extend(told.map(|told| format!("{}: {told}\n  template {shown:?}", path.display())));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {cases} differ:\n{}", failed.len(), failed.join("\n"));
    assert!(cases >= 1_540, "{cases} cases, and there were more");
}

/// Where the recorded cases are; for development, `CHAT_RECORDED` names another folder.
fn recorded() -> PathBuf {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    std::env::var_os("CHAT_RECORDED").map_or_else(own, PathBuf::from)
}
