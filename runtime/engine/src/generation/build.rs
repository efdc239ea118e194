//! From a checked pipeline to one that can answer.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime_diagnostics::{Exit, Explain, Problem, Problems, Source};
use runtime_graph::Head;
use runtime_hub::ModelSource;
use runtime_models::{Error as ModelError, ModelFolder, read_text};
use runtime_pipeline::{self as pipeline, AdapterChoice, Labels, Pipeline, RungKind, StepKind};
use runtime_plugin_host::PluginFile;
use runtime_tasks::{Dtype, InputType, Placement};

use super::{Does, Generation, RungNote, Step, beside, endpoints, params};
use crate::hosted::{Hosted, HostedChooser, HostedWriter, endpoint_of};
use crate::label_chooser::LabelChooser;
use crate::ladder::{Asks, Ladder, Rung};
use crate::plugins::{self, PluginRunner};
use crate::writer::Writer;
use crate::{
    Adapters, Error, LanguageModel, LoadOptions, LoadedModel, LogitsProcessor, Registry, Task, ZeroShot,
    ZeroShotOptions,
};

impl Generation {
    /// Builds a pipeline: reads label files and loads what is not loaded yet. `base` is the folder that relative paths
    /// start from, the one of the pipeline's file.
    ///
    /// # Errors
    /// Every file and model that cannot be had, each at the place that names it.
    pub fn build(pipeline: Pipeline, base: &Path, registry: &Registry) -> Result<Self, Problems> {
        let mut builder = Builder {
            base,
            registry,
            pipeline: &pipeline,
            problems: Problems::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
            models: HashMap::new(),
            hosted: HashMap::new(),
            failed: HashSet::new(),
        };
        let steps: Vec<Step> = pipeline.steps.iter().filter_map(|step| builder.step(step)).collect();
        let Builder { problems, notes, warnings, .. } = builder;
        problems.into_result(Self { pipeline, steps, notes, warnings })
    }
}

struct Builder<'a> {
    base: &'a Path,
    registry: &'a Registry,
    pipeline: &'a Pipeline,
    problems: Problems,
    notes: Vec<RungNote>,
    warnings: Vec<Problem>,
    /// By name; `None` for one that failed, so that it is complained about once.
    models: HashMap<String, Option<Arc<LoadedModel>>>,
    /// Models behind endpoints, in the same way.
    hosted: HashMap<String, Option<Arc<Hosted>>>,
    /// Models that could not be loaded for a task, by name and head.
    failed: HashSet<(String, Head)>,
}

impl<'a> Builder<'a> {
    /// The step, or `None` after adding what is wrong with it.
    fn step(&mut self, step: &pipeline::Step) -> Option<Step> {
        if let Some(problem) = params::check(self.pipeline, step) {
            self.problems.push(problem);
            return None;
        }
        let labels = step.kind.labels().and_then(|labels| self.labels(labels));
        let does = match &step.kind {
            StepKind::Generate(step) => Does::Generate(self.writer(step)?),
            StepKind::Task(step) => Does::Task(step.task, Box::new(self.task(step)?)),
            StepKind::Plugin(plugin) => Does::Plugin(Box::new(self.plugin(step.name.as_str(), plugin)?)),
            StepKind::ZeroShot(step) => Does::ZeroShot(self.classifier(&step.classifier, labels?.as_slice())?),
            StepKind::Ladder(ladder) => {
                let rungs: Vec<Option<Rung>> =
                    ladder.rungs.iter().map(|rung| self.rung(&step.name, rung, labels.as_deref())).collect();
                Does::Ladder(Ladder { rungs: rungs.into_iter().collect::<Option<_>>()? })
            }
        };
        // Templates read the whole record.
        let read = step.kind.inputs().into_iter().filter(|input| input.holds != InputType::Any);
        let inputs = read.map(|input| (input.key.to_owned(), input.holds, input.from.clone()));
        Some(Step { name: step.name.to_string(), inputs: inputs.collect(), does })
    }

    fn task(&mut self, step: &pipeline::TaskStep) -> Option<Task> {
        let head = step.task.head();
        if self.failed.contains(&(step.model.value.to_string(), head)) {
            return None;
        }
        let model = self.declared(&step.model)?;
        let built = self.found(model).and_then(|(folder, how)| {
            let how = how.options();
            Task::load(self.registry, &folder, how, &step.options, step.truncate)
        });
        // A parameter that does not fit the model is told where it is written.
        if let Some(problem) = built.as_ref().err().and_then(|error| params::misfit(error, &step.params)) {
            self.problems.push(problem);
            return None;
        }
        let built = match built {
            Err(error @ (Error::OtherTask { .. } | Error::Template(_))) => self.keep(Err(error), &step.model),
            built => self.placed(built, model),
        };
        if built.is_none() {
            self.failed.insert((step.model.value.to_string(), head));
        }
        built
    }

    fn plugin(&mut self, name: &str, step: &pipeline::PluginStep) -> Option<PluginRunner> {
        let declared = plugins::declared(self.pipeline, step)?;
        let find = |name: &str| {
            let mut models = self.pipeline.models.iter();
            self.found(models.find(|model| model.name.as_str() == name).expect("grants name declared models"))
        };
        let runner = plugins::load(self.pipeline, name, step, self.base, self.registry)
            .and_then(|plugin| plugins::runner(plugin, step, declared, self.registry, &find));
        runner.map_err(|problems| self.problems.extend(problems)).ok()
    }

    fn rung(&mut self, step: &pipeline::Name, rung: &pipeline::Rung, labels: Option<&[String]>) -> Option<Rung> {
        let asks = match &rung.kind {
            RungKind::ZeroShot(classifier) => Asks::ZeroShot(self.classifier(classifier, labels?)?),
            RungKind::Llm { model, system, prompt, otherwise, .. } if self.endpoint(model).is_some() => {
                let hosted = self.hosted(self.endpoint(model)?)?;
                let chooser = HostedChooser::new(hosted, labels?.to_vec(), system.clone(), prompt.clone());
                let chooser = Box::new(self.keep(chooser, model)?);
                Asks::Endpoint { chooser, otherwise: otherwise.clone() }
            }
            RungKind::Llm { model, adapter, system, prompt, otherwise } => match self.at_hand(model)? {
                Ok(folder) => {
                    let declared = self.declared(model)?;
                    let language_model = self.language_model(declared, &folder);
                    let language_model = self.placed(language_model, declared)?;
                    let name = adapter.as_ref().map_or("", |adapter| adapter.as_str());
                    let adapters = self.adapters(language_model, declared, |known| known == name)?;
                    let chooser = adapters.get(name).and_then(|model| {
                        let labels = labels.unwrap_or_default().to_vec();
                        LabelChooser::new(model.clone(), labels, system.clone(), prompt.clone())
                    });
                    Asks::Llm(Box::new(self.placed(chooser, declared)?))
                }
                Err(problem) => {
                    let (step, rung) = (step.to_string(), rung.name.to_string());
                    self.notes.push(RungNote { step, rung, otherwise: otherwise.clone(), problem });
                    Asks::Nobody { otherwise: otherwise.clone() }
                }
            },
        };
        Some(Rung { name: rung.name.to_string(), asks, accept: rung.accept })
    }

    fn classifier(&mut self, classifier: &pipeline::Classifier, labels: &[String]) -> Option<ZeroShot> {
        let model = self.model(&classifier.model)?;
        if !model.model.labels.name_entailment() {
            let warning =
                Problem::new(Exit::Ok, "no label of this model says that it means entailment; the last is taken");
            let warning =
                warning.hint("a zero-shot classifier needs a model of natural-language inference; see `label2id`");
            self.warnings.push(warning.at(
                &classifier.model.source,
                classifier.model.span.clone(),
                "in its config.json",
            ));
        }
        let options = ZeroShotOptions {
            labels: labels.to_vec(),
            template: classifier.hypothesis_template.clone(),
            multi_label: classifier.multi_label,
            truncate: true,
        };
        let built = ZeroShot::new(model, options);
        self.keep(built, &classifier.model)
    }

    /// The model called `name`, loaded at its first use.
    fn model(&mut self, name: &pipeline::Spanned<pipeline::Name>) -> Option<Arc<LoadedModel>> {
        if let Some(known) = self.models.get(name.value.as_str()) {
            return known.clone();
        }
        let model = self.declared(name)?;
        let loaded = self.found(model).and_then(|(folder, how)| {
            let how = how.options();
            self.registry.load(&folder, how, Head::SequenceClassification)
        });
        let loaded = self.placed(loaded, model);
        self.models.insert(name.value.to_string(), loaded.clone());
        loaded
    }

    /// The folder of a model, downloaded where need be, and how it is loaded.
    fn found(&self, model: &pipeline::Model) -> Result<(ModelFolder, How), Error> {
        let how = self.how(model)?;
        let source = ModelSource::parse(&model.source)?.resolved_from(self.base);
        Ok((self.registry.folder(&source)?, how))
    }

    /// What was loaded; what a plugin or an adapter does wrong is told where it is named, if it is.
    fn placed<T>(&mut self, loaded: Result<T, Error>, model: &pipeline::Model) -> Option<T> {
        let named = match &loaded {
            Err(Error::Plugin(_) | Error::OtherModel { .. }) => {
                let plugin = model.plugin.as_ref().map(|plugin| plugin.source.clone());
                return match plugin {
                    Some(source) => self.keep(loaded, &source),
                    None => self.keep(loaded, &model.source),
                };
            }
            Err(Error::Model(ModelError::Adapter { .. } | ModelError::NoAdapter { .. })) => model.adapter.as_ref(),
            _ => None,
        };
        let of_device = matches!(&loaded, Err(error) if model.device.is_some() && error.is_of_device());
        match (named, &model.device) {
            (Some(named), _) => self.keep(loaded, named),
            (None, Some(device)) if of_device => self.keep(loaded, device),
            (None, _) => self.keep(loaded, &model.source),
        }
    }

    /// The folder of a rung's language model, or why it cannot be had. It is never downloaded in passing: it may be large.
    fn at_hand(&mut self, name: &pipeline::Spanned<pipeline::Name>) -> Option<Result<ModelFolder, Problem>> {
        let model = self.declared(name)?;
        let source = ModelSource::parse(&model.source).map(|source| source.resolved_from(self.base));
        let source = match source {
            Ok(source) => source,
            Err(error) => {
                self.problems.push(place(&error, &model.source));
                return None;
            }
        };
        let found = match &source {
            ModelSource::Hub(repo) => self.registry.hub().and_then(|hub| Ok(ModelFolder::new(hub.cached(repo)?))),
            folder @ ModelSource::Folder(_) => self.registry.folder(folder),
        };
        Some(found.map_err(|error| {
            let problem = Problem::of(&error);
            match &source {
                ModelSource::Hub(repo) => problem.hint(format!("`runtime model fetch {repo}` downloads it")),
                ModelSource::Folder(_) => problem,
            }
        }))
    }

    fn how(&self, model: &pipeline::Model) -> Result<How, Error> {
        How::of(model, self.base, self.registry)
    }

    fn language_model(&self, model: &pipeline::Model, folder: &ModelFolder) -> Result<LanguageModel, Error> {
        LanguageModel::load(self.registry, folder, self.how(model)?.options())
    }

    fn writer(&mut self, step: &pipeline::GenerateStep) -> Option<Writer> {
        if let Some(endpoint) = self.endpoint(&step.model) {
            let (system, prompt) = (step.system.clone(), step.prompt.clone());
            let hosted = self.hosted(endpoint)?;
            let writer = HostedWriter::new(hosted, &step.options);
            return self.keep(writer.map(|writer| Writer::hosted(writer, system, prompt)), &step.model);
        }
        let model = self.declared(&step.model)?;
        let language_model = self.found(model).and_then(|(folder, _)| self.language_model(model, &folder));
        let mut language_model = self.placed(language_model, model)?;
        for processor in &step.logits_processors {
            language_model = self.processed(&language_model, processor)?;
        }
        let choice = step.adapter_choice();
        let adapters = self.adapters(language_model, model, |name| match &choice {
            AdapterChoice::None => false,
            AdapterChoice::Always(asked) => asked == name,
            AdapterChoice::ByRecord => true,
        })?;
        let written = Writer::new(adapters, step);
        if let Some(problem) = written.as_ref().err().and_then(|error| params::misfit(error, &step.params)) {
            self.problems.push(problem);
            return None;
        }
        self.placed(written, model)
    }

    /// A model whose scores a plugin changes.
    fn processed(&mut self, model: &LanguageModel, step: &pipeline::LogitsProcessor) -> Option<LanguageModel> {
        let declared = self.pipeline.plugins.iter().find(|plugin| *plugin.name == *step.plugin)?;
        let plugin = self.registry.plugin_file(&declared.file, self.base).and_then(|path| {
            let sha256 = declared.file.sha256.as_ref().map(|digits| digits.as_str());
            self.registry.logits_plugin(PluginFile { path: &path, sha256 })
        });
        let plugin = self.keep(plugin, &declared.file.source)?;
        let (granted, tell) = (plugins::granted(&declared.grants), self.registry.tell());
        let name = declared.name.as_str();
        let processor = LogitsProcessor::new(plugin, name, step.parameters.clone(), granted, model.loaded(), tell);
        // What the plugin itself says of its parameters is told before the first record.
        let started = processor.and_then(|processor| processor.start(&[]).map(|_| processor));
        Some(model.with_processor(self.keep(started.map_err(Error::from), &step.plugin)?))
    }

    /// A model with those of its adapters that are asked for.
    fn adapters(
        &mut self,
        model: LanguageModel,
        declared: &pipeline::Model,
        asked: impl Fn(&str) -> bool,
    ) -> Option<Adapters> {
        let mut adapters = Adapters::none(model);
        for (name, path) in declared.adapters.iter().filter(|(name, _)| asked(name.as_str())) {
            let added = adapters.add(name.as_str(), &beside(self.base, path));
            self.keep(added, path)?;
        }
        Some(adapters)
    }

    /// The endpoint that a model is behind, if it is behind one.
    fn endpoint(&self, name: &pipeline::Name) -> Option<&'a pipeline::Endpoint> {
        self.pipeline.endpoints.iter().find(|endpoint| endpoint.name == *name)
    }

    /// The model behind an endpoint. It is not asked anything yet, but its key is there.
    fn hosted(&mut self, endpoint: &pipeline::Endpoint) -> Option<Arc<Hosted>> {
        if let Some(known) = self.hosted.get(endpoint.name.as_str()) {
            return known.clone();
        }
        let hosted = self.registry.hosted(endpoint_of(endpoint));
        let hosted = hosted.map_err(|error| self.problems.push(endpoints::placed(&error, endpoint))).ok();
        self.hosted.insert(endpoint.name.to_string(), hosted.clone());
        hosted
    }

    fn declared(&self, name: &pipeline::Spanned<pipeline::Name>) -> Option<&'a pipeline::Model> {
        self.pipeline.models.iter().find(|model| model.name == name.value)
    }

    /// The labels of a step, from their file where they are in one.
    fn labels(&mut self, labels: &Labels) -> Option<Vec<String>> {
        let file = match labels {
            Labels::Inline(labels) => return Some(labels.clone()),
            Labels::File(file) => file,
        };
        let path = beside(self.base, file);
        let text = self.keep(read_text(&path, LARGEST_LABELS).map_err(Error::from), file)?;
        let source = Source::new(path.display().to_string(), text);
        pipeline::parse_labels(source.text(), &source).map_err(|problems| self.problems.extend(problems)).ok()
    }

    /// What went well; what did not is a problem at the place that asked for it.
    fn keep<T, P>(&mut self, result: Result<T, Error>, place_of: &pipeline::Spanned<P>) -> Option<T> {
        result.map_err(|error| self.problems.push(place(&error, place_of))).ok()
    }
}

/// How a model is loaded, as the pipeline has it.
pub(crate) struct How {
    plugin: Option<(PathBuf, Option<String>)>,
    adapter: Option<PathBuf>,
    dtype: Dtype,
    device: Option<Placement>,
}

impl How {
    fn of(model: &pipeline::Model, base: &Path, registry: &Registry) -> Result<Self, Error> {
        let plugin = model.plugin.as_ref().map(|plugin| {
            let sha256 = plugin.sha256.as_ref().map(|digits| digits.value.clone());
            Ok::<_, Error>((registry.plugin_file(plugin, base)?, sha256))
        });
        Ok(Self {
            plugin: plugin.transpose()?,
            adapter: model.adapter.as_ref().map(|path| beside(base, path)),
            dtype: model.dtype,
            device: model.device.as_ref().map(|device| device.value.clone()),
        })
    }

    pub(crate) fn options(&self) -> LoadOptions<'_> {
        let plugin = self.plugin.as_ref();
        LoadOptions {
            plugin: plugin.map(|(path, sha256)| PluginFile { path, sha256: sha256.as_deref() }),
            dtype: self.dtype,
            adapter: self.adapter.as_deref(),
            device: self.device.as_ref(),
        }
    }
}

/// Bytes of a label file, at most.
const LARGEST_LABELS: u64 = 16 << 20;

fn place<P>(error: &impl Explain, asked: &pipeline::Spanned<P>) -> Problem {
    Problem::of(error).at(&asked.source, asked.span.clone(), "")
}
