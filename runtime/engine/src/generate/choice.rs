//! How a request chooses a token from scores, and which scores it needs for that.

use runtime_generation::{
    Error as NoChoice, GenerationConfig, Needs, Processors, Sampler, Shortlist, TokenLogProb, Warpers, argmax,
    token_log_probs,
};
use runtime_tensor::{Greatest, Wanted};

use super::run::Row;
use super::search::Branch;
use crate::Error;

/// What changes the scores of a request, and chooses among them.
pub(super) struct Choice {
    pub(super) processors: Processors,
    pub(super) warpers: Warpers,
    needs: Needs,
    logprobs: Option<usize>,
}

/// A token, and where they are asked for logarithms of probabilities.
pub(super) type Chosen = (u32, Option<(TokenLogProb, Vec<TokenLogProb>)>);

impl Choice {
    /// With plugins, which look at all scores.
    pub(super) fn new(config: &GenerationConfig, processors: Processors, plugins: bool) -> Self {
        let needs = if plugins { Needs::Row } else { Needs::new(config) };
        let warpers = Warpers::new(config);
        Self { processors, warpers, needs, logprobs: config.logprobs }
    }

    /// What it needs of the scores behind the last token of a branch, and behind each guess.
    pub(super) fn wanted(&self, branch: &Branch) -> Vec<Wanted> {
        let lengths = (branch.tokens.len()..).take(branch.rows());
        lengths.map(|length| self.wanted_behind(length)).collect()
    }

    fn wanted_behind(&self, tokens: usize) -> Wanted {
        match self.needs {
            Needs::Shortlist { count, ties, log_sum_exp } if !self.processors.act_at(tokens) => {
                Wanted::Greatest(Greatest { count, ties, log_sum_exp })
            }
            _ => Wanted::Row,
        }
    }

    /// Adds the token that follows to a branch.
    ///
    /// # Errors
    /// Where no token is left, or scores are no numbers.
    pub(super) fn go_on(&mut self, branch: &mut Branch, row: Row<'_>) -> Result<Chosen, Error> {
        let forced = self.processors.forces(branch.tokens.len());
        let chosen = match row {
            Row::Whole(row) => {
                let model = self.logprobs.map(|_| row.to_vec());
                self.processors.apply(&branch.tokens, row);
                if !forced {
                    let tokens = &branch.tokens;
                    branch.plugins.iter_mut().try_for_each(|plugin| plugin.process(tokens, row))?;
                    branch.rule.restrict(row)?;
                }
                let token = self.of_row(branch.sampler.as_mut(), row)?;
                let log_probs = model.zip(self.logprobs).map(|(model, count)| token_log_probs(&model, token, count));
                (token, log_probs)
            }
            // It was wanted where nothing changes scores.
            Row::Short(list) => {
                let (tokens, scores) = (&list.columns[..], &list.numbers[..]);
                let list = Shortlist { tokens, scores, log_sum_exp: list.log_sum_exp };
                let token = self.of_list(branch.sampler.as_mut(), list)?;
                (token, self.logprobs.and_then(|count| list.log_probs(token, count)))
            }
        };
        branch.tokens.push(chosen.0);
        if !forced {
            branch.rule.accept(chosen.0)?;
        }
        Ok(chosen)
    }

    fn of_row(&mut self, sampler: Option<&mut Sampler>, row: &[f32]) -> Result<u32, NoChoice> {
        let Some(sampler) = sampler else { return argmax(row) };
        sampler.draw(self.warpers.distribution(row)?).ok_or(NoChoice::NothingLeft { vocabulary: row.len() })
    }

    fn of_list(&mut self, sampler: Option<&mut Sampler>, list: Shortlist<'_>) -> Result<u32, NoChoice> {
        let Some(sampler) = sampler else { return list.argmax() };
        let drawn = sampler.draw(self.warpers.distribution_of(list)?);
        drawn.ok_or(NoChoice::NothingLeft { vocabulary: list.tokens.len() })
    }
}
