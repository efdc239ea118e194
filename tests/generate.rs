//! `runtime generate` and `runtime chat`, as a user meets them.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use runtime_tests::{Finished, Following, Project, Tensors, copy_folder, golden_model, root, write_lora};
use serde_json::{Value, json};

const PROMPT: &str = "The capital of France is";
const HELLO: &str = "Hello, how are you?";

/// The model of `tests/goldens` that generates.
fn model() -> String {
    golden_model("llama-chat").to_string_lossy().into_owned()
}

/// What transformers says in a recorded case.
fn expected(case: &str) -> Value {
    let path = root().join("tests/goldens/cases/llama-chat").join(case).with_extension("json");
    let case: Value = serde_json::from_str(&fs::read_to_string(path).expect("the case")).expect("JSON");
    case["expected"].clone()
}

/// The text that `generate` of transformers adds to [`PROMPT`], in 24 tokens.
fn greedy() -> String {
    expected("01-generate-greedy")["texts"][0].as_str().expect("a text").to_owned()
}

/// The last message of a recorded conversation.
fn reply(case: &str) -> String {
    let result = &expected(case)["result"][0]["generated_text"];
    result.as_array().and_then(|messages| messages.last()).expect("a message")["content"]
        .as_str()
        .expect("a text")
        .to_owned()
}

/// Runs a command with the model in an empty folder.
fn run(command: &str, input: &str, arguments: &[&str]) -> Finished {
    let model = model();
    Project::empty().run_on(input.as_bytes(), [command, "--model", &model].iter().chain(arguments))
}

fn generate(arguments: &[&str]) -> Finished {
    run("generate", "", arguments)
}

#[test]
fn a_text_goes_on_as_transformers_has_it() {
    let greedy = greedy();
    let plain = generate(&[PROMPT, "--max-new-tokens", "24"]).exits(0);
    assert_eq!(plain.stdout, format!("{greedy}\n"));
    assert_eq!(plain.stderr, "", "nobody reads statistics in a pipe");
    let whole = expected("04-text-generation-text")["result"][0]["generated_text"].clone();
    assert_eq!(whole, json!(format!("{PROMPT}{greedy}")));
    for arguments in [&["--stream"][..], &["--no-stream"], &["--stats"], &["--temperature", "0"]] {
        let found = generate(&[&[PROMPT, "--max-new-tokens", "24"], arguments].concat()).exits(0);
        assert_eq!(found.stdout, plain.stdout, "{arguments:?}");
    }
    for arguments in [&["-"][..], &[]] {
        let input = format!("{PROMPT}\n");
        let found = run("generate", &input, &[arguments, &["--param", "max_new_tokens=24"]].concat()).exits(0);
        assert_eq!(found.stdout, plain.stdout, "from standard input, {arguments:?}");
    }
    let arguments = [PROMPT, "--max-new-tokens", "16", "--param", "repetition_penalty=1.4"];
    assert_eq!(
        generate(&arguments).exits(0).stdout.trim_end_matches('\n'),
        expected("03-generate-penalty")["texts"][0]
    );
    let told = generate(&[PROMPT, "--max-new-tokens", "24", "--stats"]).exits(0);
    let _said =
        told.says(&["13 prompt tokens in", "24 new tokens in", "tokens/s), the first after", "cut off after 24"]);
    let all = generate(&[PROMPT, "--format", "jsonl"]).exits(0).records();
    assert_eq!(all[0]["tokens"].as_array().map(|tokens| tokens.len() <= 256), Some(true), "without a length");
}

#[test]
fn json_lines_have_a_sequence_each() {
    let greedy = greedy();
    let sequence = expected("01-generate-greedy")["sequences"][0].clone();
    let sequence: Vec<u64> = serde_json::from_value(sequence).expect("tokens");
    let arguments = [PROMPT, "--max-new-tokens", "24", "--format", "jsonl", "--param", "logprobs=2"];
    let found = generate(&arguments).exits(0).records();
    assert_eq!((found.len(), &found[0]["text"], &found[0]["finish_reason"]), (1, &json!(greedy), &json!("length")));
    assert_eq!(found[0]["tokens"], json!(sequence[sequence.len() - 24..]));
    let log_probs = found[0]["logprobs"].as_array().expect("a list");
    for (log_prob, token) in log_probs.iter().zip(&sequence[sequence.len() - 24..]) {
        assert_eq!((&log_prob["token"], &log_prob["top"][0]["token"]), (&json!(token), &json!(token)), "the likeliest");
        let [first, second] = [0, 1].map(|place| log_prob["top"][place]["logprob"].as_f64().expect("a number"));
        assert!(first >= second && first <= 0.0 && first.exp() + second.exp() <= 1.0, "{log_prob}");
    }
    assert_eq!(log_probs.len(), 24);

    let recorded = expected("02-generate-beams");
    let beams = ["--max-new-tokens", "12", "--param", "num_beams=3", "--param", "num_return_sequences=2"];
    let found = generate(&[&[PROMPT, "--format", "jsonl"], &beams[..]].concat()).exits(0).records();
    assert_eq!(found.len(), 2);
    for (place, sequence) in found.iter().enumerate() {
        assert_eq!(sequence["text"], recorded["texts"][place]);
        let scores =
            [&sequence["score"], &recorded["sequences_scores"][place]].map(|score| score.as_f64().expect("it"));
        assert!((scores[0] - scores[1]).abs() < 1e-4, "{scores:?}");
    }
    let texts = [0, 1].map(|place| recorded["texts"][place].as_str().expect("a text").to_owned());
    let marked = format!("--- 1 of 2 ---\n{}\n--- 2 of 2 ---\n{}\n", texts[0], texts[1]);
    for stream in ["--stream", "--no-stream"] {
        assert_eq!(generate(&[&[PROMPT, stream], &beams[..]].concat()).exits(0).stdout, marked);
    }
}

#[test]
fn nothing_of_a_stop_string_is_written() {
    let greedy = greedy();
    let before = greedy.split(" for").next().expect("a part");
    assert!(before.len() < greedy.len(), "{greedy} has it");
    let stops = "stop_strings=[\" for\", \"there is none\"]";
    for arguments in [["--format", "jsonl"], ["--stream", "--stats"]] {
        let found =
            generate(&[&[PROMPT, "--max-new-tokens", "24", "--param", stops], &arguments[..]].concat()).exits(0);
        match arguments[0] {
            "--stream" => assert_eq!(found.stdout, format!("{before}\n")),
            _ => {
                let record = &found.records()[0];
                assert_eq!((&record["text"], &record["finish_reason"]), (&json!(before), &json!("stop")));
            }
        }
    }
}

#[test]
fn draws_follow_from_the_seed() {
    let draw = |seed: &str| {
        let several = ["--seed", seed, "--param", "num_return_sequences=3", "--max-new-tokens", "12"];
        let found = generate(&[&[PROMPT, "--temperature", "1.5", "--format", "jsonl"], &several[..]].concat()).exits(0);
        found.field("text")
    };
    let drawn = draw("1");
    assert_eq!(drawn, draw("1"));
    assert_ne!(drawn, draw("2"));
    assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2], "{drawn:?}");
    let several = ["--seed", "1", "--param", "num_return_sequences=3", "--max-new-tokens", "12"];
    let texts =
        |stream: &str| generate(&[&[PROMPT, "--temperature", "1.5", stream], &several[..]].concat()).exits(0).stdout;
    let marked = |place: usize| format!("--- {} of 3 ---\n{}\n", place + 1, drawn[place].as_str().expect("a text"));
    assert_eq!(texts("--stream"), (0..3).map(marked).collect::<String>());
    assert_eq!(texts("--stream"), texts("--no-stream"));
}

#[test]
fn a_prompt_is_asked_with_the_chat_template() {
    for (flags, case) in
        [(&["--chat"][..], "05-text-generation-chat"), (&["--system", "Be brief."], "07-text-generation-chat-system")]
    {
        let found = generate(&[&[HELLO, "--max-new-tokens", "16"], flags].concat()).exits(0);
        assert_eq!(found.stdout, format!("{}\n", reply(case)), "{case}");
    }
}

#[test]
fn every_record_of_an_input_is_answered() {
    let project = Project::empty();
    let messages = json!({"id": 7, "messages": [{"role": "user", "content": HELLO}]});
    let input =
        format!("{}\n{{\"txt\": 1}}\n{messages}\n{}\n", json!({"text": PROMPT}), json!({"text": "x ".repeat(400)}));
    project.write("in.jsonl", input);
    project.write("in.txt", format!("{PROMPT}\n{PROMPT}\n"));
    let model = model();
    let run = |file: &str| project.run(["generate", "--model", &model, "--input", file, "--max-new-tokens", "16"]);
    let found = run("in.jsonl").exits(65).says(&[
        "in.jsonl:2: there is no `text`",
        "in.jsonl:4: the prompt has",
        "2 texts in",
        "2 records not answered",
    ]);
    let alone = generate(&[PROMPT, "--max-new-tokens", "16", "--format", "jsonl"]).exits(0).records();
    assert_eq!(found.field("result")[0], json!(alone));
    assert_eq!(found.field("result")[1][0]["text"], json!(reply("05-text-generation-chat")));
    assert_eq!(found.field("id"), [Value::Null, json!(7)]);
    let found = run("in.txt").exits(0);
    assert_eq!(found.field("result"), [json!(alone), json!(alone)]);
    assert_eq!(found.field("text"), [PROMPT, PROMPT]);
}

#[test]
fn a_record_with_a_text_and_messages_is_refused() {
    let project = Project::empty();
    let messages = json!([{"role": "user", "content": HELLO}]);
    let records = [
        json!({"text": PROMPT, "messages": messages}),
        json!({"text": null, "messages": messages}),
        json!({"text": PROMPT, "messages": null}),
    ];
    project.write("in.jsonl", records.map(|record| record.to_string()).join("\n"));
    let model = model();
    for command in [&["generate"][..], &["task", "text-generation"]] {
        let found = project.run([command, &["--model", &model, "--input", "in.jsonl"]].concat()).exits(65);
        assert_eq!(found.field("result").len(), 2);
        let _said = found.says(&["in.jsonl:1: there is a `text` and `messages`, and one of them is gone on from"]);
    }
}

#[test]
fn what_cannot_be_done_is_one_clear_error() {
    let every_token = format!("suppress_tokens={:?}", (0..560).collect::<Vec<_>>());
    let long = "a phone ".repeat(400);
    let cases: [(&[&str], i32, &[&str]); 13] = [
        (&[&long], 65, &["the prompt has", "and the model takes 256"]),
        (&["hi", "--temperature", "-1"], 64, &["`temperature` must be above 0, not -1"]),
        (&["hi", "--param", "topp=0.5"], 64, &["no parameter `topp`", "did you mean `top_p`?"]),
        (&["hi", "--param", "top_p=2"], 64, &["`top_p` must be from 0 to 1"]),
        (&["hi", "--param", &every_token], 64, &["no token is left to choose from"]),
        (&["hi", "--param", "num_beams=3", "--param", &every_token], 64, &["no token is left", "relax"]),
        (&["hi", "--param", "num_return_sequences=2"], 64, &["set `num_beams`"]),
        (&["hi", "--max-new-tokens", "0"], 64, &["`max_new_tokens` must be at least 1"]),
        (&["hi", "--max-new-tokens", "3", "--param", "max_new_tokens=4"], 64, &["give the same"]),
        (&["hi", "--stream", "--format", "jsonl"], 64, &["JSON Lines hold whole ones"]),
        (&["hi", "--input", "x.txt"], 64, &["cannot be used with"]),
        (&["hi", "--adapter", "nowhere"], 78, &["has no `adapter_config.json`"]),
        (&["hi", "--param", "max_length=1"], 65, &["and `max_length` is 1"]),
    ];
    for (arguments, code, parts) in cases {
        let found = generate(arguments).exits(code).says(parts);
        assert_eq!(found.stdout, "", "{arguments:?}");
    }
    let project = Project::empty();
    let classifier = golden_model("bert-emotion").to_string_lossy().into_owned();
    let refused = project.run(["generate", "--model", &classifier, "hi"]).exits(78);
    let _said = refused.says(&["cannot do text-generation", "it can do text-classification"]);
    let _gone = project.run(["generate", "--model", "./nowhere", "hi"]).exits(66);
    let _not_text = project.run_on(b"\xff", ["generate", "--model", &model()]).exits(65).says(&["is not UTF-8"]);
    copy_folder(&golden_model("llama-chat"), &project.path("plain"));
    let config: Value = serde_json::from_str(&project.read("plain/tokenizer_config.json")).expect("JSON");
    let mut config = config.as_object().expect("an object").clone();
    config.remove("chat_template");
    project.write("plain/tokenizer_config.json", Value::Object(config).to_string());
    for command in [&["generate", "--model", "plain", "--chat", "hi"][..], &["chat", "--model", "plain"]] {
        let _refused = project.run(command.iter().copied()).exits(78).says(&["`plain` has no chat template"]);
    }
}

/// A copy of the model that may write a million tokens, and does not end by itself.
fn endless(project: &Project) -> Command {
    copy_folder(&golden_model("llama-chat"), &project.path("model"));
    project.edit("model/config.json", "\"max_position_embeddings\": 256", "\"max_position_embeddings\": 1000000");
    let arguments = ["--stream", "--max-new-tokens", "900000", "--param", "suppress_tokens=[2]", "--stats"];
    project.command(["generate", "--model", "model", PROMPT].into_iter().chain(arguments))
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let project = Project::empty();
    let mut child = endless(&project).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdout = child.stdout.take().expect("it is piped");
    stdout.read_exact(&mut [0; 100]).expect("it writes");
    drop(stdout);
    let done = child.wait_with_output().expect("it ends");
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn ctrl_c_ends_the_text_and_not_in_its_middle() {
    if cfg!(not(unix)) {
        return;
    }
    let project = Project::empty();
    let mut child = endless(&project).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdout = child.stdout.take().expect("it is piped");
    let mut text = vec![0; 100];
    stdout.read_exact(&mut text).expect("it writes");
    let pressed = Instant::now();
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("there is `kill`");
    assert!(sent.success());
    stdout.read_to_end(&mut text).expect("it ends");
    let done = child.wait_with_output().expect("it ends");
    assert!(pressed.elapsed() < Duration::from_secs(10), "{:?}", pressed.elapsed());
    assert_eq!(done.status.code(), Some(130));
    let text = String::from_utf8(text).expect("whole characters");
    assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{:?}", &text[text.len().saturating_sub(20)..]);
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(told.starts_with("13 prompt tokens in") && !told.contains("cut off"), "{told}");
}

/// Runs `runtime chat` on these lines.
fn chat(lines: &[&str], arguments: &[&str]) -> Finished {
    run("chat", &lines.join("\n"), &[&["--max-new-tokens", "16"], arguments].concat())
}

#[test]
fn a_scripted_conversation_has_answers_on_stdout_only() {
    let first = reply("05-text-generation-chat");
    let found = chat(&[HELLO], &[]).exits(0);
    assert_eq!(found.stdout, format!("{first}\n"));
    let found = chat(&["", HELLO, "", "/reset", HELLO, "/stats", "/help"], &[]).exits(0);
    let _said = found.says(&["the conversation begins anew", "all 2 answers", "of 256 tokens", "/save FILE", "/quit"]);
    let found = chat(&[HELLO, "/quit", HELLO], &[]).exits(0);
    assert_eq!(found.stdout, format!("{first}\n"), "what follows is not read");
    let brief = format!("{}\n", reply("07-text-generation-chat-system"));
    assert_eq!(chat(&[HELLO], &["--system", "Be brief."]).exits(0).stdout, brief);
    assert_eq!(chat(&["/system Be brief.", HELLO], &[]).exits(0).stdout, brief);
    assert_eq!(chat(&["/system", HELLO], &["--system", "Be brief."]).exits(0).stdout, format!("{first}\n"));
    let drawn = ["/params temperature=1.5 do_sample=true seed=3", HELLO, "/params"];
    let found = chat(&drawn, &[]).exits(0).says(&["max_new_tokens=16 temperature=1.5 do_sample=true seed=3"]);
    let same = generate(&[HELLO, "--chat", "--max-new-tokens", "16", "--temperature", "1.5", "--seed", "3"]).exits(0);
    assert_eq!(found.stdout, same.stdout);
}

#[test]
fn a_line_that_is_not_utf8_is_told_and_the_conversation_goes_on() {
    let first = reply("05-text-generation-chat");
    let input = [b"Caf\xe9?\n", HELLO.as_bytes(), b"\r\n\xff\n/stats\n"].concat();
    let project = Project::empty();
    let found = project.run_on(&input, ["chat", "--model", &model(), "--max-new-tokens", "16"]).exits(65);
    assert_eq!(found.stdout, format!("{first}\n"), "what is not told is no part of it");
    let _said = found.says(&["the line is not UTF-8 from byte 3 on", "from byte 0 on", "all 1 answer:"]);
}

#[test]
fn a_conversation_is_saved_and_goes_on() {
    let project = Project::empty();
    let model = model();
    let chat = |lines: &str, more: &[&str]| {
        let arguments = ["chat", "--model", &model, "--max-new-tokens", "16"];
        project.run_on(lines.as_bytes(), arguments.iter().chain(more))
    };
    project.write(
        "turns.json",
        json!([
            {"role": "user", "content": HELLO},
            {"role": "assistant", "content": "Fine."},
        ])
        .to_string(),
    );
    let found = chat("And now?\n/save turns.json\n/save other.json\n", &["--load", "turns.json"]).exits(0);
    let answer = reply("06-text-generation-chat-turns");
    assert_eq!(found.stdout, format!("{answer}\n"));
    let saved: Value = serde_json::from_str(&project.read("turns.json")).expect("JSON");
    assert_eq!(saved.as_array().map(Vec::len), Some(4));
    assert_eq!(saved[3], json!({"role": "assistant", "content": answer}));
    assert_eq!(project.read("other.json"), project.read("turns.json"));
    project.write("notes.txt", "keep me");
    let found = chat("/save notes.txt\n", &[]).exits(64);
    let _said = found.says(&["`notes.txt` is there already", "save to another file"]);
    assert_eq!(project.read("notes.txt"), "keep me");
    let _none = chat("", &["--load", "nowhere.json"]).exits(66);
    let _other = chat("", &["--load", "notes.txt"]).exits(65).says(&["holds no conversation"]);
}

#[test]
fn what_is_known_of_a_conversation_is_not_computed_again() {
    let long = "a phone in the city and an email ".repeat(8);
    let found = chat(&[&long, "/stats", "And now?", "/stats"], &[]).exits(0);
    let stats: Vec<&str> = found.stderr.lines().filter(|line| line.starts_with("last answer:")).collect();
    assert_eq!(stats.len(), 2, "{}", found.stderr);
    assert!(!stats[0].contains("known from before"), "{}", stats[0]);
    assert!(stats[1].contains(" known from before)"), "{}", stats[1]);
    // The same as without: a second turn that nothing is known of.
    let project = Project::empty();
    let model = model();
    let first = found.stdout.lines().next().expect("an answer");
    let turns = json!([{"role": "user", "content": long}, {"role": "assistant", "content": first}]);
    project.write("turns.json", turns.to_string());
    let arguments = ["chat", "--model", &model, "--max-new-tokens", "16", "--load", "turns.json"];
    let alone = project.run_on(b"And now?", arguments).exits(0);
    assert_eq!(found.stdout, format!("{first}\n{}", alone.stdout));
}

#[test]
fn a_conversation_that_is_too_long_goes_on_after_a_reset() {
    let long = "a phone ".repeat(400);
    let found = chat(&[&long, HELLO, "/rset", "/reset", HELLO, "/params top_p=7"], &[]).exits(65);
    let answer = reply("05-text-generation-chat");
    assert_eq!(found.stdout, format!("{answer}\n{answer}\n"));
    let parts =
        ["and the model takes 256 in all", "the message is taken back", "did you mean `/reset`?", "`top_p` must be"];
    let _said = found.says(&parts);
}

#[test]
fn a_conversation_is_answered_as_it_comes() {
    let project = Project::empty();
    let model = model();
    let mut chat = Following::start(project.command(["chat", "--model", &model, "--max-new-tokens", "16"]));
    for _ in 0..2 {
        chat.write(&format!("/reset\n{HELLO}\n"));
        assert_eq!(chat.line(), reply("05-text-generation-chat"));
    }
    // Nothing is under way, so that Ctrl-C ends it.
    if cfg!(unix) {
        thread::sleep(Duration::from_millis(50));
        let _sent = Command::new("kill").args(["-INT", &chat.id().to_string()]).status().expect("there is `kill`");
        assert_eq!(chat.ends().code(), Some(130));
    }
}

/// Writes an adapter for a module of the model.
fn write_adapter(project: &Project, folder: &str, module: &str) {
    write_lora(&project.path(folder), module, 2, 32);
}

#[test]
fn an_adapter_acts_in_every_command_as_if_merged() {
    let project = Project::empty();
    write_adapter(&project, "adapter", "q_proj");
    let model = model();
    let say = |model: &str, more: &[&str]| {
        let arguments = ["generate", "--model", model, PROMPT, "--max-new-tokens", "24"];
        project.run(arguments.iter().chain(more)).exits(0).stdout
    };
    let adapted = say(&model, &["--adapter", "adapter"]);
    assert_ne!(adapted, format!("{}\n", greedy()), "it changes something");
    let merge = ["model", "merge", "--model", &model, "--adapter", "adapter", "--dtype", "f32", "merged"];
    let _written = project.run(merge).exits(0);
    assert_eq!(say("./merged", &[]), adapted);
    let pipeline = format!(
        "name = \"p\"\n[models.m]\nsource = {model:?}\nadapter = \"adapter\"\n[[steps]]\nname = \"s\"\n\
         kind = \"generate\"\nmodel = \"m\"\nprompt = \"{{{{ text }}}}\"\nmax_new_tokens = 24\n[output]\nsaid = \"s.text\"\n"
    );
    project.write("p.toml", &pipeline);
    let input = json!({"text": PROMPT}).to_string();
    let found = project.run_on(input.as_bytes(), ["run", "p.toml", "--input", "-"]).exits(0);
    assert_eq!(found.field("said"), [json!(adapted.trim_end_matches('\n'))]);
    project.write("p.toml", pipeline.replace("\"adapter\"", "\"nowhere\""));
    let _missing = project.run(["validate", "p.toml"]).exits(66).says(&["the adapter `./nowhere` does not exist"]);
}

/// What the model says with each of two adapters, and with none: `[text, adapter]`.
fn with_adapters(project: &Project) -> [(String, Option<&'static str>); 3] {
    write_adapter(project, "lora/q", "q_proj");
    write_adapter(project, "lora/o", "o_proj");
    let say = |adapter: &[&str]| {
        let model = model();
        let arguments = ["generate", "--model", &model, PROMPT, "--max-new-tokens", "24"];
        let text = project.run(arguments.iter().chain(adapter)).exits(0).stdout;
        text.strip_suffix('\n').expect("a line").to_owned()
    };
    let all =
        [(say(&["--adapter", "lora/q"]), Some("q")), (say(&["--adapter", "lora/o"]), Some("o")), (say(&[]), None)];
    assert!(all[0].0 != all[1].0 && all[0].0 != all[2].0 && all[1].0 != all[2].0, "each says something else: {all:?}");
    all
}

const SEVERAL: [&str; 4] = ["--adapter", "q=lora/q", "--adapter", "o=lora/o"];

#[test]
fn records_choose_among_adapters() {
    let project = Project::empty();
    let expected = with_adapters(&project);
    let records: String =
        (0..12).map(|at| format!("{}\n", json!({"text": PROMPT, "adapter": expected[at % 3].1}))).collect();
    let model = model();
    let arguments = ["generate", "--model", &model, "--input", "-", "--max-new-tokens", "24"];
    let found = project.run_on(records.as_bytes(), arguments.iter().chain(&SEVERAL)).exits(0);
    let texts: Vec<Value> = found.field("result").into_iter().map(|result| result[0]["text"].clone()).collect();
    let wanted: Vec<Value> = (0..12).map(|at| json!(expected[at % 3].0)).collect();
    assert_eq!(texts, wanted);
    let wrong = json!({"text": PROMPT, "adapter": "p"}).to_string();
    let found = project.run_on(wrong.as_bytes(), arguments.iter().chain(&SEVERAL)).exits(65);
    let _told = found.says(&["stdin:1", "there is no adapter `p`", "there are `o`, `q`"]);
    // A field of that name means nothing where no adapter has a name.
    let _answered = project.run_on(wrong.as_bytes(), arguments).exits(0);
}

#[test]
fn what_cannot_be_chosen_is_told() {
    let project = Project::empty();
    write_adapter(&project, "lora/q", "q_proj");
    write_adapter(&project, "lora/table", "q_proj");
    let mut tensors = Tensors::read(&project.path("lora/table/adapter_model.safetensors"));
    tensors.0.insert("base_model.model.model.norm.weight".to_owned(), (vec![32], vec![1.0; 32]));
    tensors.write(&project.path("lora/table/adapter_model.safetensors"), runtime_tests::Floats::F32);
    let model = model();
    let run = |command: &str, more: &[&str]| project.run([command, "--model", &model].iter().chain(more));
    let named = ["hi", "--adapter", "q=lora/q"];
    let _told = run("generate", &named).exits(64).says(&["nothing chooses", "by their field `adapter`"]);
    let _told =
        run("generate", &["hi", "--adapter", "a", "--adapter", "b"]).exits(64).says(&["several adapters need names"]);
    let _told = project
        .run(["task", "text-generation", "--model", &model, "hi", "--adapter", "q=lora/q"])
        .exits(64)
        .says(&["here give one folder alone"]);
    for (name, shapes, told) in [
        (
            "wide",
            [vec![2, 33], vec![32, 2]],
            "66 numbers for `model.layers.0.self_attn.q_proj.weight`, where 64 are needed",
        ),
        ("none", [vec![0, 32], vec![32, 0]], "have the rank 0"),
    ] {
        let mut tensors = Tensors::default();
        for (part, shape) in ["lora_A", "lora_B"].iter().zip(shapes) {
            let numbers = vec![0.1; shape.iter().product()];
            let name = format!("base_model.model.model.layers.0.self_attn.q_proj.{part}.weight");
            tensors.0.insert(name, (shape, numbers));
        }
        write_adapter(&project, name, "q_proj");
        tensors.write(&project.path(name).join("adapter_model.safetensors"), runtime_tests::Floats::F32);
        let refused = run("generate", &["--input", "-", "--adapter", &format!("x={name}")]).exits(78);
        let _told = refused.says(&["cannot be used", told]);
    }
    let table = run("generate", &["--input", "-", "--adapter", "t=lora/table"]).exits(78);
    let _told =
        table.says(&["`lora/table` cannot be one of several", "it replaces `model.norm.weight`", "--adapter FOLDER"]);
}

#[test]
fn steps_choose_among_adapters() {
    let project = Project::empty();
    let expected = with_adapters(&project);
    let pipeline = format!(
        "name = \"p\"\n[models.m]\nsource = {:?}\nadapters = {{ q = \"lora/q\", o = \"lora/o\" }}\n\
         [[steps]]\nname = \"s\"\nkind = \"generate\"\nmodel = \"m\"\nprompt = \"{{{{ text }}}}\"\n\
         adapter = \"{{{{ style or '' }}}}\"\nmax_new_tokens = 24\n\
         [[steps]]\nname = \"fixed\"\nkind = \"generate\"\nmodel = \"m\"\nprompt = \"{{{{ text }}}}\"\n\
         adapter = \"o\"\nmax_new_tokens = 24\n[output]\nsaid = \"s.text\"\nfixed = \"fixed.text\"\n",
        model()
    );
    project.write("p.toml", &pipeline);
    let records: String =
        expected.iter().map(|(_, style)| format!("{}\n", json!({"text": PROMPT, "style": style}))).collect();
    let found = project.run_on(records.as_bytes(), ["run", "p.toml", "--input", "-"]).exits(0);
    assert_eq!(found.field("said"), expected.each_ref().map(|(text, _)| json!(text)));
    assert_eq!(found.field("fixed"), [&expected[1].0; 3].map(|text| json!(text)));
    // A template that could do without a record may still name any; the last record's field is null.
    let idle = pipeline.replace("{{ style or '' }}", "{{ style | default('q') }}");
    project.write("p.toml", &idle);
    let found = project.run_on(records.as_bytes(), ["run", "p.toml", "--input", "-"]).exits(0);
    assert_eq!(found.field("said"), expected.each_ref().map(|(text, _)| json!(text)));
    project.write("p.toml", &pipeline);
    let wrong = json!({"text": PROMPT, "style": "qq"}).to_string();
    let found = project.run_on(wrong.as_bytes(), ["run", "p.toml", "--input", "-"]).exits(65);
    let _told = found.says(&["there is no adapter `qq`", "did you mean `q`?"]);
    project.write("p.toml", pipeline.replace("lora/o", "lora/nowhere"));
    let _missing = project.run(["validate", "p.toml"]).exits(66).says(&["the adapter `./lora/nowhere` does not exist"]);
}

#[test]
fn a_conversation_changes_its_adapter() {
    let project = Project::empty();
    write_adapter(&project, "lora/q", "q_proj");
    let model = model();
    let say = |lines: &str, more: &[&str]| {
        let arguments = ["chat", "--model", &model, "--max-new-tokens", "12"];
        project.run_on(lines.as_bytes(), arguments.iter().chain(more)).exits(0).stdout
    };
    let (plain, adapted) = (say("hello\n", &[]), say("hello\n", &["--adapter", "lora/q"]));
    assert_ne!(plain, adapted);
    let lines = "hello\n/adapter q\n/reset\nhello\n/adapter\n/reset\nhello\n";
    assert_eq!(say(lines, &["--adapter", "q=lora/q"]), format!("{plain}{adapted}{plain}"));
    let told = project.run_on(b"/adapter q\n", ["chat", "--model", &model]).exits(64);
    let _told = told.says(&["there are no adapters to choose from"]);
}
