//! Beam search, as `GenerationMixin._beam_search` of transformers 5 does it for each text.
//!
//! Each step takes the best `max(2, 1 + end tokens) * num_beams` continuations over all beams. Those that end and are
//! among the first `num_beams` become hypotheses, with `sum / new_tokens ^ length_penalty` as their score; the best
//! `num_beams` of the others go on. Sums are of `f32`, in the order of transformers, so that ties fall alike.
//!
//! Before the first token there is one beam. What is ruled out never goes on, nor does what has ended: where too few
//! continuations are left, there are fewer beams (transformers fills up with such, which can win nothing).

use crate::beam_draw::Draws;
use crate::numbers::{count, narrow, token};
use crate::passes::highest_number;
use crate::top::{Entry, Top};
use crate::{EarlyStopping, Error, GenerationConfig, Sampler};

/// The score of what shall not count. In transformers it is -1e9, which a steep `length_penalty` goes below.
const FAR: f32 = f32::NEG_INFINITY;

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BeamOptions {
    /// Sequences that are followed at once.
    pub num_beams: usize,
    /// Hypotheses that are wanted.
    pub num_return_sequences: usize,
    /// Power of the number of new tokens by which sums are divided.
    pub length_penalty: f64,
    /// When the search is over.
    pub early_stopping: EarlyStopping,
    /// Tokens that end a sequence.
    pub end_tokens: usize,
    /// Tokens that a sequence can get, at most.
    pub max_new_tokens: usize,
}

/// What sums of scores are divided or multiplied by, at most, so that all scores are numbers.
const STEEPEST: f64 = 1e28;

impl BeamOptions {
    /// Those of a request that may get `max_new_tokens` (of [`Lengths`](crate::Lengths): `max_length` less the prompt).
    ///
    /// # Errors
    /// Where `length_penalty` makes scores of so many tokens too large or too small to be told apart. transformers ends
    /// with an `OverflowError` there, or with scores that all are -1e9.
    pub fn new(config: &GenerationConfig, max_new_tokens: usize) -> Result<Self, Error> {
        let penalty = count(max_new_tokens).powf(config.length_penalty);
        if !(STEEPEST.recip()..=STEEPEST).contains(&penalty) {
            let key = "length_penalty";
            let message = format!(
                "`{key}` is {:e}, and {max_new_tokens} new tokens to the power of it is beyond the scores' range",
                config.length_penalty
            );
            return Err(Error::hinted(key, message, "it is 1 where it is not said; about -5 to 5 are of use"));
        }
        Ok(Self {
            num_beams: config.num_beams,
            num_return_sequences: config.num_return_sequences,
            length_penalty: config.length_penalty,
            early_stopping: config.early_stopping,
            end_tokens: config.eos_token_id.len(),
            max_new_tokens,
        })
    }
}

/// Where a beam comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// The beam of the step before whose keys and values it goes on from.
    pub beam: usize,
    /// Its new token.
    pub token: u32,
}

/// A sequence that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Its new tokens, the one that ends it included.
    pub tokens: Vec<u32>,
    /// The sum of their scores, divided by the power of their number.
    pub score: f32,
}

/// The search of one text.
#[derive(Clone, Debug)]
pub struct BeamSearch {
    options: BeamOptions,
    prompt: usize,
    /// Prompt and new tokens of each beam that goes on, the best first.
    running: Vec<Running>,
    hypotheses: Vec<Found>,
    /// Whether a running beam can still become a hypothesis.
    improvable: bool,
    finished: bool,
    continuations: Vec<Continuation>,
    sampler: Option<Sampler>,
    draws: Draws,
    top: Top,
}

#[derive(Clone, Debug)]
struct Running {
    sequence: Vec<u32>,
    score: f32,
}

/// A place among the best hypotheses, which may not be taken yet.
#[derive(Clone, Debug)]
struct Found {
    tokens: Vec<u32>,
    score: f32,
    taken: bool,
}

/// One of the best continuations of a step.
struct Next {
    from: Continuation,
    sequence: Vec<u32>,
    score: f32,
    ends: bool,
}

impl BeamSearch {
    /// A search from `prompt` (of encoder-decoders: the start token). With a sampler, continuations are drawn instead of
    /// taken from the best.
    pub fn new(options: BeamOptions, prompt: &[u32], sampler: Option<Sampler>) -> Self {
        let beams = options.num_beams.max(1);
        let open = Found { tokens: Vec::new(), score: FAR, taken: false };
        Self {
            options,
            prompt: prompt.len(),
            running: vec![Running { sequence: prompt.to_vec(), score: 0.0 }],
            hypotheses: vec![open; beams],
            improvable: true,
            finished: false,
            continuations: Vec::new(),
            sampler,
            draws: Draws::default(),
            top: Top::default(),
        }
    }

    /// How many rows of scores the next step needs: one for each beam, of which there is one at first.
    pub fn rows(&self) -> usize {
        self.running.len()
    }

    /// Prompt and new tokens of a beam that goes on.
    pub fn sequence(&self, beam: usize) -> &[u32] {
        self.running.get(beam).map_or(&[], |beam| beam.sequence.as_slice())
    }

    /// Whether the search is over.
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Goes one token on, and says for each beam from which it comes. `rows` are log-probabilities of the next token
    /// behind each beam's [`sequence`](Self::sequence), as processors and warpers left them, `[rows(), vocabulary]`;
    /// `ends` says of prompt and new tokens whether they end with the last of them.
    ///
    /// # Errors
    /// Where no continuation is left, or a score is no number.
    ///
    /// # Panics
    /// Where there are not as many rows as [`rows`](Self::rows) says.
    pub fn step<R: AsRef<[f32]>>(
        &mut self,
        rows: &[R],
        mut ends: impl FnMut(&[u32]) -> bool,
    ) -> Result<&[Continuation], Error> {
        assert_eq!(rows.len(), self.rows(), "there is a row of scores for each beam");
        rows.iter().try_for_each(|row| highest_number(row.as_ref()).map(drop))?;
        let next = self.continuations(rows, &mut ends)?;
        let new_tokens = self.sequence(0).len() + 1 - self.prompt;
        let running = self.go_on(&next);
        self.collect(&next, new_tokens);
        self.running = running;
        self.improvable = self.improvable && self.can_improve(new_tokens);
        let full = self.hypotheses.iter().all(|found| found.taken);
        let enough = full && self.options.early_stopping == EarlyStopping::True;
        self.finished = !self.improvable || enough || next.iter().all(|next| next.ends);
        Ok(&self.continuations)
    }

    /// The best `num_return_sequences`, the best first. Of a search that was cut short, running beams count too.
    pub fn into_hypotheses(mut self) -> Vec<Hypothesis> {
        let mut found: Vec<Found> = std::mem::take(&mut self.hypotheses);
        if !self.finished {
            for beam in self.running.iter().filter(|beam| beam.score > FAR && beam.sequence.len() > self.prompt) {
                let tokens = beam.sequence[self.prompt..].to_vec();
                let score = beam.score / self.penalty(tokens.len());
                found.push(Found { tokens, score, taken: true });
            }
        }
        found.retain(|found| found.taken);
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(self.options.num_return_sequences.max(1));
        found.into_iter().map(|Found { tokens, score, .. }| Hypothesis { tokens, score }).collect()
    }

    /// The best continuations over all beams, or as many draws.
    fn continuations<R: AsRef<[f32]>>(
        &mut self,
        rows: &[R],
        ends: &mut impl FnMut(&[u32]) -> bool,
    ) -> Result<Vec<Next>, Error> {
        let wanted = (1 + self.options.end_tokens).max(2) * self.hypotheses.len();
        let vocabulary = rows.first().map_or(0, |row| row.as_ref().len());
        let running = &self.running;
        let rows: Vec<(&[f32], f32)> =
            rows.iter().zip(running).map(|(row, running)| (row.as_ref(), running.score)).collect();
        let best: Vec<Entry> = match &mut self.sampler {
            None => {
                self.top.begin(wanted);
                for (beam, (row, score)) in rows.iter().enumerate() {
                    self.top.offer(row, *score, beam * vocabulary);
                }
                self.top.sorted().to_vec()
            }
            Some(sampler) => self.draws.draw(&rows, wanted, sampler, &mut self.top),
        };
        let next = |entry: &Entry| {
            let from = Continuation { beam: entry.index / vocabulary, token: token(entry.index % vocabulary) };
            let parent = &running[from.beam];
            let mut sequence = Vec::with_capacity(parent.sequence.len() + 1);
            sequence.extend_from_slice(&parent.sequence);
            sequence.push(from.token);
            let ends = ends(&sequence) || sequence.len() - self.prompt >= self.options.max_new_tokens;
            Next { from, sequence, score: entry.score, ends }
        };
        let next: Vec<Next> = best.iter().filter(|entry| entry.score > f32::NEG_INFINITY).map(next).collect();
        match next.is_empty() {
            true => Err(Error::NothingLeft { vocabulary }),
            false => Ok(next),
        }
    }

    /// The best that do not end.
    fn go_on(&mut self, next: &[Next]) -> Vec<Running> {
        let scores: Vec<f32> = next.iter().map(|next| if next.ends { f32::NEG_INFINITY } else { next.score }).collect();
        let best = self.top.of(&scores, self.hypotheses.len());
        let best: Vec<Entry> = best.iter().filter(|entry| !next[entry.index].ends).copied().collect();
        self.continuations.clear();
        self.continuations.extend(best.iter().map(|entry| next[entry.index].from));
        best.iter().map(|entry| Running { sequence: next[entry.index].sequence.clone(), score: entry.score }).collect()
    }

    /// Puts what ends, and is among the first, among the hypotheses; keeps the best.
    fn collect(&mut self, next: &[Next], new_tokens: usize) {
        let beams = self.hypotheses.len();
        let full = self.hypotheses.iter().all(|found| found.taken);
        let closed = full && self.options.early_stopping == EarlyStopping::True;
        let penalty = self.penalty(new_tokens);
        let off = |is_off: bool| if is_off { FAR } else { 0.0 };
        let ended = |place: usize, next: &Next| next.ends && place < beams;
        let scored = next
            .iter()
            .enumerate()
            .map(|(place, next)| next.score / penalty + off(closed) + off(!self.improvable) + off(!ended(place, next)));
        let merged: Vec<f32> = self.hypotheses.iter().map(|found| found.score).chain(scored).collect();
        let best = self.top.of(&merged, beams).to_vec();
        let kept = best.iter().map(|entry| match entry.index.checked_sub(beams) {
            None => self.hypotheses[entry.index].clone(),
            Some(place) => Found {
                tokens: next[place].sequence[self.prompt..].to_vec(),
                score: entry.score,
                taken: entry.score > FAR,
            },
        });
        self.hypotheses = kept.collect();
    }

    /// Whether the best running beam may become better than the worst hypothesis.
    fn can_improve(&self, new_tokens: usize) -> bool {
        let never = self.options.early_stopping == EarlyStopping::Never && self.options.length_penalty > 0.0;
        let length = if never { self.options.max_new_tokens } else { new_tokens };
        let best = self.running.first().map_or(FAR, |beam| beam.score) / self.penalty(length);
        let worst = self.hypotheses.iter().map(|found| found.score).fold(f32::INFINITY, f32::min);
        self.hypotheses.iter().any(|found| best > if found.taken { worst } else { FAR })
    }

    fn penalty(&self, new_tokens: usize) -> f32 {
        narrow(count(new_tokens).powf(self.options.length_penalty))
    }
}
