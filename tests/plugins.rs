//! The plugins of `plugins/` in pipelines, as a user meets them: components that the program does not know.

use runtime_tests::{Finished, Project, golden_model, guest};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const PROMPT: &str = "The capital of France is";

/// A path as a text of TOML.
fn quoted(path: &std::path::Path) -> String {
    format!("{:?}", path.to_string_lossy())
}

/// A pipeline of one step, over a field `text`, with models by name.
fn pipeline(plugin: &str, grants: &str, models: &[(&str, &str)], step: &str, outputs: &str) -> Project {
    let project = Project::empty();
    let models =
        models.iter().map(|(name, model)| format!("[models.{name}]\nsource = {}\n", quoted(&golden_model(model))));
    let (file, models) = (quoted(&guest(plugin)), models.collect::<String>());
    let text = format!(
        "name = \"p\"\n{models}\n[plugins.own]\nsource = {file}\n{grants}\n\n[[steps]]\nname = \"s\"\n{step}\n\n\
         [output]\n{outputs}\n"
    );
    project.write("p.toml", text);
    project
}

fn answer(project: &Project, texts: &[&str], set: &[&str]) -> Finished {
    let records: String = texts.iter().map(|text| format!("{}\n", json!({ "text": text }))).collect();
    let set = set.iter().flat_map(|set| ["--set", set]);
    project.run_on(records.as_bytes(), ["run", "p.toml", "--input", "-"].into_iter().chain(set))
}

const TICKETS: [&str; 4] = [
    "Zoë here, please call +44 20 7946 0958 or write to zoe.k@example.com about order 5552345678 of 03/14/2025.",
    "I paid €49,00 from DE89 3704 0044 0532 0130 00 with card 4111 1111 1111 1111 🙂, again 4111-1111-1111-1111.",
    "My SSN is 123-45-6789; the login came from 192.0.2.17 with version 4.18.2.",
    "cant log in help",
];

#[test]
fn personal_data_is_gone_before_the_next_step() {
    let step = "kind = \"plugin\"\nplugin = \"own\"\ninputs = { text = \"text\" }\n\
                parameters = { numbered = true, keep_last = 4 }";
    let outputs = "clean = \"s.text\"\nfound = \"s.found\"\nentities = \"s.entities\"";
    let project = pipeline("redact_pii", "", &[], step, outputs);
    let valid = project.run(["validate", "p.toml"]).exits(0);
    assert!(
        valid.stdout.contains("the plugin `own` may use 64 MiB and compute 1 s at a time; nothing else"),
        "{}",
        valid.stdout
    );
    let run = answer(&project, &TICKETS, &[]).exits(0);
    let clean = [
        "Zoë here, please call [PHONE_1] or write to [EMAIL_1] about order 5552345678 of 03/14/2025.",
        "I paid €49,00 from [IBAN_1] with card [CARD_1 ****1111] 🙂, again [CARD_1 ****1111].",
        "My SSN is [SSN_1]; the login came from [IP_1] with version 4.18.2.",
        "cant log in help",
    ];
    assert_eq!(run.field("clean"), clean);
    assert_eq!(run.field("found"), [2, 3, 2, 0]);
    for (entities, text) in run.field("entities").iter().zip(TICKETS) {
        for entity in entities.as_array().expect("a list") {
            assert_eq!(entity.as_object().map(serde_json::Map::len), Some(3), "where it is, and not what: {entity}");
            let [start, end] =
                ["start", "end"].map(|name| usize::try_from(entity[name].as_u64().expect("it")).expect("small"));
            let value: String = text.chars().skip(start).take(end - start).collect();
            assert!(value.starts_with(|c: char| c.is_alphanumeric() || c == '+'), "{value}");
            assert!(value.ends_with(char::is_alphanumeric), "{value}");
        }
    }

    // What a later step reads is the redacted text: the plugin again, which finds nothing more.
    let again = "\n\n[[steps]]\nname = \"again\"\nkind = \"plugin\"\nplugin = \"own\"\ninputs = { text = \"s.text\" }\n\n[output]\n";
    project.edit("p.toml", "\n\n[output]\n", again);
    project.edit("p.toml", "found = \"s.found\"", "found = \"again.found\"");
    assert_eq!(answer(&project, &TICKETS, &[]).exits(0).field("found"), [0, 0, 0, 0]);
}

#[test]
fn names_are_redacted_where_a_model_is_granted() {
    let step = "kind = \"plugin\"\nplugin = \"own\"\ninputs = { text = \"text\" }\n\
                parameters = { kinds = [\"person\", \"place\", \"organisation\"], min_score = 0 }";
    let text = "John Smith works at Acme Corporation in New York City since January 2015.";
    let grants = "[plugins.own.grants]\nmodels = { ner = \"names\" }";
    let models = [("names", "bert-ner")];
    let project = pipeline("redact_pii", grants, &models, step, "clean = \"s.text\"");
    // What transformers finds, which is recorded in tests/goldens/cases/bert-ner/04-token-classification-first-0.json.
    let clean = "[ORGANISATION] [PLACE] [ORGANISATION] Acme [ORGANISATION] [PLACE] [PERSON] since [ORGANISATION]";
    assert_eq!(answer(&project, &[text], &[]).exits(0).field("clean"), [clean]);
    let valid = project.run(["validate", "p.toml"]).exits(0);
    assert!(valid.stdout.contains("the plugin `own` may ask `names` as `ner`, use 64 MiB"), "{}", valid.stdout);

    let denied = pipeline("redact_pii", "[plugins.own.grants]\nlog_text = true", &models, step, "clean = \"s.text\"");
    let denied = answer(&denied, &[text], &[]).exits(65);
    assert_eq!(denied.stdout, "", "a text is not passed on half redacted");
    let _said =
        denied.says(&["only a model finds", "the model `ner` is not granted: `models = { ner = \"MODEL\" }` would"]);
}

#[test]
fn mistakes_in_the_use_of_a_plugin_are_told() {
    let step = "kind = \"plugin\"\nplugin = \"own\"\ninputs = { txt = \"text\" }\nparameters = { kind = [\"email\"] }";
    let project = pipeline("redact_pii", "", &[], step, "clean = \"s.clean\"");
    let _said = project.run(["validate", "p.toml"]).exits(78).says(&[
        "the plugin `redact-pii` has no input `txt`",
        "the plugin `redact-pii` needs the input `text`",
        "its parameters are `kinds`, `placeholder`, `numbered`, `keep_last`, `min_score`",
        "the step `s` has no output `clean`",
    ]);
    let step = "kind = \"plugin\"\nplugin = \"own\"\ninputs = { text = \"text\" }\nparameters = { kinds = [\"mail\"] }";
    let project = pipeline("redact_pii", "[plugins.own.grants]\nlog_text = true", &[], step, "clean = \"s.text\"");
    let _refused = answer(&project, &["a"], &[]).exits(78).says(&["`kinds` has \"mail\"; there are `email`, `phone`"]);
}

/// best-of-n on a text as it is, so that `runtime generate` can be asked for the same.
const BEST: &str = "kind = \"plugin\"\nplugin = \"own\"\ninputs = { prompt = \"text\" }\n\
                    parameters = { n = 3, max_new_tokens = 8, chat = false, seed = 7 }";

const BEST_GRANTS: &str = "[plugins.own.grants]\nmodels = { writer = \"llm\" }\ntokenizers = { writer = \"llm\" }\n\
                           generated_tokens = 24\nlog_text = true";

const BEST_OUTPUTS: &str = "best = \"s.text\"\nscore = \"s.score\"\ncandidates = \"s.candidates\"";

fn texts(candidates: &Value) -> Vec<&str> {
    let mut texts: Vec<&str> =
        candidates.as_array().expect("a list").iter().filter_map(|candidate| candidate["text"].as_str()).collect();
    texts.sort_unstable();
    texts
}

#[test]
fn the_best_of_the_completions_that_the_model_writes() {
    let project = pipeline("best_of_n", BEST_GRANTS, &[("llm", "llama-chat")], BEST, BEST_OUTPUTS);
    let run = answer(&project, &[PROMPT], &[]).exits(0).records();
    let model = golden_model("llama-chat").to_string_lossy().into_owned();
    let sampled = [
        "generate",
        "--model",
        &model,
        PROMPT,
        "--format",
        "jsonl",
        "--param",
        "do_sample=true",
        "--param",
        "temperature=0.8",
        "--param",
        "seed=7",
        "--param",
        "num_return_sequences=3",
        "--param",
        "max_new_tokens=8",
    ];
    let alone = project.run(sampled).exits(0).field("text");
    let mut alone: Vec<&str> = alone.iter().filter_map(Value::as_str).collect();
    alone.sort_unstable();
    assert_eq!((texts(&run[0]["candidates"]), alone.len()), (alone, 3), "the same as without a plugin");
    let scores: Vec<f64> = run[0]["candidates"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|candidate| candidate["score"].as_f64())
        .collect();
    assert!(scores.len() == 3 && scores.is_sorted_by(|a, b| a >= b) && scores[0] < 0.0, "{scores:?}");
    assert_eq!(
        (&run[0]["best"], &run[0]["score"]),
        (&run[0]["candidates"][0]["text"], &run[0]["candidates"][0]["score"])
    );

    // Another model says how near they are to each other: each score moves by a cosine.
    let grants = BEST_GRANTS
        .replace("{ writer = \"llm\" }\ntokenizers", "{ writer = \"llm\", embedder = \"near\" }\ntokenizers");
    let models = [("llm", "llama-chat"), ("near", "bert-embed")];
    let compared = pipeline("best_of_n", &grants, &models, BEST, BEST_OUTPUTS);
    let compared = answer(&compared, &[PROMPT], &[]).exits(0).records();
    assert_eq!(texts(&compared[0]["candidates"]), texts(&run[0]["candidates"]));
    for candidate in compared[0]["candidates"].as_array().expect("a list") {
        let before =
            run[0]["candidates"].as_array().expect("a list").iter().find(|other| other["text"] == candidate["text"]);
        let [with, without] =
            [Some(candidate), before].map(|it| it.and_then(|it| it["score"].as_f64()).expect("a score"));
        assert!((with - without).abs() <= 1.000_001 && with != without, "{with} {without}");
    }
}

#[test]
fn a_plugin_writes_within_its_grants_alone() {
    let run = |grants: &str| {
        let project = pipeline("best_of_n", grants, &[("llm", "llama-chat")], BEST, BEST_OUTPUTS);
        answer(&project, &[PROMPT], &[])
    };
    let _nothing = run("").exits(78).says(&[
        "the plugin `best-of-n` needs a model `writer`, which is not granted",
        "needs a tokenizer `writer`",
        "grant it one: `models = { writer = \"MODEL\" }` in `[plugins.own.grants]`",
    ]);
    let few = run(&BEST_GRANTS.replace("= 24", "= 16")).exits(0).field("candidates");
    assert_eq!(few[0].as_array().map(Vec::len), Some(2), "two of 8 tokens, and none is left for a third");
    let _none =
        run(&BEST_GRANTS.replace("= 24", "= 7")).exits(65).says(&["`generated_tokens` grants 7 for each record"]);
    let quiet = run(&BEST_GRANTS.replace("= 24\nlog_text = true", "= 7")).exits(65);
    assert!(!quiet.stderr.contains("grants 7"), "it might be the text of the record: {}", quiet.stderr);
}

/// A greedy text with words ruled out.
fn filtered(words: &[String], more: &str) -> String {
    let step = format!(
        "kind = \"generate\"\nmodel = \"llm\"\nprompt = \"{{{{ text }}}}\"\nmax_new_tokens = 48\n{more}\n\
         logits_processors = [{{ plugin = \"own\", parameters = {{ words = {} }} }}]",
        json!(words)
    );
    let project = pipeline("word_filter", "", &[("llm", "llama-chat")], &step, "reply = \"s.text\"");
    let replies = answer(&project, &[PROMPT], &[]).exits(0).field("reply");
    replies[0].as_str().expect("a text").to_owned()
}

/// The words of letters in a text, in small letters.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().all(char::is_alphabetic));
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

#[test]
fn a_word_that_is_ruled_out_is_not_written() {
    for more in ["do_sample = false", "seed = 3\ntemperature = 1.5"] {
        let mut ruled_out = vec!["xyzzy".to_owned()];
        let mut written = Vec::new();
        for _ in 0..8 {
            let text = filtered(&ruled_out, more);
            let found = words(&text);
            assert!(found.iter().all(|word| !ruled_out.contains(word)), "{text} has one of {ruled_out:?}");
            // The first that is left is ruled out next, in other letters.
            let first = found.into_iter().next().expect("it has words");
            ruled_out.push(first);
            assert!(!written.contains(&text), "without its word it is another text");
            written.push(text);
        }
    }
    let step = "kind = \"generate\"\nmodel = \"llm\"\nprompt = \"{{ text }}\"\nlogits_processors = [\"own\"]";
    let project = pipeline("word_filter", "", &[("llm", "llama-chat")], step, "reply = \"s.text\"");
    let _said = answer(&project, &[PROMPT], &[]).exits(78).says(&["`words`"]);
}

#[test]
fn the_command_line_names_processors_too() {
    let expected = filtered(&["xyzzy".to_owned(), "the".to_owned()], "do_sample = false");
    let project = Project::empty();
    let model = golden_model("llama-chat").display().to_string();
    let filter = guest("word_filter").display().to_string();
    let generate = |processor: &str, more: &[&str]| {
        let arguments = ["generate", "--model", &model, "--max-new-tokens", "48", "--temperature", "0", PROMPT];
        project.run(arguments.into_iter().chain(["--logits-processor", processor]).chain(more.iter().copied()))
    };
    let said = generate(&format!("{filter}={{\"words\": [\"xyzzy\", \"the\"]}}"), &[]).exits(0).stdout;
    assert_eq!(said, format!("{expected}\n"));
    let _needs = generate(&filter, &[]).exits(78).says(&["`words`"]);
    let _is_json = generate(&format!("{filter}={{words}}"), &[]).exits(64).says(&["the parameters are no JSON object"]);
    let refused = generate(&format!("{filter}={{\"words\": [\"\"]}}"), &[]).exits(78);
    let _told = refused.says(&["word-filter"]);
    let step = guest("redact_pii").display().to_string();
    let _is_no_processor = generate(&step, &[]).exits(78).says(&["logits-processor"]);
}

#[test]
fn a_mark_changes_a_text_by_its_key_and_bias() {
    let text = |parameters: &str| {
        let mark = match parameters {
            "" => String::new(),
            _ => format!("logits_processors = [{{ plugin = \"own\", parameters = {{ {parameters} }} }}]"),
        };
        let step = format!(
            "kind = \"generate\"\nmodel = \"llm\"\nprompt = \"{{{{ text }}}}\"\nmax_new_tokens = 32\nseed = 1\n{mark}"
        );
        let project = pipeline("watermark", "", &[("llm", "llama-chat")], &step, "reply = \"s.text\"");
        answer(&project, &[PROMPT], &[]).exits(0).field("reply")
    };
    let plain = text("");
    assert_eq!(text("key = \"secret\", bias = 0"), plain, "a mark that favours nothing is none");
    assert_eq!(text("key = \"secret\""), text("key = \"secret\", share = 0.25, bias = 2"), "what is not said");
    let marked = ["secret", "another"].map(|key| text(&format!("key = {key:?}, bias = 4")));
    assert!(marked[0] != plain && marked[1] != plain && marked[0] != marked[1], "{marked:?}");
}

/// Puts a plugin into a project's cache of registries, as if it had been pulled; gives what its manifest goes by.
fn pulled(project: &Project, plugin: &str) -> String {
    let digest = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let component = std::fs::read(guest(plugin)).expect("it is built");
    let manifest = json!({
        "schemaVersion": 2,
        "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": "sha256:0", "size": 2},
        "layers": [{
            "mediaType": "application/wasm",
            "digest": format!("sha256:{}", digest(&component)),
            "size": component.len(),
        }],
    });
    let manifest = manifest.to_string();
    for blob in [&component[..], manifest.as_bytes()] {
        project.write(&format!("hf/hub/oci/blobs/sha256/{}", digest(blob)), blob);
    }
    format!("sha256:{}", digest(manifest.as_bytes()))
}

#[test]
fn a_plugin_of_a_registry_is_what_its_file_is() {
    let step = "kind = \"plugin\"\nplugin = \"own\"\ninputs = { text = \"text\" }";
    let project = pipeline("redact_pii", "", &[], step, "clean = \"s.text\"");
    let pinned = format!("oci://registry.example/acme/redact@{}", pulled(&project, "redact_pii"));
    let by_file = answer(&project, &TICKETS, &[]).exits(0).stdout;
    let set = format!("plugins.own.source={pinned:?}");
    assert_eq!(answer(&project, &TICKETS, &[&set]).exits(0).stdout, by_file);
    let inspected = project.run(["plugin", "inspect", &pinned]).exits(0).stdout;
    let file = project.run(["plugin".as_ref(), "inspect".as_ref(), guest("redact_pii").as_os_str()]).exits(0).stdout;
    assert_eq!(inspected, format!("{file}source       {pinned}\n"));

    // The sha256 of a pipeline is that of the component, wherever it is.
    let sha256 = |digits: &str| format!("plugins.own.sha256={digits:?}");
    let own = file.lines().find_map(|line| line.strip_prefix("sha256")).expect("a digest").trim();
    assert_eq!(answer(&project, &TICKETS, &[&set, &sha256(own)]).exits(0).stdout, by_file);
    let other = answer(&project, &TICKETS, &[&set, &sha256(&"0".repeat(64))]);
    let _refused = other.exits(69).says(&["`runtime plugin inspect FILE` shows what it is"]);

    // What is not in the cache is not looked for: the network may not be used here.
    let set = "plugins.own.source=\"oci://registry.example/acme/redact:1.0\"";
    let absent = answer(&project, &TICKETS, &[set]).exits(69);
    let _said = absent.says(&["`oci://registry.example/acme/redact:1.0` is not in the cache", "HF_HUB_OFFLINE"]);
    let set = "plugins.own.source=\"oci://registry.example/acme/redact\"";
    let wrong = project.run(["validate", "p.toml", "--set", set]).exits(78);
    let _said = wrong.says(&["it has neither a tag nor a digest", "oci://REGISTRY/NAME:TAG"]);

    // An architecture, by a flag and in a pipeline file.
    let pinned = format!("oci://registry.example/acme/bert:1.0@{}", pulled(&project, "bert_plugin"));
    let model = golden_model("bert-nli").to_string_lossy().into_owned();
    let task = ["task", "text-classification", "--model", &model, "a phone"];
    let built_in = project.run(task).exits(0).stdout;
    assert_eq!(project.run(task.into_iter().chain(["--plugin", &pinned])).exits(0).stdout, built_in);
    let _absent = project.run(task.into_iter().chain(["--plugin", "oci://registry.example/acme/none:1"])).exits(69);
    let graph = ["model", "graph", &model, "--plugin", &pinned];
    assert_eq!(project.run(graph).exits(0).stdout, project.run(["model", "graph", &model]).exits(0).stdout);
}

#[test]
fn what_a_plugin_is_can_be_looked_at() {
    let inspect = |name: &str| {
        Project::empty().run([std::ffi::OsStr::new("plugin"), "inspect".as_ref(), guest(name).as_ref()]).exits(0).stdout
    };
    for (name, expected) in [
        (
            "redact_pii",
            [
                "plugin       redact-pii 0.1.0",
                "step of inference:runtime@0.1",
                "asks         ner: token-classification, if granted",
            ],
        ),
        (
            "best_of_n",
            ["plugin       best-of-n 0.1.0", "tokenizers   writer", "asks         writer: text-generation\n"],
        ),
        (
            "watermark",
            [
                "plugin       watermark 0.1.0",
                "logits-processor of inference:runtime@0.1",
                "set up with  key (a text): a secret text",
            ],
        ),
        (
            "word_filter",
            [
                "plugin       word-filter 0.1.0",
                "logits-processor of inference:runtime@0.1",
                "words (any value): a list of words",
            ],
        ),
    ] {
        let shown = inspect(name);
        for expected in expected {
            assert!(shown.contains(expected), "{shown} has `{expected}`");
        }
        assert!(shown.lines().any(|line| line.starts_with("denied")), "{shown}");
    }
}
