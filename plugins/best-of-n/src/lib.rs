//! A step that writes several completions of a prompt and keeps the best by its own rule, see [`rank`].

mod rank;
mod settings;
#[cfg(test)]
mod tests;

use runtime_plugin_sdk::serde_json::{Value, json};
use runtime_plugin_sdk::step::{Description, Step, Task};
use runtime_plugin_sdk::{Completion, Failure, Fields, Kind, Message, Prompt, Role, Slot, generate, model, tokenizer};

use settings::Settings;

runtime_plugin_sdk::export_step!(BestOfN);

/// What the plugin calls the model that writes, and its tokenizer.
const WRITER: &str = "writer";

/// What it calls the model that compares texts.
const EMBEDDER: &str = "embedder";

/// The step, set up.
struct BestOfN(Settings);

/// A completion with its score.
struct Candidate {
    text: String,
    score: f64,
}

impl Step for BestOfN {
    fn describe() -> Description {
        Description::new("best-of-n", env!("CARGO_PKG_VERSION"), "writes several completions and keeps the best")
            .input(Slot::required("prompt", Kind::Text, "what is gone on from"))
            .input(Slot::optional("system", Kind::Text, "what the model is told beforehand"))
            .output(Slot::required("text", Kind::Text, "the best completion"))
            .output(Slot::required("score", Kind::Number, "its score"))
            .output(Slot::required("candidates", Kind::Any, "all, best first: a list of {text, score}"))
            .parameter(Slot::optional("n", Kind::Number, "completions; 4 by default"))
            .parameter(Slot::optional("max_new_tokens", Kind::Number, "tokens of each, at most; 64 by default"))
            .parameter(Slot::optional("temperature", Kind::Number, "of the sampling; 0.8 by default"))
            .parameter(Slot::optional("top_p", Kind::Number, "of the sampling; the model's own by default"))
            .parameter(Slot::optional("stop_strings", Kind::Any, "a list of texts that end a completion"))
            .parameter(Slot::optional("seed", Kind::Number, "of the sampling; 0 by default"))
            .parameter(Slot::optional("chat", Kind::Boolean, "whether the prompt is a user's message; true by default"))
            .parameter(Slot::optional("length_penalty", Kind::Number, "power of the length in the score; 1 by default"))
            .parameter(Slot::optional("repetition", Kind::Number, "weight of repeated phrases; 1 by default"))
            .parameter(Slot::optional("ngram", Kind::Number, "tokens of a phrase; 3 by default"))
            .parameter(Slot::optional(
                "consistency",
                Kind::Number,
                "weight of likeness to the others; 1 with an embedder",
            ))
            .model(WRITER, Task::TextGeneration, Fields::new())
            .tokenizer(WRITER)
            .optional_model(EMBEDDER, Task::SentenceEmbedding, Fields::new())
    }

    fn start(parameters: &Fields) -> Result<Self, String> {
        Settings::of(parameters).map(Self)
    }

    fn process(&mut self, record: &Fields) -> Result<Fields, String> {
        let completions = self.written(&self.prompt(record)?)?;
        let mut candidates = self.scored(completions)?;
        // A text without words is no answer, however likely it is.
        let order = |candidate: &Candidate| (!candidate.text.trim().is_empty(), candidate.score);
        candidates.sort_by(|a, b| {
            let (a, b) = (order(a), order(b));
            b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
        });
        let best = candidates.first().ok_or("the model wrote nothing")?;
        let all = candidates.iter().map(|candidate| json!({"text": candidate.text, "score": candidate.score}));
        Ok(Fields::from_iter([
            ("text".to_owned(), best.text.clone().into()),
            ("score".to_owned(), best.score.into()),
            ("candidates".to_owned(), Value::Array(all.collect())),
        ]))
    }
}

impl BestOfN {
    fn prompt(&self, record: &Fields) -> Result<Prompt, String> {
        let prompt = record["prompt"].as_str().unwrap_or_default().to_owned();
        let system = record.get("system").and_then(Value::as_str);
        match (self.0.chat, system) {
            (false, Some(_)) => Err("there is a `system`, and with `chat = false` no place for it".to_owned()),
            (false, None) => Ok(Prompt::Text(prompt)),
            (true, system) => {
                let system = system.map(|system| Message { role: Role::System, content: system.to_owned() });
                Ok(Prompt::Chat(system.into_iter().chain([Message { role: Role::User, content: prompt }]).collect()))
            }
        }
    }

    /// As many completions as there are to be, or fewer where the granted tokens do not last: those of one call share
    /// the model's runs, and what a call leaves of its tokens is there for the next.
    fn written(&self, prompt: &Prompt) -> Result<Vec<Completion>, Failure> {
        let mut completions = Vec::new();
        let mut at_once = self.0.n;
        while completions.len() < self.0.n {
            at_once = at_once.min(self.0.n - completions.len());
            let mut parameters = self.0.sampling.clone();
            parameters.insert("num_return_sequences".to_owned(), json!(at_once));
            // Another seed for each call, or its completions would be those of the one before.
            let call = u64::try_from(completions.len()).unwrap_or_default();
            parameters.insert("seed".to_owned(), json!(self.0.seed.saturating_add(call)));
            match generate::complete(WRITER, prompt, parameters) {
                Ok(more) if more.is_empty() => break,
                Ok(more) => completions.extend(more),
                Err(Failure::UsedUp(_)) if at_once > 1 => at_once /= 2,
                Err(Failure::UsedUp(_)) if !completions.is_empty() => break,
                Err(failure) => return Err(failure),
            }
        }
        Ok(completions)
    }

    fn scored(&self, completions: Vec<Completion>) -> Result<Vec<Candidate>, Failure> {
        let settings = &self.0;
        let near = self.nearness(&completions)?;
        let candidate = |(completion, near): (Completion, f64)| {
            let mean = rank::normalised(completion.log_probability, completion.tokens.len(), settings.length_penalty);
            // Of the text that is given: a completion's own tokens also have its end and its stop string.
            let tokens = tokenizer::encode(WRITER, &completion.text, false)?;
            let tokens: Vec<u32> = tokens.iter().map(|token| token.id).collect();
            let score = mean - settings.repetition * rank::repeated(&tokens, settings.ngram) + near;
            Ok(Candidate { text: completion.text, score })
        };
        completions.into_iter().zip(near).map(candidate).collect()
    }

    /// What each completion gains by being like the others.
    fn nearness(&self, completions: &[Completion]) -> Result<Vec<f64>, Failure> {
        let mut gains = vec![0.0; completions.len()];
        let weight = self.0.consistency.unwrap_or(1.0);
        let with_words = |completion: &&Completion| !completion.text.trim().is_empty();
        let texts: Vec<&str> =
            completions.iter().filter(with_words).map(|completion| completion.text.as_str()).collect();
        if weight == 0.0 || texts.len() < 2 {
            return Ok(gains);
        }
        let vectors = match model::embed(EMBEDDER, &texts) {
            Err(Failure::NotGranted(_)) if self.0.consistency.is_none() => return Ok(gains),
            vectors => vectors?,
        };
        let places = gains.iter_mut().zip(completions).filter(|(_, completion)| with_words(completion));
        for ((gain, _), near) in places.zip(rank::nearness(&vectors)) {
            *gain = weight * near;
        }
        Ok(gains)
    }
}
