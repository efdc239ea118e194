//! A plugin as a step of a pipeline that runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use runtime_pipeline::Reference;
use runtime_plugin_host::{Error, Fields, Granted, Step, StepPlugin};

use super::record::{RecordHost, Resources};

/// Instances that wait for the next record, at most.
const IDLE: usize = 16;

/// A plugin with what it is set up with and granted.
pub(crate) struct PluginRunner {
    pub(crate) plugin: StepPlugin,
    /// The plugin's inputs that the pipeline gives: what each is called, whether it must be there, where it comes from.
    pub(crate) inputs: Vec<(String, bool, Reference)>,
    pub(crate) parameters: Fields,
    pub(crate) granted: Granted,
    pub(crate) resources: Arc<Resources>,
    idle: Mutex<Vec<Step>>,
}

impl PluginRunner {
    /// One whose parameters the plugin takes.
    ///
    /// # Errors
    /// Where it does not.
    pub(super) fn new(
        plugin: StepPlugin,
        inputs: Vec<(String, bool, Reference)>,
        parameters: Fields,
        granted: Granted,
        resources: Arc<Resources>,
    ) -> Result<Self, Error> {
        let runner = Self { plugin, inputs, parameters, granted, resources, idle: Mutex::default() };
        let first = pollster::block_on(runner.start())?;
        runner.put(first);
        Ok(runner)
    }

    /// The outputs for a record, and the time that the call took beside models.
    pub(crate) async fn process(&self, record: Fields) -> Result<(Fields, Duration), Error> {
        let started = Instant::now();
        let known = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut step = match known {
            Some(step) => step,
            None => self.start().await?,
        };
        let outputs = step.process(record, Arc::new(RecordHost::new(&self.resources))).await;
        if step.is_usable() {
            self.put(step);
        }
        Ok((outputs?, started.elapsed()))
    }

    async fn start(&self) -> Result<Step, Error> {
        let host = Arc::new(RecordHost::new(&self.resources));
        self.plugin.start(self.parameters.clone(), self.granted, host).await
    }

    fn put(&self, step: Step) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(step);
        }
    }
}
