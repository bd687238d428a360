//! The project's own files, as the rules of [`crate::tidy`] read them.
//!
//! Each Rust file comes in two forms of equal length: the text, and the code, in which comments and
//! the contents of string literals are blanked, so that a rule about code is not upset by prose.
//! It is a lexer of thirty lines, not a parser: rustc and clippy hold what needs one.

use std::fs;
use std::path::Path;

/// One file.
pub struct Source {
    /// Relative to the repository, with `/`.
    pub path: String,
    /// As it stands on disk.
    pub text: String,
    /// With comments and the contents of strings blanked (Rust only; else the text).
    pub code: String,
}

impl Source {
    /// Number of the line at this byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
    }

    /// The complaint about the place at this byte.
    pub fn complain(&self, at: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, self.line(at))
    }

    /// The bytes at which this word stands in the code, not as part of a longer name.
    pub fn finds(&self, word: &str) -> Vec<usize> {
        let goes_on = |at: usize| {
            let before = self.code[..at].chars().next_back().is_some_and(is_name);
            let after = self.code[at + word.len()..].chars().next().is_some_and(is_name);
            (before && word.starts_with(is_name)) || (after && word.ends_with(is_name))
        };
        self.code.match_indices(word).map(|(at, _)| at).filter(|at| !goes_on(*at)).collect()
    }

    /// Whether it is below one of these folders.
    pub fn is_below(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// Where the code that ships ends: unit tests stand last in their file.
    pub fn tests_begin(&self) -> usize {
        let whole = self.path.ends_with("tests.rs") || self.path.starts_with("tests/");
        if whole { 0 } else { self.code.find("#[cfg(test)]").unwrap_or(self.code.len()) }
    }
}

/// A character of a Rust name.
pub fn is_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Every file of the repository that a person writes, in the order of its path.
pub fn all() -> Vec<Source> {
    let mut sources = Vec::new();
    gather(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut sources);
    sources
}

/// The Rust files among them.
pub fn rust() -> Vec<Source> {
    all().into_iter().filter(|source| source.path.ends_with(".rs")).collect()
}

fn gather(root: &Path, below: &str, into: &mut Vec<Source>) {
    const GENERATED: [&str; 5] =
        ["target", "reports", ".git", "Cargo.lock", "proptest-regressions"];
    let mut names: Vec<String> = fs::read_dir(root.join(below))
        .expect("the repository can be read")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| !GENERATED.contains(&name.as_str()))
        .collect();
    names.sort();
    for name in names {
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let full = root.join(&path);
        if full.is_dir() {
            gather(root, &path, into);
        } else if let Ok(text) = fs::read_to_string(&full) {
            let code = if path.ends_with(".rs") { blanked(&text) } else { text.clone() };
            into.push(Source { path, text, code });
        }
    }
}

/// The text with comments and the contents of strings and characters as blanks, byte for byte.
fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end > at {
            for byte in &mut code[at..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(code).expect("whole literals are blanked")
}

/// Where the comment or literal that begins here ends; `at` when none does.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let until = |mark: &[u8], from: usize| {
        let found = rest[from..].windows(mark.len()).position(|window| window == mark);
        at + found.map_or(rest.len(), |found| from + found + mark.len())
    };
    let inside_name = at > 0 && is_name(char::from(bytes[at - 1]));
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => until(b"*/", 2),
        [b'r', b'"' | b'#', ..] if !inside_name => {
            let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return at;
            }
            let mut mark = vec![b'"'];
            mark.extend(vec![b'#'; hashes]);
            until(&mark, 2 + hashes)
        }
        [b'"', ..] => {
            let mut end = 1;
            while end < rest.len() && rest[end] != b'"' {
                end += if rest[end] == b'\\' { 2 } else { 1 };
            }
            (at + end + 1).min(bytes.len())
        }
        [b'\'', b'\\', ..] => until(b"'", 3),
        // A character; a lifetime has no closing quote after one character.
        [b'\'', ..] => {
            let close = rest.iter().skip(1).take(5).position(|byte| *byte == b'\'');
            let one = |close: &usize| {
                std::str::from_utf8(&rest[1..=*close]).is_ok_and(|text| text.chars().count() == 1)
            };
            close.filter(|close| *close > 0 && one(close)).map_or(at, |close| at + close + 2)
        }
        _ => at,
    }
}

#[test]
fn prose_and_literals_are_blanked() {
    let cases = [
        ("let a = 1; // dbg", "let a = 1; ______"),
        ("f(\"a \\\" b\", c)", "f(________, c)"),
        ("r#\"a\"b\"# + x", "________ + x"),
        ("'a' 'b: &'static '\\'' y", "___ 'b: &'static ____ y"),
        ("/* a\nb */ c", "____\n____ c"),
        ("for r in b\"é\" {}", "for r in b____ {}"),
    ];
    for (text, code) in cases {
        assert_eq!(blanked(text), code.replace('_', " "), "{text}");
        assert_eq!(blanked(text).len(), text.len(), "{text}");
    }
}
