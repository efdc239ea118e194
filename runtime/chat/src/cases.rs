//! The methods of Python's strings that take no arguments: letters made large or small, and what kind they are.

use minijinja::Value;

use crate::python::{self, is_space};

/// What a method without arguments gives; `None` where it is none of these.
pub(crate) fn plain(this: &str, method: &str) -> Option<Value> {
    let all = |is: fn(char) -> bool| Value::from(!this.is_empty() && this.chars().all(is));
    let cased =
        |is: fn(char) -> bool, is_not: fn(char) -> bool| Value::from(this.chars().any(is) && !this.chars().any(is_not));
    Some(match method {
        "upper" => Value::from(this.to_uppercase()),
        "lower" => Value::from(this.to_lowercase()),
        "casefold" => Value::from(this.to_lowercase().replace('ß', "ss").replace('ς', "σ")),
        "title" => Value::from(title(this)),
        "capitalize" => Value::from(capitalized(this)),
        "swapcase" => Value::from(this.chars().map(swapped).collect::<String>()),
        "islower" => cased(char::is_lowercase, char::is_uppercase),
        "isupper" => cased(char::is_uppercase, char::is_lowercase),
        "isspace" => all(is_space),
        "isnumeric" => all(char::is_numeric),
        "isdigit" => {
            all(|char| is_decimal(char) || matches!(char, '²' | '³' | '¹' | '⁰'..='⁹' | '₀'..='₉' | '①'..='⑨'))
        }
        "isdecimal" => all(is_decimal),
        "istitle" => Value::from(this.chars().any(char::is_alphabetic) && title(this) == this),
        "isprintable" => Value::from(this.chars().all(python::is_printable)),
        "isidentifier" => {
            let starts = this.starts_with(|char: char| char.is_alphabetic() || char == '_');
            Value::from(starts && this.chars().all(|char| char.is_alphanumeric() || char == '_'))
        }
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isascii" => Value::from(this.is_ascii()),
        _ => return None,
    })
}

/// Whether a character is a digit from 0 to 9 of some script: these stand in rows of ten.
fn is_decimal(char: char) -> bool {
    const ZEROS: [char; 20] =
        ['0', '٠', '۰', '߀', '०', '০', '੦', '૦', '୦', '௦', '౦', '೦', '൦', '๐', '໐', '༠', '၀', '០', '᠐', '０'];
    ZEROS.iter().any(|zero| (*zero..=char::from_u32(u32::from(*zero) + 9).unwrap_or(*zero)).contains(&char))
}

fn swapped(char: char) -> String {
    if char.is_uppercase() { char.to_lowercase().collect() } else { char.to_uppercase().collect() }
}

/// `str.title`: letters behind what is no letter are large, all others small.
fn title(this: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(this.len());
    for char in this.chars() {
        if inside {
            out.extend(char.to_lowercase());
        } else {
            out.extend(char.to_uppercase());
        }
        inside = char.is_alphabetic();
    }
    out
}

/// `str.capitalize`: the first letter is large, all others small.
pub(crate) fn capitalized(this: &str) -> String {
    let mut chars = this.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    first + &chars.as_str().to_lowercase()
}
