//! `joiner` and `cycler`: objects that give something else each time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::value::Object;
use minijinja::{Error, ErrorKind, State, Value};

use crate::methods::invalid;

/// Nothing when it is called first, then the separator.
#[derive(Debug)]
pub(crate) struct Joiner {
    pub(crate) separator: String,
    pub(crate) used: Mutex<bool>,
}

impl Object for Joiner {
    fn call(self: &std::sync::Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        let mut used = self.used.lock().map_err(|_| invalid("the joiner is broken"))?;
        let text = if std::mem::replace(&mut *used, true) { self.separator.as_str() } else { "" };
        Ok(Value::from(text))
    }
}

/// Each item in turn.
#[derive(Debug)]
pub(crate) struct Cycler {
    pub(crate) items: Vec<Value>,
    pub(crate) at: AtomicUsize,
}

impl Object for Cycler {
    fn get_value(self: &std::sync::Arc<Self>, key: &Value) -> Option<Value> {
        let at = self.at.load(Ordering::Relaxed) % self.items.len().max(1);
        (key.as_str() == Some("current")).then(|| self.items.get(at).cloned()).flatten()
    }

    fn call_method(
        self: &std::sync::Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "next" if !self.items.is_empty() => {
                let at = self.at.fetch_add(1, Ordering::Relaxed) % self.items.len();
                Ok(self.items[at].clone())
            }
            "reset" => {
                self.at.store(0, Ordering::Relaxed);
                Ok(Value::from(()))
            }
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }
}
