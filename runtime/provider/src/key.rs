//! A key that is shown nowhere.

use std::fmt;

use ureq::http::HeaderValue;

use crate::Error;

/// A key, which prints as nothing.
#[derive(Clone)]
pub(crate) struct Key(String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// The key in an environment variable; `None` where it is not set, or empty.
    ///
    /// # Errors
    /// Where it holds what no header can.
    pub(crate) fn from_env(variable: &str) -> Result<Option<Self>, Error> {
        let unfit = || Error::Key { variable: variable.to_owned() };
        // Whether it is not set or not Unicode, there is no key in it; the latter is told.
        let Some(value) = std::env::var_os(variable) else { return Ok(None) };
        let key = value.to_str().ok_or_else(unfit)?.trim();
        if key.is_empty() {
            return Ok(None);
        }
        let key = Self(key.to_owned());
        key.header().map_err(|_| unfit())?;
        Ok(Some(key))
    }

    /// What proves who asks, marked so that it is not printed.
    pub(crate) fn header(&self) -> Result<HeaderValue, ureq::http::header::InvalidHeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// A text of the endpoint, in which the key may be.
    pub(crate) fn strike(&self, text: &str) -> String {
        text.replace(&self.0, "***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_never_shown() {
        let key = Key("sk-123".to_owned());
        assert_eq!(format!("{key:?} {:?}", key.header()), "Key(..) Ok(Sensitive)");
        assert_eq!(key.strike("wrong key: sk-123."), "wrong key: ***.");
    }
}
