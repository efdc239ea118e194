//! Which values make sense, alone and together.
//!
//! Refused is what transformers refuses, where the value acts or where a call gives it; `top_p` of 0 is allowed there
//! and keeps the likeliest token.

use super::GenerationConfig;
use crate::Error;

/// Sequences, beams, tokens tried at once, and likeliest tokens told, at most: each costs memory before anything is computed.
const MOST: usize = 1000;

impl GenerationConfig {
    /// `given` says which parameters a call gives itself, which are checked even where they do not act.
    pub(super) fn check(&self, given: impl Fn(&str) -> bool) -> Result<(), Error> {
        self.check_sampling(&given)?;
        self.check_penalties()?;
        self.check_bad_words(&given)?;
        self.check_lengths()?;
        self.check_search()?;
        self.check_forced()
    }

    fn check_sampling(&self, given: impl Fn(&str) -> bool) -> Result<(), Error> {
        let share = "from 0 to 1";
        let above = "above 0 and at most 1";
        let below = "at least 0 and below 1";
        let unit = |number: f64| (0.0..=1.0).contains(&number);
        let rules = [
            ("top_h", self.top_h, above, self.top_h.is_none_or(|number| number > 0.0 && number <= 1.0)),
            ("top_p", Some(self.top_p), share, unit(self.top_p)),
            ("min_p", self.min_p, share, self.min_p.is_none_or(unit)),
            ("typical_p", Some(self.typical_p), above, self.typical_p > 0.0 && self.typical_p <= 1.0),
            ("epsilon_cutoff", Some(self.epsilon_cutoff), below, (0.0..1.0).contains(&self.epsilon_cutoff)),
            ("eta_cutoff", Some(self.eta_cutoff), below, (0.0..1.0).contains(&self.eta_cutoff)),
        ];
        for (key, value, range, fits) in rules {
            if !fits && (self.do_sample || given(key)) {
                return Err(out(key, range, value.unwrap_or_default()));
            }
        }
        let acts = self.do_sample || (given("temperature") && self.temperature < 0.0);
        // Scores are singles, and what is divided by less is infinite.
        if acts && self.temperature < f64::from(f32::MIN_POSITIVE) {
            let message = format!("`temperature` must be above 0, not {}", self.temperature);
            let hint = "for the likeliest token each time, set `do_sample` to `false` and leave `temperature` out";
            return Err(Error::hinted("temperature", message, hint));
        }
        Ok(())
    }

    /// transformers refuses a list without words, and does nothing by a word without tokens, which cannot be meant either.
    fn check_bad_words(&self, given: impl Fn(&str) -> bool) -> Result<(), Error> {
        let key = "bad_words_ids";
        if !given(key) {
            return Ok(());
        }
        if self.bad_words_ids.is_empty() {
            let message = format!("`{key}` is empty");
            return Err(Error::hinted(key, message, "leave it out where nothing is banned"));
        }
        match self.bad_words_ids.iter().position(Vec::is_empty) {
            Some(place) => {
                let message = format!("`{key}` has a word without tokens, number {} of its list", place + 1);
                Err(Error::hinted(key, message, "each word is a list of at least one token"))
            }
            None => Ok(()),
        }
    }

    fn check_penalties(&self) -> Result<(), Error> {
        let penalties = [
            ("repetition_penalty", self.repetition_penalty),
            ("encoder_repetition_penalty", self.encoder_repetition_penalty),
        ];
        let wrong = penalties.iter().find(|(_, penalty)| *penalty <= 0.0);
        wrong.map_or(Ok(()), |(key, penalty)| Err(out(key, "above 0", *penalty)))?;
        // The range that OpenAI gives.
        let penalties = [("presence_penalty", self.presence_penalty), ("frequency_penalty", self.frequency_penalty)];
        let wrong = penalties.iter().find(|(_, penalty)| !(-2.0..=2.0).contains(penalty));
        wrong.map_or(Ok(()), |(key, penalty)| Err(out(key, "from -2 to 2", *penalty)))?;
        let decay = self.exponential_decay_length_penalty;
        if decay.is_some() && self.eos_token_id.is_empty() {
            return Err(Error::param(
                "exponential_decay_length_penalty",
                "`exponential_decay_length_penalty` needs an `eos_token_id`, and there is none",
            ));
        }
        match decay {
            Some((_, factor)) if factor <= 0.0 => {
                Err(out("exponential_decay_length_penalty", "a factor above 0", factor))
            }
            _ => Ok(()),
        }
    }

    fn check_lengths(&self) -> Result<(), Error> {
        let positive = [
            ("max_new_tokens", self.max_new_tokens),
            ("max_length", self.max_length),
            ("prompt_lookup_num_tokens", self.prompt_lookup_num_tokens),
            ("max_matching_ngram_size", self.max_matching_ngram_size),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, count)| *count == Some(0)) {
            return Err(out(key, "at least 1", 0.0));
        }
        let bounded = [("prompt_lookup_num_tokens", self.prompt_lookup_num_tokens), ("logprobs", self.logprobs)];
        if let Some((key, Some(count))) = bounded.into_iter().find(|(_, count)| count.is_some_and(|count| count > MOST))
        {
            return Err(Error::param(key, format!("`{key}` must be at most {MOST}, not {count}")));
        }
        match self.max_time {
            Some(seconds) if seconds <= 0.0 => return Err(out("max_time", "above 0", seconds)),
            _ => {}
        }
        if self.stop_strings.iter().any(String::is_empty) {
            return Err(Error::param("stop_strings", "`stop_strings` has an empty text, which would end all at once"));
        }
        Ok(())
    }

    fn check_search(&self) -> Result<(), Error> {
        let (beams, sequences) = (self.num_beams, self.num_return_sequences);
        if let Some((key, _)) =
            [("num_beams", beams), ("num_return_sequences", sequences)].iter().find(|key| key.1 == 0)
        {
            return Err(out(key, "at least 1", 0.0));
        }
        if let Some((key, count)) =
            [("num_beams", beams), ("num_return_sequences", sequences)].iter().find(|key| key.1 > MOST)
        {
            return Err(Error::param(key, format!("`{key}` must be at most {MOST}, not {count}")));
        }
        let refuse = |message: String, hint: &str| Err(Error::hinted("num_return_sequences", message, hint));
        if beams == 1 && sequences > 1 && !self.do_sample {
            let message = format!("`num_return_sequences` is {sequences}, and the likeliest token gives one sequence");
            return refuse(message, "set `num_beams` to as many, or `do_sample` to `true`");
        }
        if beams > 1 && sequences > beams {
            let message = format!("`num_return_sequences` is {sequences}, and `num_beams` only {beams}");
            return refuse(message, "set `num_beams` to as many");
        }
        if beams > 1 && self.prompt_lookup_num_tokens.is_some() {
            let message = "`prompt_lookup_num_tokens` does not go with `num_beams`";
            return Err(Error::hinted("prompt_lookup_num_tokens", message, "leave one of the two out"));
        }
        Ok(())
    }

    fn check_forced(&self) -> Result<(), Error> {
        let bos: Vec<u32> = self.forced_bos_token_id.into_iter().collect();
        for (key, forced) in [("forced_bos_token_id", &bos), ("forced_eos_token_id", &self.forced_eos_token_id)] {
            if !forced.is_empty() && forced.iter().all(|token| self.suppress_tokens.contains(token)) {
                let message = format!("`{key}` forces what `suppress_tokens` rules out");
                return Err(Error::hinted(key, message, "take it out of one of the two"));
            }
        }
        Ok(())
    }
}

fn out(key: &str, range: &str, value: f64) -> Error {
    Error::param(key, format!("`{key}` must be {range}, not {value}"))
}
