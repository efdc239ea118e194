//! The `runtime` command as a user meets it: processes, pipes, files, exit codes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use runtime_tests::{Finished, Following, PIPELINE, Project, guest};
use serde_json::{Value, json};

/// `run` with answers of the first rung for all, whatever their score.
const RUN: [&str; 4] = ["run", PIPELINE, "--set", "threshold=0.0"];

/// `RUN` with further arguments.
fn run(project: &Project, arguments: &[&str]) -> Finished {
    project.run(RUN.iter().chain(arguments))
}

/// A project whose input is `records`, over the tiny model.
fn given(records: impl AsRef<[u8]>) -> Project {
    let project = Project::tiny();
    project.write("data/tickets.jsonl", records);
    project
}

/// Lines of `{"id": ..., "text": ...}`.
fn records(count: usize) -> String {
    (0..count).map(|id| format!("{{\"id\": {id}, \"text\": \"a phone in the city\"}}\n")).collect()
}

/// Scores as far as batches of another make-up do not change them.
fn rounded(record: &Value) -> Value {
    let mut record = record.clone();
    if let Some(score) = record.get("score").and_then(Value::as_f64) {
        record["score"] = json!(format!("{score:.4}"));
    }
    record
}

#[test]
fn the_example_is_answered_in_order_with_all_its_fields() {
    let project = Project::triage();
    let run = project.run(["run", PIPELINE]).exits(0);
    let tickets: Vec<Value> =
        project.read("data/tickets.jsonl").lines().map(|line| line.parse().expect("JSON")).collect();
    let answers = run.records();
    assert_eq!(answers.len(), tickets.len());
    let mut rungs: BTreeMap<&str, usize> = BTreeMap::new();
    for (ticket, answer) in tickets.iter().zip(&answers) {
        let (ticket, answer) = (ticket.as_object().expect("an object"), answer.as_object().expect("an object"));
        let expected: Vec<&str> = ticket.keys().map(String::as_str).chain(["label", "score", "rung"]).collect();
        assert_eq!(answer.keys().collect::<Vec<_>>(), expected);
        assert!(ticket.iter().all(|(field, value)| &answer[field] == value), "{answer:?}");
        match answer["rung"].as_str().expect("a rung") {
            "llm" => assert_eq!((&answer["label"], &answer["score"]), (&json!("escalate-to-llm"), &Value::Null)),
            "zero-shot" => assert!(answer["score"].as_f64().is_some_and(|score| (0.75..=1.0).contains(&score))),
            other => panic!("no rung is called {other}"),
        }
        *rungs.entry(answer["rung"].as_str().unwrap_or_default()).or_default() += 1;
    }
    assert_eq!(rungs.len(), 2, "the example shows both rungs: {rungs:?}");
    let shares = rungs.iter().map(|(rung, times)| format!("{rung} {times}")).collect::<Vec<_>>();
    let shares: Vec<&str> = shares.iter().map(String::as_str).collect();
    let said = run.says(&[&format!("{} records in", tickets.len()), "records/s"]).says(&shares);
    assert!(said.says(&["escalate-to-llm", "SmolLM2-1.7B-Instruct"]).stdout.ends_with("}\n"));
    assert!(!project.path("hf").exists(), "nothing is downloaded, nor prepared for it");
}

#[test]
fn memory_stays_near_the_weights() {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let project = Project::triage();
    let tickets = project.read("data/tickets.jsonl");
    let mut process = Following::start(project.command(["run", PIPELINE, "--input", "-"]));
    process.write(&tickets);
    process.lines(tickets.lines().count());
    // It waits for more input and has done all its work.
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: usize = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!((20_000..180 * 1024).contains(&kib), "the peak was {kib} KiB");
    process.close_input();
    assert!(process.ends().success());
}

#[test]
fn bad_records_are_told_with_their_lines_and_the_others_answered() {
    let mut input =
        b"{\"id\": 1, \"text\": \"a phone\"}\n\n{\"text\": \"caf\xe9\"}\n[1, 2]\n{oops}\n{\"txt\": \"a phone\"}\n"
            .to_vec();
    input.extend_from_slice(
        b"{\"text\": \" \"}\n{\"text\": 8}\n{\"text\": null}\n{\"text\": \"a phone\", \"label\": \"mine\"}\n",
    );
    input.extend_from_slice(format!("{{\"text\": \"{}\"}}\n", "a phone ".repeat(1 << 17)).as_bytes());
    input.extend_from_slice(
        format!("{{\"text\": \"deep\", \"x\": {}{}}}\n", "[".repeat(9999), "]".repeat(9999)).as_bytes(),
    );
    input.extend_from_slice(b"{\"id\": 13, \"text\": \"a phone\"}\r\n");
    let project = given(input);
    let run = run(&project, &[]).exits(65);
    assert_eq!(run.field("id"), [json!(1), json!(13)]);
    assert!(run.field("rung").iter().all(|rung| rung == "zero-shot"));
    let expected = [
        "2: an empty line",
        "3: not UTF-8",
        "4: not a JSON object but a list",
        "5: not JSON",
        "6: the record has no field `text` (did you mean `txt`?)",
        "7: the field `text` is empty",
        "8: the field `text` is not a text but a number",
        "9: the field `text` is not a text but null",
        "10: the record has a field `label` already",
        "11: a record of 1048589 bytes",
        "12: not JSON: recursion limit",
    ];
    let complaints = run.stderr.lines().map(|line| line.trim_start_matches("./"));
    let complaints: Vec<&str> = complaints.filter(|line| line.starts_with("data")).collect();
    assert_eq!(complaints.len(), expected.len(), "{}", run.stderr);
    for (complaint, expected) in complaints.iter().zip(expected) {
        assert!(complaint.starts_with(&format!("data/tickets.jsonl:{expected}")), "{complaint} is not {expected}");
    }
    let _said = run.says(&["2 records in", "11 records not answered"]);
}

#[test]
fn an_input_without_records_is_bad_data() {
    for input in ["", "\n", "\u{feff}", " \n\n"] {
        let run = run(&given(input), &[]).exits(65).says(&["data/tickets.jsonl:1: the input is empty"]);
        assert_eq!(run.stdout, "", "{input:?}");
    }
}

#[test]
fn a_record_just_within_the_limit_is_answered() {
    let project = given(format!("{{\"text\": \"{}\"}}\n", "a phone ".repeat(1 << 17)));
    let run = run(&project, &["--set", "input.max_record_bytes=2000000"]).exits(0);
    assert_eq!(run.field("rung"), [json!("zero-shot")]);
}

#[test]
fn no_more_records_than_the_limit_are_answered() {
    let project = given(records(5));
    for limit in [0, 1, 3, 5, 9] {
        let run = run(&project, &["--limit", &limit.to_string()]).exits(0);
        assert_eq!(run.field("id"), (0..limit.min(5)).map(Value::from).collect::<Vec<_>>());
    }
}

#[test]
fn csv_holds_what_json_lines_hold() {
    let fields = ["plain", "a, comma", "a \"quote\"", "a\nbreak", " spaces ", "Zoë 日本", "\r\n", "'=1+1"];
    let lines = fields.iter().enumerate().map(|(id, text)| {
        json!({"id": id, "flag": true, "nothing": null, "list": [1, {"a": "b, \"c\""}], "note": text, "text": "a phone"})
            .to_string()
            + "\n"
    });
    let project = given(lines.collect::<String>());
    let jsonl = run(&project, &["--set", "threshold=0.2", "--format", "jsonl"]).exits(0).records();
    let csv = run(&project, &["--set", "threshold=0.2", "--format", "csv"]).exits(0).stdout;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
    assert_eq!(header, ["id", "flag", "nothing", "list", "note", "text", "label", "score", "rung"]);
    let rows: Vec<Vec<String>> = reader.deserialize().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), fields.len());
    for ((row, record), note) in rows.iter().zip(&jsonl).zip(fields) {
        assert_eq!(record["note"], note);
        for (column, cell) in header.iter().zip(row) {
            match &record[column] {
                Value::Null => assert_eq!(cell, ""),
                Value::String(text) => assert_eq!(cell, text),
                Value::Number(number) if number.is_f64() => {
                    let cell: f64 = cell.parse().expect("a number");
                    assert!((cell - number.as_f64().expect("a number")).abs() < 1e-6, "{column}");
                }
                other => assert_eq!(&cell.parse::<Value>().expect("JSON"), other, "{column}"),
            }
        }
    }
}

#[test]
fn csv_is_read_by_its_ending() {
    let project = given(records(1));
    project.write("in.csv", "id,text\n1,\"a, \"\"phone\"\"\nin the city\"\n2\n3,an email\n4,x,y\n5,five days\n");
    let run = run(&project, &["--input", "in.csv"]).exits(65);
    let texts = ["a, \"phone\"\nin the city", "an email", "five days"];
    assert_eq!(run.field("text"), texts.map(Value::from));
    assert_eq!(run.field("id"), ["1", "3", "5"].map(Value::from));
    let _said = run.says(&["in.csv:4: 1 fields, and the header has 2", "in.csv:6: 3 fields, and the header has 2"]);
}

#[test]
fn a_csv_output_refuses_a_field_that_its_header_lacks_and_goes_on() {
    let project = given("{\"text\": \"a phone\"}\n{\"text\": \"an email\", \"id\": 2}\n{\"text\": \"five days\"}\n");
    let run = run(&project, &["--format", "csv"]).exits(65).says(&["data/tickets.jsonl:2:", "`id`"]);
    assert_eq!(run.stdout.lines().count(), 3, "{}", run.stdout);
}

#[test]
fn a_table_has_a_row_for_each_record_with_rung_score_and_time() {
    let project = given(records(3));
    let run = run(&project, &["--format", "table"]).exits(0).says(&["3 records in", "zero-shot 3 100.0%", "llm 0"]);
    let mut lines = run.stdout.lines();
    let header: Vec<&str> = lines.next().expect("a header").split_whitespace().collect();
    assert_eq!(header, ["line", "text", "label", "score", "rung", "ms"]);
    let rows: Vec<&str> = lines.filter(|line| line.contains("zero-shot")).collect();
    assert_eq!(rows.len(), 3, "{}", run.stdout);
    assert!(rows.iter().all(|row| row.contains("a phone in the city")), "{}", run.stdout);
    let ends = rows.iter().map(|row| row.split_whitespace().next_back().and_then(|ms| ms.parse::<u32>().ok()));
    assert!(ends.into_iter().all(|ms| ms.is_some()), "{}", run.stdout);
}

#[test]
fn a_table_cannot_command_the_terminal() {
    let project = given("{\"text\": \"a phone \\u001b[2J\\u0007 here\"}\n{\"text\": 1, \"\\u001b[2J\": 1}\n");
    let run = run(&project, &["--format", "table"]).exits(65);
    assert!(!run.stdout.contains(['\u{1b}', '\u{7}']) && !run.stderr.contains('\u{1b}'), "{run:?}");
}

#[test]
fn answers_go_to_a_file_in_the_form_of_its_ending() {
    let project = given(records(2));
    for (name, first) in [("a.csv", "id,text,label,score,rung"), ("a.jsonl", "{\"id\": 0"), ("a.txt", "{\"id\": 0")] {
        let run = run(&project, &["--output", name]).exits(0).says(&["2 records in"]);
        assert_eq!(run.stdout, "");
        assert!(project.read(name).starts_with(first), "{name}: {}", project.read(name));
        let lines = project.read(name).lines().count();
        assert_eq!(lines, if name == "a.csv" { 3 } else { 2 });
    }
    let _refused = run(&project, &["--output", "none/a.csv"]).exits(74).says(&["none/a.csv"]);
}

#[test]
fn the_input_is_never_overwritten() {
    let project = given(records(2));
    let before = project.read("data/tickets.jsonl");
    for output in ["data/tickets.jsonl", "data/../data/tickets.jsonl"] {
        for input in [&[][..], &["--input", "./data/tickets.jsonl"]] {
            let run = run(&project, &[input, &["--output", output]].concat()).exits(64);
            let _said = run.says(&["both input and output"]);
            assert_eq!(project.read("data/tickets.jsonl"), before);
        }
    }
}

#[test]
fn the_input_is_not_overwritten_through_another_name_of_it() {
    let project = given(records(2));
    let before = project.read("data/tickets.jsonl");
    fs::hard_link(project.path("data/tickets.jsonl"), project.path("linked.jsonl")).expect("a hard link");
    let _refused = run(&project, &["--output", "linked.jsonl"]).exits(64).says(&["both input and output"]);
    assert_eq!(project.read("data/tickets.jsonl"), before);
}

#[test]
fn what_the_pipeline_is_made_of_is_never_overwritten() {
    let project = given(records(2));
    project.edit(
        PIPELINE,
        "labels = [\"billing\", \"bug report\", \"feature request\", \"account access\", \"other\"]",
        "labels_file = \"labels.txt\"",
    );
    project.write("labels.txt", "billing\nother\n");
    for name in [PIPELINE, "labels.txt"] {
        let before = project.read(name);
        let run = run(&project, &["--output", name]);
        assert_eq!(project.read(name), before, "{name} is lost");
        let _refused = run.exits(64).says(&[name]);
    }
}

#[test]
fn no_answers_are_written_into_a_model_s_folder() {
    let project = given(records(2));
    let folder = project.read(PIPELINE).lines().find_map(|line| {
        let source = line.strip_prefix("source = \"./")?;
        Some(source.trim_end_matches('"').to_owned())
    });
    let folder = folder.expect("a model in a folder");
    let weights = format!("{folder}/model.safetensors");
    let before = fs::read(project.path(&weights)).expect("weights");
    fs::hard_link(project.path(&weights), project.path("linked.jsonl")).expect("a hard link");
    let new = format!("{folder}/new.jsonl");
    for output in [&*weights, "linked.jsonl", &new] {
        let _refused = run(&project, &["--output", output]).exits(64).says(&[output, "another folder"]);
        assert_eq!(fs::read(project.path(&weights)).expect("weights"), before);
    }
    assert!(!project.path(&new).exists());
}

#[cfg(unix)]
#[test]
fn standard_input_is_not_overwritten() {
    let project = given(records(2));
    let before = project.read("data/tickets.jsonl");
    let attempt = |output: &str| {
        let mut command = project.command(RUN.iter().chain(&["--input", "-", "--output", output]));
        command.stdin(fs::File::open(project.path("data/tickets.jsonl")).expect("the input"));
        command.output().expect("it runs")
    };
    let refused = attempt("data/tickets.jsonl");
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("both input and output"));
    assert_eq!(project.read("data/tickets.jsonl"), before);
    assert_eq!(attempt("out.jsonl").status.code(), Some(0));
    assert_eq!(project.read("out.jsonl").lines().count(), 2);
}

#[test]
fn wrong_command_lines_are_usage_errors() {
    let project = given(records(1));
    let wrong: [&[&str]; 9] = [
        &[],
        &["runn"],
        &["run"],
        &["run", PIPELINE, "--lmit", "3"],
        &["run", PIPELINE, "--limit", "some"],
        &["run", PIPELINE, "--format", "xml"],
        &["run", PIPELINE, "--set", "threshold"],
        &["graph", PIPELINE, "--format", "png"],
        &["model", "fetch", "./model"],
    ];
    for arguments in wrong {
        let run = project.run(arguments).exits(64);
        assert_eq!(run.stdout, "", "{arguments:?}");
        assert!(!run.stderr.is_empty(), "{arguments:?}");
    }
    let _said = project.run(["run", PIPELINE, "--lmit", "3"]).says(&["--lmit", "--limit"]);
}

#[test]
fn help_and_version_go_to_stdout() {
    let project = Project::empty();
    for (arguments, says) in
        [(&["--help"][..], "Exit codes"), (&["run", "--help"], "--watch"), (&["--version"], "runtime ")]
    {
        let run = project.run(arguments).exits(0);
        assert!(run.stdout.contains(says) && run.stderr.is_empty(), "{run:?}");
    }
}

#[test]
fn absent_files_are_no_input() {
    let project = given(records(1));
    let _pipeline = project.run(["run", "none.toml"]).exits(66).says(&["none.toml"]);
    let _input = run(&project, &["--input", "none.jsonl"]).exits(66).says(&["none.jsonl"]);
    let _folder = run(&project, &["--input", "data"]).exits(66).says(&["data", "directory"]);
    let _example = run(&project, &["--set", "input.file='gone.jsonl'"]).exits(66).says(&["gone.jsonl"]);
}

#[test]
fn a_pipeline_without_example_asks_for_an_input() {
    let project = given(records(1));
    project.edit(PIPELINE, "file = \"data/tickets.jsonl\"", "");
    let _refused = run(&project, &[]).exits(64).says(&["no example input", "--input FILE"]);
    assert_eq!(run(&project, &["--input", "data/tickets.jsonl"]).exits(0).records().len(), 1);
}

#[test]
fn an_absent_model_folder_is_told_at_its_place() {
    let project = given(records(1));
    project.edit(PIPELINE, "source = \"./model\"", "source = \"./none\"");
    let line = 1 + project.read(PIPELINE).lines().position(|line| line.contains("./none")).expect("it is there");
    let place = format!("{PIPELINE}:{line}:10");
    for command in ["run", "validate", "test"] {
        let _refused = project.run([command, PIPELINE]).exits(66).says(&["./none", &place]);
    }
}

#[test]
fn a_hub_model_that_is_not_cached_is_unavailable_offline() {
    let project = given(records(1));
    let run = run(&project, &["--set", "models.nli.source=org/none"]).exits(69);
    let run = run.says(&["org/none", "config.json", "runtime model fetch org/none", "HF_HUB_OFFLINE"]);
    assert_eq!(run.stdout, "");
    let _fetch = project.run(["model", "fetch", "org/none"]).exits(69).says(&["org/none", "HF_HUB_OFFLINE"]);
}

#[test]
fn toml_that_cannot_be_read_is_told_with_its_line() {
    let project = given(records(1));
    project.edit(PIPELINE, "accept = { threshold = 0.75 }", "accept = { threshold = }");
    let line = 1 + project.read(PIPELINE).lines().position(|line| line.contains("threshold = }")).expect("it is there");
    for command in ["run", "validate", "test", "graph"] {
        let run = project.run([command, PIPELINE]).exits(78).says(&[&format!("{PIPELINE}:{line}:24")]);
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn validate_tells_every_mistake_at_once_with_its_place() {
    let project = given(records(1));
    project.edit(PIPELINE, "accept = { threshold = 0.75 }", "accept = { treshold = 0.75 }");
    project.edit(PIPELINE, "kind = \"llm\"", "kind = \"lmm\"");
    project.edit(PIPELINE, "rung = \"triage.rung\"", "rung = \"triage.rank\"");
    let text = project.read(PIPELINE);
    let place = |part: &str| {
        let at = text.find(part).expect("it is there");
        let line = text[..at].matches('\n').count() + 1;
        format!("{PIPELINE}:{line}:{}", at - text[..at].rfind('\n').map_or(0, |end| end + 1) + 1)
    };
    let run = project.run(["validate", PIPELINE]).exits(78);
    let run = run.says(&["`treshold`", "did you mean `threshold`?", &place("treshold")]);
    let run = run.says(&["did you mean `llm`?", &place("\"lmm\"")]);
    let run = run.says(&["no output `rank`", "`rung`", &place("\"triage.rank\"")]);
    assert_eq!(run.stderr.matches('×').count(), 3, "{}", run.stderr);
}

#[test]
fn validate_needs_no_weights_and_checks_each_pipeline() {
    let project = given(records(1));
    fs::remove_file(project.path("model/model.safetensors")).expect("it is there");
    project.write("other.toml", project.edited(PIPELINE, "threshold = 0.75", "threshold = 75"));
    let run = project.run(["validate", "other.toml", PIPELINE]).exits(78).says(&["other.toml:", "from 0 to 1"]);
    assert!(run.stdout.starts_with("triage.toml: `triage` is valid"), "{}", run.stdout);
}

#[test]
fn the_threshold_can_be_set() {
    let project = given(records(3));
    let rungs = |setting: &str| project.run(["run", PIPELINE, "--set", setting]).exits(0).field("rung");
    assert_eq!(rungs("threshold=0.0"), vec![json!("zero-shot"); 3]);
    assert_eq!(rungs("threshold=1.0"), vec![json!("llm"); 3]);
    assert_eq!(rungs("steps.triage.rungs.zero-shot.accept.threshold=0"), vec![json!("zero-shot"); 3]);
    let run = project.run(["run", PIPELINE, "--set", "threshold=1.0"]);
    assert_eq!(run.field("label"), vec![json!("escalate-to-llm"); 3]);
    assert_eq!(run.field("score"), vec![Value::Null; 3]);
    assert!(run.records()[0].as_object().is_some_and(|record| record.contains_key("score")));
}

#[test]
fn a_wrong_setting_names_the_nearest() {
    let project = given(records(1));
    let _key = project.run(["run", PIPELINE, "--set", "treshold=0.5"]).exits(64).says(&["did you mean `threshold`?"]);
    let _value = project.run(["run", PIPELINE, "--set", "threshold=5"]).exits(78).says(&["from 0 to 1", "--set"]);
    let _both = project
        .run(["run", PIPELINE, "--set", "source=./x"])
        .exits(64)
        .says(&["models.nli.source", "models.llm.source"]);
}

#[test]
fn a_setting_that_the_pipeline_s_tests_do_not_fit_runs() {
    let project = given("{\"body\": \"a phone\"}\n");
    for command in ["run", "graph"] {
        let finished =
            project.run([command, PIPELINE, "--set", "text=body", "--set", "labels=[\"a\", \"b\"]"]).exits(0);
        assert!(!finished.stderr.contains("is never"), "{}", finished.stderr);
    }
    for command in ["test", "validate"] {
        let _refused = project.run([command, PIPELINE, "--set", "text=body"]).exits(78).says(&["no field `body`"]);
    }
}

#[test]
fn the_tests_of_the_pipeline_pass_and_a_wrong_one_fails() {
    let project = Project::triage();
    let count = project.read(PIPELINE).matches("[[tests]]").count();
    let run = project.run(["test", PIPELINE]).exits(0);
    assert!(run.stdout.ends_with(&format!("{count} passed, 0 failed\n")), "{}", run.stdout);
    let wrong = "\n[[tests]]\nname = \"wrong\"\ninput = { text = \"hm, ok\" }\nexpect = { label = \"pizza\" }\n";
    project.write(PIPELINE, project.read(PIPELINE) + wrong);
    let run = project.run(["test", PIPELINE]).exits(1);
    assert!(run.stdout.contains("FAILED wrong") && run.stdout.contains("pizza"), "{}", run.stdout);
    assert!(run.stdout.ends_with(&format!("{count} passed, 1 failed\n")), "{}", run.stdout);
}

#[test]
fn a_pipe_gets_each_answer_before_the_next_record_is_written() {
    let project = given("");
    let mut process = Following::start(project.command(RUN.iter().chain(&["--input", "-"])));
    for id in 0..3 {
        process.write(&format!("{{\"id\": {id}, \"text\": \"a phone\"}}\n"));
        assert!(process.line().starts_with(&format!("{{\"id\": {id},")));
    }
    process.close_input();
    assert!(process.ends().success());
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
    let project = given(records(20_000));
    let mut command = project.command(RUN);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut first).expect("a line");
    assert!(first.starts_with("{\"id\": 0,"), "{first}");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_full_disk_is_told() {
    if !fs::exists("/dev/full").is_ok_and(|exists| exists) {
        return;
    }
    let _full = run(&given(records(1)), &["--output", "/dev/full"]).exits(74).says(&["/dev/full"]);
}

#[test]
fn the_text_of_a_record_is_kept_as_it_was_written() {
    let text = r#"{"n": 12345678901234567890123, "f" : 0.10000000000000000001, "z": 1.0, "u": "\u00e9\/", "n2":-0, "a": {"b": 1e2}, "text": "a phone"  }"#;
    let run = run(&given(format!("{text}\n")), &[]).exits(0);
    let kept = text.trim_end_matches([' ', '}']);
    assert!(run.stdout.starts_with(&format!("{kept},\"label\":")), "{}", run.stdout);
}

#[test]
fn a_number_beyond_double_precision_is_json_too() {
    let run = run(&given("{\"n\": 1e400, \"text\": \"a phone\"}\n"), &[]).exits(0);
    assert!(run.stdout.starts_with("{\"n\": 1e400, \"text\": \"a phone\","), "{}", run.stdout);
}

#[test]
fn csv_keeps_big_numbers_too() {
    let project = given("{\"n\": 12345678901234567890123, \"text\": \"a phone\"}\n");
    let run = run(&project, &["--format", "csv"]).exits(0);
    assert!(run.stdout.contains("\n12345678901234567890123,a phone,"), "{}", run.stdout);
}

#[test]
fn the_plugin_form_answers_byte_for_byte_the_same() {
    let project = Project::triage();
    let plugin = format!("models.nli.plugin='{}'", guest("bert_plugin").display());
    let built_in = run(&project, &["--limit", "12"]).exits(0);
    let by_plugin = run(&project, &["--limit", "12", "--set", &plugin]).exits(0);
    assert_eq!(built_in.stdout, by_plugin.stdout);
    assert_eq!(built_in.records().len(), 12);
}

#[test]
fn a_plugin_that_cannot_be_used_is_told_at_its_place() {
    let project = given(records(1));
    project.write("broken.wasm", "no component");
    project.edit(PIPELINE, "source = \"./model\"", "source = \"./model\"\nplugin = \"broken.wasm\"");
    let run = project.run(["run", PIPELINE]).says(&["broken.wasm", "is not a WebAssembly component"]);
    assert!(run.code.is_some_and(|code| code != 0) && run.stdout.is_empty(), "{run:?}");
    let line = 1 + project.read(PIPELINE).lines().position(|line| line.starts_with("plugin")).expect("it is there");
    let _said = run.says(&[&format!("{PIPELINE}:{line}:10")]);
}

#[test]
fn a_run_answers_the_same_again() {
    let project = Project::tiny();
    let tickets = Project::triage().read("data/tickets.jsonl");
    project.write("data/tickets.jsonl", tickets);
    let first = run(&project, &[]).exits(0).field("score");
    for _ in 0..8 {
        assert_eq!(run(&project, &[]).exits(0).field("score"), first);
    }
}

#[test]
fn the_graph_of_a_pipeline_is_drawn() {
    let project = given("");
    let mermaid = project.run(["graph", PIPELINE]).exits(0).stdout;
    assert_eq!(project.run(["graph", PIPELINE, "--format", "mermaid"]).exits(0).stdout, mermaid);
    assert!(mermaid.starts_with("flowchart") && mermaid.contains("zero-shot") && mermaid.contains("0.75"), "{mermaid}");
    let dot = project.run(["graph", PIPELINE, "--format", "dot"]).exits(0).stdout;
    assert!(dot.starts_with("digraph") && dot.trim_end().ends_with('}') && dot.contains("zero-shot"), "{dot}");
}

#[test]
fn the_graph_of_a_model_is_printed_and_a_plugin_builds_the_same() {
    let project = Project::tiny();
    let built_in = project.run(["model", "graph", "model"]).exits(0).stdout;
    assert!(built_in.starts_with("graph ") && built_in.contains("logits"), "{built_in}");
    let plugin = guest("bert_plugin");
    let by_plugin = project.run(["model", "graph", "./model", "--plugin", &plugin.to_string_lossy()]).exits(0).stdout;
    let nodes = |graph: &str| graph.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(nodes(&built_in), nodes(&by_plugin));
    assert!(nodes(&built_in).len() > 20);
    let _head = project.run(["model", "graph", "model", "--head", "none"]).exits(64);
    let _absent = project.run(["model", "graph", "./absent"]).exits(66);
}

#[test]
fn standard_input_is_read_as_json_lines() {
    let project = given("");
    let by_pipe = project.run_on(records(3).as_bytes(), RUN.iter().chain(&["--input", "-"])).exits(0);
    project.write("data/tickets.jsonl", records(3));
    let by_file = run(&project, &[]).exits(0);
    let rounded = |run: &Finished| run.records().iter().map(rounded).collect::<Vec<_>>();
    assert_eq!(rounded(&by_pipe), rounded(&by_file));
    let _empty =
        project.run_on(b"", RUN.iter().chain(&["--input", "-"])).exits(65).says(&["stdin:1: the input is empty"]);
}

#[test]
fn a_model_that_names_no_entailment_is_warned_of_and_answers() {
    let project = Project::tiny();
    let quiet = project.run(["run", PIPELINE]).exits(0);
    assert!(!quiet.stderr.contains("entailment"), "{}", quiet.stderr);
    project.write("model/config.json", project.read("model/config.json").replace("ENTAILMENT", "AGREEMENT"));
    let warned = project.run(["run", PIPELINE]).exits(0).says(&["no label of this model says", "`label2id`"]);
    assert_eq!(warned.records().len(), quiet.records().len());
}

#[test]
fn validate_knows_what_is_no_source_of_a_model() {
    let project = given("");
    project.edit(PIPELINE, "HuggingFaceTB/SmolLM2-1.7B-Instruct", "https://example.org/a/b");
    let _refused = project.run(["validate", PIPELINE]).exits(78).says(&["https://example.org/a/b", "triage.toml:"]);
}
