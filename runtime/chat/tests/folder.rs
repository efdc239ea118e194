//! Where the templates and special tokens of a model folder are found, and what a call may give.

use std::fs;
use std::path::Path;

use runtime_chat::{Chat, ChatTemplate, Error};
use serde_json::json;

/// Renders a conversation with the files of a folder.
fn render(files: &[(&str, &str)], tools: bool) -> Result<Option<String>, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("writable");
        fs::write(path, text).expect("writable");
    }
    let messages = [json!({"role": "user", "content": "Hi"})];
    let tool = [json!({"type": "function", "function": {"name": "f"}})];
    let chat = Chat { messages: &messages, tools: tools.then_some(&tool), ..Chat::default() };
    ChatTemplate::read(folder.path())?.map(|template| template.render(&chat)).transpose()
}

const TOKENS: &str = r#"{"bos_token": {"content": "<b>", "lstrip": false}, "eos_token": "<e>", "add_bos_token": true,
                         "chat_template": "config {{ bos_token }}{{ eos_token }}{{ pad_token is defined }}"}"#;

#[test]
fn a_template_is_a_text_of_the_configuration_or_a_file() {
    let configured = [("tokenizer_config.json", TOKENS)];
    assert_eq!(render(&configured, false).expect("it renders").as_deref(), Some("config <b><e>False"));
    let with_file = [("tokenizer_config.json", TOKENS), ("chat_template.jinja", "file {{ bos_token }}\n")];
    assert_eq!(render(&with_file, false).expect("it renders").as_deref(), Some("file <b>"));
    let processor = [("chat_template.json", r#"{"chat_template": "processor"}"#)];
    assert_eq!(render(&processor, false).expect("it renders").as_deref(), Some("processor"));
    assert_eq!(render(&[("tokenizer_config.json", "{}")], false).expect("it is read"), None);
    assert_eq!(render(&[], false).expect("it is read"), None);
}

#[test]
fn of_several_templates_the_one_for_tools_is_taken_where_there_are_tools() {
    let list = r#"{"chat_template": [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"},
                                     {"name": "rag", "template": "{{ broken"}]}"#;
    let configured = [("tokenizer_config.json", list)];
    assert_eq!(render(&configured, false).expect("it renders").as_deref(), Some("plain"));
    assert_eq!(render(&configured, true).expect("it renders").as_deref(), Some("tools"));
    let files = [("chat_template.jinja", "plain"), ("additional_chat_templates/tool_use.jinja", "tools")];
    assert_eq!(render(&files, false).expect("it renders").as_deref(), Some("plain"));
    assert_eq!(render(&files, true).expect("it renders").as_deref(), Some("tools"));
    let nameless = [("tokenizer_config.json", r#"{"chat_template": [{"name": "rag", "template": "x"}]}"#)];
    assert!(matches!(render(&nameless, false), Err(Error::NoDefault { .. })));
}

#[test]
fn files_that_are_wrong_are_refused() {
    let wrong = |text: &str| render(&[("tokenizer_config.json", text)], false).expect_err(text);
    assert!(matches!(wrong("{"), Error::Json { .. }));
    assert!(matches!(wrong(r#"{"chat_template": 1}"#), Error::Field { .. }));
    assert!(matches!(wrong(r#"{"chat_template": [{"name": "default"}]}"#), Error::Field { .. }));
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("chat_template.jinja")).expect("writable");
    assert!(matches!(ChatTemplate::read(folder.path()), Err(Error::Read { .. })));
    fs::write(folder.path().join("tokenizer_config.json"), [0xff]).expect("writable");
    assert!(ChatTemplate::read(Path::new(folder.path())).is_err());
}

#[test]
fn what_a_call_gives_must_go_together() {
    let template = ChatTemplate::new("here", "{{ messages[-1].content }}", serde_json::Map::new());
    let messages = [json!({"role": "user", "content": "Hi"})];
    let chat = Chat { messages: &messages, ..Chat::default() };
    assert_eq!(template.render(&chat).expect("it renders"), "Hi");
    assert!(matches!(template.render(&Chat::default()), Err(Error::Empty)));
    let both = Chat { add_generation_prompt: true, continue_final_message: Some("content"), ..chat };
    assert!(matches!(template.render(&both), Err(Error::ContinueAndPrompt)));
    let own = serde_json::Map::from_iter([("messages".to_owned(), json!(1))]);
    assert!(matches!(template.render(&Chat { variables: Some(&own), ..chat }), Err(Error::Variable { .. })));
    let text = [json!("Hi")];
    assert!(matches!(template.render(&Chat { messages: &text, ..chat }), Err(Error::NoObject { number: 1, .. })));
    assert!(matches!(template.render(&Chat { tools: Some(&text), ..chat }), Err(Error::NoObject { what: "tool", .. })));
}
