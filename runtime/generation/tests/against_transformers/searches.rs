//! What is found greedily, with guesses and with beams, by a loop as an engine has it.

use runtime_generation::{
    BeamOptions, BeamSearch, Error, FinishReason, GenerationConfig, Hypothesis, Lengths, Processors, Prompt,
    PromptLookup, Sampler, Stopping, Warpers, accepted, argmax, log_softmax,
};
use serde_json::Value;

use super::{cases, close, floats, table, tokens};

/// A request to the table.
pub(crate) struct Request {
    config: GenerationConfig,
    seed: u32,
    vocabulary: u32,
    pub(crate) prompt: Vec<u32>,
    lengths: Lengths,
    processors: Processors,
    stopping: Stopping,
}

impl Request {
    pub(crate) fn new(case: &Value) -> Result<Self, Error> {
        let number = |name: &str| u32::try_from(case[name].as_u64().expect("a number")).expect("a small number");
        let config = GenerationConfig::default().with_params(case["params"].as_object().expect("parameters"))?;
        let prompt = tokens(&case["prompt"]);
        let lengths = Lengths::new(&config, prompt.len(), Some(64))?;
        let start = Prompt { length: prompt.len(), padding: 0, encoder_input: Some(&prompt), lengths };
        let vocabulary = number("vocabulary");
        let processors = Processors::new(&config, start, usize::try_from(vocabulary).expect("small"))?;
        let stopping = Stopping::new(&config, lengths, 0);
        Ok(Self { config, seed: number("seed"), vocabulary, prompt, lengths, processors, stopping })
    }

    fn finish(&self, sequence: &[u32]) -> Option<FinishReason> {
        let no_text = |_: &[u32]| Err("there are no stop strings");
        self.stopping.check(sequence, no_text).expect("no text is asked for")
    }

    /// The token behind `sequence`.
    fn choose(&mut self, sequence: &[u32]) -> Result<u32, Error> {
        let mut scores = table::scores(self.seed, self.vocabulary, sequence);
        self.processors.apply(sequence, &mut scores);
        argmax(&scores)
    }

    /// New tokens, and how many runs of the model they took.
    fn greedy(&mut self, lookup: Option<&PromptLookup>) -> Result<(Vec<u32>, usize), Error> {
        let (mut sequence, mut runs) = (self.prompt.clone(), 0);
        'runs: loop {
            let guesses = lookup.map_or(Vec::new(), |lookup| lookup.candidates(&sequence).to_vec());
            let mut behind = [sequence.as_slice(), &guesses].concat();
            let mut chosen = Vec::new();
            for guessed in 0..=guesses.len() {
                behind.truncate(sequence.len() + guessed);
                behind.extend_from_slice(&guesses[guessed.min(guesses.len())..]);
                chosen.push(self.choose(&behind[..sequence.len() + guessed])?);
            }
            runs += 1;
            for token in &chosen[..=accepted(&guesses, &chosen)] {
                sequence.push(*token);
                if self.finish(&sequence).is_some() {
                    break 'runs;
                }
            }
        }
        Ok((sequence.split_off(self.prompt.len()), runs))
    }

    pub(crate) fn beams(&mut self, sampler: Option<Sampler>) -> Result<Vec<Hypothesis>, Error> {
        let options = BeamOptions::new(&self.config, self.lengths.max_length - self.prompt.len())?;
        let mut warpers = Warpers::new(&self.config);
        let mut search = BeamSearch::new(options, &self.prompt, sampler);
        while !search.finished() {
            let mut rows = Vec::new();
            for beam in 0..search.rows() {
                let mut row = table::scores(self.seed, self.vocabulary, search.sequence(beam));
                log_softmax(&mut row);
                self.processors.apply(search.sequence(beam), &mut row);
                warpers.apply(&mut row)?;
                rows.push(row);
            }
            let before: Vec<Vec<u32>> = (0..search.rows()).map(|beam| search.sequence(beam).to_vec()).collect();
            let came = search.step(&rows, |sequence| self.finish(sequence).is_some())?.to_vec();
            for (beam, from) in came.iter().enumerate() {
                let parent = &before[from.beam.min(before.len() - 1)];
                assert_eq!(search.sequence(beam), [parent.as_slice(), &[from.token]].concat());
            }
        }
        Ok(search.into_hypotheses())
    }
}

#[test]
fn what_generate_finds_is_found() {
    let cases = cases(include_str!("../recorded/searches.jsonl"));
    assert!(cases.len() >= 300);
    let mut wrong = Vec::new();
    for case in &cases {
        let recorded: Vec<Vec<u32>> = case["sequences"].as_array().expect("sequences").iter().map(tokens).collect();
        let found = Request::new(case).and_then(|mut request| {
            if request.config.num_beams == 1 {
                return Ok((vec![request.greedy(None)?.0], Vec::new()));
            }
            let hypotheses = request.beams(None)?;
            Ok(hypotheses.into_iter().map(|hypothesis| (hypothesis.tokens, hypothesis.score)).unzip())
        });
        let scores = if case["scores"].is_null() { Vec::new() } else { floats(&case["scores"]) };
        let same = found.as_ref().is_ok_and(|(sequences, found)| {
            *sequences == recorded
                && found.len() == scores.len()
                && found.iter().zip(&scores).all(|(found, recorded)| close(*found, *recorded))
        });
        if !same {
            wrong.push(format!("{} gives {found:?}, recorded {recorded:?} {scores:?}", case["params"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn guesses_change_nothing_but_the_number_of_runs() {
    let mut saved = 0;
    for case in cases(include_str!("../recorded/searches.jsonl")) {
        let mut request = Request::new(&case).expect("right");
        if request.config.num_beams > 1 {
            continue;
        }
        let Ok((expected, steps)) = request.greedy(None) else { continue };
        for (tokens, ngram) in [(1, 1), (3, 1), (10, 2), (4, 3)] {
            let config = GenerationConfig {
                prompt_lookup_num_tokens: Some(tokens),
                max_matching_ngram_size: Some(ngram),
                ..request.config.clone()
            };
            let lookup = PromptLookup::new(&config, request.lengths.max_length);
            let (found, runs) = request.greedy(lookup.as_ref()).expect("as without guesses");
            assert_eq!(found, expected, "{}", case["params"]);
            assert!(runs <= steps);
            saved += steps - runs;
        }
    }
    assert!(saved > 0, "some guesses hold");
}
