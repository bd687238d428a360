//! From text to words: who is compared with what, not yet whether that makes sense.
//!
//! ```text
//!   or      = and  { _ "or" _ and }            and = not { _ "and" _ not }
//!   not     = "not" _ not | "(" or ")" | match
//!   match   = selector op value | selector _ "is" _ [ "not" _ ] "empty" | value _ [ "not" _ ] "in" _ selector
//!   op      = [_] "==" [_] | [_] "!=" [_] | _ [ "not" _ ] ( "contains" | "matches" ) _
//!   value   = selector | number | string       selector = name { "." name | "[" string "]" }
//! ```
//!
//! Nothing is a keyword: where a rule does not fit, the next one is tried from the same place, so `not in
//! Tags` asks for the tag `not`. Only `not` begins two rules, and the second one does not recurse: the
//! work is in proportion to the text's length times its depth.

use super::{MAX_BYTES, MAX_DEPTH};

/// What is asked of a selected value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    In,
    Empty,
    Matches,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) selector: Vec<String>,
    pub(super) operator: Operator,
    pub(super) negated: bool,
    /// Empty for [`Operator::Empty`].
    pub(super) value: String,
}

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expr<M> {
    /// Any of them.
    Or(Vec<Expr<M>>),
    /// All of them.
    And(Vec<Expr<M>>),
    Not(Box<Expr<M>>),
    Match(M),
}

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Expr<Match>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("expression of {} bytes exceeds the limit ({MAX_BYTES})", text.len()));
    }
    let mut parser = Parser { text, at: 0, depth: 0, furthest: 0, problem: None };
    parser.blank();
    let found = parser.or().and_then(|expression| {
        parser.blank();
        (parser.at == text.len()).then_some(expression)
    });
    found.ok_or_else(|| parser.complaint())
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// How far any rule came: where the mistake is.
    furthest: usize,
    /// What is known to be wrong, and where.
    problem: Option<(usize, &'static str)>,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// Blanks; whether there was one.
    fn blank(&mut self) -> bool {
        let rest = self.rest();
        let skipped = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.advance(skipped);
        skipped > 0
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        self.furthest = self.furthest.max(self.at);
    }

    fn word(&mut self, word: &str) -> bool {
        let is_here = self.rest().starts_with(word);
        if is_here {
            self.advance(word.len());
        }
        is_here
    }

    /// These words, each with blanks before it, and after the last.
    fn words(&mut self, words: &[&str], blank_after: bool) -> bool {
        let begin = self.at;
        let all = words.iter().all(|word| self.blank() && self.word(word));
        let found = all && (!blank_after || self.blank());
        if !found {
            self.at = begin;
        }
        found
    }

    /// Tries a rule; when it does not fit, nothing was read.
    fn attempt<T>(&mut self, rule: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let begin = self.at;
        let found = rule(self);
        if found.is_none() {
            self.at = begin;
        }
        found
    }

    fn wrong(&mut self, what: &'static str) {
        if self.problem.is_none_or(|(at, _)| at < self.at) {
            self.problem = Some((self.at, what));
        }
    }

    fn complaint(&self) -> String {
        let (at, what) = match self.problem {
            Some((at, what)) if at >= self.furthest || what == TOO_DEEP => (at, what),
            _ => (self.furthest, "no match found"),
        };
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        format!("{line}:{column} ({at}): {what}")
    }
}

const TOO_DEEP: &str = "expression is nested too deeply";

impl Parser<'_> {
    fn or(&mut self) -> Option<Expr<Match>> {
        let terms = self.joined("or", Self::and)?;
        Some(one_or(terms, Expr::Or))
    }

    fn and(&mut self) -> Option<Expr<Match>> {
        let terms = self.joined("and", Self::not)?;
        Some(one_or(terms, Expr::And))
    }

    fn joined(
        &mut self,
        word: &str,
        term: fn(&mut Self) -> Option<Expr<Match>>,
    ) -> Option<Vec<Expr<Match>>> {
        let mut terms = vec![term(self)?];
        let next =
            |parser: &mut Self| if parser.words(&[word], true) { term(parser) } else { None };
        while let Some(more) = self.attempt(next) {
            terms.push(more);
        }
        Some(terms)
    }

    fn not(&mut self) -> Option<Expr<Match>> {
        if self.depth >= MAX_DEPTH {
            self.wrong(TOO_DEEP);
            return None;
        }
        self.depth += 1;
        let found = self.attempt(Self::negated).or_else(|| self.attempt(Self::grouped));
        self.depth -= 1;
        found.or_else(|| self.comparison().map(Expr::Match))
    }

    fn negated(&mut self) -> Option<Expr<Match>> {
        if !self.word("not") || !self.blank() {
            return None;
        }
        self.not().map(|inner| Expr::Not(Box::new(inner)))
    }

    fn grouped(&mut self) -> Option<Expr<Match>> {
        if !self.word("(") {
            return None;
        }
        self.blank();
        let inner = self.or()?;
        self.blank();
        if self.word(")") {
            return Some(inner);
        }
        self.wrong("Unmatched parentheses");
        None
    }

    fn comparison(&mut self) -> Option<Match> {
        let forward = self.attempt(|parser| {
            let selector = parser.selector()?;
            let (operator, negated) = parser.operator()?;
            let value = parser.value()?;
            Some(Match { selector, operator, negated, value })
        });
        let empty = |parser: &mut Self| {
            let selector = parser.selector()?;
            let negated = match () {
                () if parser.words(&["is", "empty"], false) => false,
                () if parser.words(&["is", "not", "empty"], false) => true,
                () => return None,
            };
            Some(Match { selector, operator: Operator::Empty, negated, value: String::new() })
        };
        let backward = |parser: &mut Self| {
            let value = parser.value()?;
            let negated = match () {
                () if parser.words(&["in"], true) => false,
                () if parser.words(&["not", "in"], true) => true,
                () => return None,
            };
            let selector = parser.selector();
            if selector.is_none() {
                parser.wrong("Invalid selector");
            }
            Some(Match { selector: selector?, operator: Operator::In, negated, value })
        };
        forward.or_else(|| self.attempt(empty)).or_else(|| self.attempt(backward))
    }

    /// What stands between a selector and a value.
    fn operator(&mut self) -> Option<(Operator, bool)> {
        for (sign, negated) in [("==", false), ("!=", true)] {
            let here = |parser: &mut Self| {
                parser.blank();
                parser.word(sign).then_some(())
            };
            if self.attempt(here).is_some() {
                self.blank();
                return Some((Operator::Equal, negated));
            }
        }
        let words = [("contains", Operator::In), ("matches", Operator::Matches)];
        for (word, operator) in words {
            if self.words(&[word], true) {
                return Some((operator, false));
            }
            if self.words(&["not", word], true) {
                return Some((operator, true));
            }
        }
        None
    }
}

fn one_or<M>(mut terms: Vec<Expr<M>>, many: fn(Vec<Expr<M>>) -> Expr<M>) -> Expr<M> {
    match terms.pop() {
        Some(only) if terms.is_empty() => only,
        Some(last) => {
            terms.push(last);
            many(terms)
        }
        None => many(terms),
    }
}

impl Parser<'_> {
    fn selector(&mut self) -> Option<Vec<String>> {
        let mut path = vec![self.name()?];
        loop {
            let dotted = |parser: &mut Self| if parser.word(".") { parser.name() } else { None };
            match self.attempt(dotted).or_else(|| self.attempt(Self::index)) {
                Some(part) => path.push(part),
                None => return Some(path),
            }
        }
    }

    fn name(&mut self) -> Option<String> {
        let rest = self.rest();
        let length = match rest.as_bytes() {
            [first, ..] if first.is_ascii_alphabetic() => {
                let is_in = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                rest.bytes().take_while(|&byte| is_in(byte)).count()
            }
            _ => return None,
        };
        let name = rest[..length].to_owned();
        self.advance(length);
        Some(name)
    }

    fn index(&mut self) -> Option<String> {
        if !self.word("[") {
            return None;
        }
        self.blank();
        let Some(name) = self.string() else {
            self.wrong("Invalid index");
            return None;
        };
        self.blank();
        if self.word("]") {
            return Some(name);
        }
        self.wrong("Unclosed index expression");
        None
    }

    fn value(&mut self) -> Option<String> {
        if let Some(path) = self.attempt(Self::selector) {
            return Some(path.join("."));
        }
        self.attempt(Self::number).or_else(|| self.attempt(Self::string))
    }

    fn number(&mut self) -> Option<String> {
        let begin = self.at;
        self.word("-");
        let digits = |parser: &mut Self| {
            let count = parser.rest().bytes().take_while(u8::is_ascii_digit).count();
            parser.advance(count);
            count
        };
        // A leading zero is the whole part.
        if !self.word("0") && digits(self) == 0 {
            return None;
        }
        let fraction = |parser: &mut Self| (parser.word(".") && digits(parser) > 0).then_some(());
        let _ = self.attempt(fraction);
        if self.rest().is_empty() || self.rest().starts_with([' ', '\t', '\r', '\n', ')']) {
            return Some(self.text[begin..self.at].to_owned());
        }
        self.wrong("Invalid number literal");
        None
    }

    fn string(&mut self) -> Option<String> {
        let quote = self.rest().chars().next().filter(|char| matches!(char, '"' | '`'))?;
        self.advance(1);
        let Some(length) = self.rest().find(quote) else {
            self.wrong("Unterminated string literal");
            return None;
        };
        let inner = self.rest()[..length].to_owned();
        self.advance(length + 1);
        let text = if quote == '`' { Some(inner.replace('\r', "")) } else { unescaped(&inner) };
        if text.is_none() {
            self.wrong("invalid syntax");
        }
        text
    }
}

/// What stands between double quotes, as Go reads it. A quote cannot stand there, escaped or not.
fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        let plain = match char {
            '\n' => return None,
            '\\' => match chars.next()? {
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                '\\' => '\\',
                'x' => {
                    out.push(u8::try_from(digits(&mut chars, 2, 16)?).ok()?);
                    continue;
                }
                'u' => char::from_u32(digits(&mut chars, 4, 16)?)?,
                'U' => char::from_u32(digits(&mut chars, 8, 16)?)?,
                first @ '0'..='7' => {
                    let more = digits(&mut chars, 2, 8)?;
                    out.push(u8::try_from(first.to_digit(8)? * 64 + more).ok()?);
                    continue;
                }
                _ => return None,
            },
            other => other,
        };
        out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(String::from_utf8(out).unwrap_or_else(|error| {
        // Bytes that are no text equal nothing that is stored.
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    }))
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    let mut number: u32 = 0;
    for _ in 0..count {
        let digit = chars.next()?.to_digit(radix)?;
        number = number.checked_mul(radix)?.checked_add(digit)?;
    }
    Some(number)
}
