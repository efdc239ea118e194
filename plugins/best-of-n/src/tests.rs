//! The step over a host that writes what it is told to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use runtime_plugin_sdk::serde_json::{Value, json};
use runtime_plugin_sdk::testing::with_host;
use runtime_plugin_sdk::{Completion, Failure, Fields, FinishReason, Host, Prompt, Role, Token, step::Step};

use super::BestOfN;

/// What is written in turn, each with its log-probability; what is granted; what was asked for.
#[derive(Clone, Default)]
struct Writer {
    texts: Vec<(&'static str, f64)>,
    tokens: Cell<usize>,
    embeds: bool,
    written: Rc<Cell<usize>>,
    asked: Rc<RefCell<Vec<(String, Fields)>>>,
}

/// A token for each word; one more ends a text.
fn words(text: &str) -> Vec<u32> {
    text.split_whitespace()
        .map(|word| word.bytes().fold(7, |hash, byte| hash * 31 % 65_521 + u32::from(byte)))
        .collect()
}

impl Host for Writer {
    fn encode(&self, tokenizer: &str, text: &str, special: bool) -> Result<Vec<Token>, Failure> {
        assert_eq!((tokenizer, special), ("writer", false));
        Ok(words(text).into_iter().map(|id| Token { id, start: 0, end: 0 }).collect())
    }

    fn embed(&self, model: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>, Failure> {
        assert_eq!(model, "embedder");
        if !self.embeds {
            return Err(Failure::NotGranted("`embedder` is not granted".to_owned()));
        }
        assert!(texts.iter().all(|text| !text.is_empty()), "an embedder refuses empty texts");
        let has = |text: &str, word: &str| if text.contains(word) { 1.0 } else { 0.0 };
        Ok(texts.iter().map(|text| vec![has(text, "blue"), has(text, "red"), 0.1]).collect())
    }

    fn complete(&self, model: &str, prompt: &Prompt, parameters: Fields) -> Result<Vec<Completion>, Failure> {
        assert_eq!(model, "writer");
        let number = |name: &str| usize::try_from(parameters[name].as_u64().expect("a number")).expect("small");
        let (count, longest) = (number("num_return_sequences"), number("max_new_tokens"));
        let said = match prompt {
            Prompt::Text(text) => text.clone(),
            Prompt::Chat(turns) => turns
                .iter()
                .map(|turn| format!("{}{}|", if turn.role == Role::User { "" } else { "system " }, turn.content))
                .collect(),
        };
        if count * longest > self.tokens.get() {
            return Err(Failure::UsedUp(format!("{count} times {longest}")));
        }
        self.asked.borrow_mut().push((said, parameters));
        let completion = |_| {
            let (text, log_probability) = self.texts[self.written.replace(self.written.get() + 1) % self.texts.len()];
            let mut tokens = words(text);
            tokens.push(0);
            self.tokens.set(self.tokens.get() - tokens.len());
            Completion { text: text.to_owned(), tokens, finish_reason: FinishReason::Stop, log_probability }
        };
        Ok((0..count).map(completion).collect())
    }
}

fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

fn run(writer: &Writer, parameters: Value, record: Value) -> Result<Fields, String> {
    with_host(writer.clone(), || BestOfN::start(&fields(parameters))?.process(&fields(record)))
}

fn texts(outputs: &Fields) -> Vec<&str> {
    let candidates = outputs["candidates"].as_array().expect("a list");
    let scores: Vec<f64> = candidates.iter().filter_map(|candidate| candidate["score"].as_f64()).collect();
    assert_eq!((scores.len(), outputs["score"].as_f64()), (candidates.len(), scores.first().copied()));
    candidates.iter().filter_map(|candidate| candidate["text"].as_str()).collect()
}

fn writer(texts: &[(&'static str, f64)], tokens: usize) -> Writer {
    Writer { texts: texts.to_vec(), tokens: Cell::new(tokens), ..Writer::default() }
}

#[test]
fn the_likeliest_word_by_word_is_first_and_a_blank_one_last() -> Result<(), String> {
    // -0.5, -1 and -0.25 a token, the end's counted.
    let writer = writer(&[("a b c", -2.0), ("a", -2.0), ("a b c d e f g", -2.0), (" ", 0.0)], 1000);
    let outputs = run(&writer, json!({"n": 4}), json!({"prompt": "p"}))?;
    assert_eq!(texts(&outputs), ["a b c d e f g", "a b c", "a", " "]);
    assert_eq!((&outputs["text"], outputs["score"].as_f64()), (&json!("a b c d e f g"), Some(-0.25)));
    let outputs = run(&writer, json!({"n": 3, "length_penalty": 0}), json!({"prompt": "p"}))?;
    assert_eq!(outputs["score"].as_f64(), Some(-2.0));
    Ok(())
}

#[test]
fn who_repeats_loses() -> Result<(), String> {
    let writer = writer(&[("x y z x y z x y z", -1.0), ("one two three four five six seven", -2.0)], 1000);
    let best = |parameters| Ok::<_, String>(run(&writer, parameters, json!({"prompt": "p"}))?["text"].clone());
    assert_eq!(best(json!({"n": 2}))?, "one two three four five six seven");
    assert_eq!(best(json!({"n": 2, "repetition": 0}))?, "x y z x y z x y z");
    assert_eq!(best(json!({"n": 2, "ngram": 9}))?, "x y z x y z x y z", "it has but one phrase of 9 words");
    Ok(())
}

#[test]
fn an_embedder_favours_what_most_say() -> Result<(), String> {
    let mut writer = writer(&[("it is blue", -1.0), ("blue", -1.0), ("is it red", -0.9), ("", -1.0)], 1000);
    let best = |writer: &Writer, parameters| {
        run(writer, parameters, json!({"prompt": "p"})).map(|outputs| outputs["text"].clone())
    };
    assert_eq!(best(&writer, json!({}))?, "is it red", "without one the likeliest");
    let refused = best(&writer, json!({"consistency": 1})).expect_err("it is asked for");
    assert_eq!(refused, "`embedder` is not granted");
    writer.embeds = true;
    assert_eq!(best(&writer, json!({}))?, "it is blue");
    assert_eq!(best(&writer, json!({"consistency": 0}))?, "is it red");
    Ok(())
}

#[test]
fn granted_tokens_last_as_far_as_they_do() -> Result<(), String> {
    let texts_of_2 = [("a", -1.0), ("b", -2.0), ("c", -3.0), ("d", -4.0)];
    // 25 are granted, and each text may take 10, of which it uses 2.
    let few = writer(&texts_of_2, 25);
    let outputs = run(&few, json!({"n": 8, "max_new_tokens": 10}), json!({"prompt": "p"}))?;
    assert_eq!(texts(&outputs).len(), 8);
    let seeds: Vec<u64> = few.asked.borrow().iter().filter_map(|(_, parameters)| parameters["seed"].as_u64()).collect();
    assert_eq!(seeds, [0, 2, 4, 5, 6, 7], "two at once while 20 are left");
    // With 12 there are two texts: after the first, 10 are left, after the second 8.
    assert_eq!(
        texts(&run(&writer(&texts_of_2, 12), json!({"n": 8, "max_new_tokens": 10}), json!({"prompt": "p"}))?).len(),
        2
    );
    let refused = run(&writer(&texts_of_2, 9), json!({"max_new_tokens": 10}), json!({"prompt": "p"}));
    assert_eq!(refused, Err("1 times 10".to_owned()));
    Ok(())
}

#[test]
fn prompts_and_parameters_reach_the_model() -> Result<(), String> {
    let writer = writer(&[("a", -1.0)], 1000);
    let stops =
        json!({"n": 1, "seed": 5, "temperature": 0.5, "top_p": 0.9, "max_new_tokens": 7, "stop_strings": ["\n"]});
    run(&writer, stops, json!({"prompt": "p", "system": "be brief"}))?;
    run(&writer, json!({"n": 1, "chat": false}), json!({"prompt": "once", "system": null}))?;
    let asked = writer.asked.take();
    assert_eq!((asked[0].0.as_str(), asked[1].0.as_str()), ("system be brief|p|", "once"));
    let expected = json!({"do_sample": true, "temperature": 0.5, "max_new_tokens": 7, "top_p": 0.9, "stop_strings": ["\n"],
        "num_return_sequences": 1, "seed": 5});
    assert_eq!(Value::Object(asked[0].1.clone()), expected);
    let refused = run(&writer, json!({"chat": false}), json!({"prompt": "p", "system": "s"}));
    assert!(refused.is_err_and(|said| said.contains("`chat = false`")));
    Ok(())
}
