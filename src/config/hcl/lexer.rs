//! From characters to tokens: names, texts, numbers, punctuation. White space and comments are left out.

use crate::config::error::ConfigError;

/// What a token is. Texts are without quotes and escapes, numbers decimal.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Name(String),
    Text(String),
    /// A whole number or a fraction, as JSON writes it.
    Number(String),
    Bool(bool),
    Open,
    Close,
    ListOpen,
    ListClose,
    Comma,
    Equals,
    /// The end of the file.
    End,
}

impl Kind {
    /// What it is, for messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Kind::Name(name) => format!("the word {}", short(name)),
            Kind::Text(text) => format!("the text {:?}", short(text)),
            Kind::Number(text) => format!("the number {}", short(text)),
            Kind::Bool(value) => value.to_string(),
            Kind::Open => "\"{\"".to_owned(),
            Kind::Close => "\"}\"".to_owned(),
            Kind::ListOpen => "\"[\"".to_owned(),
            Kind::ListClose => "\"]\"".to_owned(),
            Kind::Comma => "\",\"".to_owned(),
            Kind::Equals => "\"=\"".to_owned(),
            Kind::End => "the end of the file".to_owned(),
        }
    }
}

/// The beginning, for messages.
fn short(text: &str) -> String {
    match text.char_indices().nth(32) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A token and where it begins; both from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Takes tokens off the front of a text.
pub(super) struct Lexer<'a> {
    pub(super) text: &'a str,
    /// Bytes taken.
    pub(super) at: usize,
    line: usize,
    /// Where the line begins.
    line_start: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1, line_start: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes a character.
    pub(super) fn bump(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        if char == '\n' {
            self.line += 1;
            self.line_start = self.at;
        }
        Some(char)
    }

    /// An error at the place reached.
    pub(super) fn wrong(&self, what: &str) -> ConfigError {
        let column = self.text[self.line_start..self.at].chars().count() + 1;
        ConfigError::at_column(self.line, column, format!("not valid HCL: {what}"))
    }

    /// The next token.
    pub(super) fn token(&mut self) -> Result<Token, ConfigError> {
        self.skip_blank()?;
        let line = self.line;
        let column = self.text[self.line_start..self.at].chars().count() + 1;
        let kind = match self.peek() {
            None => Kind::End,
            Some('{') => self.punctuation(Kind::Open),
            Some('}') => self.punctuation(Kind::Close),
            Some('[') => self.punctuation(Kind::ListOpen),
            Some(']') => self.punctuation(Kind::ListClose),
            Some(',') => self.punctuation(Kind::Comma),
            Some('=') => self.punctuation(Kind::Equals),
            Some('"') => Kind::Text(self.quoted()?),
            Some('<') => Kind::Text(self.heredoc()?),
            Some(char) if char.is_ascii_digit() || char == '-' || char == '.' => self.number()?,
            Some(char) if is_letter(char) => self.name(),
            Some(char) => return Err(self.wrong(&format!("{char:?} means nothing here"))),
        };
        Ok(Token { kind, line, column })
    }

    fn punctuation(&mut self, kind: Kind) -> Kind {
        self.at += 1;
        kind
    }

    fn skip_blank(&mut self) -> Result<(), ConfigError> {
        loop {
            let rest = self.rest();
            if rest.starts_with('#') || rest.starts_with("//") {
                while self.peek().is_some_and(|char| char != '\n') {
                    self.bump();
                }
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let Some(length) = comment.find("*/") else {
                    return Err(self.wrong("a comment has no end: \"*/\" is missing"));
                };
                let end = self.at + length + 4;
                while self.at < end {
                    self.bump();
                }
            } else if rest.starts_with([' ', '\t', '\r', '\n']) {
                self.bump();
            } else {
                return Ok(());
            }
        }
    }

    /// Letters, digits, `_`, `-` and `.`, as in HCL 1.
    fn name(&mut self) -> Kind {
        let is_part = |char: char| is_letter(char) || char.is_numeric() || "-.".contains(char);
        let rest = self.rest();
        let name = &rest[..rest.find(|char| !is_part(char)).unwrap_or(rest.len())];
        self.at += name.len();
        match name {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            other => Kind::Name(other.to_owned()),
        }
    }

    /// `12`, `-3`, `0x1f`, `017` (fifteen), `.5`, `1.5e3`.
    fn number(&mut self) -> Result<Kind, ConfigError> {
        let rest = self.rest();
        let (sign, digits) = match rest.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", rest),
        };
        let is_hex = digits.starts_with("0x") || digits.starts_with("0X");
        let mut before = ' ';
        let ends = |char: char| {
            let is_part = char.is_ascii_alphanumeric()
                || char == '.'
                || "+-".contains(char) && "eE".contains(before) && !is_hex;
            before = char;
            !is_part
        };
        let word = &digits[..digits.find(ends).unwrap_or(digits.len())];
        let is_whole = is_hex || word.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_whole { whole(sign, word) } else { fraction(sign, word) };
        let Some(number) = number else {
            let text = format!("{sign}{} is no number", short(word));
            return Err(self.wrong(&text));
        };
        self.at += sign.len() + word.len();
        Ok(Kind::Number(number))
    }
}

fn is_letter(char: char) -> bool {
    char == '_' || char.is_alphabetic()
}

fn whole(sign: &str, word: &str) -> Option<String> {
    let number = match word.strip_prefix("0x").or(word.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(&format!("{sign}{hex}"), 16),
        None if word.len() > 1 && word.starts_with('0') => {
            i64::from_str_radix(&format!("{sign}{word}"), 8)
        }
        None => format!("{sign}{word}").parse(),
    };
    number.ok().map(|number| number.to_string())
}

/// Only a number that is finite; zeros in front are let go, as JSON has none.
fn fraction(sign: &str, word: &str) -> Option<String> {
    let is_exponent = |char: char| "eE".contains(char);
    let (mantissa, exponent) = match word.split_once(is_exponent) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (word, None),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) || whole.is_empty() && part.is_empty() {
        return None;
    }
    let whole = Some(whole.trim_start_matches('0')).filter(|it| !it.is_empty()).unwrap_or("0");
    let part = if part.is_empty() { "0" } else { part };
    let mut text = format!("{sign}{whole}.{part}");
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !is_digits(digits) {
            return None;
        }
        text.push('e');
        text.push_str(exponent);
    }
    text.parse::<f64>().is_ok_and(f64::is_finite).then_some(text)
}
