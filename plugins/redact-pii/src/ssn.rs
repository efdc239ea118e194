//! Social security numbers of the United States: three, two and four digits.

use crate::digits::Window;

pub(crate) fn accepts(window: &Window<'_>) -> bool {
    let digits = window.digits();
    if digits.len() != 9 || window.has_plus() {
        return false;
    }
    let (area, group, serial) = (&digits[..3], &digits[3..5], &digits[5..]);
    // Those are never given out.
    let issued = area != "000" && area != "666" && !area.starts_with('9') && group != "00" && serial != "0000";
    issued && (is_written(window) || is_said(window))
}

fn is_written(window: &Window<'_>) -> bool {
    let gaps: Vec<_> = window.gaps().collect();
    window.shape() == [3, 2, 4] && gaps[0] == gaps[1]
}

/// Nine digits in a row are one where that is said just before.
fn is_said(window: &Window<'_>) -> bool {
    let before = window.before().to_lowercase();
    let near = before.char_indices().rev().nth(31).map_or(0, |(at, _)| at);
    window.groups().len() == 1 && ["ssn", "social security"].iter().any(|word| before[near..].contains(word))
}

#[cfg(test)]
mod tests {
    use crate::find::by_rules;
    use crate::kind::Kind;

    fn found(text: &str) -> Vec<&str> {
        by_rules(text, &[Kind::Ssn]).into_iter().map(|find| &text[find.range]).collect()
    }

    #[test]
    fn only_what_can_be_given_out_is_found() {
        assert_eq!(found("it is 123-45-6789, or 123 45 6789"), ["123-45-6789", "123 45 6789"]);
        assert_eq!(found("my SSN: 123456789."), ["123456789"]);
        for other in
            ["000-12-3456", "666-12-3456", "912-12-3456", "123-00-4567", "123-45-0000", "123456789", "123-45 6789"]
        {
            assert_eq!(found(other), Vec::<&str>::new(), "{other}");
        }
    }
}
