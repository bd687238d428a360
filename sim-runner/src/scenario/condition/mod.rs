//! Conditions and events (language section 7), read by recursive descent.
//!
//! ```text
//! any     = both { "or" both }            both = one { "and" one }
//! one     = "not" one | atom [ "at" T ]
//! atom    = "(" any ")" | state | number OP value
//! ```
//!
//! `at` binds to the atom before it; parentheses widen it. An event is an occurrence and not a state
//! of affairs: it cannot be joined with others, only counted.

mod event;
mod show;
mod token;

pub use event::{event, is_event, show_event};
pub use show::show;

use self::event::event_of;
use self::token::{Argument, Kind, Token, takes_nothing, tokens};
use super::model::{Condition, Fact, Number, State, Target};
use super::target::{self, Names, Setting, did_you_mean, not_built};
use super::values::Fault;
use super::words::{EVENTS, NUMBERS, STATES};

/// Parentheses and `not` deeper than this are nonsense, and would cost stack.
const DEEPEST: usize = 32;

/// A condition or an event.
///
/// # Errors
/// The first thing that is wrong.
pub fn fact(text: &str, names: &Names) -> Result<Fact, Fault> {
    let tokens = tokens(text)?;
    if let [token] = tokens.as_slice()
        && let Kind::Word { name, argument } = &token.kind
        && is_event(name)
    {
        return event_of(token, name, argument.as_ref(), names).map(Fact::Event);
    }
    condition(text, names).map(Fact::Condition)
}

/// A condition.
///
/// # Errors
/// The first thing that is wrong.
pub fn condition(text: &str, names: &Names) -> Result<Condition, Fault> {
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens: &tokens, next: 0, names, depth: 0 };
    let condition = parser.any()?;
    match parser.peek() {
        None => Ok(condition),
        Some(token) => Err(Fault::new(token.range.clone(), "this does not belong here")
            .help("join conditions with \"and\" or \"or\"")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    next: usize,
    names: &'a Names,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next)
    }

    fn end(&self) -> Fault {
        Fault::new(0..self.text.len(), "a condition is missing here")
            .help("for example \"one-leader\" or \"voters >= 3\"")
    }

    fn accept(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token { kind: Kind::Word { name, .. }, .. }) if name == word);
        self.next += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Condition, Fault> {
        let mut left = self.both()?;
        while self.accept("or") {
            left = Condition::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Condition, Fault> {
        let mut left = self.one()?;
        while self.accept("and") {
            left = Condition::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Condition, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Fault::new(0..self.text.len(), "this condition is nested too deeply"));
        }
        let condition = if self.accept("not") {
            Condition::Not(Box::new(self.one()?))
        } else {
            let atom = self.atom()?;
            if self.accept("at") { Condition::At(Box::new(atom), self.place()?) } else { atom }
        };
        self.depth -= 1;
        Ok(condition)
    }

    /// The `T` of `at T`.
    fn place(&mut self) -> Result<Target, Fault> {
        let token = self.peek().ok_or_else(|| self.end())?;
        // `not(n1)` is read as a word and a parenthesis: take all of it.
        let mut range = token.range.clone();
        self.next += 1;
        if &self.text[range.clone()] == "not" {
            while let Some(token) = self.peek() {
                self.next += 1;
                range.end = token.range.end;
                if matches!(token.kind, Kind::Close) {
                    break;
                }
            }
        }
        target::parse(&self.text[range.clone()], self.names, Setting::Plain)
            .map_err(|fault| fault.shifted(range.start))
    }

    fn atom(&mut self) -> Result<Condition, Fault> {
        let token = self.peek().ok_or_else(|| self.end())?;
        self.next += 1;
        match &token.kind {
            Kind::Open => {
                let inside = self.any()?;
                match self.peek() {
                    Some(Token { kind: Kind::Close, .. }) => self.next += 1,
                    _ => {
                        return Err(Fault::new(
                            token.range.clone(),
                            "this parenthesis is not closed",
                        ));
                    }
                }
                Ok(inside)
            }
            Kind::Word { name, argument } => self.named(token, name, argument.as_ref()),
            _ => Err(Fault::new(token.range.clone(), "a condition is missing here")),
        }
    }

    fn named(
        &mut self,
        token: &Token,
        name: &str,
        argument: Option<&Argument>,
    ) -> Result<Condition, Fault> {
        if NUMBERS.has(name) {
            let number = number_of(token, name, argument, self.names)?;
            return self.comparison(token, number);
        }
        if STATES.has(name) {
            return self.state(token, name, argument).map(Condition::State);
        }
        let range = token.range.start..token.range.start + name.len();
        if is_event(name) && !EVENTS.plans(name) {
            let written = &self.text[token.range.clone()];
            return Err(Fault::new(
                range,
                format!("{name:?} is an event: it happens, it does not last"),
            )
            .help(format!("count it: \"count({written}) > 0\"")));
        }
        for (list, kind) in [(STATES, "condition"), (NUMBERS, "number"), (EVENTS, "event")] {
            if list.plans(name) {
                return Err(Fault::new(range, not_built(kind, name)));
            }
        }
        let known = STATES.all().chain(NUMBERS.all()).chain(EVENTS.all());
        Err(did_you_mean(Fault::new(range, format!("unknown condition {name:?}")), name, known))
    }

    fn comparison(&mut self, token: &Token, number: Number) -> Result<Condition, Fault> {
        let help = format!("for example \"{} >= 1\"", &self.text[token.range.clone()]);
        let missing = |found: Option<&Token>, message: &str| {
            let place = found.unwrap_or(token).range.clone();
            Fault::new(place, message).help(help.as_str())
        };
        let Some(Token { kind: Kind::Operator(operator), .. }) = self.peek() else {
            return Err(missing(None, "a number must be compared with one"));
        };
        self.next += 1;
        let Some(Token { kind: Kind::Value(value), .. }) = self.peek() else {
            return Err(missing(self.peek(), "a whole number must follow the operator"));
        };
        self.next += 1;
        Ok(Condition::Compare(number, *operator, *value))
    }

    fn state(
        &self,
        token: &Token,
        name: &str,
        argument: Option<&Argument>,
    ) -> Result<State, Fault> {
        let plain = match name {
            "one-leader" => Some(State::OneLeader),
            "no-leader" => Some(State::NoLeader),
            "writable" => Some(State::Writable),
            "logs-converged" => Some(State::LogsConverged),
            "members-converged" => Some(State::MembersConverged),
            "catalog-converged" => Some(State::CatalogConverged),
            _ => None,
        };
        if name == "locked" {
            return match argument {
                Some(argument) if !argument.text.is_empty() => {
                    Ok(State::Locked(argument.text.clone()))
                }
                _ => Err(Fault::new(token.range.clone(), "\"locked\" needs the key of a lock")
                    .help("for example \"locked('lock/0')\"")),
            };
        }
        if matches!(name, "registered" | "passing" | "critical") {
            let service = service_of(token, name, argument)?;
            return Ok(match name {
                "registered" => State::Registered(service),
                "passing" => State::Passing(service),
                _ => State::Critical(service),
            });
        }
        match (plain, argument) {
            (Some(state), None) => Ok(state),
            (Some(_), Some(argument)) => Err(takes_nothing(name, argument)),
            (None, None) => {
                Err(Fault::new(token.range.clone(), format!("{name:?} needs a target"))
                    .help(format!("for example \"{name}(n1)\"")))
            }
            (None, Some(argument)) => {
                let target = target::parse(&argument.text, self.names, Setting::Plain)
                    .map_err(|fault| Fault { range: argument.range.clone(), ..fault })?;
                Ok(match name {
                    "leader" => State::Leader(target),
                    "up" => State::Up(target),
                    "down" => State::Down(target),
                    "alive" => State::Alive(target),
                    "failed" => State::Failed(target),
                    "left" => State::Left(target),
                    "member" => State::Member(target),
                    _ => State::Voter(target),
                })
            }
        }
    }
}

fn number_of(
    token: &Token,
    name: &str,
    argument: Option<&Argument>,
    names: &Names,
) -> Result<Number, Fault> {
    if name == "count" {
        let Some(argument) = argument else {
            return Err(Fault::new(token.range.clone(), "\"count\" needs an event")
                .help("for example \"count(leader-elected) >= 2\""));
        };
        // A quoted argument has lost its quotes; an event's own argument keeps its.
        let event = event(&argument.text, names)
            .map_err(|fault| Fault { range: argument.range.clone(), ..fault })?;
        return Ok(Number::Count(event));
    }
    match name {
        "instances" => return service_of(token, name, argument).map(Number::Instances),
        "healthy" => return service_of(token, name, argument).map(Number::Healthy),
        _ => {}
    }
    if let Some(argument) = argument {
        return Err(takes_nothing(name, argument));
    }
    Ok(match name {
        "leaders" => Number::Leaders,
        "leaders-per-term" => Number::LeadersPerTerm,
        "voters" => Number::Voters,
        "members" => Number::Members,
        "term" => Number::Term,
        "ok-ratio" => Number::OkRatio,
        "unknown-ops" => Number::UnknownOps,
        _ => Number::LongestOutage,
    })
}

/// The service that a condition is about.
fn service_of(token: &Token, name: &str, argument: Option<&Argument>) -> Result<String, Fault> {
    match argument {
        Some(argument) if !argument.text.is_empty() => Ok(argument.text.clone()),
        _ => Err(Fault::new(token.range.clone(), format!("{name:?} needs the name of a service"))
            .help(format!("for example \"{name}(web)\""))),
    }
}
