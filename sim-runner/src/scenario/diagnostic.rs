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
}

impl File {
    /// Line and column of a byte, both from one.
    #[must_use]
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.floor(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
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
        self.0.push(File { name, text });
        self.0.len() as u32 - 1
    }

    /// `file:line` of a place.
    #[must_use]
    pub fn line(&self, place: Place) -> String {
        let file = &self.0[place.file as usize];
        format!("{}:{}", file.name, file.line_and_column(place.start as usize).0)
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
    let mut text = format!("{}:{line}:{column}: {}", file.name, one.message);
    let source = file.text.split('\n').nth(line - 1).unwrap_or_default().trim_end_matches('\r');
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
        text.push_str(&format!("\nhelp: {help}"));
    }
    text
}

/// The part of a line that is shown, and where in it the column is.
fn window(line: &str, column: usize) -> (String, usize) {
    let visible = |c: char| {
        if c == '\t' {
            ' '
        } else if c.is_control() {
            '.'
        } else {
            c
        }
    };
    let length = line.chars().count();
    if length <= WIDTH {
        return (line.chars().map(visible).collect(), column);
    }
    let from = column.saturating_sub(WIDTH / 2).min(length - WIDTH);
    (line.chars().skip(from).take(WIDTH).map(visible).collect(), column - from)
}
