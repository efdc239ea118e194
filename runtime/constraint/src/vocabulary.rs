//! The tokens of a model, by their bytes, and the constraints that were compiled over them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use llguidance::ParserFactory;
use llguidance::toktrie::{ApproximateTokEnv, INVALID_TOKEN, TokEnv, TokRxInfo, TokTrie};
use runtime_generation::Constraint;
use runtime_models::{TokenBytes, Tokenizer};

use crate::grammar::{self, grammar};
use crate::reason::NO_TOKEN;
use crate::{Error, Matcher};

/// Constraints that are kept compiled, at most.
const KEPT: usize = 16;

/// Bytes of stack to compile on: the library calls itself for each rule that another leads to. What is not touched takes
/// no memory.
const STACK: usize = 512 << 20;

/// Bytes of a token, at most: the trie has a limit. Longer ones, of which none is known, are never allowed.
const LONGEST: usize = 1000;

/// The tokens of a model, which constraints are compiled over. It is for all requests.
pub struct Vocabulary {
    factory: ParserFactory,
    space: Option<u32>,
    /// The last that were asked for, the latest in front.
    kept: Mutex<VecDeque<(Constraint, bool, Matcher)>>,
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vocabulary").field("tokens", &self.factory.tok_env().tok_trie().vocab_size()).finish()
    }
}

impl Vocabulary {
    /// That of a model that gives scores of `size` tokens.
    ///
    /// # Errors
    /// Where the tokenizer does not say what bytes its tokens stand for.
    pub fn new(tokenizer: &Tokenizer, size: usize) -> Result<Self, Error> {
        let mut tokens = tokenizer.token_bytes().ok_or(Error::Tokenizer)?;
        tokens.resize(size, None);
        Self::of(&tokens.into_iter().map(word).collect::<Vec<_>>())
    }

    /// One of single bytes, which can write all that any model's can.
    pub(crate) fn of_bytes() -> Result<Self, Error> {
        Self::of(&(u8::MIN..=u8::MAX).map(|byte| word(Some(TokenBytes::Text(vec![byte])))).collect::<Vec<_>>())
    }

    fn of(words: &[Vec<u8>]) -> Result<Self, Error> {
        let space = (0..).zip(words).find(|(_, word)| word.first() == Some(&b' ')).map(|(token, _)| token);
        // Which tokens end a text is up to each request, so that the trie has none.
        let count = u32::try_from(words.len()).map_err(|_| Error::Tokenizer)?;
        let trie = TokTrie::from(&TokRxInfo::new(count, INVALID_TOKEN), words);
        let tokens: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new_simple(&tokens).map_err(|_| Error::Tokenizer)?;
        // What is wrong is told by the error alone; nothing is written to stderr.
        factory.quiet().limits_mut().verbose_errors = false;
        Ok(Self { factory, space, kept: Mutex::default() })
    }

    /// A token whose text begins with a space, if there is one.
    pub fn space(&self) -> Option<u32> {
        self.space
    }

    /// A matcher at the start of a text. `behind_space` where the decoder drops the space that the first token begins
    /// with; the text that is left satisfies the constraint then.
    ///
    /// # Errors
    /// Where the constraint is wrong, or no text but the empty one satisfies it.
    pub fn compile(&self, constraint: &Constraint, behind_space: bool) -> Result<Matcher, Error> {
        if let Some(matcher) = self.known(constraint, behind_space) {
            return Ok(matcher);
        }
        let compiled = self.compiled(constraint, behind_space);
        // What is wrong for any model is told as that.
        let compiled = compiled.map_err(|error| check(constraint).err().unwrap_or(error))?;
        let matcher = compiled.apart();
        let mut kept = self.kept();
        kept.push_front((constraint.clone(), behind_space, compiled));
        kept.truncate(KEPT);
        Ok(matcher)
    }

    fn compiled(&self, constraint: &Constraint, behind_space: bool) -> Result<Matcher, Error> {
        grammar::check(constraint)?;
        let compile = || {
            let parser = self.factory.create_parser(grammar(constraint, behind_space));
            Matcher::new(llguidance::Matcher::new(parser), constraint)
        };
        let failed = || {
            let reason = "it cannot be compiled".to_owned();
            Error::Refused { name: constraint.name(), reason, hint: None }
        };
        let compiled = thread::scope(|scope| {
            thread::Builder::new().stack_size(STACK).spawn_scoped(scope, compile).ok()?.join().ok()
        });
        compiled.ok_or_else(failed)?
    }

    /// One that was compiled before.
    fn known(&self, constraint: &Constraint, behind_space: bool) -> Option<Matcher> {
        let mut kept = self.kept();
        let place = kept.iter().position(|(of, behind, _)| of == constraint && *behind == behind_space)?;
        let known = kept.remove(place)?;
        let matcher = known.2.apart();
        kept.push_front(known);
        Some(matcher)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(Constraint, bool, Matcher)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What can be said of a constraint before a model is known.
///
/// # Errors
/// Where no model can follow it: it is wrong, too large, or no text but the empty one satisfies it.
pub fn check(constraint: &Constraint) -> Result<(), Error> {
    match Vocabulary::of_bytes()?.compiled(constraint, false) {
        // Tokens that are no text are a model's.
        Ok(_) | Err(Error::NoToken { .. }) => Ok(()),
        Err(Error::Unsatisfiable { name, reason }) if reason == NO_TOKEN => {
            Err(Error::Unsatisfiable { name, reason: "there is nothing that it could begin with".to_owned() })
        }
        Err(error) => Err(error),
    }
}

/// A token as the trie has it: special ones behind a byte that is in no text, the empty word for what never comes.
fn word(token: Option<TokenBytes>) -> Vec<u8> {
    const MARKER: u8 = TokTrie::SPECIAL_TOKEN_MARKER;
    match token {
        Some(TokenBytes::Special(name)) => [&[MARKER], name.as_bytes()].concat(),
        Some(TokenBytes::Text(bytes)) if bytes.len() <= LONGEST && !bytes.contains(&MARKER) => bytes,
        _ => Vec::new(),
    }
}
