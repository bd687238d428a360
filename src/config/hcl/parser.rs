//! From tokens to the tree.

use std::collections::BTreeMap;
use std::mem;

use super::MAX_DEPTH;
use super::lexer::{Kind, Lexer, Token};
use crate::config::error::ConfigError;
use crate::config::located_json::{Located, Member, Value};

/// Looks one token ahead.
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    next: Token,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, ConfigError> {
        let mut lexer = Lexer::new(text);
        let next = lexer.token()?;
        Ok(Self { lexer, next })
    }

    /// The whole file: an object without braces.
    pub(super) fn file(mut self) -> Result<Located, ConfigError> {
        Ok(Located { line: 1, value: Value::Object(self.items(&Kind::End, 0)?) })
    }

    fn take(&mut self) -> Result<Token, ConfigError> {
        let after = self.lexer.token()?;
        Ok(mem::replace(&mut self.next, after))
    }

    fn wrong(&self, expected: &str) -> ConfigError {
        let Token { kind, line, column } = &self.next;
        let text = format!("not valid HCL: expected {expected}, found {}", kind.shown());
        ConfigError::at_column(*line, *column, text)
    }

    /// Items up to `end`, which is left.
    fn items(&mut self, end: &Kind, depth: usize) -> Result<Vec<Member>, ConfigError> {
        let mut members = Members::default();
        while self.next.kind != *end {
            members.add(self.item(depth)?);
            if self.next.kind == Kind::Comma {
                self.take()?;
            }
        }
        Ok(members.list)
    }

    /// `key = value` or `key "label" { … }`.
    fn item(&mut self, depth: usize) -> Result<Member, ConfigError> {
        let mut keys: Vec<(usize, String)> = Vec::new();
        loop {
            match (&self.next.kind, keys.len()) {
                (Kind::Name(_) | Kind::Text(_), _) => {
                    if depth + keys.len() > MAX_DEPTH {
                        return Err(self.too_deep());
                    }
                    let token = self.take()?;
                    if let Kind::Name(key) | Kind::Text(key) = token.kind {
                        keys.push((token.line, key));
                    }
                }
                (Kind::Equals, 1) => {
                    self.take()?;
                    let value = self.value(depth + 1)?;
                    return Ok(labelled(keys, value));
                }
                (Kind::Open, 1..) => {
                    let value = self.value(depth + keys.len())?;
                    return Ok(labelled(keys, value));
                }
                (_, 0) => return Err(self.wrong("a key")),
                (_, 1) => return Err(self.wrong("\"=\" or \"{\" after a key")),
                _ => return Err(self.wrong("\"{\" after a label")),
            }
        }
    }

    fn too_deep(&self) -> ConfigError {
        let text = "not valid HCL: nested too deeply";
        ConfigError::at_column(self.next.line, self.next.column, text)
    }

    fn value(&mut self, depth: usize) -> Result<Located, ConfigError> {
        if depth > MAX_DEPTH {
            return Err(self.too_deep());
        }
        let line = self.next.line;
        let value = match &self.next.kind {
            Kind::Open => {
                self.take()?;
                let members = self.items_in_braces(depth)?;
                Value::Object(members)
            }
            Kind::ListOpen => {
                self.take()?;
                Value::List(self.list(depth)?)
            }
            Kind::Text(_) | Kind::Number(_) | Kind::Bool(_) => match self.take()?.kind {
                Kind::Text(text) => Value::Text(text),
                Kind::Number(text) => Value::Number(text),
                Kind::Bool(value) => Value::Bool(value),
                other => unreachable!("{other:?} was a scalar a line above"),
            },
            Kind::Name(_) => return Err(self.wrong("a value (text stands in quotes)")),
            _ => return Err(self.wrong("a value")),
        };
        Ok(Located { line, value })
    }

    fn items_in_braces(&mut self, depth: usize) -> Result<Vec<Member>, ConfigError> {
        let members = self.items(&Kind::Close, depth)?;
        self.take()?;
        Ok(members)
    }

    /// Values with commas between them, and perhaps one behind.
    fn list(&mut self, depth: usize) -> Result<Vec<Located>, ConfigError> {
        let mut values = Vec::new();
        while self.next.kind != Kind::ListClose {
            values.push(self.value(depth + 1)?);
            match self.next.kind {
                Kind::Comma => drop(self.take()?),
                Kind::ListClose => {}
                _ => return Err(self.wrong("\",\" or \"]\"")),
            }
        }
        self.take()?;
        Ok(values)
    }
}

/// Labels are keys around the value.
fn labelled(keys: Vec<(usize, String)>, value: Located) -> Member {
    let mut keys = keys.into_iter().rev();
    let (line, key) = keys.next().expect("an item has a key");
    keys.fold(Member { line, key, value }, |inner, (line, key)| {
        let value = Located { line: inner.line, value: Value::Object(vec![inner]) };
        Member { line, key, value }
    })
}

/// An object that is being read.
#[derive(Default)]
struct Members {
    list: Vec<Member>,
    places: BTreeMap<String, usize>,
}

impl Members {
    /// Blocks of one name add up; of other values the last one counts.
    fn add(&mut self, member: Member) {
        let Some(&at) = self.places.get(&member.key) else {
            self.places.insert(member.key.clone(), self.list.len());
            self.list.push(member);
            return;
        };
        let there = &mut self.list[at];
        if !is_blocks(&there.value.value) || !is_blocks(&member.value.value) {
            *there = member;
            return;
        }
        let line = there.value.line;
        let first = mem::replace(&mut there.value.value, Value::Null);
        let mut blocks = blocks(Located { line, value: first });
        blocks.extend(self::blocks(member.value));
        there.value.value = Value::List(blocks);
    }
}

fn is_blocks(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        // The last one stands for all: where blocks are added up, all have been seen.
        Value::List(items) => matches!(items.last(), Some(Located { value: Value::Object(_), .. })),
        _ => false,
    }
}

fn blocks(at: Located) -> Vec<Located> {
    match at.value {
        Value::List(items) => items,
        _ => vec![at],
    }
}
