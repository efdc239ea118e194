//! The tokens of a text to one vector.

use runtime_models::ModelFolder;
use runtime_tensor::Matrix;
use serde_json::Value;

use super::fields::JsonFile;
use crate::Error;

/// How the tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The first token.
    Cls,
    /// The greatest of each column.
    Max,
    /// The mean of each column.
    Mean,
    /// The sum of each column, over the root of the number of tokens.
    MeanSqrtLength,
    /// The mean of each column, a token weighing its place, counted from 1.
    WeightedMean,
    /// The last token.
    LastToken,
}

/// The modes, whose vectors are laid end to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pooling {
    modes: Vec<Mode>,
    /// Whether the tokens of a prompt count.
    pub(crate) include_prompt: bool,
}

/// The modes by the names that `pooling_mode` and the older flags have for them, in the order in which flags are laid
/// end to end.
const MODES: [(&str, &str, Mode); 6] = [
    ("cls", "pooling_mode_cls_token", Mode::Cls),
    ("max", "pooling_mode_max_tokens", Mode::Max),
    ("mean", "pooling_mode_mean_tokens", Mode::Mean),
    ("mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", Mode::MeanSqrtLength),
    ("weightedmean", "pooling_mode_weightedmean_tokens", Mode::WeightedMean),
    ("lasttoken", "pooling_mode_lasttoken", Mode::LastToken),
];

impl Pooling {
    pub(crate) fn one(mode: Mode) -> Self {
        Self { modes: vec![mode], include_prompt: true }
    }

    /// The same for other modes.
    pub(crate) fn with(self, mode: Mode) -> Self {
        Self { modes: vec![mode], ..self }
    }

    /// As `config.json` in the module's folder says.
    ///
    /// # Errors
    /// Where it names a mode that does not exist.
    pub(super) fn read(folder: &ModelFolder) -> Result<Self, Error> {
        let file = JsonFile::read(folder, "config.json")?;
        let include_prompt = file.boolean("include_prompt")?.unwrap_or(true);
        let modes = match file.get("pooling_mode") {
            Some(Value::Array(names)) => names.iter().map(|name| mode(&file, name)).collect::<Result<Vec<_>, _>>()?,
            Some(name) => vec![mode(&file, name)?],
            None => {
                let mut modes = Vec::new();
                for (_, flag, mode) in MODES {
                    modes.extend(file.boolean(flag)?.unwrap_or(false).then_some(mode));
                }
                modes
            }
        };
        Ok(Self { modes: if modes.is_empty() { vec![Mode::Mean] } else { modes }, include_prompt })
    }

    /// Numbers of a vector, of tokens of so many.
    pub(crate) fn width(&self, hidden: usize) -> usize {
        self.modes.len() * hidden
    }

    /// The vector of a text: `states` is `[tokens, hidden]`, of which the first `skip` are left out.
    pub(crate) fn pool(&self, states: &Matrix, skip: usize) -> Vec<f32> {
        let skip = if self.include_prompt { 0 } else { skip.min(states.rows) };
        self.modes.iter().flat_map(|mode| mode.pool(states, skip)).collect()
    }
}

fn mode(file: &JsonFile, name: &Value) -> Result<Mode, Error> {
    let found = MODES.iter().find(|(known, ..)| name == known);
    let known = || format!("one of {}", MODES.map(|(name, ..)| name).join(", "));
    Ok(found.map(|(.., mode)| *mode).ok_or_else(|| file.wrong("pooling_mode", name, &known()))?)
}

impl Mode {
    fn pool(self, states: &Matrix, skip: usize) -> Vec<f32> {
        let rows = || (skip..states.rows).map(|token| states.row(token));
        match self {
            Self::Cls if states.rows == 0 => vec![0.0; states.width],
            // Where a prompt leaves nothing over, sentence-transformers takes the first token of all.
            Self::Cls => states.row(if skip < states.rows { skip } else { 0 }).to_vec(),
            Self::LastToken if skip < states.rows => states.row(states.rows - 1).to_vec(),
            Self::LastToken => vec![0.0; states.width],
            Self::Max => {
                let mut greatest = vec![f32::NEG_INFINITY; states.width];
                rows().for_each(|row| greatest.iter_mut().zip(row).for_each(|(most, x)| *most = most.max(*x)));
                greatest
            }
            Self::Mean => weighted(states, skip, |_| 1.0, |total| total),
            Self::MeanSqrtLength => weighted(states, skip, |_| 1.0, f32::sqrt),
            Self::WeightedMean => weighted(states, skip, |token| count(token + 1), |total| total),
        }
    }
}

/// The weighted sum of the tokens, over a function of the weights' sum.
fn weighted(states: &Matrix, skip: usize, weight: impl Fn(usize) -> f32, over: impl Fn(f32) -> f32) -> Vec<f32> {
    let (mut sums, mut total) = (vec![0.0; states.width], 0.0);
    for token in skip..states.rows {
        let weight = weight(token);
        total += weight;
        sums.iter_mut().zip(states.row(token)).for_each(|(sum, x)| *sum += x * weight);
    }
    let divisor = over(total.max(1e-9));
    sums.iter_mut().for_each(|sum| *sum /= divisor);
    sums
}

#[expect(clippy::cast_precision_loss, reason = "a sequence has far fewer than 2^24 tokens")]
fn count(tokens: usize) -> f32 {
    tokens as f32
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn states() -> Matrix {
        Matrix { rows: 3, width: 2, data: vec![1.0, 6.0, 3.0, -2.0, 8.0, 5.0] }
    }

    #[test]
    fn each_mode_makes_its_vector() {
        let pool = |mode, skip| Pooling { modes: vec![mode], include_prompt: false }.pool(&states(), skip);
        assert_eq!(pool(Mode::Cls, 0), [1.0, 6.0]);
        assert_eq!(pool(Mode::LastToken, 0), [8.0, 5.0]);
        assert_eq!(pool(Mode::Max, 0), [8.0, 6.0]);
        assert_eq!(pool(Mode::Mean, 0), [4.0, 3.0]);
        assert_eq!(pool(Mode::MeanSqrtLength, 0), [12.0 / 3f32.sqrt(), 9.0 / 3f32.sqrt()]);
        // (1 + 2 * 3 + 3 * 8) / 6 and (6 - 2 * 2 + 3 * 5) / 6.
        assert_eq!(pool(Mode::WeightedMean, 0), [31.0 / 6.0, 17.0 / 6.0]);
        // Without the first token; places are still those of the whole.
        assert_eq!(pool(Mode::Cls, 1), [3.0, -2.0]);
        assert_eq!(pool(Mode::Mean, 1), [5.5, 1.5]);
        assert_eq!(pool(Mode::WeightedMean, 1), [30.0 / 5.0, 11.0 / 5.0]);
        // Nothing but a prompt.
        assert_eq!(pool(Mode::Mean, 3), [0.0, 0.0]);
        assert_eq!(pool(Mode::Cls, 3), [1.0, 6.0]);
        assert_eq!(pool(Mode::LastToken, 3), [0.0, 0.0]);
    }

    #[test]
    fn a_prompt_counts_unless_it_is_left_out() {
        assert_eq!(Pooling::one(Mode::Cls).pool(&states(), 1), [1.0, 6.0]);
    }

    #[test]
    fn flags_and_names_say_the_same() {
        let read = |text: &str| {
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join("config.json"), text).expect("written");
            Pooling::read(&ModelFolder::new(folder.path())).map_err(|error| error.to_string())
        };
        let two = Pooling { modes: vec![Mode::Max, Mode::Mean], include_prompt: true };
        assert_eq!(read(r#"{"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true}"#), Ok(two.clone()));
        assert_eq!(read(r#"{"pooling_mode": ["max", "mean"], "pooling_mode_cls_token": true}"#), Ok(two));
        assert_eq!(read(r#"{"word_embedding_dimension": 8}"#), Ok(Pooling::one(Mode::Mean)));
        let without = read(r#"{"pooling_mode": "lasttoken", "include_prompt": false}"#).expect("a pooling");
        assert_eq!((without.include_prompt, without.modes), (false, vec![Mode::LastToken]));
        let error = read(r#"{"pooling_mode": "meen"}"#).expect_err("no such mode");
        assert!(error.contains("`pooling_mode`") && error.contains("`\"meen\"`"), "{error}");
    }
}
