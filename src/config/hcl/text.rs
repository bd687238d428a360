//! Texts: in quotes, with Go's escapes, and as heredocs.

use super::lexer::Lexer;
use crate::config::error::ConfigError;

impl Lexer<'_> {
    /// `"…"`: on one line, but that what stands in `${…}` is taken as it is, quotes and line ends too.
    pub(super) fn quoted(&mut self) -> Result<String, ConfigError> {
        let opened = self.wrong("a text has no end: a quote is missing");
        self.bump();
        let mut bytes = Vec::new();
        let mut braces = 0_usize;
        loop {
            let Some(char) = self.peek() else { return Err(opened) };
            if braces == 0 {
                match char {
                    '"' => break,
                    '\n' => return Err(opened),
                    '\\' => {
                        self.escape(&mut bytes)?;
                        continue;
                    }
                    '$' if self.rest().starts_with("${") => {
                        braces = 1;
                        bytes.extend(b"${");
                        self.at += 2;
                        continue;
                    }
                    _ => {}
                }
            }
            match char {
                '{' if braces > 0 => braces += 1,
                '}' if braces > 0 => braces -= 1,
                _ => {}
            }
            self.bump();
            push(&mut bytes, char);
        }
        self.bump();
        String::from_utf8(bytes).map_err(|_| self.wrong("the escapes of a text are not UTF-8"))
    }

    /// A backslash and what follows.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), ConfigError> {
        let wrong = self.wrong("no such escape in a text; write a backslash as \\\\");
        self.bump();
        let char = match self.bump() {
            Some('a') => '\x07',
            Some('b') => '\x08',
            Some('f') => '\x0c',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\x0b',
            Some(same @ ('\\' | '"')) => same,
            Some(first @ '0'..='7') => {
                let more = self.digits(8, 2).ok_or_else(|| wrong.clone())?;
                let value = u32::from(first) - u32::from('0');
                bytes.push(u8::try_from(value * 64 + more).map_err(|_| wrong)?);
                return Ok(());
            }
            Some('x') => {
                let value = self.digits(16, 2).ok_or_else(|| wrong.clone())?;
                bytes.push(u8::try_from(value).map_err(|_| wrong)?);
                return Ok(());
            }
            Some('u') => self.digits(16, 4).and_then(char::from_u32).ok_or(wrong)?,
            Some('U') => self.digits(16, 8).and_then(char::from_u32).ok_or(wrong)?,
            _ => return Err(wrong),
        };
        push(bytes, char);
        Ok(())
    }

    /// Exactly so many digits.
    fn digits(&mut self, radix: u32, count: usize) -> Option<u32> {
        let mut value = 0_u32;
        for _ in 0..count {
            let digit = self.peek()?.to_digit(radix)?;
            value = value.checked_mul(radix)?.checked_add(digit)?;
            self.bump();
        }
        Some(value)
    }

    /// `<<MARK`, lines, `MARK` on a line of its own. `<<-MARK` takes the last line's indentation off all of
    /// them, when all have it.
    pub(super) fn heredoc(&mut self) -> Result<String, ConfigError> {
        let endless = self.wrong("a heredoc has no end: its mark alone on a line is missing");
        let Some(head) = self.rest().strip_prefix("<<") else {
            return Err(self.wrong("expected a value, found \"<\""));
        };
        let is_indented = head.starts_with('-');
        let head = head.strip_prefix('-').unwrap_or(head);
        let Some((mark, _)) = head.split_once('\n') else { return Err(endless) };
        let mark = mark.strip_suffix('\r').unwrap_or(mark);
        if mark.is_empty() || !mark.chars().all(|char| char == '_' || char.is_alphanumeric()) {
            return Err(
                self.wrong("the mark of a heredoc is letters and digits, and ends its line")
            );
        }
        self.line_of_text();
        let mut lines = Vec::new();
        loop {
            if self.peek().is_none() {
                return Err(endless);
            }
            let rest = self.rest();
            let line = rest.split('\n').next().unwrap_or_default();
            let line = line.strip_suffix('\r').unwrap_or(line);
            let indentation = &line[..line.len() - line.trim_start().len()];
            if &line[indentation.len()..] == mark {
                self.at += line.len();
                return Ok(joined(&lines, indentation, is_indented));
            }
            lines.push(line);
            self.line_of_text();
        }
    }

    /// Takes the rest of the line, and its end.
    fn line_of_text(&mut self) {
        while let Some(char) = self.bump() {
            if char == '\n' {
                return;
            }
        }
    }
}

fn joined(lines: &[&str], indentation: &str, is_indented: bool) -> String {
    let cut = if is_indented && lines.iter().all(|line| line.starts_with(indentation)) {
        indentation.len()
    } else {
        0
    };
    lines.iter().map(|line| format!("{}\n", &line[cut..])).collect()
}

fn push(bytes: &mut Vec<u8>, char: char) {
    bytes.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
}
