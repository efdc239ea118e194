//! Pipelines that ask a model behind an endpoint: a small server on this machine answers well, wrongly, or not at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use runtime_tests::{Asked, Endpoint, Finished, Following, PIPELINE, Project, Reply};
use serde_json::{Value, json};

/// The variable that holds the key, and what is in it.
const VARIABLE: &str = "RUNTIME_TEST_KEY";
const KEY: &str = "sk-never-to-be-seen";

/// The triage with the tiny model, whose second rung is behind `endpoint`. Of its four records some are left to it.
fn triage(endpoint: &Endpoint) -> Project {
    let project = Project::tiny();
    let local = "[models.llm]\nsource = \"HuggingFaceTB/SmolLM2-1.7B-Instruct\"\n";
    project.edit(PIPELINE, local, &model(endpoint, "llm"));
    project
}

/// `[models.NAME]`, without patience.
fn model(endpoint: &Endpoint, name: &str) -> String {
    let base_url = endpoint.base_url();
    format!(
        "[models.{name}]\nprovider = \"openai\"\nbase_url = \"{base_url}\"\nmodel = \"some-model\"\ntimeout = 3\nretries = 2\n"
    )
}

/// A pipeline with one step, `[models.hosted]` and these records.
fn one_step(endpoint: &Endpoint, step: &str, texts: &[&str]) -> Project {
    let project = Project::empty();
    project.write("p.toml", format!("name = \"p\"\n{}[[steps]]\nname = \"s\"\n{step}\n", model(endpoint, "hosted")));
    let records = texts.iter().map(|text| json!({"text": text}).to_string() + "\n");
    project.write("r.jsonl", records.collect::<String>());
    project
}

/// A step that says its record's text, with these parameters, as the field `answer`.
fn chat(params: &str) -> String {
    format!(
        "kind = \"chat\"\nmodel = \"hosted\"\nsystem = \"Be brief.\"\nprompt = \"Say: {{{{ text }}}}\"\n{params}\n\
         [output]\nanswer = \"s.text\"\ntokens = \"s.tokens\"\nreason = \"s.finish_reason\"\n"
    )
}

fn run(project: &Project, more: &[&str]) -> Finished {
    project.run(["run", "p.toml", "--input", "r.jsonl"].iter().chain(more))
}

/// A pipeline with a ladder whose first rung is behind the endpoint.
fn ladder(endpoint: &Endpoint, more: &str, texts: &[&str]) -> Project {
    let ladder = format!(
        "kind = \"ladder\"\ntext = \"text\"\nlabels = [\"billing\", \"bug\", \"other\"]\n[[steps.rungs]]\nname = \"r\"\n\
         kind = \"llm\"\nmodel = \"hosted\"\notherwise = \"nobody knows\"\n{more}"
    );
    one_step(endpoint, &ladder, texts)
}

/// The text that a rung asks about.
fn text(asked: &Asked) -> String {
    asked.prompt().split("Text: ").last().unwrap_or_default().to_owned()
}

#[test]
fn only_what_the_local_model_is_unsure_of_is_asked() {
    let endpoint = Endpoint::start(|_| Reply::text("{\"label\": \"bug report\"}"));
    let project = triage(&endpoint);
    // Between the scores of the four records, so that both rungs have some.
    let local = project.run(["run", PIPELINE, "--format", "jsonl", "--set", "threshold=0.0"]).exits(0);
    assert!(endpoint.asked().is_empty(), "nobody is unsure");
    let mut scores: Vec<f64> = local.field("score").iter().map(|score| score.as_f64().expect("a score")).collect();
    scores.sort_by(f64::total_cmp);
    let between = format!("threshold={}", f64::midpoint(scores[1], scores[2]));
    let found = project.run(["run", PIPELINE, "--format", "jsonl", "--set", &between]).exits(0);
    let mut escalated = Vec::new();
    for (answer, alone) in found.records().iter().zip(local.records()) {
        if answer["rung"] == "llm" {
            assert_eq!((&answer["label"], &answer["score"]), (&json!("bug report"), &Value::Null));
            escalated.push(answer["text"].as_str().expect("a text").to_owned());
        } else {
            assert_eq!(*answer, alone);
        }
    }
    let asked = endpoint.asked();
    let mut texts: Vec<String> = asked.iter().map(text).collect();
    texts.sort();
    escalated.sort();
    assert_eq!((texts, asked.len()), (escalated, 2), "each that is unsure once, and no other");
    let body = &asked[0].body;
    assert_eq!(
        (&body["model"], &body["temperature"], &body["logprobs"]),
        (&json!("some-model"), &json!(0.0), &json!(true))
    );
    let labels = &body["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"];
    assert_eq!(*labels, json!(["billing", "bug report", "feature request", "account access", "other"]));
    assert!(asked[0].prompt().contains("Labels: billing, bug report, feature request, account access, other"));
    assert!(!asked[0].head.iter().any(|line| line.starts_with("authorization")), "no key is named");
}

#[test]
fn an_answer_outside_the_labels_is_left_to_the_next_rung_or_otherwise() {
    let endpoint = Endpoint::start(|asked| match text(asked).as_str() {
        "exact" => Reply::text("billing"),
        "words" => Reply::text("I would say: BUG."),
        "several" => Reply::text("billing or bug"),
        "refused" => Reply::json(&json!({"choices": [{"message": {"content": null, "refusal": "I will not."}}]})),
        _ => Reply::text("No idea, sorry."),
    });
    let texts = ["exact", "words", "several", "refused", "none"];
    let found = run(&ladder(&endpoint, "", &texts), &[]).exits(0);
    assert_eq!(found.field("label"), ["billing", "bug", "nobody knows", "nobody knows", "nobody knows"]);
    assert_eq!(found.field("rung"), ["r"; 5]);
    assert_eq!(endpoint.asked().len(), 5);

    let last = "[[steps.rungs]]\nname = \"last\"\nkind = \"llm\"\nmodel = \"hosted\"\notherwise = \"nobody at all\"\n\
                prompt = \"Is it {{ labels | first }}? Text: {{ text }} again\"";
    let found = run(&ladder(&endpoint, last, &texts), &[]).exits(0);
    assert_eq!(found.field("label"), ["billing", "bug", "nobody at all", "nobody at all", "nobody at all"]);
    assert_eq!(found.field("rung"), ["r", "r", "last", "last", "last"]);
    assert!(found.stderr.is_empty() || !found.stderr.contains("never asked"), "{}", found.stderr);
}

#[test]
fn the_score_is_the_probability_of_the_tokens() {
    let endpoint = Endpoint::start(|asked| {
        let sure = if text(asked) == "sure" { -0.125 } else { -1.5 };
        let tokens = json!([
            {"token": "{\"label\": \"", "logprob": -4.0},
            {"token": "bil", "logprob": sure}, {"token": "ling", "logprob": 0.0}, {"token": "\"}", "logprob": -4.0},
        ]);
        let message = json!({"content": "{\"label\": \"billing\"}"});
        Reply::json(
            &json!({"choices": [{"message": message, "logprobs": {"content": tokens}, "finish_reason": "stop"}]}),
        )
    });
    let texts = ["sure", "unsure"];
    let found = run(&ladder(&endpoint, "", &texts), &[]).exits(0);
    let close = |value: &Value, log: f64| value.as_f64().is_some_and(|score| (score - log.exp()).abs() < 1e-6);
    let scores = found.field("score");
    assert!(close(&scores[0], -0.125) && close(&scores[1], -1.5), "{scores:?}");
    for accept in ["threshold = 0.5", "margin = 0.5"] {
        let found = run(&ladder(&endpoint, &format!("accept = {{ {accept} }}\n"), &texts), &[]).exits(0);
        assert_eq!(found.field("label"), [json!("billing"), Value::Null], "{accept}");
    }
    // Where no probability is told, a rule cannot hold.
    let untold = Endpoint::start(|_| Reply::text("billing"));
    let found = run(&ladder(&untold, "accept = { threshold = 0.0 }\n", &texts), &[]).exits(0);
    assert_eq!(found.field("label"), [Value::Null, Value::Null]);
}

#[test]
fn an_endpoint_without_forms_is_asked_in_words() {
    let endpoint = Endpoint::start(|asked| match asked.body.get("response_format") {
        Some(_) => Reply::Status(400, "{\"error\": {\"message\": \"no response_format here\"}}".to_owned()),
        None => Reply::text("other"),
    });
    // So long that few are under way at once.
    let long = "x".repeat(9000);
    let project = ladder(&endpoint, "prompt = \"Text: {{ text }}\"\n", &[long.as_str(); 12]);
    assert_eq!(run(&project, &[]).exits(0).field("label"), ["other"; 12]);
    let asked = endpoint.asked();
    let in_words: Vec<&Asked> = asked.iter().filter(|asked| asked.body.get("response_format").is_none()).collect();
    assert!(in_words.len() == 12 && asked.len() < 22, "{} of {} in words", in_words.len(), asked.len());
    assert!(in_words.iter().all(|asked| asked.body.as_object().is_some_and(|body| body.len() == 2)));
    let prompt = in_words[0].prompt();
    assert!(prompt.ends_with("xxx\n\nAnswer with one of these labels: billing, bug, other"), "{prompt}");
}

#[test]
fn a_step_asks_for_a_text() {
    let endpoint = Endpoint::start(|asked| Reply::text(&format!("{}!", asked.prompt())));
    let params = "max_new_tokens = 9\ndo_sample = false\ntop_p = 0.5\nseed = 7\nstop_strings = [\"END\"]\npresence_penalty = 0.5";
    let found = run(&one_step(&endpoint, &chat(params), &["one", "two END three"]), &[]).exits(0);
    assert_eq!(found.field("answer"), ["Say: one!", "Say: two "]);
    assert_eq!((found.field("tokens"), found.field("reason")), (vec![json!(3); 2], vec![json!("stop"); 2]));
    let asked = endpoint.asked();
    let first = asked.iter().find(|asked| asked.prompt() == "Say: one").expect("it is asked");
    let expected = json!({
        "model": "some-model",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say: one"}],
        "temperature": 0.0, "top_p": 0.5, "max_tokens": 9, "seed": 7, "stop": ["END"], "presence_penalty": 0.5,
    });
    assert_eq!(first.body, expected);

    let plain = "kind = \"generate\"\nmodel = \"hosted\"\nprompt = \"{{ text }}\"\n[output]\nanswer = \"s.text\"";
    let found = run(&one_step(&endpoint, plain, &["three"]), &[]).exits(0);
    assert_eq!(found.field("answer"), ["three!"]);
    let messages = json!([{"role": "user", "content": "three"}]);
    assert_eq!(endpoint.asked()[2].body, json!({"model": "some-model", "messages": messages}), "the rest is up to it");
}

#[test]
fn an_endpoint_that_hangs_is_the_error_of_its_record() {
    let endpoint = Endpoint::start(|asked| match asked.prompt() {
        "Say: hang" => Reply::Silence,
        other => Reply::text(other),
    });
    let project = one_step(&endpoint, &chat(""), &["a", "hang", "b", "hang", "c"]);
    let begin = Instant::now();
    let found = run(&project, &[]).exits(69);
    assert!(begin.elapsed() < Duration::from_secs(6), "both wait at once, and neither is asked again");
    assert_eq!(found.field("answer"), ["Say: a", "Say: b", "Say: c"]);
    let told =
        format!("no answer of the hosted model `some-model`: `{}` did not answer within 3 s", endpoint.base_url());
    for line in [2, 4] {
        let line = format!("r.jsonl:{line}: {told} (raise `timeout`, or ask for fewer tokens)\n");
        assert_eq!(found.stderr.matches(&line).count(), 1, "{}", found.stderr);
    }
    assert_eq!(found.stderr.lines().filter(|line| line.contains("r.jsonl:")).count(), 2, "{}", found.stderr);
}

#[test]
fn what_passes_is_asked_again_and_what_does_not_is_told() {
    let times = AtomicUsize::new(0);
    let endpoint = Endpoint::start(move |asked| match asked.prompt() {
        "Say: later" if times.fetch_add(1, Ordering::SeqCst) == 0 => Reply::Status(429, "{}".to_owned()),
        "Say: broken" => Reply::Status(500, "{\"error\": {\"message\": \"out of order\"}}".to_owned()),
        "Say: nonsense" => Reply::Status(200, "<html>".to_owned()),
        other => Reply::text(other),
    });
    let texts = ["later", "broken", "nonsense", "fine"];
    let project = one_step(&endpoint, &chat(""), &texts);
    let found = run(&project, &[]).exits(69);
    assert_eq!(found.field("answer"), ["Say: later", "Say: fine"]);
    let base_url = endpoint.base_url();
    let found = found.says(&[
        &format!("r.jsonl:2: no answer of the hosted model `some-model`: `{base_url}` answers with status 500, tried 3 times: out of order"),
        &format!("r.jsonl:3: no answer of the hosted model `some-model`: the answer of `{base_url}` is no chat completion"),
        "2 records not answered",
    ]);
    assert!(!found.stderr.contains("r.jsonl:1"), "{}", found.stderr);
    assert_eq!(endpoint.asked().len(), 2 + 3 + 1 + 1);

    project.edit("p.toml", &base_url, "http://127.0.0.1:1/v1");
    let _nobody = run(&project, &["--limit", "1", "--set", "retries=0"]).exits(69).says(&[
        "r.jsonl:1: no answer of the hosted model `some-model`: cannot reach `http://127.0.0.1:1/v1`",
        "(check `base_url`, and that the endpoint is up)",
    ]);
}

#[test]
fn an_answer_must_be_as_it_was_asked_for() {
    let endpoint = Endpoint::start(|asked| match asked.prompt() {
        "Say: json" => Reply::text("{\"a\": 1}"),
        "Say: yes" => Reply::text("Yes."),
        _ => Reply::text("in my opinion"),
    });
    let found =
        run(&one_step(&endpoint, &chat("json_schema = { type = \"object\" }"), &["json", "prose"]), &[]).exits(65);
    assert_eq!(found.field("answer"), ["{\"a\": 1}"]);
    let _said = found.says(&["r.jsonl:2: the hosted model `some-model` does not answer as `json_schema` says"]);
    let schema = &endpoint.asked()[0].body["response_format"]["json_schema"]["schema"];
    assert_eq!(*schema, json!({"type": "object"}));
    let found = run(&one_step(&endpoint, &chat("choices = [\"yes\", \"no\"]"), &["yes", "prose"]), &[]).exits(65);
    assert_eq!(found.field("answer"), ["yes"]);
    let _said = found.says(&["r.jsonl:2: the hosted model `some-model` does not answer as `choices` says"]);
}

#[test]
fn the_key_is_needed_to_run_and_shown_nowhere() {
    let endpoint = Endpoint::start(|asked| match asked.prompt() {
        "Say: denied" => Reply::Status(401, format!("{{\"error\": {{\"message\": \"wrong key {KEY}\"}}}}")),
        other => Reply::text(other),
    });
    let project = one_step(&endpoint, &chat(""), &["fine", "denied"]);
    project.edit("p.toml", "retries = 2", &format!("retries = 2\napi_key_env = \"{VARIABLE}\""));
    let missing = run(&project, &[]).exits(78);
    assert!(missing.stdout.is_empty() && endpoint.asked().is_empty());
    let place = format!("the environment variable `{VARIABLE}`, which is to hold the key, is not set");
    let _said = missing.says(&[&place, "p.toml:8:15", &format!("`export {VARIABLE}=...`")]);
    let valid = project.run(["validate", "p.toml"]).exits(0);
    assert_eq!(valid.stdout, "p.toml: `p` is valid (1 step, 0 rungs, 0 models, 1 endpoint, 0 tests)\n");
    let drawn = project.run(["graph", "p.toml"]).exits(0);
    assert!(drawn.stdout.contains("model hosted: some-model at 127.0.0.1:"), "{}", drawn.stdout);

    let mut command = project.command(["run", "p.toml", "--input", "r.jsonl"]);
    command.env(VARIABLE, KEY);
    let found = Finished::of(command, &[]).exits(78);
    assert_eq!(found.field("answer"), ["Say: fine"]);
    assert!(endpoint.asked()[0].head.contains(&format!("authorization: Bearer {KEY}")));
    assert!(!found.stdout.contains(KEY) && !found.stderr.contains(KEY), "{}", found.stderr);
    let _said = found.says(&["(status 401): wrong key ***", &format!("the environment variable `{VARIABLE}`")]);
}

#[test]
fn what_is_wrong_with_an_address_is_told_without_it() {
    let endpoint = Endpoint::start(|_| Reply::text("never"));
    let project = one_step(&endpoint, &chat(""), &["a"]);
    let base_url = endpoint.base_url();
    let with = |base: &str, more: &str| {
        let text =
            project.read("p.toml").replace(&base_url, base).replace("retries = 2\n", &format!("retries = 2\n{more}"));
        project.write("q.toml", text);
        project.run(["validate", "q.toml"])
    };
    let _place = with("example.org/v1", "").exits(78).says(&["`base_url` is no address of an endpoint", "q.toml:4:12"]);
    let secret = with("https://me:secret@example.org/v1", "").exits(78).says(&["q.toml:4: `base_url` is no address"]);
    assert!(!secret.stderr.contains("secret@") && !secret.stdout.contains("secret"), "{}", secret.stderr);
    let key = "api_key_env = \"SOME_KEY\"\n";
    let _plain = with("http://example.org/v1", key)
        .exits(78)
        .says(&["would be sent to `example.org` unencrypted", "q.toml:8:15"]);
    let _allowed = with("http://example.org/v1", &format!("{key}allow_plain_http = true\n")).exits(0);
    assert!(endpoint.asked().is_empty());
}

#[test]
fn an_edit_loads_nothing_and_asks_only_what_is_new() {
    let endpoint = Endpoint::start(|asked| Reply::text(if text(asked).contains("days") { "other" } else { "billing" }));
    let project = triage(&endpoint);
    project.edit(PIPELINE, "threshold = 0.75", "threshold = 1.0");
    let mut process = Following::start(project.command(["run", PIPELINE, "--format", "jsonl", "--watch"]));
    process.said("4 records in");
    let first = process.lines(4);
    assert_eq!((endpoint.asked().len(), first.matches("\"rung\":\"llm\"").count()), (4, 4));
    project.replace(PIPELINE, project.edited(PIPELINE, "threshold = 1.0", "threshold = 0.999"));
    assert!(process.said("watch: ").contains("0 models loaded"));
    assert_eq!(process.lines(4), first);
    assert_eq!(endpoint.asked().len(), 4, "all of it has been answered before");
    project.replace(PIPELINE, project.edited(PIPELINE, "model = \"some-model\"", "model = \"other-model\""));
    let swapped = process.said("other-model");
    assert!(swapped.contains("models.llm.model: \"some-model\" -> \"other-model\""), "{swapped}");
    assert_eq!(process.lines(4), first);
    assert_eq!(endpoint.asked().len(), 8);
}
