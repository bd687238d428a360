//! The tokens of a condition. A word takes its parentheses with it: `leader(n1)` is one token, and
//! what stands inside is an argument, bare or in quotes.

use std::ops::Range;

use crate::scenario::model::Comparison;
use crate::scenario::values::Fault;

/// A token and where it stands.
#[derive(Clone, Debug)]
pub struct Token {
    /// Which bytes.
    pub range: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of token.
#[derive(Clone, Debug)]
pub enum Kind {
    Open,
    Close,
    Operator(Comparison),
    Value(u64),
    Word { name: String, argument: Option<Argument> },
}

/// What stands between a word's parentheses.
#[derive(Clone, Debug)]
pub struct Argument {
    /// Which bytes of the condition.
    pub range: Range<usize>,
    /// Without quotes.
    pub text: String,
}

/// Takes a condition apart.
///
/// # Errors
/// A character that belongs to no token, or a parenthesis that is not closed.
pub fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
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

/// That a word has an argument and takes none.
pub fn takes_nothing(name: &str, argument: &Argument) -> Fault {
    Fault::new(argument.range.clone(), format!("{name:?} takes nothing in parentheses"))
}
