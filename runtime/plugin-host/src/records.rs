//! What plugins read and give: fields of records, and what a plugin says of these.

use std::fmt;

use serde_json::{Map, Value};

use crate::text;

/// Values by name.
pub type Fields = Map<String, Value>;

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// Anything.
    Any,
}

impl Kind {
    /// Whether it is that.
    pub fn holds(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Any => !value.is_null(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Any => "any value",
        })
    }
}

/// A value that a plugin reads, is set up with, or gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What it is called.
    pub name: String,
    /// What it must be.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What it is, for people.
    pub summary: String,
}

/// What is wrong with fields that are to fill slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// No slot has this name.
    Unknown(String),
    /// This one must be there.
    Missing(String),
    /// This one must be something else.
    Wrong {
        /// Its name.
        name: String,
        /// What it must be.
        kind: Kind,
    },
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "there is no `{name}`"),
            Self::Missing(name) => write!(f, "`{name}` is missing"),
            Self::Wrong { name, kind } => write!(f, "`{name}` must be {kind}"),
        }
    }
}

/// Whether fields fill these slots. Null is as good as absent.
///
/// # Errors
/// The first that does not fit.
pub(crate) fn fit(slots: &[Slot], fields: &Fields) -> Result<(), Misfit> {
    if let Some(name) = fields.keys().find(|name| slots.iter().all(|slot| slot.name != **name)) {
        return Err(Misfit::Unknown(name.clone()));
    }
    for Slot { name, kind, required, .. } in slots {
        match fields.get(name).filter(|value| !value.is_null()) {
            Some(value) if !kind.holds(value) => return Err(Misfit::Wrong { name: name.clone(), kind: *kind }),
            None if *required => return Err(Misfit::Missing(name.clone())),
            _ => {}
        }
    }
    Ok(())
}

/// Slots of one kind, at most.
const SLOTS: usize = 64;

/// Bytes of a name, at most.
const NAME: usize = 64;

/// Bytes of a summary, at most.
const SUMMARY: usize = 256;

/// The rule that slots break, if any; `what` is what one is called.
pub(crate) fn check_slots(what: &str, slots: &[Slot]) -> Result<(), String> {
    if slots.len() > SLOTS {
        return Err(format!("it has {} {what}s; there can be {SLOTS}", slots.len()));
    }
    for (index, slot) in slots.iter().enumerate() {
        check_name(what, &slot.name)?;
        check_summary(what, &slot.summary)?;
        if slots[..index].iter().any(|other| other.name == slot.name) {
            return Err(format!("it has two {what}s called `{}`", slot.name));
        }
    }
    Ok(())
}

/// The rule that a name in pipeline files breaks, if any.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match name.len() {
        1..=NAME if name.bytes().all(fits) => Ok(()),
        1..=NAME => Err(format!("the {what} `{}` has a character that a name cannot have", text::printable(name))),
        length => Err(format!("a name of {what}s has {length} bytes; there can be 1 to {NAME}")),
    }
}

pub(crate) fn check_summary(what: &str, summary: &str) -> Result<(), String> {
    match summary.len() <= SUMMARY && text::is_printable(summary) {
        true => Ok(()),
        false => Err(format!("the summary of {what}s is not printable, or longer than {SUMMARY} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slot(name: &str, kind: Kind, required: bool) -> Slot {
        Slot { name: name.to_owned(), kind, required, summary: String::new() }
    }

    fn fields(value: Value) -> Fields {
        serde_json::from_value(value).unwrap_or_default()
    }

    #[test]
    fn fields_fill_slots_or_the_first_misfit_is_named() {
        let slots = [slot("text", Kind::Text, true), slot("n", Kind::Number, false), slot("x", Kind::Any, false)];
        for (given, misfit) in [
            (json!({"text": "a"}), None),
            (json!({"text": "a", "n": null, "x": [1]}), None),
            (json!({"n": 1}), Some("`text` is missing")),
            (json!({"text": null}), Some("`text` is missing")),
            (json!({"text": "a", "n": "1"}), Some("`n` must be a number")),
            (json!({"text": "a", "m": 1}), Some("there is no `m`")),
        ] {
            let found = fit(&slots, &fields(given.clone())).err().map(|misfit| misfit.to_string());
            assert_eq!(found.as_deref(), misfit, "{given}");
        }
    }

    #[test]
    fn each_rule_of_slots_is_checked() {
        let good = slot("text", Kind::Text, true);
        assert_eq!(check_slots("input", &[good.clone(), slot("pair", Kind::Text, false)]), Ok(()));
        let long = Slot { summary: "a".repeat(257), ..good.clone() };
        for (slots, said) in [
            (vec![good.clone(), good], "it has two inputs called `text`"),
            (vec![slot("a b", Kind::Any, false)], "the input `a b` has a character that a name cannot have"),
            (vec![slot("", Kind::Any, false)], "a name of inputs has 0 bytes; there can be 1 to 64"),
            (vec![long], "the summary of inputs is not printable, or longer than 256 bytes"),
            (vec![slot("a", Kind::Any, false); 65], "it has 65 inputs; there can be 64"),
        ] {
            assert_eq!(check_slots("input", &slots), Err(said.to_owned()));
        }
    }
}
