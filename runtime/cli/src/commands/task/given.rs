//! What the command line gives: fields of the input, and the task's parameters.

use runtime_diagnostics::{Exit, Problem};
use runtime_tasks::{InputType, TaskKind};
use serde_json::{Map, Value};

use crate::args::{Task, flag_of};

/// Fields and parameters.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// The fields of flags, the same for every record.
    pub(super) flags: Vec<(&'static str, Value)>,
    /// The record that the command line is, where it reads no others.
    pub(super) fields: Map<String, Value>,
    /// The field of a text that comes without a name.
    pub(super) nameless: Option<&'static str>,
    /// The parameters; of several with one name the last.
    pub(super) params: Map<String, Value>,
}

impl Given {
    /// Reads it.
    ///
    /// # Errors
    /// Where a flag gives what the task does not read, or something is missing that no record can bring.
    pub(super) fn of(options: &Task) -> Result<Self, Problem> {
        let task = options.task;
        let mut params: Map<String, Value> =
            options.params.iter().map(|param| (param.name.clone(), param.value.clone())).collect();
        let mut flags = options.fields();
        if let Some((_, flag, _)) = flags.iter().find(|(field, ..)| task.inputs().iter().all(|it| it.name != *field)) {
            let message = format!("`{task}` does not read `{flag}`");
            return Err(Problem::new(Exit::Usage, message).hint(reads(task)));
        }
        // The same labels for all texts are prepared once.
        if let Some(at) = flags.iter().position(|(field, ..)| *field == LABELS) {
            let (field, flag, labels) = flags.swap_remove(at);
            if params.insert(field.to_owned(), labels).is_some() {
                let message = format!("`{flag}` and `--param {field}=...` give the same");
                return Err(Problem::new(Exit::Usage, message).hint("leave one of them out"));
            }
        }
        let flags: Vec<(&'static str, Value)> = flags.into_iter().map(|(field, _, value)| (field, value)).collect();
        let unnamed = |input: &&runtime_tasks::TaskInput| {
            input.required && input.holds == InputType::Text && flags.iter().all(|(field, _)| *field != input.name)
        };
        let nameless = task.inputs().iter().find(unnamed).map(|input| input.name);
        let mut fields: Map<String, Value> =
            flags.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect();
        if let Some(text) = &options.text {
            let Some(field) = nameless else {
                let message =
                    format!("there is no field for the text `{text}`: other arguments give all that `{task}` reads");
                return Err(Problem::new(Exit::Usage, message).hint("leave one of them out"));
            };
            fields.insert(field.to_owned(), Value::from(text.as_str()));
        }
        if options.input.is_none() {
            let missing = task.inputs().iter().find(|input| input.required && !fields.contains_key(input.name));
            if let Some(missing) = missing {
                let message = format!("there is no `{}` for `{task}`", missing.name);
                return Err(Problem::new(Exit::Usage, message).hint(format!("{}; or `--input FILE`", reads(task))));
            }
        }
        Ok(Self { flags, fields, nameless, params })
    }
}

const LABELS: &str = "candidate_labels";

/// What a task reads, as the command line gives it.
fn reads(task: TaskKind) -> String {
    let one = |(at, name): (usize, &str)| match (at, name) {
        (0, "text") => "TEXT".to_owned(),
        (0, name) => format!("TEXT or `{}`", flag_of(name)),
        (_, name) => format!("`{}`", flag_of(name)),
    };
    let names = task.inputs().iter().map(|input| input.name).enumerate();
    format!("it reads {}", names.map(one).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::args::{Args, Command};

    fn given(arguments: &str) -> Result<Given, String> {
        let arguments = ["runtime", "task", "--model", "m"].into_iter().chain(arguments.split(' '));
        match Args::try_parse_from(arguments).expect("arguments").command {
            Command::Task(task) => {
                Given::of(&task).map_err(|problem| format!("{problem} ({})", problem.advice().unwrap_or_default()))
            }
            _ => panic!("another command"),
        }
    }

    #[test]
    fn a_text_without_a_name_is_the_first_field_that_nothing_else_gives() {
        for (arguments, fields) in [
            ("text-classification hello", json!({"text": "hello"})),
            ("text-classification hello --text-pair you", json!({"text_pair": "you", "text": "hello"})),
            ("question-answering --question who? ada", json!({"question": "who?", "context": "ada"})),
            ("question-answering --context ada who?", json!({"context": "ada", "question": "who?"})),
            ("question-answering --context ada --question who?", json!({"context": "ada", "question": "who?"})),
            ("rerank q --document a --document b", json!({"documents": ["a", "b"], "query": "q"})),
            ("similarity --text-pair b a", json!({"text_pair": "b", "text": "a"})),
            ("ner ada", json!({"text": "ada"})),
        ] {
            assert_eq!(given(arguments).map(|given| Value::Object(given.fields)), Ok(fields), "{arguments}");
        }
    }

    #[test]
    fn labels_are_a_parameter() {
        let given = given("zero-shot-classification --labels a,b --param multi_label=true hi").expect("complete");
        assert_eq!(Value::Object(given.params), json!({"multi_label": true, "candidate_labels": ["a", "b"]}));
        assert_eq!(Value::Object(given.fields), json!({"text": "hi"}));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (arguments, part) in [
            ("text-classification --question who? hi", "does not read `--question` (it reads TEXT, `--text-pair`)"),
            ("question-answering ada", "there is no `question` for `question-answering` (it reads TEXT or `--context`"),
            ("question-answering --context a --question b c", "there is no field for the text `c`"),
            ("fill-mask --limit 3", "there is no `text` for `fill-mask` (it reads TEXT; or `--input FILE`)"),
            ("rerank --query q", "there is no `documents`"),
            ("zero-shot-classification --labels a --param candidate_labels=b x", "give the same"),
        ] {
            let error = given(arguments).expect_err(arguments);
            assert!(error.contains(part), "{arguments}: {error}");
        }
        assert!(given("fill-mask --input texts.txt").is_ok(), "the records bring it");
    }
}
