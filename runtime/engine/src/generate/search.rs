//! From scores to tokens: the sequences of one request.

use runtime_generation::{
    BeamOptions, BeamSearch, FinishReason, GenerationConfig, Lengths, Processors, Prompt, PromptLookup, Sampler,
    Stopping, log_softmax,
};
use runtime_tensor::Cached;

use super::choice::Choice;
use super::request::{Decode, GenerateRequest, GeneratedSequence, NewToken};
use super::rule::Rule;
use super::run::{Row, Rows};
use crate::plugins::Acting;
use crate::{Error, LogitsProcessor};

/// A sequence that the model goes on with.
pub(super) struct Branch {
    /// Prompt and new tokens.
    pub(super) tokens: Vec<u32>,
    /// What is kept of them.
    pub(super) cached: Cached,
    /// Tokens that may follow, and are tried in the same run.
    guesses: Vec<u32>,
    finished: Option<FinishReason>,
    pub(super) sampler: Option<Sampler>,
    pub(super) rule: Rule,
    /// What changes its scores.
    pub(super) plugins: Vec<Acting>,
}

/// What the encoder of an encoder-decoder reads.
pub(super) struct Source {
    pub(super) tokens: Vec<u32>,
    /// What is kept of it, once it has been read.
    pub(super) cached: Cached,
}

impl Source {
    pub(super) fn is_read(&self) -> bool {
        self.cached.tokens() == self.tokens.len()
    }
}

/// The sequences of a request, which are one until its prompt has been read.
pub(super) struct Search {
    pub(super) branches: Vec<Branch>,
    pub(super) source: Option<Source>,
    beams: Option<BeamSearch>,
    config: GenerationConfig,
    prompt: Vec<u32>,
    pub(super) choice: Choice,
    stopping: Stopping,
    lookup: Option<PromptLookup>,
    decode: Decode,
    /// At the start of the text.
    rule: Rule,
    plugins: Vec<LogitsProcessor>,
    pub(super) guessed: usize,
}

impl Branch {
    /// Tokens that the model has not seen, guesses included.
    pub(super) fn pending(&self) -> Vec<u32> {
        let mut tokens = self.tokens[self.cached.tokens()..].to_vec();
        tokens.extend_from_slice(&self.guesses);
        tokens
    }

    /// Rows of scores that are asked for once all pending tokens are read: behind the last token, and each guess.
    pub(super) fn rows(&self) -> usize {
        1 + self.guesses.len()
    }

    pub(super) fn is_active(&self) -> bool {
        self.finished.is_none()
    }
}

impl Search {
    /// # Errors
    /// Where the parameters name tokens that there are not.
    pub(super) fn new(request: GenerateRequest, lengths: Lengths, vocabulary: usize) -> Result<Self, Error> {
        let GenerateRequest {
            source, prompt: tokens, config, padding, encoder_input, decode, plugins, matcher, ..
        } = request;
        // To the processors of an encoder's input, a decoder's is its prompt.
        let encoder_input = encoder_input.as_deref().or(source.as_deref()).or(Some(&tokens));
        let prompt = Prompt { length: tokens.len(), padding, encoder_input, lengths };
        let processors = Processors::new(&config, prompt, vocabulary)?;
        let sampler = config.do_sample.then(|| Sampler::new(config.seed, 0));
        let rule = Rule::new(matcher, &config.eos_token_id);
        let max_new_tokens = lengths.max_length - padding - tokens.len();
        let beams = match config.num_beams {
            0 | 1 => None,
            _ => Some(BeamSearch::new(BeamOptions::new(&config, max_new_tokens)?, &tokens, sampler.clone())),
        };
        let acting = started(&plugins, &tokens)?;
        Ok(Self {
            prompt: tokens.clone(),
            choice: Choice::new(&config, processors, !plugins.is_empty()),
            stopping: Stopping::new(&config, lengths, padding),
            lookup: PromptLookup::new(&config, lengths.max_length - padding).filter(|_| beams.is_none()),
            beams,
            decode,
            guessed: 0,
            source: source.map(|tokens| Source { tokens, cached: Cached::new() }),
            branches: vec![Branch {
                tokens,
                cached: Cached::new(),
                guesses: Vec::new(),
                finished: None,
                sampler,
                rule: rule.clone(),
                plugins: acting,
            }],
            plugins,
            rule,
            config,
        })
    }

    pub(super) fn is_finished(&self) -> bool {
        self.branches.iter().all(|branch| !branch.is_active())
    }

    /// Goes on by the scores of each active branch, in order: for each as many rows as [`Branch::rows`] says.
    ///
    /// # Errors
    /// Where no token is left to choose, or scores are no numbers.
    pub(super) fn go_on(&mut self, mut scores: Vec<Rows<'_>>, mut tell: impl FnMut(NewToken)) -> Result<(), Error> {
        if let Some(beams) = self.beams.take() {
            let rows = scores.into_iter().flatten().filter_map(|row| match row {
                Row::Whole(row) => Some(row),
                Row::Short(_) => None,
            });
            return self.search(beams, rows.collect());
        }
        let sequences = self.config.num_return_sequences;
        if self.branches.len() < sequences {
            self.fork(sequences)?;
            // All begin with the same scores, each of which is changed on its own: one copy at a time.
            let first = scores.swap_remove(0);
            for index in 0..sequences {
                for row in &first {
                    match row {
                        Row::Whole(row) => self.choose(index, vec![Row::Whole(&mut row.to_vec())], &mut tell)?,
                        Row::Short(list) => self.choose(index, vec![Row::Short(list)], &mut tell)?,
                    }
                }
            }
            return Ok(());
        }
        let active: Vec<usize> = (0..self.branches.len()).filter(|index| self.branches[*index].is_active()).collect();
        for (index, rows) in active.into_iter().zip(scores) {
            self.choose(index, rows, &mut tell)?;
        }
        Ok(())
    }

    /// The prompt has been read: from here on there are several, each with draws of its own.
    fn fork(&mut self, sequences: usize) -> Result<(), Error> {
        for sequence in 1..sequences as u64 {
            let first = &self.branches[0];
            self.branches.push(Branch {
                tokens: first.tokens.clone(),
                cached: first.cached.clone(),
                guesses: Vec::new(),
                finished: None,
                sampler: self.config.do_sample.then(|| Sampler::new(self.config.seed, sequence)),
                rule: first.rule.clone(),
                plugins: started(&self.plugins, &self.prompt)?,
            });
        }
        Ok(())
    }

    /// Chooses the next token of a branch; behind guesses that hold, those that follow.
    fn choose(&mut self, index: usize, rows: Rows<'_>, tell: &mut impl FnMut(NewToken)) -> Result<(), Error> {
        let branch = &mut self.branches[index];
        let guesses = std::mem::take(&mut branch.guesses);
        for (place, row) in rows.into_iter().enumerate() {
            let (token, log_probs) = self.choice.go_on(branch, row)?;
            tell(NewToken { sequence: index, token, log_probs });
            let found = self.stopping.check(&branch.tokens, |tokens| (self.decode)(tokens))?;
            branch.finished = branch.rule.finish(found);
            let holds = guesses.get(place) == Some(&token);
            self.guessed += usize::from(holds);
            if !holds || branch.finished.is_some() {
                break;
            }
        }
        // What was kept of guesses that did not hold; the last token has not been read in any case.
        branch.cached.truncate(branch.tokens.len() - 1);
        if let (Some(lookup), true) = (&self.lookup, branch.is_active()) {
            branch.guesses = lookup.candidates(&branch.tokens).to_vec();
        }
        Ok(())
    }

    fn search(&mut self, mut beams: BeamSearch, mut rows: Vec<&mut [f32]>) -> Result<(), Error> {
        let forced = self.choice.processors.forces(beams.sequence(0).len());
        let mut stuck = None;
        for (branch, row) in self.branches.iter_mut().zip(&mut rows) {
            log_softmax(row);
            self.choice.processors.apply(&branch.tokens, row);
            if !forced && let Err(error) = branch.rule.restrict(row) {
                // Another beam may still go on.
                row.fill(f32::NEG_INFINITY);
                stuck.get_or_insert(error);
                continue;
            }
            self.choice.warpers.apply(row)?;
        }
        if let Some(error) = stuck
            && rows.iter().all(|row| row.iter().all(|score| *score == f32::NEG_INFINITY))
        {
            return Err(error.into());
        }
        let mut failed = None;
        let ends = |tokens: &[u32]| match self.ends(tokens, forced) {
            Ok(ends) => ends,
            Err(error) => {
                failed = Some(error);
                true
            }
        };
        let continuations = beams.step(&rows, ends)?.to_vec();
        failed.map_or(Ok(()), Err)?;
        let finished = beams.finished().then_some(FinishReason::Length);
        let follow = |(beam, from): (usize, &runtime_generation::Continuation)| {
            // Before the first token there is one for all beams.
            let before = &self.branches[from.beam.min(self.branches.len() - 1)];
            let mut rule = before.rule.clone();
            if !forced {
                rule.accept(from.token)?;
            }
            let tokens = beams.sequence(beam).to_vec();
            Ok(Branch {
                tokens,
                cached: before.cached.clone(),
                guesses: Vec::new(),
                finished,
                sampler: None,
                rule,
                plugins: Vec::new(),
            })
        };
        self.branches = continuations.iter().enumerate().map(follow).collect::<Result<_, Error>>()?;
        self.beams = Some(beams);
        Ok(())
    }

    /// Whether a beam's sequence ends with its last token.
    fn ends(&self, tokens: &[u32], forced: bool) -> Result<bool, Error> {
        if self.stopping.check(tokens, |tokens| (self.decode)(tokens))?.is_some() {
            return Ok(true);
        }
        let Some((last, before)) = tokens.split_last() else { return Ok(false) };
        match self.branches.iter().find(|branch| branch.rule.acts() && branch.tokens == before) {
            Some(branch) if !forced => {
                let mut rule = branch.rule.clone();
                rule.accept(*last)?;
                Ok(rule.finish(None).is_some())
            }
            _ => Ok(false),
        }
    }

    /// Ends what has not ended.
    pub(super) fn stop(&mut self) {
        for branch in &mut self.branches {
            branch.finished.get_or_insert(FinishReason::Length);
        }
    }

    /// The sequences, and the first with what is kept of it. Nothing else can be asked of the search then.
    pub(super) fn sequences(&mut self) -> (Vec<GeneratedSequence>, Option<(Vec<u32>, Cached)>) {
        let Some(beams) = self.beams.take() else {
            let sequences = self.branches.iter().map(|branch| GeneratedSequence {
                tokens: branch.tokens[self.prompt.len()..].to_vec(),
                finish_reason: branch.finished.unwrap_or(FinishReason::Length),
                score: None,
            });
            let sequences = sequences.collect();
            let first = self.branches.swap_remove(0);
            return (sequences, Some((first.tokens, first.cached)));
        };
        let of = |found: runtime_generation::Hypothesis| GeneratedSequence {
            finish_reason: self.reason(&found.tokens),
            tokens: found.tokens,
            score: Some(found.score),
        };
        (beams.into_hypotheses().into_iter().map(of).collect(), None)
    }

    /// Why these new tokens of a beam ended.
    fn reason(&self, tokens: &[u32]) -> FinishReason {
        let sequence = [self.prompt.as_slice(), tokens].concat();
        // The search has had the text of every beam that ended; one without is as long as it may become.
        let found = self.stopping.check(&sequence, |tokens| (self.decode)(tokens)).unwrap_or_default();
        let mut rule = self.rule.clone();
        let written = (self.prompt.len()..).zip(tokens).filter(|(length, _)| !self.choice.processors.forces(*length));
        let followed = written.into_iter().all(|(_, token)| rule.accept(*token).is_ok());
        rule.finish(found).filter(|_| followed).unwrap_or(FinishReason::Length)
    }
}

/// Plugins at the start of a text.
fn started(plugins: &[LogitsProcessor], prompt: &[u32]) -> Result<Vec<Acting>, Error> {
    Ok(plugins.iter().map(|plugin| plugin.start(prompt)).collect::<Result<_, _>>()?)
}
