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

use std::ops::Range;

use super::model::{Comparison, Condition, EventPattern, Fact, Number, State, Target};
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
        return event_of(token, name, argument.as_ref()).map(Fact::Event);
    }
    condition(text, names).map(Fact::Condition)
}

/// An event.
///
/// # Errors
/// It is none.
pub fn event(text: &str) -> Result<EventPattern, Fault> {
    let all = 0..text.len();
    match tokens(text)?.as_slice() {
        [token] => match &token.kind {
            Kind::Word { name, argument } => event_of(token, name, argument.as_ref()),
            _ => Err(Fault::new(all, "this is not an event")),
        },
        _ => Err(Fault::new(all, "this is not an event")),
    }
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

/// Whether a word names an event.
#[must_use]
pub fn is_event(name: &str) -> bool {
    EVENTS.has(name) || EVENTS.plans(name) || name.starts_with("mark:")
}

#[derive(Clone, Debug)]
struct Token {
    range: Range<usize>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Open,
    Close,
    Operator(Comparison),
    Value(u64),
    Word { name: String, argument: Option<Argument> },
}

/// What stands between a word's parentheses.
#[derive(Clone, Debug)]
struct Argument {
    range: Range<usize>,
    text: String,
}

fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let token = token(text, at, first)?;
        at = token.range.end;
        tokens.push(token);
    }
    Ok(tokens)
}

fn token(text: &str, at: usize, first: char) -> Result<Token, Fault> {
    let rest = &text[at..];
    let simple = |length, kind| Ok(Token { range: at..at + length, kind });
    let operators = [
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("!=", Comparison::NotEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
        ("=", Comparison::Equal),
    ];
    if let Some((sign, operator)) = operators.iter().find(|(sign, _)| rest.starts_with(sign)) {
        if rest.starts_with("==") {
            return Err(Fault::new(at..at + 2, "unknown operator \"==\"").help("write \"=\""));
        }
        return simple(sign.len(), Kind::Operator(*operator));
    }
    match first {
        '(' => simple(1, Kind::Open),
        ')' => simple(1, Kind::Close),
        '0'..='9' => value(text, at),
        c if is_bare(c) => word(text, at),
        other => Err(Fault::new(at..at + other.len_utf8(), format!("unexpected {other:?}"))),
    }
}

fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-.:".contains(c)
}

fn bare_end(text: &str, at: usize) -> usize {
    text[at..].find(|c| !is_bare(c)).map_or(text.len(), |length| at + length)
}

fn value(text: &str, at: usize) -> Result<Token, Fault> {
    let end = bare_end(text, at);
    match text[at..end].parse() {
        Ok(number) => Ok(Token { range: at..end, kind: Kind::Value(number) }),
        Err(_) => Err(Fault::new(at..end, format!("{:?} is not a whole number", &text[at..end]))),
    }
}

fn word(text: &str, at: usize) -> Result<Token, Fault> {
    let end = bare_end(text, at);
    let name = text[at..end].to_owned();
    let bare = ["and", "or", "not"].contains(&name.as_str());
    if bare || !text[end..].starts_with('(') {
        return Ok(Token { range: at..end, kind: Kind::Word { name, argument: None } });
    }
    let argument = argument(text, end)?;
    let end = argument.range.end + 1;
    let inside = argument.range.clone();
    let quoted = text[inside].trim();
    let argument = match unquoted(quoted) {
        Some(content) => Argument { text: content, ..argument },
        None => argument,
    };
    Ok(Token { range: at..end, kind: Kind::Word { name, argument: Some(argument) } })
}

/// Everything up to the parenthesis that closes the one at `open`; quotes hide parentheses.
fn argument(text: &str, open: usize) -> Result<Argument, Fault> {
    let mut depth = 0_usize;
    let mut quote = None;
    for (at, c) in text[open..].char_indices().map(|(at, c)| (open + at, c)) {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
        if depth == 0 {
            let range = open + 1..at;
            return Ok(Argument { text: text[range.clone()].trim().to_owned(), range });
        }
    }
    Err(Fault::new(open..text.len(), "this parenthesis is not closed"))
}

/// The content of a quoted text.
fn unquoted(text: &str) -> Option<String> {
    let mark = text.chars().next().filter(|c| *c == '"' || *c == '\'')?;
    let inside = text[1..].strip_suffix(mark)?;
    (!inside.contains(mark)).then(|| inside.to_owned())
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
            let number = number_of(token, name, argument)?;
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
            _ => None,
        };
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
                    _ => State::Voter(target),
                })
            }
        }
    }
}

fn takes_nothing(name: &str, argument: &Argument) -> Fault {
    Fault::new(argument.range.clone(), format!("{name:?} takes nothing in parentheses"))
}

fn number_of(token: &Token, name: &str, argument: Option<&Argument>) -> Result<Number, Fault> {
    if name == "count" {
        let Some(argument) = argument else {
            return Err(Fault::new(token.range.clone(), "\"count\" needs an event")
                .help("for example \"count(leader-elected) >= 2\""));
        };
        // A quoted argument has lost its quotes; an event's own argument keeps its.
        let event = event(&argument.text)
            .map_err(|fault| Fault { range: argument.range.clone(), ..fault })?;
        return Ok(Number::Count(event));
    }
    if let Some(argument) = argument {
        return Err(takes_nothing(name, argument));
    }
    Ok(match name {
        "leaders" => Number::Leaders,
        "leaders-per-term" => Number::LeadersPerTerm,
        "voters" => Number::Voters,
        "term" => Number::Term,
        "ok-ratio" => Number::OkRatio,
        "unknown-ops" => Number::UnknownOps,
        _ => Number::LongestOutage,
    })
}

/// Events without an argument.
const PLAIN_EVENTS: [(&str, EventPattern); 8] = [
    ("leader-elected", EventPattern::LeaderElected),
    ("leader-lost", EventPattern::LeaderLost),
    ("leader-change", EventPattern::LeaderChange),
    ("election-failed", EventPattern::ElectionFailed),
    ("step-down", EventPattern::StepDown),
    ("log-truncated", EventPattern::LogTruncated),
    ("stale-read", EventPattern::StaleRead),
    ("forwarded", EventPattern::Forwarded),
];

fn event_of(token: &Token, name: &str, argument: Option<&Argument>) -> Result<EventPattern, Fault> {
    let range = token.range.clone();
    if name == "logged" {
        return match argument {
            Some(argument) if !argument.text.is_empty() => {
                Ok(EventPattern::Logged(argument.text.clone()))
            }
            _ => Err(Fault::new(range, "\"logged\" needs a text")
                .help("for example \"logged('entering leader state')\"")),
        };
    }
    if let Some(mark) = name.strip_prefix("mark:") {
        return match (mark.is_empty(), argument) {
            (true, _) => Err(Fault::new(range, "\"mark:\" needs the name of a coverage mark")),
            (_, Some(argument)) => Err(takes_nothing(name, argument)),
            _ => Ok(EventPattern::Mark(mark.to_owned())),
        };
    }
    if let Some((_, event)) = PLAIN_EVENTS.iter().find(|(word, _)| *word == name) {
        return match argument {
            Some(argument) => Err(takes_nothing(name, argument)),
            None => Ok(event.clone()),
        };
    }
    if EVENTS.plans(name) {
        return Err(Fault::new(range, not_built("event", name)));
    }
    if STATES.has(name) || NUMBERS.has(name) {
        return Err(Fault::new(range, format!("{name:?} is a condition, not an event")));
    }
    let fault = Fault::new(range, format!("unknown event {name:?}"));
    Err(did_you_mean(fault, name, EVENTS.all()))
}

/// An event as the language writes it.
#[must_use]
pub fn show_event(event: &EventPattern) -> String {
    match event {
        EventPattern::Logged(text) => {
            let mark = if text.contains('\'') { '"' } else { '\'' };
            format!("logged({mark}{text}{mark})")
        }
        EventPattern::Mark(name) => format!("mark:{name}"),
        plain => {
            let word = PLAIN_EVENTS.iter().find(|(_, event)| event == plain);
            word.map(|(word, _)| (*word).to_owned()).expect("the table lists all other events")
        }
    }
}

/// A condition as the language writes it.
#[must_use]
pub fn show(condition: &Condition, names: &Names) -> String {
    let inner = |one: &Condition| format!("({})", show(one, names));
    match condition {
        Condition::And(a, b) => format!("{} and {}", inner(a), inner(b)),
        Condition::Or(a, b) => format!("{} or {}", inner(a), inner(b)),
        Condition::Not(one) => format!("not {}", inner(one)),
        Condition::At(one, place) => format!("{} at {}", inner(one), target::show(place, names)),
        Condition::State(state) => show_state(state, names),
        Condition::Compare(number, operator, value) => {
            let sign = match operator {
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
                Comparison::Equal => "=",
                Comparison::NotEqual => "!=",
                Comparison::GreaterOrEqual => ">=",
                Comparison::Greater => ">",
            };
            format!("{} {sign} {value}", show_number(number))
        }
    }
}

fn show_state(state: &State, names: &Names) -> String {
    let with = |name: &str, target: &Target| format!("{name}({})", target::show(target, names));
    match state {
        State::OneLeader => "one-leader".to_owned(),
        State::NoLeader => "no-leader".to_owned(),
        State::Writable => "writable".to_owned(),
        State::LogsConverged => "logs-converged".to_owned(),
        State::Leader(target) => with("leader", target),
        State::Up(target) => with("up", target),
        State::Down(target) => with("down", target),
        State::Voter(target) => with("voter", target),
    }
}

fn show_number(number: &Number) -> String {
    let word = match number {
        Number::Count(event) => return format!("count({})", show_event(event)),
        Number::Leaders => "leaders",
        Number::LeadersPerTerm => "leaders-per-term",
        Number::Voters => "voters",
        Number::Term => "term",
        Number::OkRatio => "ok-ratio",
        Number::UnknownOps => "unknown-ops",
        Number::LongestOutage => "longest-outage",
    };
    word.to_owned()
}
