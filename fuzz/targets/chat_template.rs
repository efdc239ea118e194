//! A chat template: rendered over a conversation with tools, with a prompt for the answer or with the last message left
//! open, or refused; always within its bounds of steps, memory and text.
//!
//! The first byte chooses what is rendered; the rest is the template.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use runtime_chat::{Chat, ChatTemplate};
use serde_json::{Map, Value, json};

/// Bytes of a rendered text, at most.
const LONGEST: usize = 64 << 20;

static MESSAGES: LazyLock<[Value; 4]> = LazyLock::new(|| {
    [
        json!({"role": "system", "content": "Be brief. <|é|>"}),
        json!({"role": "user", "content": [{"type": "text", "text": "What is 1 + 1?"}, {"type": "image"}]}),
        json!({"role": "assistant", "content": null, "reasoning": "hm", "tool_calls": [
            {"type": "function", "id": "abc123def", "function": {"name": "sum", "arguments": {"a": 1, "b": [1.5, null]}}}
        ]}),
        json!({"role": "assistant", "content": " It is 2.\n"}),
    ]
});

static TOOLS: LazyLock<[Value; 1]> = LazyLock::new(|| {
    [json!({"type": "function", "function": {"name": "sum", "description": "Adds.", "parameters": {
        "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": ["array", "null"]}}, "required": ["a"]
    }}})]
});

static TOKENS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let tokens = json!({"bos_token": "<s>", "eos_token": "</s>", "pad_token": null});
    tokens.as_object().cloned().unwrap_or_default()
});

fuzz_target!(|data: &[u8]| {
    let Some((mode, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let template = ChatTemplate::new("the template", text, TOKENS.clone());
    let chat = Chat {
        messages: &MESSAGES[usize::from(mode >> 4) % MESSAGES.len()..],
        tools: (mode & 1 != 0).then_some(&TOOLS[..]),
        documents: (mode & 2 != 0).then_some(&MESSAGES[..1]),
        add_generation_prompt: mode & 4 != 0,
        continue_final_message: (mode & 8 != 0).then_some("content"),
        variables: None,
    };
    match template.render(&chat) {
        // A second rendering begins with whatever the first one left behind.
        Ok(rendered) => {
            assert!(rendered.len() <= LONGEST);
            let again = template.render(&chat);
            assert!(
                text.contains("strftime_now") || again.is_ok_and(|again| again == rendered),
                "it renders once only"
            );
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
