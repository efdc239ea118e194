//! `strftime_now`: the local date and time, in a format of C's `strftime`.

use jiff::Zoned;
use minijinja::{Error, ErrorKind};

/// The function of templates.
pub(crate) fn strftime_now(format: &str) -> Result<String, Error> {
    strftime(&Zoned::now(), format)
}

fn strftime(time: &Zoned, format: &str) -> Result<String, Error> {
    jiff::fmt::strtime::format(plain(time, format).as_bytes(), time)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {error}")))
}

/// The format with directives that are the same everywhere. Those of a locale are as in C's own, and what C does not know
/// stays as it is.
fn plain(time: &Zoned, format: &str) -> String {
    let mut out = String::with_capacity(format.len());
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let directive = &rest[at + 1..];
        let letter = directive.trim_start_matches(['-', '_', '0', '^', '#']);
        let flags = &directive[..directive.len() - letter.len()];
        let char = letter.chars().next();
        match char {
            // Python's `datetime.now()` knows no time zone, of which these write nothing then.
            Some('Z' | 'z') => {}
            Some('c') => out.push_str("%a %b %e %H:%M:%S %Y"),
            Some('x') => out.push_str("%m/%d/%y"),
            Some('X') => out.push_str("%H:%M:%S"),
            Some('r') => out.push_str("%I:%M:%S %p"),
            Some('f') => out.push_str(&format!("{:06}", time.subsec_nanosecond() / 1_000)),
            Some(char) if "%aAbBhCdDeFgGHIjklmMnpPRsStTuUVwWyY".contains(char) => {
                out.push_str(&format!("%{flags}{char}"));
            }
            _ => out.push_str(&format!("%%{flags}{}", char.map_or_else(String::new, String::from))),
        }
        rest = &letter[char.map_or(0, char::len_utf8)..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Python 3.12 writes `datetime(2024, 7, 4, 9, 5, 3)`.
    #[test]
    fn dates_are_written_as_in_python() {
        let time: Zoned = "2024-07-04T09:05:03[UTC]".parse().expect("a date");
        let written = [
            ("%d %b %Y", "04 Jul 2024"),
            ("%Y-%m-%d %H:%M:%S", "2024-07-04 09:05:03"),
            ("%A, %B %-d, %Y", "Thursday, July 4, 2024"),
            ("%e|%j|%y|%I:%M %p|%a|%%", " 4|186|24|09:05 AM|Thu|%"),
            ("%Z%z.", "."),
            ("%x|%X|%c", "07/04/24|09:05:03|Thu Jul  4 09:05:03 2024"),
            ("%f|%r|%D|%R", "000000|09:05:03 AM|07/04/24|09:05"),
            ("%Q|100% %é|%", "%Q|100% %é|%"),
        ];
        for (format, text) in written {
            assert_eq!(strftime(&time, format).expect("a format"), text);
        }
    }
}
