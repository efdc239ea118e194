//! `strftime_now`: the local date and time, in a format of C's `strftime`.

use jiff::Zoned;
use minijinja::{Error, ErrorKind};

/// The function of templates.
pub(crate) fn strftime_now(format: &str) -> Result<String, Error> {
    strftime(&Zoned::now(), format)
}

fn strftime(time: &Zoned, format: &str) -> Result<String, Error> {
    // Python's `datetime.now()` knows no time zone, of which these write nothing then.
    let format = format.replace("%Z", "").replace("%z", "");
    jiff::fmt::strtime::format(format.as_bytes(), time)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {error}")))
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
        ];
        for (format, text) in written {
            assert_eq!(strftime(&time, format).expect("a format"), text);
        }
    }
}
