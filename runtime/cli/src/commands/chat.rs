//! `runtime chat`: a conversation with a language model, line by line.
//!
//! Standard output has the answers alone; what is said beside them goes to stderr.

mod conversation;
mod input;
mod order;
mod saved;

use std::time::Duration;

use futures::executor::block_on;
use runtime_diagnostics::{Exit, Explain, Problem, Problems};
use runtime_engine::{Adapters, Error, LanguageModel};
use serde_json::{Map, Value};

use crate::args::{Chat, Param};
use crate::failure::{Failure, report};
use crate::generating::{Asked, Interrupts, Stats, Stop, Told, Voice, aside, generate, load};
use crate::output::{count, say, seconds};
use conversation::Conversation;
use input::{Heard, Input};
use order::{HELP, Order};

pub(crate) fn run(options: &Chat) -> Result<Exit, Failure> {
    let params = options.how.params()?;
    let mut conversation = Conversation::new();
    if let Some(file) = &options.load {
        conversation = saved::load(file)?;
    }
    if options.system.is_some() {
        conversation.set_system(options.system.clone());
    }
    let adapters = load(&options.model, &options.how, &params)?;
    let model = adapters.plain().clone();
    if !model.is_chat() {
        let folder = model.folder().path().to_owned();
        let error = runtime_chat::Error::NoTemplate { folder };
        let hint = "it was not made for conversations; `runtime generate` goes on from a text with it";
        return Err(Problem::new(error.exit(), error.to_string()).hint(hint).into());
    }
    // So that what does not fit is told before anybody types.
    model.configured(&params)?;
    let mut input = Input::open()?;
    if input.is_person() {
        greet(options, &model, &conversation);
    }
    let interrupts = Interrupts::take()?;
    let mut session = Session {
        model,
        adapters,
        params,
        conversation,
        voice: Voice::new(),
        interrupts,
        last: None,
        total: Total::default(),
    };
    session.talk(&mut input)
}

/// What a person reads first.
fn greet(options: &Chat, model: &LanguageModel, conversation: &Conversation) {
    let context = model.context().map(|context| format!(", {}", count(context, "token"))).unwrap_or_default();
    aside(&format!("{}{context}; /help lists the commands, Ctrl-D leaves", options.model.model));
    if let Some(file) = &options.load {
        aside(&format!("{} of {}", count(conversation.messages().len(), "message"), file.display()));
    }
}

/// A conversation under way.
struct Session {
    /// The model with the adapter that was chosen last.
    model: LanguageModel,
    adapters: Adapters,
    params: Map<String, Value>,
    conversation: Conversation,
    voice: Voice,
    interrupts: Interrupts,
    /// What the last answer took.
    last: Option<Stats>,
    total: Total,
}

/// What all answers took.
#[derive(Default)]
struct Total {
    answers: usize,
    prompt_tokens: usize,
    cached_tokens: usize,
    new_tokens: usize,
    time: Duration,
}

impl Session {
    /// Takes lines until there are no more; where no person gives them, the gravest of what went wrong.
    fn talk(&mut self, input: &mut Input) -> Result<Exit, Failure> {
        let mut exit = Exit::Ok;
        let mut leaving = false;
        loop {
            let line = match input.next()? {
                Heard::End => break,
                Heard::Interrupt if leaving => break,
                Heard::Interrupt => {
                    leaving = true;
                    aside("Ctrl-C again, or Ctrl-D, leaves");
                    continue;
                }
                Heard::NotText(at) => {
                    leaving = false;
                    let at = at.map(|at| format!(" from byte {at} on")).unwrap_or_default();
                    let problem = Problem::new(Exit::Data, format!("the line is not UTF-8{at}, and is passed over"));
                    exit = exit.max(problem.exit());
                    report(&Problems::from(problem.hint("`iconv -t UTF-8` converts a text")));
                    continue;
                }
                Heard::Line(line) => line,
            };
            leaving = false;
            if line.trim().is_empty() {
                continue;
            }
            let done = match Order::parse(&line) {
                Ok(None) => match self.answer(&line) {
                    Ok(()) => Ok(()),
                    Err(Stop::Engine(error)) => Err(explained(&error)),
                    Err(stop) => return stop.exit(),
                },
                Ok(Some(Order::Quit)) => break,
                Ok(Some(order)) => self.obey(order),
                Err(problem) => Err(problem),
            };
            if let Err(problem) = done {
                exit = exit.max(problem.exit());
                report(&Problems::from(problem));
            }
        }
        Ok(if input.is_person() { Exit::Ok } else { exit })
    }

    /// Answers a message. What cannot be answered leaves the conversation as it was.
    fn answer(&mut self, line: &str) -> Result<(), Stop> {
        self.conversation.ask(line);
        let told = self.tell();
        let told = match told {
            Ok(told) => told,
            Err(stop) => {
                self.conversation.take_back();
                return Err(stop);
            }
        };
        let Told { mut sequences, stats, interrupted } = told;
        let answer = sequences.swap_remove(0);
        self.voice.say("\n")?;
        if interrupted && answer.text.is_empty() {
            self.conversation.take_back();
            aside("stopped; the message is taken back");
            return Ok(());
        }
        self.conversation.answer(&answer.text);
        if self.voice.is_terminal() {
            let rate = stats.new_rate().map(|rate| format!(", {rate:.1} tokens/s")).unwrap_or_default();
            let stopped = if interrupted { ", stopped" } else { "" };
            aside(&format!("{}{rate}{stopped}", count(stats.new_tokens, "token")));
        }
        if let Some(why) = stats.why_cut() {
            let way = if stats.is_cut_as_asked() {
                "`/params max_new_tokens=N` sets another"
            } else {
                "`/reset` begins anew"
            };
            aside(&format!("{why}; {way}"));
        }
        self.total.add(&stats);
        self.last = Some(stats);
        Ok(())
    }

    fn tell(&mut self) -> Result<Told, Stop> {
        let tokens = self.model.chat_tokens(&self.conversation.chat())?;
        let config = self.model.configured(&self.params)?;
        let mut said = false;
        self.interrupts.begin();
        let asked = Asked { tokens, config, goes_on: false, keep: true };
        let voice = &self.voice;
        let told = block_on(generate(&self.model, asked, Some(&mut self.interrupts), |place, text| {
            // A conversation goes on from one answer, the first.
            if place > 0 {
                return Ok(());
            }
            said |= !text.is_empty();
            voice.say(text)
        }));
        self.interrupts.end();
        if told.is_err() && said {
            // So that the error begins a line.
            let _unheard = self.voice.say("\n");
        }
        told
    }

    fn choose(&mut self, name: &str) -> Result<(), Problem> {
        if self.adapters.names().next().is_none() {
            let problem = Problem::new(Exit::Usage, "there are no adapters to choose from");
            return Err(problem.hint("`runtime chat --adapter NAME=FOLDER` gives some, each with its name"));
        }
        self.model = self.adapters.get(name).map_err(|error| explained(&error))?.clone();
        aside(&match name {
            "" => "the model answers without an adapter".to_owned(),
            name => format!("the model answers with the adapter `{name}`"),
        });
        Ok(())
    }

    fn obey(&mut self, order: Order) -> Result<(), Problem> {
        match order {
            Order::System(text) => {
                let told = if text.is_some() { "the system message is set" } else { "there is no system message" };
                self.conversation.set_system(text);
                aside(&format!("{told}; the conversation goes on with it, and `/reset` begins anew"));
            }
            Order::Adapter(name) => self.choose(&name)?,
            Order::Reset => {
                self.conversation.reset();
                aside("the conversation begins anew");
            }
            Order::Save(file) => {
                saved::save(&self.conversation, &file)?;
                aside(&format!("{} in {}", count(self.conversation.messages().len(), "message"), file.display()));
            }
            Order::Params(given) => self.set(given)?,
            Order::Stats => say(&self.stats()),
            Order::Help => say(HELP),
            Order::Quit => {}
        }
        Ok(())
    }

    /// Sets parameters, if all go together; without any, tells those that are set.
    fn set(&mut self, given: Vec<Param>) -> Result<(), Problem> {
        if given.is_empty() {
            let one = |(name, value): (&String, &Value)| format!("{name}={value}");
            let set: Vec<String> = self.params.iter().map(one).collect();
            let set = if set.is_empty() { "none".to_owned() } else { set.join(" ") };
            aside(&format!("beside those of the model: {set}"));
            return Ok(());
        }
        let mut params = self.params.clone();
        params.extend(given.into_iter().map(|param| (param.name, param.value)));
        self.model.configured(&params).map_err(|error| Problem::of(&error))?;
        self.params = params;
        Ok(())
    }

    fn stats(&self) -> String {
        let Some(last) = &self.last else { return "nothing has been answered yet\n".to_owned() };
        let total = &self.total;
        let used = last.prompt_tokens + last.new_tokens;
        let context = match self.model.context() {
            Some(context) => format!("context: {used} of {}\n", count(context, "token")),
            None => format!("context: {}\n", count(used, "token")),
        };
        let all = format!(
            "all {}: {} ({} known from before), {} in {}\n",
            count(total.answers, "answer"),
            count(total.prompt_tokens, "prompt token"),
            total.cached_tokens,
            count(total.new_tokens, "new token"),
            seconds(total.time),
        );
        format!("last answer: {}\n{all}{context}", last.line())
    }
}

impl Total {
    fn add(&mut self, stats: &Stats) {
        self.answers += 1;
        self.prompt_tokens += stats.prompt_tokens;
        self.cached_tokens += stats.cached_tokens;
        self.new_tokens += stats.new_tokens;
        self.time += stats.time;
    }
}

/// What is wrong, in a conversation.
fn explained(error: &Error) -> Problem {
    match error {
        Error::PromptTooLong { tokens, limit, .. } => {
            let message =
                format!("with this message the conversation has {tokens} tokens, and the model takes {limit} in all");
            Problem::new(error.exit(), message)
                .hint("the message is taken back; `/reset` begins anew, `/save FILE` keeps what there is")
        }
        other => Problem::of(other),
    }
}
