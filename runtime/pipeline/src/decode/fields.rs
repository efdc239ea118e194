//! Reading a table key by key.

use super::context::{Context, did_you_mean, hinted};
use crate::spanned::Spanned;
use crate::tree::{Node, Table, Value};

/// A table being read. The keys that were asked for are the keys that are legal, so the schema is written once, as the
/// code that reads it.
pub(super) struct Fields<'a> {
    table: &'a Table,
    place: Spanned<()>,
    /// What the table describes, such as `a rung`.
    what: &'static str,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The table `node`, or a report that it is none.
    pub(super) fn of(node: &'a Node, what: &'static str, cx: &mut Context) -> Option<Self> {
        match &node.value {
            Value::Table(table) => Some(Self { table, place: node.with(()), what, asked: Vec::new() }),
            Value::Invalid => None,
            other => {
                let message = format!("{what} must be a table, not {}", other.kind());
                cx.report(node.mistake(message, ""));
                None
            }
        }
    }

    /// The value of `key`.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.table.get(key)
    }

    /// The value of `key`, read; `None` where it is absent or wrong.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        cx: &mut Context,
        read: impl FnOnce(&str, &'a Node, &mut Context) -> Option<T>,
    ) -> Option<T> {
        read(key, self.get(key)?, cx)
    }

    /// The value of `key`, read; its absence is reported.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        cx: &mut Context,
        read: impl FnOnce(&str, &'a Node, &mut Context) -> Option<T>,
    ) -> Option<T> {
        let node = self.get(key);
        if node.is_none() {
            self.report_missing(format!("{} needs `{key}`", self.what), cx);
        }
        read(key, node?, cx)
    }

    /// Reports `message` at the table, unless a syntax error may hide what is missing.
    pub(super) fn report_missing(&self, message: impl Into<String>, cx: &mut Context) {
        cx.report_if_whole(self.place.mistake(message, ""));
    }

    /// Reports every key that was not asked for.
    pub(super) fn finish(self, cx: &mut Context) {
        for entry in &self.table.0 {
            let key = &entry.key;
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            let problem = key.mistake(format!("unknown key `{}`", key.value), format!("not a key of {}", self.what));
            let hint = match key.as_str() {
                rule @ ("threshold" | "margin") if self.asked.contains(&"accept") => {
                    Some(format!("write `accept = {{ {rule} = ... }}`"))
                }
                wrong => did_you_mean(wrong, self.asked.iter().copied(), "its keys are"),
            };
            cx.report(hinted(problem, hint));
        }
    }
}
