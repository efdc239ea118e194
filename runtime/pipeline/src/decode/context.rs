//! What has been found so far: problems, warnings, and the names that others may refer to.

use runtime_diagnostics::{Problem, Problems, nearest};
use runtime_tasks::OutputType;

use crate::name::Name;
use crate::spanned::Spanned;
use crate::tree::Node;

pub(super) struct Context {
    pub(super) problems: Problems,
    pub(super) warnings: Vec<Problem>,
    /// Whether a syntax error hides part of the file, so that nothing can be called absent.
    pub(super) partial: bool,
    models: Vec<DeclaredModel>,
    plugins: Vec<Declared>,
    /// The steps read so far.
    steps: Vec<DeclaredStep>,
    /// The names of all steps, those not yet read included.
    names_of_steps: Vec<String>,
}

struct Declared {
    name: Spanned<Name>,
    used: bool,
}

struct DeclaredModel {
    declared: Declared,
    /// Whether it is behind an endpoint.
    hosted: bool,
    /// Those that it can be asked with.
    adapters: Vec<Name>,
}

struct DeclaredStep {
    declared: Declared,
    /// `None` where the step's kind is unknown: then any output may be right.
    outputs: Option<&'static [(&'static str, OutputType)]>,
}

impl Context {
    pub(super) fn new(problems: Problems, partial: bool) -> Self {
        Self {
            problems,
            warnings: Vec::new(),
            partial,
            models: Vec::new(),
            plugins: Vec::new(),
            steps: Vec::new(),
            names_of_steps: Vec::new(),
        }
    }

    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Reports what may only seem so in a part of a file.
    pub(super) fn report_if_whole(&mut self, problem: Problem) {
        if !self.partial {
            self.problems.push(problem);
        }
    }

    pub(super) fn declare_model(&mut self, name: Spanned<Name>, hosted: bool, adapters: Vec<Name>) {
        self.models.push(DeclaredModel { declared: Declared { name, used: false }, hosted, adapters });
    }

    /// Reports that the model `model` has no adapter `name`, where it has none.
    pub(super) fn use_adapter(&mut self, model: &Name, name: &Spanned<String>) {
        let Some(declared) = self.models.iter().find(|known| *known.declared.name == *model) else { return };
        if declared.hosted {
            let message = format!("`{model}` is behind an endpoint, which has no adapters of this pipeline");
            self.report(name.mistake(message, ""));
            return;
        }
        let names = declared.adapters.iter().map(Name::as_str);
        if name.is_empty() || names.clone().any(|known| known == name.as_str()) {
            return;
        }
        let problem = name.mistake(format!("the model `{model}` has no adapter `{}`", name.value), "");
        let hint = did_you_mean(name.as_str(), names, "its adapters are").unwrap_or_else(|| {
            format!("declare it: `adapters = {{ {} = \"FOLDER\" }}` in `[models.{model}]`", name.value)
        });
        self.report_if_whole(problem.hint(hint));
    }

    /// Whether the model `name` is behind an endpoint.
    pub(super) fn is_hosted(&self, name: &Name) -> bool {
        self.models.iter().any(|model| model.hosted && *model.declared.name == *name)
    }

    /// Tells which steps there will be, so that a reference to a later one is told from a typo.
    pub(super) fn announce_steps<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for name in names {
            if !self.names_of_steps.iter().any(|known| known == name) {
                self.names_of_steps.push(name.to_owned());
            }
        }
    }

    pub(super) fn declare_step(&mut self, name: Spanned<Name>, outputs: Option<&'static [(&'static str, OutputType)]>) {
        self.steps.push(DeclaredStep { declared: Declared { name, used: false }, outputs });
    }

    /// Marks the model `name` as used, or reports that there is none.
    pub(super) fn use_model(&mut self, name: &Spanned<Name>) {
        if let Some(model) = self.models.iter_mut().find(|model| *model.declared.name == **name) {
            model.declared.used = true;
            return;
        }
        let problem = name.mistake(format!("no model is named `{}`", name.value), "");
        let declared = self.models.iter().map(|model| model.declared.name.as_str());
        let hint = did_you_mean(name.as_str(), declared, "the models are")
            .unwrap_or_else(|| format!("declare it: a table `[models.{}]` with its `source`", name.value));
        self.report_if_whole(problem.hint(hint));
    }

    pub(super) fn declare_plugin(&mut self, name: Spanned<Name>) {
        self.plugins.push(Declared { name, used: false });
    }

    /// Marks the plugin `name` as used, or reports that there is none.
    pub(super) fn use_plugin(&mut self, name: &Spanned<Name>) {
        if let Some(plugin) = self.plugins.iter_mut().find(|plugin| *plugin.name == **name) {
            plugin.used = true;
            return;
        }
        let problem = name.mistake(format!("no plugin is named `{}`", name.value), "");
        let declared = self.plugins.iter().map(|plugin| plugin.name.as_str());
        let hint = did_you_mean(name.as_str(), declared, "the plugins are")
            .unwrap_or_else(|| format!("declare it: a table `[plugins.{}]` with its `source`", name.value));
        self.report_if_whole(problem.hint(hint));
    }

    /// The type of an output of an earlier step, which `written` refers to. Marks the step as used, or reports that
    /// there is no such output.
    pub(super) fn use_output(&mut self, written: &Spanned<String>, step: &str, output: &str) -> Option<OutputType> {
        let Some(known) = self.steps.iter_mut().find(|known| known.declared.name.as_str() == step) else {
            self.report_if_whole(self.unknown_step(written, step));
            return None;
        };
        known.declared.used = true;
        let outputs = known.outputs?;
        let found = outputs.iter().find(|(name, _)| *name == output).map(|(_, kind)| *kind);
        if found.is_none() {
            let problem = written.mistake(format!("the step `{step}` has no output `{output}`"), "");
            let names = outputs.iter().map(|(name, _)| *name);
            self.report(hinted(problem, did_you_mean(output, names, "its outputs are")));
        }
        found
    }

    fn unknown_step(&self, written: &Spanned<String>, step: &str) -> Problem {
        if self.names_of_steps.iter().any(|name| name == step) {
            return written
                .mistake(format!("the step `{step}` has not run yet"), "")
                .hint("a step sees the outputs of the steps above it");
        }
        let problem = written.mistake(format!("no step is named `{step}`"), "");
        let names = self.names_of_steps.iter().map(String::as_str);
        hinted(problem, did_you_mean(step, names, "the steps are"))
    }

    /// Whether a step of this name has been read.
    pub(super) fn has_step(&self, name: &str) -> bool {
        self.steps.iter().any(|step| step.declared.name.as_str() == name)
    }

    /// Marks the last step as used.
    pub(super) fn use_last_step(&mut self) {
        if let Some(step) = self.steps.last_mut() {
            step.declared.used = true;
        }
    }

    pub(super) fn warn_of_what_is_unused(&mut self) {
        for model in self.models.iter().filter(|model| !model.declared.used) {
            let name = &model.declared.name;
            self.warnings.push(name.warning(format!("the model `{}` is not used", name.value)));
        }
        for plugin in self.plugins.iter().filter(|plugin| !plugin.used) {
            let name = &plugin.name;
            self.warnings.push(name.warning(format!("the plugin `{}` is not used", name.value)));
        }
        for step in self.steps.iter().filter(|step| !step.declared.used) {
            let name = &step.declared.name;
            self.warnings.push(
                name.warning(format!("nothing reads what the step `{}` gives", name.value))
                    .hint("name one of its outputs under `[output]`"),
            );
        }
    }

    /// Reports `name` where one of `seen` is the same, else adds it to them.
    pub(super) fn refuse_duplicate<T: PartialEq + AsRef<str> + Clone>(
        &mut self,
        plural: &str,
        name: &Spanned<T>,
        seen: &mut Vec<Spanned<T>>,
    ) {
        match seen.iter().find(|other| other.value == name.value) {
            Some(first) => {
                let message = format!("two {plural} are named `{}`", name.value.as_ref());
                let label = format!("first named on {}", first.line_seen_from(&name.source));
                self.report(name.mistake(message, label));
            }
            None => seen.push(name.clone()),
        }
    }

    /// Reports that `node`, the value of `key`, should have been `expected`; says nothing where it was not TOML.
    pub(super) fn wrong_type(&mut self, key: &str, node: &Node, expected: &str, hint: Option<&str>) {
        if matches!(node.value, crate::tree::Value::Invalid) {
            return;
        }
        let found = node.value.kind();
        let problem = node.mistake(format!("`{key}` must be {expected}, not {found}"), "");
        self.report(hinted(problem, hint.map(str::to_owned)));
    }
}

/// `problem` with advice, if there is any.
pub(super) fn hinted(problem: Problem, hint: Option<String>) -> Problem {
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// The nearest of `names`, else all of them after `otherwise`; nothing where there are none.
pub(super) fn did_you_mean<'a>(
    wrong: &str,
    names: impl Iterator<Item = &'a str> + Clone,
    otherwise: &str,
) -> Option<String> {
    if let Some(name) = nearest(wrong, names.clone()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| format!("{otherwise} {}", names.join(", ")))
}
