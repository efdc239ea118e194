//! What a line that begins with a slash orders.

use std::path::PathBuf;

use runtime_diagnostics::{Exit, Problem, nearest};

use crate::args::Param;

pub(super) const HELP: &str = "\
/system TEXT        set the system message; without a text there is none
/reset              forget the conversation; the system message stays
/save FILE          write the conversation as JSON messages; `--load FILE` goes on with it
/params NAME=VALUE  set parameters of the generation, such as `temperature=0.7 do_sample=true`; `null` turns one off
/adapter NAME       answer with one of the adapters that were given names; without a name with none
/stats              tokens, rates, and how much of the context is used
/help               this
/quit               leave; also Ctrl-D
A message that begins with a slash is sent with a blank before it. Ctrl-C stops an answer.
";

const NAMES: [&str; 9] = ["/system", "/reset", "/save", "/params", "/adapter", "/stats", "/help", "/quit", "/exit"];

/// A command of the conversation.
#[derive(Debug, PartialEq)]
pub(super) enum Order {
    System(Option<String>),
    Reset,
    Save(PathBuf),
    Params(Vec<Param>),
    Adapter(String),
    Stats,
    Help,
    Quit,
}

impl Order {
    /// What a line orders; `None` where it is a message.
    ///
    /// # Errors
    /// Where there is no such command, or it lacks what it needs.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, Problem> {
        if !line.starts_with('/') {
            return Ok(None);
        }
        let (name, rest) = line.trim_end().split_once(char::is_whitespace).unwrap_or((line.trim_end(), ""));
        let rest = rest.trim();
        let usage = |message: String, hint: &str| Err(Problem::new(Exit::Usage, message).hint(hint));
        let alone = |order: Self| match rest {
            "" => Ok(Some(order)),
            _ => usage(format!("`{name}` takes nothing behind it"), "a blank before a line makes it a message"),
        };
        match name {
            "/system" => Ok(Some(Self::System(Some(rest.to_owned()).filter(|text| !text.is_empty())))),
            "/save" if rest.is_empty() => usage("`/save` needs a file".to_owned(), "write `/save chat.json`"),
            "/save" => Ok(Some(Self::Save(PathBuf::from(rest)))),
            "/params" => params(rest).map(|params| Some(Self::Params(params))),
            "/adapter" => Ok(Some(Self::Adapter(rest.to_owned()))),
            "/reset" => alone(Self::Reset),
            "/stats" => alone(Self::Stats),
            "/help" => alone(Self::Help),
            "/quit" | "/exit" => alone(Self::Quit),
            _ => match nearest(name, NAMES) {
                Some(near) => usage(format!("there is no command `{name}`"), &format!("did you mean `{near}`?")),
                None => usage(
                    format!("there is no command `{name}`"),
                    "`/help` lists them; a blank before a line makes it a message",
                ),
            },
        }
    }
}

/// `a=1 b=[2, 3]`: a value goes on up to the next name, unless all that follows is one JSON value.
fn params(text: &str) -> Result<Vec<Param>, Problem> {
    let mut params = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let value = rest.find('=').map_or(rest.len(), |place| place + 1);
        let whole = serde_json::from_str::<serde_json::Value>(&rest[value..]).is_ok();
        let end = if whole { rest.len() } else { value + next_name(&rest[value..]) };
        let param = rest[..end].trim().parse::<Param>();
        params.push(param.map_err(|error| {
            Problem::new(Exit::Usage, error).hint("write `/params NAME=VALUE`, such as `/params temperature=0.7`")
        })?);
        rest = rest[end..].trim_start();
    }
    Ok(params)
}

/// Where the next `name=` begins.
fn next_name(text: &str) -> usize {
    let starts = text.char_indices().filter(|(_, char)| char.is_whitespace()).map(|(place, _)| place);
    let names = |place: &usize| {
        let word = text[*place..].trim_start();
        let name = word.split('=').next().unwrap_or_default();
        name.len() < word.len() && !name.is_empty() && name.chars().all(|char| char.is_alphanumeric() || char == '_')
    };
    starts.into_iter().find(names).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Order>, String> {
        Order::parse(line).map_err(|problem| format!("{problem} ({})", problem.advice().unwrap_or_default()))
    }

    #[test]
    fn lines_are_messages_or_orders() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(parsed("hello /reset"), Ok(None));
        assert_eq!(parsed(" /reset"), Ok(None));
        assert_eq!(parsed("/reset "), Ok(Some(Order::Reset)));
        assert_eq!(parsed("/system  be  kind "), Ok(Some(Order::System(text("be  kind")))));
        assert_eq!(parsed("/system"), Ok(Some(Order::System(None))));
        assert_eq!(parsed("/save my chat.json"), Ok(Some(Order::Save("my chat.json".into()))));
        assert_eq!(parsed("/adapter formal"), Ok(Some(Order::Adapter("formal".to_owned()))));
        assert_eq!(parsed("/adapter"), Ok(Some(Order::Adapter(String::new()))));
        assert_eq!(parsed("/exit"), Ok(Some(Order::Quit)));
        for (line, part) in [
            ("/rest", "there is no command `/rest` (did you mean `/reset`?)"),
            ("/etc/passwd", "a blank before a line makes it a message"),
            ("/save", "needs a file"),
            ("/quit now", "`/quit` takes nothing"),
            ("/params top_k", "write `/params NAME=VALUE`"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
        for name in NAMES {
            assert!(HELP.contains(name) || name == "/exit", "{name}");
        }
    }

    #[test]
    fn parameters_follow_one_another() {
        let found = |text: &str| {
            let params = params(text).expect("parameters");
            params.into_iter().map(|param| format!("{}:{}", param.name, param.value)).collect::<Vec<_>>()
        };
        assert_eq!(found(""), Vec::<String>::new());
        assert_eq!(found("temperature=0.7 do_sample=true"), ["temperature:0.7", "do_sample:true"]);
        assert_eq!(found("stop_strings=[\"a b=c\", \"d\"]"), ["stop_strings:[\"a b=c\",\"d\"]"]);
        assert_eq!(found("a=[1, 2]  b=x y"), ["a:[1,2]", "b:\"x y\""]);
    }
}
