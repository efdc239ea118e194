//! Rotary frequencies as `config.json` describes them, in the form of transformers 4 (`rope_theta`, `rope_scaling`) and of 5
//! (`rope_parameters`), after transformers' `modeling_rope_utils.py`.

use serde_json::{Map, Value as Json};

use crate::{Config, Refusal, Rotary};

/// The rotary embedding of a model, and how long a sequence may be with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// What queries and keys are rotated by.
    pub rotary: Rotary,
    /// Tokens, where the embedding holds for fewer than the model takes; for [`Builder::max_sequence`](crate::Builder::max_sequence).
    pub limit: Option<u32>,
}

/// What scales the frequencies: `rope_parameters` or `rope_scaling`.
struct Scaling<'a>(Option<&'a Map<String, Json>>);

impl Scaling<'_> {
    fn kind(&self) -> &str {
        let kind = self.0.and_then(|fields| fields.get("rope_type").or(fields.get("type"))?.as_str());
        kind.unwrap_or("default")
    }

    fn number(&self, field: &str) -> Option<f64> {
        self.0?.get(field)?.as_f64()
    }

    fn required(&self, field: &str) -> Result<f64, Refusal> {
        let missing = || Refusal::Missing { field: format!("rope_scaling.{field}") };
        self.number(field).filter(|number| *number > 0.0).ok_or_else(missing)
    }
}

impl Rope {
    /// For heads of `head_size` columns and a model of `max_positions` tokens; `theta` is the family's default. The types
    /// are those of transformers: `default`, `linear`, `dynamic`, `llama3`, `yarn` and `longrope`.
    ///
    /// # Errors
    /// Where the type is another one, or lacks a field.
    pub fn read(config: &Config, head_size: u32, max_positions: u32, theta: f64) -> Result<Self, Refusal> {
        let fields = |name: &str| config.get(name).and_then(Json::as_object);
        // Where layers differ, `rope_parameters` has one entry for each kind of them.
        let parameters = fields("rope_parameters");
        let parameters = parameters.and_then(|all| all.get("full_attention")?.as_object()).or(parameters);
        let scaling = Scaling(parameters.or(fields("rope_scaling")));
        let theta = match scaling.number("rope_theta") {
            Some(theta) => theta,
            None => config.number_or("rope_theta", theta)?,
        };
        let share = match scaling.number("partial_rotary_factor") {
            Some(share) => share,
            None => config.number_or("partial_rotary_factor", 1.0)?,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as transformers rounds it")]
        let size = (f64::from(head_size) * share.clamp(0.0, 1.0)) as u32;
        let mut rotary = Rotary::plain(head_size, size, theta);
        let original = scaling.number("original_max_position_embeddings");
        let original = original.or(config.get("original_max_position_embeddings").and_then(Json::as_f64));
        let original_or_all = original.unwrap_or(f64::from(max_positions));
        let mut limit = None;
        match scaling.kind() {
            "default" => {}
            "linear" => {
                let factor = scaling.required("factor")?;
                rotary.frequencies.iter_mut().for_each(|frequency| *frequency /= factor);
            }
            // Up to the length that the model was trained for, the frequencies are plain.
            "dynamic" => limit = tokens(original_or_all),
            "llama3" => llama3(&scaling, original_or_all, &mut rotary)?,
            "yarn" => yarn(&scaling, original_or_all, theta, size, &mut rotary)?,
            // The factors for longer sequences begin behind the length that the model was trained for.
            "longrope" | "su" => {
                longrope(&scaling, original_or_all, max_positions, &mut rotary)?;
                limit = tokens(original_or_all);
            }
            other => {
                return Err(Refusal::Unsupported {
                    field: "rope_type".to_owned(),
                    value: other.to_owned(),
                    supported: "`default`, `linear`, `dynamic`, `llama3`, `yarn` or `longrope`".to_owned(),
                });
            }
        }
        Ok(Self { rotary, limit })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length in tokens")]
fn tokens(length: f64) -> Option<u32> {
    (length >= 1.0 && length < f64::from(u32::MAX)).then_some(length as u32)
}

/// Llama 3.1: long waves are stretched by the factor, short ones stay, those between are mixed.
fn llama3(scaling: &Scaling<'_>, original: f64, rotary: &mut Rotary) -> Result<(), Refusal> {
    let factor = scaling.required("factor")?;
    let (low, high) = (scaling.required("low_freq_factor")?, scaling.required("high_freq_factor")?);
    for frequency in &mut rotary.frequencies {
        let wave = 2.0 * std::f64::consts::PI / *frequency;
        if wave > original / low {
            *frequency /= factor;
        } else if wave >= original / high {
            let smooth = (original / wave - low) / (high - low);
            *frequency = (1.0 - smooth) * *frequency / factor + smooth * *frequency;
        }
    }
    Ok(())
}

/// YaRN (<https://arxiv.org/abs/2309.00071>).
fn yarn(scaling: &Scaling<'_>, original: f64, theta: f64, size: u32, rotary: &mut Rotary) -> Result<(), Refusal> {
    let factor = scaling.required("factor")?;
    let size = f64::from(size);
    let turns =
        |turns: f64| size * libm::log(original / (turns * 2.0 * std::f64::consts::PI)) / (2.0 * libm::log(theta));
    let (mut low, mut high) =
        (turns(scaling.number("beta_fast").unwrap_or(32.0)), turns(scaling.number("beta_slow").unwrap_or(1.0)));
    let truncate = scaling.0.and_then(|fields| fields.get("truncate")?.as_bool()).unwrap_or(true);
    if truncate {
        (low, high) = (low.floor(), high.ceil());
    }
    let (low, mut high) = (low.max(0.0), high.min(size - 1.0));
    if (high - low).abs() < f64::EPSILON {
        high += 0.001;
    }
    for (index, frequency) in (0u32..).zip(&mut rotary.frequencies) {
        let stretched = ((f64::from(index) - low) / (high - low)).clamp(0.0, 1.0);
        *frequency = *frequency / factor * stretched + *frequency * (1.0 - stretched);
    }
    let scale = |factor: f64, by: f64| if factor <= 1.0 { 1.0 } else { 0.1 * by * libm::log(factor) + 1.0 };
    rotary.factor =
        match (scaling.number("attention_factor"), scaling.number("mscale"), scaling.number("mscale_all_dim")) {
            (Some(factor), _, _) => factor,
            (None, Some(by), Some(all)) if by != 0.0 && all != 0.0 => scale(factor, by) / scale(factor, all),
            _ => scale(factor, 1.0),
        };
    Ok(())
}

/// LongRoPE (<https://arxiv.org/abs/2402.13753>), with the factors for short sequences.
fn longrope(scaling: &Scaling<'_>, original: f64, max_positions: u32, rotary: &mut Rotary) -> Result<(), Refusal> {
    let missing = || Refusal::Missing { field: "rope_scaling.short_factor".to_owned() };
    let factors = scaling.0.and_then(|fields| fields.get("short_factor")?.as_array()).ok_or_else(missing)?;
    if factors.len() != rotary.frequencies.len() {
        return Err(Refusal::Wrong {
            field: "rope_scaling.short_factor".to_owned(),
            expected: format!("a list of {} numbers", rotary.frequencies.len()),
            found: format!("one of {}", factors.len()),
        });
    }
    for (frequency, factor) in rotary.frequencies.iter_mut().zip(factors) {
        *frequency /= factor.as_f64().filter(|factor| *factor > 0.0).ok_or_else(missing)?;
    }
    let longer = scaling.number("factor").unwrap_or(f64::from(max_positions) / original);
    let plain = if longer <= 1.0 { 1.0 } else { (1.0 + libm::log(longer) / libm::log(original)).sqrt() };
    rotary.factor = scaling.number("attention_factor").unwrap_or(plain);
    Ok(())
}
