//! A JSON reader that remembers the line of every value and key, which serde_json does not, so that
//! errors can name it. Strings and numbers are left to serde_json.

use crate::config::error::ConfigError;

const MAX_DEPTH: usize = 64;

/// A value and the line it begins on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Located {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Located>),
    Object(Vec<Member>),
}

/// A key, its line, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: Located,
}

impl Value {
    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
        }
    }
}

/// Reads one value and nothing after it.
pub(super) fn parse(text: &str) -> Result<Located, ConfigError> {
    let mut reader = Reader { text, at: 0, line: 1 };
    let value = reader.value(0)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.wrong("nothing more")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Reader<'_> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' => {}
                other => return Some(other),
            }
            self.at += 1;
        }
        None
    }

    fn wrong(&self, expected: &str) -> ConfigError {
        let found = match self.text[self.at..].chars().next() {
            Some(c) => format!("{c:?}"),
            None => "the end of the file".to_owned(),
        };
        let rest = &self.text[self.at..];
        let is_comment = ["//", "/*", "#"].iter().any(|start| rest.starts_with(start));
        let remedy =
            if is_comment { " (JSON has no comments; a .hcl file may have them)" } else { "" };
        self.error(format!("not valid JSON: expected {expected}, found {found}{remedy}"))
    }

    /// An error at the place reached.
    fn error(&self, text: impl Into<String>) -> ConfigError {
        let line = self.text[..self.at].rsplit('\n').next().unwrap_or_default();
        ConfigError::at_column(self.line, line.chars().count() + 1, text)
    }

    fn take(&mut self, byte: u8, expected: &str) -> Result<(), ConfigError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.wrong(expected))
        }
    }

    fn value(&mut self, depth: usize) -> Result<Located, ConfigError> {
        if depth > MAX_DEPTH {
            return Err(self.error("not valid JSON: nested too deeply"));
        }
        let first = self.peek();
        let line = self.line;
        let value = match first {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            _ => return Err(self.wrong("a value")),
        };
        Ok(Located { line, value })
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, ConfigError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.wrong("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, ConfigError> {
        let rest = &self.text[self.at..];
        let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let digits = &rest[..rest.find(|c: char| !is_part(c)).unwrap_or(rest.len())];
        if serde_json::from_str::<serde_json::Number>(digits).is_err() {
            return Err(self.wrong("a number"));
        }
        self.at += digits.len();
        Ok(Value::Number(digits.to_owned()))
    }

    fn string(&mut self) -> Result<String, ConfigError> {
        self.take(b'"', "a string")?;
        let body = self.text.as_bytes();
        let mut end = self.at;
        while let Some(&byte) = body.get(end) {
            match byte {
                b'"' => {
                    let quoted = &self.text[self.at - 1..=end];
                    let text = serde_json::from_str(quoted)
                        .map_err(|error| self.error(format!("not valid JSON: string: {error}")))?;
                    self.at = end + 1;
                    return Ok(text);
                }
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        Err(self.error("not valid JSON: a string has no end"))
    }

    fn list(&mut self, depth: usize) -> Result<Value, ConfigError> {
        self.take(b'[', "a list")?;
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.take(b']', "\",\" or \"]\"")?;
            return Ok(Value::List(items));
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, ConfigError> {
        self.take(b'{', "an object")?;
        let mut members = Vec::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(members));
        }
        loop {
            self.peek();
            let line = self.line;
            let key = self.string()?;
            self.take(b':', "\":\"")?;
            let value = self.value(depth + 1)?;
            members.push(Member { line, key, value });
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.take(b'}', "\",\" or \"}\"")?;
            return Ok(Value::Object(members));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_lines() {
        let root = parse("{\n \"a\": 1,\n \"b\": [\n true,\n \"x\\n\"]}\n").expect("valid");
        let Value::Object(members) = root.value else { panic!("an object") };
        assert_eq!((members[0].line, members[1].line), (2, 3));
        let Value::List(items) = &members[1].value.value else { panic!("a list") };
        assert_eq!(items[1], Located { line: 5, value: Value::Text("x\n".to_owned()) });
    }

    #[test]
    fn names_the_line_of_what_is_wrong() {
        for (text, line) in [
            ("", 1),
            ("{\n\"a\" 1}", 2),
            ("{\"a\":\n\n1,}", 3),
            ("[1 2]", 1),
            ("{} x", 1),
            ("{\"a\": 01}", 1),
            ("\"\\x\"", 1),
            ("\"abc", 1),
            ("\"abc\\", 1),
            ("nul", 1),
            ("-", 1),
            ("\u{1}é", 1),
        ] {
            assert_eq!(parse(text).expect_err(text).line, Some(line), "{text:?}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
