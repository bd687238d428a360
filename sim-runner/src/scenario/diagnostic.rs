//! What is wrong with a scenario, and where: every error of a file at once.
//!
//! ```text
//! leader_loss.toml:7:1: unknown key "sevrers" in [cluster]
//!   7 | sevrers = 3
//!     | ^^^^^^^
//! help: did you mean "servers"?
//! ```
//!
//! Columns count characters from one. Long lines are shown around the place, control characters as
//! dots, so that garbage cannot fill or confuse a terminal.

use std::fmt;

/// At most this many errors are shown; the rest is counted.
pub const SHOWN: usize = 20;

/// Characters of a source line that are shown.
const WIDTH: usize = 140;

/// Characters of a message that are shown.
const LONGEST_MESSAGE: usize = 400;

/// A stretch of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index in [`Files`].
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A text that a diagnostic can point into: a file, or the value of `--set`.
#[derive(Clone, Debug)]
pub struct File {
    /// As the user named it.
    pub name: String,
    /// All of it.
    pub text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl File {
    fn new(name: String, text: String) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Self { name, text, lines }
    }

    /// Line of a byte, from one.
    #[must_use]
    pub fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// Line and column of a byte, both from one.
    #[must_use]
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let offset = self.floor(offset);
        let line = self.line_of(offset);
        (line, self.text[self.lines[line - 1]..offset].chars().count() + 1)
    }

    /// A line's text, by its number from one; empty when there is none.
    #[must_use]
    pub fn line(&self, number: usize) -> &str {
        let start = self.lines.get(number - 1).copied().unwrap_or(self.text.len());
        self.text[start..].split('\n').next().unwrap_or_default().trim_end_matches('\r')
    }

    /// The nearest character boundary at or before a byte.
    fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// All texts of a scenario; the scenario's own file is the first.
#[derive(Clone, Debug, Default)]
pub struct Files(pub Vec<File>);

impl Files {
    /// Adds a text.
    pub fn add(&mut self, name: String, text: String) -> u32 {
        self.0.push(File::new(name, text));
        self.0.len() as u32 - 1
    }

    /// `file:line` of a place.
    #[must_use]
    pub fn line(&self, place: Place) -> String {
        let file = &self.0[place.file as usize];
        format!("{}:{}", file.name, file.line_of(place.start as usize))
    }
}

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where.
    pub place: Place,
    /// What is wrong, without place.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// All errors of a scenario, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    rendered: Vec<String>,
    more: usize,
}

impl Diagnostics {
    /// One error that has no place in a text: the file cannot be read at all.
    #[must_use]
    pub fn whole_file(message: String) -> Self {
        Self { rendered: vec![message], more: 0 }
    }

    /// In the order of the text, each place once.
    #[must_use]
    pub fn new(files: &Files, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|one| one.place);
        list.dedup();
        let more = list.len().saturating_sub(SHOWN);
        let rendered = list.iter().take(SHOWN).map(|one| render(files, one)).collect();
        Self { rendered, more }
    }

    /// How many errors there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rendered.len() + self.more
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rendered.join("\n\n"))?;
        if self.more > 0 {
            write!(f, "\n\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

fn render(files: &Files, one: &Diagnostic) -> String {
    let file = &files.0[one.place.file as usize];
    let start = file.floor(one.place.start as usize);
    let end = file.floor(one.place.end as usize).max(start);
    let (line, column) = file.line_and_column(start);
    let mut text = format!("{}:{line}:{column}: {}", file.name, clean(&one.message));
    let source = file.line(line);
    let marked = file.text[start..end].split('\n').next().unwrap_or_default().trim_end();
    let (shown, indent) = window(source, column - 1);
    let carets =
        marked.chars().count().max(1).min(shown.chars().count().saturating_sub(indent).max(1));
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    text.push_str(&format!("\n  {number} | {shown}\n  {margin} | "));
    text.push_str(&" ".repeat(indent));
    text.push_str(&"^".repeat(carets));
    if let Some(help) = &one.help {
        text.push_str(&format!("\nhelp: {}", clean(help)));
    }
    text
}

/// A message that may quote what was written: one line, of a length that can be read.
fn clean(message: &str) -> String {
    let mut text: String = message.chars().take(LONGEST_MESSAGE).map(visible).collect();
    if message.chars().nth(LONGEST_MESSAGE).is_some() {
        text.push_str("...");
    }
    text
}

/// Control characters, and those that turn the direction of writing, as dots.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '.',
        c if c.is_control() => '.',
        c => c,
    }
}

/// The part of a line that is shown, and where in it the column is.
fn window(line: &str, column: usize) -> (String, usize) {
    let length = line.chars().count();
    if length <= WIDTH {
        return (line.chars().map(visible).collect(), column);
    }
    let from = column.saturating_sub(WIDTH / 2).min(length - WIDTH);
    (line.chars().skip(from).take(WIDTH).map(visible).collect(), column - from)
}
