//! Lines of a name and a value. On a terminal a long value goes on below itself; elsewhere a line stays one.

use comfy_table::Table;
use unicode_width::UnicodeWidthStr;

/// Fewer columns for a value than these are left to the terminal.
const LEAST: usize = 20;

/// `name` in `columns` columns, and `value` behind it.
pub(crate) fn named(columns: usize, name: &str, value: &str) -> String {
    hanging(&format!("{name:columns$} "), columns + 1, value)
}

/// `value` behind `first`, its further lines behind `indent` spaces.
pub(crate) fn hanging(first: &str, indent: usize, value: &str) -> String {
    wrapped(first, indent, value, Table::new().width().map(usize::from))
}

fn wrapped(first: &str, indent: usize, value: &str, terminal: Option<usize>) -> String {
    let Some(columns) = terminal.filter(|columns| *columns >= indent + LEAST) else {
        return format!("{first}{value}\n");
    };
    let mut text = first.to_owned();
    let mut taken = first.width();
    let mut begun = false;
    for word in value.split(' ') {
        // A word that is wider than a line has one of its own.
        if begun && taken + 1 + word.width() > columns {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            taken = indent;
        } else if begun {
            text.push(' ');
            taken += 1;
        }
        text.push_str(word);
        taken += word.width();
        begun = true;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_goes_on_below_itself_on_a_terminal_alone() {
        let value = "the quick brown fox jumps over the lazy dog";
        assert_eq!(wrapped("says  ", 6, value, None), format!("says  {value}\n"));
        assert_eq!(wrapped("says  ", 6, value, Some(10)), format!("says  {value}\n"), "too narrow");
        let lines = "says  the quick brown fox\n      jumps over the lazy\n      dog\n";
        assert_eq!(wrapped("says  ", 6, value, Some(26)), lines);
        assert_eq!(wrapped("says  ", 6, "", Some(26)), "says  \n");
        let word = "a-word-of-more-columns-than-there-are";
        assert_eq!(wrapped("", 2, &format!("x {word} y"), Some(22)), format!("x\n  {word}\n  y\n"));
    }
}
