//! `runtime run --watch`: each kind of edit, made the way editors make it, ends in the answers that a fresh run gives.

use std::fs;

use std::sync::Mutex;
use std::sync::mpsc::channel;

use runtime_tests::{Endpoint, Floats, Following, PIPELINE, Project, Reply, Tensors, golden_model, guest};
use serde_json::{Value, json};

/// What makes the first rung answer everything, or nothing, with the tiny model.
const ALL: &str = "threshold = 0.0";
const NONE: &str = "threshold = 1.0";

/// A project that is followed, with its first answers read.
struct Watched {
    project: Project,
    process: Following,
    answers: String,
}

impl Watched {
    /// Starts to follow `project` and reads the answers to what is there.
    fn start(project: Project) -> Self {
        let answers = project.answers();
        let mut process = Following::start(project.command(["run", PIPELINE, "--format", "jsonl", "--watch"]));
        process.settles_on(&answers);
        Self { project, process, answers }
    }

    /// The answers become those of a fresh run, which are not those from before.
    #[track_caller]
    fn answers_anew(&mut self) {
        let fresh = self.project.answers();
        assert_ne!(fresh, self.answers, "the edit makes a difference");
        self.process.settles_on(&fresh);
        self.answers = fresh;
    }

    /// Waits until all swaps together have loaded `models` models. A file that is put beside another and then renamed
    /// can be noticed twice, with nothing to load the first time.
    #[track_caller]
    fn loaded(&mut self, models: usize) {
        while self.loads() < models || self.process.all_said("models loaded").is_empty() {
            self.process.said("models loaded");
        }
        assert_eq!(self.loads(), models);
    }

    /// Nothing else is answered any more; a file that is written in two halves may be answered twice, though.
    #[track_caller]
    fn rests(&mut self) {
        while let Some(line) = self.process.soon() {
            assert!(self.answers.contains(&line), "{line}");
        }
    }

    /// Models loaded by all swaps so far.
    fn loads(&mut self) -> usize {
        let swaps = self.process.all_said("models loaded");
        let loaded = |line: &String| line.split(", ").last()?.split(' ').next()?.parse::<usize>().ok();
        swaps.iter().map(|line| loaded(line).expect("a number")).sum()
    }
}

/// One record, so that a batch is the same however it is asked; the tiny model; everything answered by the first rung.
fn tiny() -> Project {
    let project = Project::tiny();
    project.write("data/tickets.jsonl", "{\"id\": 0, \"text\": \"the doctor has a new phone\"}\n");
    project.edit(PIPELINE, "threshold = 0.75", ALL);
    project
}

/// The same with the labels in a file.
fn with_label_file() -> Project {
    let project = tiny();
    let labels = "labels = [\"billing\", \"bug report\", \"feature request\", \"account access\", \"other\"]";
    project.edit(PIPELINE, labels, "labels_file = \"labels.txt\"");
    project.write("labels.txt", "billing\nphone\nother\n");
    project
}

/// The tiny model with the rows of the classifier turned about, so that it answers otherwise.
fn other_weights(project: &Project) -> Vec<u8> {
    let mut tensors = Tensors::read(&project.path("model/model.safetensors"));
    let (_, numbers) = tensors.0.get_mut("classifier.weight").expect("it classifies");
    numbers.reverse();
    let path = project.path("other.safetensors");
    tensors.write(&path, Floats::F32);
    fs::read(path).expect("just written")
}

#[test]
fn a_threshold_that_is_edited_in_place_changes_the_answers_without_loading() {
    let mut watched = Watched::start(tiny());
    watched.project.edit(PIPELINE, ALL, NONE);
    watched.answers_anew();
    watched.loaded(0);
    watched.project.edit(PIPELINE, NONE, ALL);
    watched.answers_anew();
    assert_eq!(watched.loads(), 0);
}

#[test]
fn a_threshold_that_is_edited_by_renaming_changes_the_answers_without_loading() {
    let mut watched = Watched::start(tiny());
    for (from, to) in [(ALL, NONE), (NONE, ALL), (ALL, NONE)] {
        watched.project.replace(PIPELINE, watched.project.edited(PIPELINE, from, to));
        watched.answers_anew();
    }
    watched.loaded(0);
    assert_eq!(watched.loads(), 0);
}

#[test]
fn a_pipeline_that_is_away_for_a_moment_comes_back() {
    let mut watched = Watched::start(tiny());
    let edited = watched.project.edited(PIPELINE, ALL, NONE);
    fs::rename(watched.project.path(PIPELINE), watched.project.path("triage.toml~")).expect("a rename");
    watched.process.said("the pipeline from before goes on");
    watched.project.write(PIPELINE, edited);
    watched.answers_anew();
    assert_eq!(watched.loads(), 0);
}

#[test]
fn after_several_quick_edits_the_last_one_holds() {
    let mut watched = Watched::start(tiny());
    let template = "This support ticket is about {}.";
    let original = watched.project.read(PIPELINE);
    for edit in 0..20 {
        let text = original.replace(template, &format!("The text number {edit} is {{}}."));
        if edit % 2 == 0 { watched.project.write(PIPELINE, text) } else { watched.project.replace(PIPELINE, text) }
    }
    watched.answers_anew();
    watched.rests();
    assert_eq!(watched.loads(), 0);
}

#[test]
fn a_broken_edit_keeps_the_old_answers_until_it_is_repaired() {
    let mut watched = Watched::start(tiny());
    watched.project.edit(PIPELINE, ALL, "threshold = ");
    let line = 1 + watched.project.read(PIPELINE).lines().position(|line| line.contains("threshold =  }")).expect("it");
    watched.process.said(&format!("{PIPELINE}:{line}:"));
    watched.process.said("the pipeline from before goes on");
    assert_eq!(watched.process.soon(), None, "a broken edit answers nothing");
    watched.project.edit(PIPELINE, "threshold = ", NONE);
    watched.answers_anew();
    assert_eq!(watched.loads(), 0);
}

#[test]
fn while_an_edit_is_broken_an_edited_input_waits_for_the_repair() {
    let mut watched = Watched::start(tiny());
    watched.project.edit(PIPELINE, "model = \"nli\"", "model = \"nil\"");
    watched.process.said("the pipeline from before goes on");
    watched.project.write("data/tickets.jsonl", "{\"id\": 7, \"text\": \"five days in the city\"}\n");
    watched.process.said("the pipeline from before goes on");
    watched.project.edit(PIPELINE, "model = \"nil\"", "model = \"nli\"");
    watched.answers_anew();
}

#[test]
fn an_edited_label_file_changes_the_answers_without_loading() {
    let mut watched = Watched::start(with_label_file());
    watched.project.write("labels.txt", "doctor\nbank\n");
    watched.answers_anew();
    watched.project.replace("labels.txt", "# two\ncity\nphone\n");
    watched.answers_anew();
    watched.project.write("labels.txt", "city\ncity\n");
    watched.process.said("the pipeline from before goes on");
    watched.project.write("labels.txt", "city\nemail\n");
    watched.answers_anew();
    assert_eq!(watched.loads(), 0);
}

#[test]
fn an_edited_input_is_answered() {
    let mut watched = Watched::start(tiny());
    watched.project.write("data/tickets.jsonl", "{\"id\": 1, \"text\": \"an email from the bank\"}\n");
    watched.answers_anew();
    watched.project.replace("data/tickets.jsonl", "{\"id\": 2, \"text\": \"not in the city\"}\n");
    watched.answers_anew();
    assert_eq!(watched.loads(), 0);
}

#[test]
fn an_input_of_the_command_line_is_followed_too() {
    let project = tiny();
    project.write("elsewhere/in.jsonl", "{\"id\": 1, \"text\": \"an email from the bank\"}\n");
    let arguments = ["run", PIPELINE, "--format", "jsonl", "--input", "elsewhere/in.jsonl"];
    let mut process = Following::start(project.command(arguments.iter().chain(&["--watch"])));
    process.settles_on(&project.run(arguments).exits(0).stdout);
    project.replace("elsewhere/in.jsonl", "{\"id\": 2, \"text\": \"not in the city\"}\n");
    process.settles_on(&project.run(arguments).exits(0).stdout);
}

#[test]
fn a_pipeline_can_name_another_input_and_label_file() {
    let mut watched = Watched::start(with_label_file());
    watched.project.write("more/labels.txt", "doctor\nbank\n");
    watched.project.write("more/in.jsonl", "{\"id\": 3, \"text\": \"an email from the bank\"}\n");
    let text = watched.project.edited(PIPELINE, "\"labels.txt\"", "\"more/labels.txt\"");
    watched.project.write(PIPELINE, text.replace("\"data/tickets.jsonl\"", "\"more/in.jsonl\""));
    watched.answers_anew();
    // The files that are named now are followed.
    watched.project.write("more/labels.txt", "city\nphone\n");
    watched.answers_anew();
    watched.project.replace("more/in.jsonl", "{\"id\": 4, \"text\": \"five days\"}\n");
    watched.answers_anew();
    assert_eq!(watched.loads(), 0);
}

#[test]
fn a_replaced_plugin_is_loaded_beside_and_swapped() {
    let project = tiny();
    let component = fs::read(guest("bert_plugin")).expect("it is built");
    project.write("bert.wasm", &component);
    project.edit(PIPELINE, "source = \"./model\"", "source = \"./model\"\nplugin = \"bert.wasm\"");
    let mut watched = Watched::start(project);
    // A custom section called `x`: the component means the same, but is another.
    let other = [&component[..], &[0, 3, 1, b'x', 7]].concat();
    watched.project.replace("bert.wasm", &other);
    watched.loaded(1);
    let answers = watched.answers.clone();
    watched.process.settles_on(&answers);
    assert_eq!(watched.project.answers(), answers, "the plugin does the same");
    // A broken one changes nothing.
    watched.project.replace("bert.wasm", &component[..component.len() / 2]);
    watched.process.said("the pipeline from before goes on");
    assert_eq!(watched.process.soon(), None);
    watched.project.replace("bert.wasm", &component);
    watched.loaded(2);
    watched.process.settles_on(&answers);
}

/// A component in which `from`, which is in it once, is `to`: what a rebuild after an edit of a constant gives.
fn rebuilt(component: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = (0..component.len()).filter(|place| component[*place..].starts_with(from)).collect();
    assert_eq!(places.len(), 1, "{from:?} is at {places:?}");
    let mut rebuilt = component.to_vec();
    rebuilt[places[0]..places[0] + to.len()].copy_from_slice(to);
    rebuilt
}

/// The two builds of `redact-pii`, whose placeholders are `[EMAIL]` and `<EMAIL>`.
fn redacting() -> [Vec<u8>; 2] {
    let component = fs::read(guest("redact_pii")).expect("it is built");
    let other = rebuilt(&component, b"[{kind}]numbered", b"<{kind}>numbered");
    [component, other]
}

#[test]
fn a_step_that_is_rebuilt_answers_anew() {
    let project = Project::empty();
    let [component, other] = redacting();
    project.write("redact.wasm", &component);
    project.write("in.jsonl", "{\"text\": \"write to jo@example.com\"}\n");
    let text = "name = \"p\"\n[input]\nfile = \"in.jsonl\"\n[plugins.own]\nsource = \"redact.wasm\"\n\
                [[steps]]\nname = \"s\"\nkind = \"plugin\"\nplugin = \"own\"\ninputs = { text = \"text\" }\n\
                [output]\nclean = \"s.text\"\n";
    project.write(PIPELINE, text);
    let mut watched = Watched::start(project);
    assert!(watched.answers.contains("write to [EMAIL]"), "{}", watched.answers);
    watched.project.replace("redact.wasm", &other);
    watched.answers_anew();
    assert!(watched.answers.contains("write to <EMAIL>"), "{}", watched.answers);
    // A broken one, and one of another world, change nothing.
    for wrong in [other[..other.len() / 2].to_vec(), fs::read(guest("watermark")).expect("it is built")] {
        watched.project.replace("redact.wasm", wrong);
        watched.process.said("the pipeline from before goes on");
        assert_eq!(watched.process.soon(), None);
    }
    // A digest is of one build alone.
    let inspected =
        watched.project.run(["plugin".as_ref(), "inspect".as_ref(), guest("redact_pii").as_os_str()]).exits(0);
    let digest =
        inspected.stdout.lines().find_map(|line| line.strip_prefix("sha256")).expect("a digest").trim().to_owned();
    watched.project.write("redact.wasm", &component);
    watched.answers_anew();
    watched.project.edit(
        PIPELINE,
        "source = \"redact.wasm\"",
        &format!("source = \"redact.wasm\"\nsha256 = {digest:?}"),
    );
    watched.process.said("models loaded");
    watched.project.replace("redact.wasm", &other);
    watched.process.said("the pipeline from before goes on");
    watched.project.replace("redact.wasm", &component);
    let answers = watched.answers.clone();
    watched.process.settles_on(&answers);
    assert_eq!(watched.loads(), 0);
}

#[test]
fn a_processor_of_scores_that_is_rebuilt_answers_anew() {
    let project = Project::empty();
    let component = fs::read(guest("watermark")).expect("it is built");
    // The number that hashing a key begins with, as WebAssembly writes constants.
    let constant = |number: i64| {
        let mut bytes = Vec::new();
        let mut rest = number;
        while !(-64..64).contains(&rest) {
            bytes.push(u8::try_from(rest & 0x7f).expect("seven bits") | 0x80);
            rest >>= 7;
        }
        bytes.push(u8::try_from(rest & 0x7f).expect("seven bits"));
        bytes
    };
    let [begin, other] = [0xcbf2_9ce4_8422_2325_u64, 0xcbf2_9ce4_8422_2326].map(|begin| constant(begin.cast_signed()));
    let other = rebuilt(&component, &begin, &other);
    project.write("mark.wasm", &component);
    project.write("in.jsonl", "{\"text\": \"The capital of France is\"}\n");
    let model = golden_model("llama-chat");
    let text = format!(
        "name = \"p\"\n[input]\nfile = \"in.jsonl\"\n[models.llm]\nsource = {:?}\n\
         [plugins.mark]\nsource = \"mark.wasm\"\n\
         [[steps]]\nname = \"s\"\nkind = \"generate\"\nmodel = \"llm\"\nprompt = \"{{{{ text }}}}\"\n\
         max_new_tokens = 16\nseed = 1\n\
         logits_processors = [{{ plugin = \"mark\", parameters = {{ key = \"a\", bias = 8 }} }}]\n\
         [output]\nreply = \"s.text\"\n",
        model.to_string_lossy()
    );
    project.write(PIPELINE, text);
    let mut watched = Watched::start(project);
    let first = watched.answers.clone();
    watched.project.replace("mark.wasm", &other);
    watched.answers_anew();
    watched.project.replace("mark.wasm", &component);
    watched.answers_anew();
    assert_eq!(watched.answers, first);
    assert_eq!(watched.loads(), 0, "the model is the same");
}

#[test]
fn a_record_under_way_finishes_on_the_plugin_that_it_began_with() {
    let (asked, asks) = channel();
    let (release, held) = channel::<()>();
    let (asked, held) = (Mutex::new(asked), Mutex::new(held));
    let endpoint = Endpoint::start(move |question| {
        let text = question.prompt().to_owned();
        if text.contains("first") {
            let _nobody = asked.lock().expect("nobody panics").send(());
            let _ended = held.lock().expect("nobody panics").recv();
        }
        Reply::text(&format!("{text}: jo@example.com"))
    });
    let project = Project::empty();
    let [component, other] = redacting();
    project.write("redact.wasm", component);
    let text = format!(
        "name = \"p\"\n[models.hosted]\nprovider = \"openai\"\nbase_url = {:?}\nmodel = \"m\"\n\
         [plugins.own]\nsource = \"redact.wasm\"\n\
         [[steps]]\nname = \"reply\"\nkind = \"chat\"\nmodel = \"hosted\"\nprompt = \"{{{{ text }}}}\"\n\
         [[steps]]\nname = \"s\"\nkind = \"plugin\"\nplugin = \"own\"\ninputs = {{ text = \"reply.text\" }}\n\
         [output]\nclean = \"s.text\"\n",
        endpoint.base_url()
    );
    project.write(PIPELINE, text);
    let arguments = ["run", PIPELINE, "--format", "jsonl", "--input", "-", "--watch"];
    let mut process = Following::start(project.command(arguments));
    process.write("{\"text\": \"first\"}\n");
    asks.recv_timeout(std::time::Duration::from_secs(20)).expect("the model is asked");
    project.replace("redact.wasm", other);
    process.said("swapped in");
    release.send(()).expect("the endpoint waits");
    process.write("{\"text\": \"second\"}\n");
    let mut clean = || json_of(&process.line())["clean"].clone();
    assert_eq!([clean(), clean()], [json!("first: [EMAIL]"), json!("second: <EMAIL>")]);
}

fn json_of(line: &str) -> Value {
    line.parse().expect("JSON")
}

#[test]
fn replaced_weights_are_loaded_beside_and_swapped() {
    let project = tiny();
    let before = fs::read(project.path("model/model.safetensors")).expect("it is there");
    let mut watched = Watched::start(project);
    let weights = other_weights(&watched.project);
    watched.project.replace("model/model.safetensors", weights);
    watched.answers_anew();
    watched.loaded(1);
    // A file that is cut off changes nothing.
    watched.project.replace("model/model.safetensors", &before[..before.len() / 2]);
    watched.process.said("the pipeline from before goes on");
    assert_eq!(watched.process.soon(), None);
    watched.project.replace("model/model.safetensors", before);
    watched.answers_anew();
    assert_eq!(watched.loads(), 2);
}

#[test]
fn an_edited_configuration_of_the_model_counts() {
    let mut watched = Watched::start(tiny());
    let config = watched.project.edited("model/config.json", "\"ENTAILMENT\": 1,\n", "\"yes\": 1,\n");
    watched.project.write("model/config.json", config);
    watched.answers_anew();
    watched.loaded(1);
}

#[test]
fn another_model_is_loaded_once() {
    let project = tiny();
    runtime_tests::copy_folder(&project.path("model"), &project.path("model2"));
    let weights = other_weights(&project);
    project.write("model2/model.safetensors", weights);
    let mut watched = Watched::start(project);
    watched.project.edit(PIPELINE, "\"./model\"", "\"./model2\"");
    watched.answers_anew();
    watched.loaded(1);
}

#[test]
fn weights_of_the_same_length_and_time_are_others() {
    let project = tiny();
    // Written by the same hand, so that both have a header of one length; as if unpacked from one archive.
    let path = project.path("model/model.safetensors");
    Tensors::read(&path).write(&path, Floats::F32);
    let modified = fs::metadata(&path).expect("it is there").modified().expect("a time");
    let other = project.path("other.safetensors");
    assert_eq!(other_weights(&project).len(), fs::read(&path).expect("it is there").len());
    fs::File::options().write(true).open(&other).and_then(|file| file.set_modified(modified)).expect("a time");
    let mut watched = Watched::start(project);
    fs::rename(other, path).expect("a rename");
    watched.answers_anew();
    watched.loaded(1);
}

#[test]
fn a_model_folder_that_is_replaced_as_a_whole_is_followed() {
    let project = tiny();
    let weights = other_weights(&project);
    let before = fs::read(project.path("model/model.safetensors")).expect("it is there");
    runtime_tests::copy_folder(&project.path("model"), &project.path("next"));
    project.write("next/model.safetensors", weights);
    let mut watched = Watched::start(project);
    fs::rename(watched.project.path("model"), watched.project.path("last")).expect("a rename");
    fs::rename(watched.project.path("next"), watched.project.path("model")).expect("a rename");
    watched.answers_anew();
    watched.loaded(1);
    watched.project.replace("model/model.safetensors", before);
    watched.answers_anew();
    watched.loaded(2);
}

#[test]
fn an_input_folder_that_is_replaced_as_a_whole_is_followed() {
    let project = tiny();
    project.write("next/tickets.jsonl", "{\"id\": 2, \"text\": \"not in the city\"}\n");
    let mut watched = Watched::start(project);
    fs::rename(watched.project.path("data"), watched.project.path("last")).expect("a rename");
    fs::rename(watched.project.path("next"), watched.project.path("data")).expect("a rename");
    watched.answers_anew();
    watched.project.write("data/tickets.jsonl", "{\"id\": 3, \"text\": \"five days\"}\n");
    watched.answers_anew();
}

#[cfg(unix)]
#[test]
fn a_link_that_is_set_anew_is_followed() {
    let project = with_label_file();
    project.write("one/labels.txt", "billing\nphone\n");
    project.write("two/labels.txt", "doctor\nbank\n");
    fs::remove_file(project.path("labels.txt")).expect("it is there");
    std::os::unix::fs::symlink("one/labels.txt", project.path("labels.txt")).expect("a link");
    let mut watched = Watched::start(project);
    std::os::unix::fs::symlink("two/labels.txt", watched.project.path("labels.new")).expect("a link");
    fs::rename(watched.project.path("labels.new"), watched.project.path("labels.txt")).expect("a rename");
    watched.answers_anew();
    watched.project.write("two/labels.txt", "city\nemail\n");
    watched.answers_anew();
    assert_eq!(watched.loads(), 0);
}

#[test]
fn an_input_that_is_away_for_a_moment_comes_back() {
    let mut watched = Watched::start(tiny());
    fs::remove_file(watched.project.path("data/tickets.jsonl")).expect("it is there");
    watched.process.said("cannot read");
    watched.project.write("data/tickets.jsonl", "{\"id\": 5, \"text\": \"five days\"}\n");
    watched.answers_anew();
    assert_eq!(watched.loads(), 0);
}

#[test]
fn a_model_that_appears_after_the_edit_that_names_it_is_loaded() {
    let project = tiny();
    let weights = other_weights(&project);
    let mut watched = Watched::start(project);
    watched.project.edit(PIPELINE, "\"./model\"", "\"./later\"");
    watched.process.said("the pipeline from before goes on");
    runtime_tests::copy_folder(&watched.project.path("model"), &watched.project.path("later"));
    watched.project.write("later/model.safetensors", weights);
    watched.answers_anew();
}

#[test]
fn bad_records_are_told_again_and_do_not_end_it() {
    let mut watched = Watched::start(tiny());
    watched.project.write("data/tickets.jsonl", "{oops}\n{\"id\": 5, \"text\": \"five days\"}\n");
    watched.process.said("tickets.jsonl:1: not JSON");
    watched.project.write("data/tickets.jsonl", "{\"id\": 6, \"text\": \"five days\"}\n");
    watched.answers_anew();
}

#[test]
fn an_output_file_is_written_anew() {
    let project = tiny();
    let arguments = ["run", PIPELINE, "--output", "out.jsonl", "--watch"];
    let mut process = Following::start(project.command(arguments));
    process.said("1 record in");
    let before = project.read("out.jsonl");
    assert_eq!(before, project.answers());
    project.edit(PIPELINE, ALL, NONE);
    process.said("records answered");
    assert_ne!(project.read("out.jsonl"), before);
    assert_eq!(project.read("out.jsonl"), project.answers());
    let swaps = process.all_said("models loaded").len();
    assert_eq!(process.soon(), None);
    assert_eq!(process.all_said("models loaded").len(), swaps, "writing the output is no change");
}

#[test]
fn a_pipeline_that_is_broken_from_the_start_ends() {
    let project = tiny();
    project.edit(PIPELINE, ALL, "threshold = 7");
    let _refused = project.run(["run", PIPELINE, "--watch"]).exits(78).says(&["from 0 to 1"]);
}
