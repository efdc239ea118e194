//! `runtime verify`, as a user meets it: which cases it runs, what it says of each that fails, exit codes.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_tests::{Finished, Project, copy_folder, golden_model, root};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder of cases over one model.
struct Set(TempDir);

impl Set {
    /// The model `bert-emotion`, without a case.
    fn new() -> Self {
        let set = Self(tempfile::tempdir().expect("a folder"));
        copy_folder(&golden_model("bert-emotion"), &set.model());
        set
    }

    fn model(&self) -> PathBuf {
        self.0.path().join("models/bert-emotion")
    }

    /// Adds a recorded case of `bert-emotion`, changed.
    fn case(&self, name: &str, change: impl FnOnce(&mut Value)) -> &Self {
        let mut case = recorded(name);
        change(&mut case);
        self.write(&format!("cases/bert-emotion/{name}.json"), &case.to_string());
        self
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn verify(&self, arguments: &[&str]) -> Finished {
        verify(self.0.path(), arguments)
    }
}

fn recorded(name: &str) -> Value {
    let path = root().join("tests/goldens/cases/bert-emotion").join(name).with_extension("json");
    serde_json::from_str(&fs::read_to_string(path).expect("a case")).expect("JSON")
}

fn verify(folder: &Path, arguments: &[&str]) -> Finished {
    let folder = folder.to_str().expect("UTF-8");
    Project::empty().run(["verify", folder].iter().chain(arguments))
}

/// `text-classification` with all labels.
const ALL: &str = "01-text-classification-all-0";
const TOP: &str = "05-text-classification-top2";

#[test]
fn recorded_cases_pass() {
    let goldens = root().join("tests/goldens");
    let all = verify(&goldens, &["--device", "cpu"]).exits(0);
    let some = verify(&goldens, &["--model", "bert-emotion,bert-embed", "--task", "text-classification"]).exits(0);
    let passed = |run: &Finished| -> usize {
        assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
        run.stdout.strip_suffix(" passed, 0 failed\n").and_then(|count| count.parse().ok()).expect("a count")
    };
    assert_eq!(passed(&some), 11);
    assert!(passed(&all) > 100, "{}", all.stdout);
    assert_eq!(all.stderr, "");
}

#[test]
fn a_case_that_fails_is_told_with_the_largest_difference_and_its_place() {
    let set = Set::new();
    set.case(ALL, |case| {
        let score = case["expected"]["result"][1]["score"].as_f64().expect("a score");
        case["expected"]["result"][1]["score"] = json!(score + 0.01);
        let score = case["expected"]["result"][2]["score"].as_f64().expect("a score");
        case["expected"]["result"][2]["score"] = json!(score - 0.25);
    });
    set.case(TOP, |_| {});
    let run = set.verify(&[]).exits(1);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.stdout);
    assert!(lines[0].starts_with(&format!("FAILED bert-emotion/{ALL}: `result[2].score` is ")), "{}", lines[0]);
    assert!(lines[0].contains(": off by 2.5e-1 where "), "{}", lines[0]);
    assert_eq!(lines[1], "1 passed, 1 failed");
}

#[test]
fn what_is_no_number_must_be_equal() {
    let set = Set::new();
    let label = |case: &mut Value| case["expected"]["result"][0]["label"] = json!("fury");
    let told = set.case(ALL, label).verify(&[]).exits(1).stdout;
    assert!(told.contains("`result[0].label` is \"") && told.contains("recorded \"fury\""), "{told}");

    let longer = |case: &mut Value| case["params"]["top_k"] = json!(4);
    let told = Set::new().case(ALL, longer).verify(&[]).exits(1).stdout;
    assert!(told.contains("`result` has 4 items, recorded 5"), "{told}");
}

#[test]
fn failures_are_expected_where_they_were_recorded() {
    let fail = |case: &mut Value| case["expected"] = json!({"error": "it cannot"});
    let unknown = |case: &mut Value| {
        fail(case);
        case["params"]["function_to_apply"] = json!("tanh");
    };
    let _told = Set::new().case(ALL, unknown).verify(&[]).exits(0);
    let told = Set::new().case(ALL, fail).verify(&[]).exits(1).stdout;
    assert!(told.contains("it is answered, and was recorded to fail: \"it cannot\""), "{told}");

    // A model that cannot be loaded is not the failure that was recorded.
    let set = Set::new();
    fs::remove_file(set.model().join("model.safetensors")).expect("it was there");
    let told = set.case(ALL, fail).verify(&[]).exits(1).stdout;
    assert!(told.contains("neither `model.safetensors` nor"), "{told}");
}

#[test]
fn what_cannot_be_run_fails_and_the_rest_is_run() {
    let set = Set::new();
    set.case(ALL, |_| {});
    set.case("02-text-classification-all-1", |case| case["task"] = json!("image-classification"));
    set.case("03-text-classification-all-2", |case| case["model"] = json!("models/nowhere"));
    set.case("04-text-classification-default", |case| case["model"] = json!("models/broken"));
    set.case(TOP, |case| case["atol"] = json!("little"));
    set.write("models/broken/config.json", "{\"model_type\": \"bert\", \"hidden_size\": -1}");
    set.write("cases/bert-emotion/06.json", "{\"id\": ");
    let told = set.verify(&[]).exits(1).stdout;
    for line in [
        "FAILED bert-emotion/02-text-classification-all-1: this version cannot run the task `image-classification`",
        "FAILED bert-emotion/03-text-classification-all-2: there is no model in `",
        "FAILED bert-emotion/04-text-classification-default: ",
        &format!("FAILED bert-emotion/{TOP}: the case has no number `atol`"),
        "FAILED cases/bert-emotion/06.json: the file is no JSON: ",
        "1 passed, 5 failed",
    ] {
        assert!(told.lines().any(|told| told.starts_with(line)), "`{line}` is not said:\n{told}");
    }
}

#[test]
fn the_index_says_which_cases_there_are() {
    let set = Set::new();
    set.case(ALL, |_| {}).case(TOP, |case| case["expected"]["logits"][0] = json!(99.5));
    let entry = |name: &str| {
        let file = format!("cases/bert-emotion/{name}.json");
        json!({"id": name, "model": "models/bert-emotion", "task": "text-classification", "file": file})
    };
    set.write("index.json", &json!([entry(ALL)]).to_string());
    assert_eq!(set.verify(&[]).exits(0).stdout, "1 passed, 0 failed\n");
    set.write("index.json", &json!([entry(ALL), entry("07-nowhere")]).to_string());
    let told = set.verify(&[]).exits(1).stdout;
    assert!(told.contains("FAILED 07-nowhere: cannot read `"), "{told}");
    set.write("index.json", "[{\"id\": 1}]");
    let _told = set.verify(&[]).exits(65).says(&["index.json` is not a list of cases", "entry 0 has no text `file`"]);
}

#[test]
fn wrong_names_and_folders_are_told() {
    let set = Set::new();
    let _told = set.verify(&[]).exits(66).says(&["there are no cases in", "record.py"]);
    set.case(ALL, |_| {});
    let _told = set.verify(&["--task", "text-clasification"]).exits(64).says(&["did you mean `text-classification`?"]);
    let _told = set.verify(&["--model", "bert-emotions"]).exits(64).says(&["did you mean `bert-emotion`?"]);
    let _told = set.verify(&["--device", "abacus"]).exits(64).says(&["abacus"]);
    let _told = verify(&set.0.path().join("nowhere"), &[]).exits(66).says(&["cannot read the cases in"]);
    let file = set.0.path().join("models/bert-emotion/config.json");
    let _told = verify(&file, &[]).exits(66).says(&["cannot read the cases in"]);
}
