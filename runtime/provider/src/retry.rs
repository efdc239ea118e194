//! How long to wait before another attempt.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use ureq::http::HeaderMap;

/// The longest wait between attempts; an endpoint that asks for more is not waited for.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// The wait that an endpoint asks for: in seconds, in milliseconds (OpenAI) or until a time.
pub(crate) fn asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| text(name)?.parse::<f64>().ok();
    let wait = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
    if let Some(wait) = number("retry-after-ms").and_then(|millis| wait(millis / 1000.0)) {
        return Some(wait);
    }
    if let Some(wait) = number("retry-after").and_then(wait) {
        return Some(wait);
    }
    let until = DateTimeParser::new().parse_timestamp(text("retry-after")?).ok()?;
    let wait = until.duration_since(Timestamp::try_from(now).ok()?);
    Some(Duration::try_from(wait).unwrap_or_default())
}

/// The wait before attempt `next` (2 is the second): `pause`, doubled each time.
pub(crate) fn growing(pause: Duration, next: u32) -> Duration {
    pause.saturating_mul(1 << next.saturating_sub(2).min(16)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn with(name: &'static str, value: &'static str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a value"));
        asked(&headers, UNIX_EPOCH + Duration::from_secs(1_000_000_000))
    }

    #[test]
    fn an_endpoint_can_say_how_long() {
        assert_eq!(with("retry-after", "3"), Some(Duration::from_secs(3)));
        assert_eq!(with("retry-after", "0.25"), Some(Duration::from_millis(250)));
        assert_eq!(with("retry-after-ms", "40"), Some(Duration::from_millis(40)));
        assert_eq!(with("retry-after", "Sun, 09 Sep 2001 01:46:45 GMT"), Some(Duration::from_secs(5)));
        assert_eq!(with("retry-after", "Sun, 09 Sep 2001 01:46:35 GMT"), Some(Duration::ZERO));
        for nothing in ["soon", "-1", "NaN", "1e300"] {
            assert_eq!(with("retry-after", nothing), None, "{nothing}");
        }
        assert_eq!(asked(&HeaderMap::new(), UNIX_EPOCH), None);
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits = [2, 3, 4, 40].map(|next| growing(Duration::from_millis(500), next).as_millis());
        assert_eq!(waits, [500, 1000, 2000, 60_000]);
    }
}
