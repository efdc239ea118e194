//! A pipeline as a flat list of its settings.

use runtime_tasks::InputType;
use serde_json::{Value, json};

use crate::pipeline::{Classifier, Endpoint, Labels, Pipeline, Rung, RungKind, Step, StepKind};
use crate::plugin::{Grants, Plugin, PluginSource};
use crate::prompt::PromptTemplate;
use crate::rules::{Accept, Expectation};

impl Pipeline {
    /// Every setting with its key, defaults filled in, as the file orders them; but of the parameters of a task and of an
    /// endpoint only those that are written, since some defaults are the model's or the client's.
    ///
    /// The keys are those that an override takes, such as `steps.triage.rungs.zero-shot.accept.threshold`. `steps` and
    /// `steps.NAME.rungs` hold the names alone: the order in which they are asked.
    pub fn settings(&self) -> Vec<(String, Value)> {
        let mut list = List(Vec::new());
        list.set("name", json!(self.name));
        list.set_some("description", self.description.as_deref());
        list.set_some("input.file", self.input.file.as_deref().map(|path| path.display().to_string()));
        list.set("input.max_record_bytes", json!(self.input.max_record_bytes));
        for model in &self.models {
            let at = format!("models.{}", model.name);
            list.set(format!("{at}.source"), json!(*model.source));
            if let Some(plugin) = &model.plugin {
                match &plugin.sha256 {
                    None => list.set(format!("{at}.plugin"), json!(*plugin.source)),
                    Some(_) => list.plugin_source(&format!("{at}.plugin"), plugin),
                }
            }
            list.set_some(format!("{at}.adapter"), model.adapter.as_deref().map(|path| path.display().to_string()));
            for (name, path) in &model.adapters {
                list.set(format!("{at}.adapters.{name}"), json!(path.display().to_string()));
            }
            list.set(format!("{at}.dtype"), json!(model.dtype.name()));
            list.set_some(format!("{at}.device"), model.device.as_ref().map(|device| device.value.to_string()));
        }
        for endpoint in &self.endpoints {
            list.endpoint(endpoint);
        }
        for plugin in &self.plugins {
            list.plugin(plugin);
        }
        list.set("steps", self.steps.iter().map(|step| step.name.as_str()).collect());
        for step in &self.steps {
            list.step(step);
        }
        for output in &self.output {
            list.set(format!("output.{}", output.field), json!(format!("{}.{}", output.step, output.output)));
        }
        for test in &self.tests {
            let at = format!("tests.{}", test.name);
            list.set(format!("{at}.input"), Value::Object(test.input.clone()));
            for (field, expectation) in &test.expect {
                list.set(format!("{at}.expect.{field}"), expected(expectation));
            }
        }
        list.0
    }
}

fn expected(expectation: &Expectation) -> Value {
    match expectation {
        Expectation::Equals(value) => value.clone(),
        Expectation::Contains(part) => json!({"contains": part}),
        Expectation::Range { min, max } => {
            let bounds = [("min", min), ("max", max)];
            let set = bounds.into_iter().filter_map(|(name, bound)| Some((name.to_owned(), json!((*bound)?))));
            Value::Object(set.collect())
        }
    }
}

struct List(Vec<(String, Value)>);

impl List {
    fn set(&mut self, key: impl Into<String>, value: Value) {
        self.0.push((key.into(), value));
    }

    fn set_some(&mut self, key: impl Into<String>, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(key, value.into());
        }
    }

    fn endpoint(&mut self, endpoint: &Endpoint) {
        let at = format!("models.{}", endpoint.name);
        self.set(format!("{at}.provider"), json!(endpoint.provider.name()));
        self.set(format!("{at}.base_url"), json!(*endpoint.base_url));
        self.set(format!("{at}.model"), json!(endpoint.model));
        self.set_some(format!("{at}.api_key_env"), endpoint.api_key_env.as_ref().map(|name| name.value.as_str()));
        self.set_some(format!("{at}.timeout"), endpoint.timeout.map(|timeout| timeout.as_secs_f64()));
        self.set_some(format!("{at}.retries"), endpoint.retries);
        self.set_some(format!("{at}.concurrency"), endpoint.concurrency);
        self.set(format!("{at}.allow_plain_http"), json!(endpoint.allow_plain_http));
    }

    fn plugin_source(&mut self, at: &str, plugin: &PluginSource) {
        self.set(format!("{at}.source"), json!(*plugin.source));
        self.set_some(format!("{at}.sha256"), plugin.sha256.as_ref().map(|digits| digits.value.as_str()));
    }

    fn plugin(&mut self, plugin: &Plugin) {
        let at = format!("plugins.{}", plugin.name.value);
        self.plugin_source(&at, &plugin.file);
        let Grants { models, tokenizers, generated_tokens, memory_mib, time, log_text } = &plugin.grants;
        for (kind, granted) in [("models", models), ("tokenizers", tokenizers)] {
            for (name, model) in granted {
                self.set(format!("{at}.grants.{kind}.{}", name.value), json!(model.value.as_str()));
            }
        }
        self.set(format!("{at}.grants.generated_tokens"), json!(generated_tokens));
        self.set(format!("{at}.grants.memory_mib"), json!(memory_mib));
        self.set(format!("{at}.grants.seconds"), json!(time.as_secs_f64()));
        self.set(format!("{at}.grants.log_text"), json!(log_text));
    }

    fn step(&mut self, step: &Step) {
        let at = format!("steps.{}", step.name);
        self.set(format!("{at}.kind"), json!(step.kind.name()));
        for input in step.kind.inputs().into_iter().filter(|input| input.holds != InputType::Any) {
            self.set(format!("{at}.{}", input.key), json!(input.from.to_string()));
        }
        match step.kind.labels() {
            Some(Labels::Inline(labels)) => self.set(format!("{at}.labels"), json!(labels)),
            Some(Labels::File(path)) => self.set(format!("{at}.labels_file"), json!(path.display().to_string())),
            None => {}
        }
        match &step.kind {
            StepKind::ZeroShot(zero_shot) => self.classifier(&at, &zero_shot.classifier),
            StepKind::Generate(step) => {
                self.set(format!("{at}.model"), json!(step.model.as_str()));
                self.set_some(format!("{at}.adapter"), step.adapter.as_ref().map(|adapter| adapter.as_str()));
                self.set_some(format!("{at}.system"), step.system.as_ref().map(PromptTemplate::as_str));
                self.set(format!("{at}.prompt"), json!(step.prompt.as_str()));
                for (index, processor) in step.logits_processors.iter().enumerate() {
                    let at = format!("{at}.logits_processors.{index}");
                    self.set(format!("{at}.plugin"), json!(processor.plugin.as_str()));
                    self.set(format!("{at}.parameters"), Value::Object(processor.parameters.clone()));
                }
                for (name, value) in &step.params {
                    self.set(format!("{at}.{name}"), value.value.clone());
                }
            }
            StepKind::Task(task) => {
                self.set(format!("{at}.model"), json!(task.model.as_str()));
                self.set(format!("{at}.truncate"), json!(task.truncate));
                for (name, value) in &task.params {
                    self.set(format!("{at}.{name}"), value.value.clone());
                }
            }
            StepKind::Plugin(step) => {
                self.set(format!("{at}.plugin"), json!(step.plugin.as_str()));
                for (name, from) in &step.inputs {
                    self.set(format!("{at}.inputs.{}", name.value), json!(from.to_string()));
                }
                self.set(format!("{at}.parameters"), Value::Object(step.parameters.value.clone()));
            }
            StepKind::Ladder(ladder) => {
                let names = ladder.rungs.iter().map(|rung| rung.name.as_str()).collect();
                self.set(format!("{at}.rungs"), names);
                for rung in &ladder.rungs {
                    self.rung(&format!("{at}.rungs.{}", rung.name), rung);
                }
            }
        }
    }

    fn rung(&mut self, at: &str, rung: &Rung) {
        self.set(format!("{at}.kind"), json!(rung.kind.name()));
        match &rung.kind {
            RungKind::ZeroShot(classifier) => self.classifier(at, classifier),
            RungKind::Llm { model, adapter, system, prompt, otherwise } => {
                self.set(format!("{at}.model"), json!(model.as_str()));
                self.set_some(format!("{at}.adapter"), adapter.as_ref().map(|adapter| adapter.as_str()));
                self.set_some(format!("{at}.system"), system.as_ref().map(PromptTemplate::as_str));
                self.set_some(format!("{at}.prompt"), prompt.as_ref().map(PromptTemplate::as_str));
                self.set(format!("{at}.otherwise"), json!(otherwise));
            }
        }
        let Accept { threshold, margin } = rung.accept;
        self.set_some(format!("{at}.accept.threshold"), threshold);
        self.set_some(format!("{at}.accept.margin"), margin);
    }

    fn classifier(&mut self, at: &str, classifier: &Classifier) {
        self.set(format!("{at}.model"), json!(classifier.model.as_str()));
        self.set(format!("{at}.hypothesis_template"), json!(classifier.hypothesis_template.as_str()));
        self.set(format!("{at}.multi_label"), json!(classifier.multi_label));
    }
}
