//! Completion: which words can follow, for a shell that asks with `COMP_LINE` in the environment, as bash
//! does under `complete -C`.
//!
//! ```text
//!   COMP_LINE="consul kv g"        get
//!   COMP_LINE="consul kv get -s"   -separator, -stale
//! ```
//!
//! Deliberately not here: values of flags, keys and files; they would need the agent or the shell.

use crate::cli::{Terminal, commands};

/// Flags of the program itself.
const TOP_FLAGS: [&str; 4] =
    ["-autocomplete-install", "-autocomplete-uninstall", "-help", "-version"];

/// Answers the shell's question, if this is one.
pub(super) fn answer(terminal: &mut Terminal<'_>) -> bool {
    let Some(line) = terminal.env.get("COMP_LINE") else { return false };
    let point = terminal.env.get("COMP_POINT").and_then(|point| point.parse().ok());
    let line = point.and_then(|point: usize| line.get(..point)).unwrap_or(line);
    let found = candidates(line);
    found.iter().for_each(|word| terminal.line(word));
    true
}

/// What the last word of the line can become.
fn candidates(line: &str) -> Vec<String> {
    let mut words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let last = if line.ends_with(char::is_whitespace) { "" } else { words.pop().unwrap_or("") };
    let mut path = String::new();
    for word in words {
        let longer = if path.is_empty() { word.to_owned() } else { format!("{path} {word}") };
        // After the first word that is no command come flags and arguments.
        if commands::find(&longer).is_none() {
            break;
        }
        path = longer;
    }
    let command = commands::find(&path);
    let flags = match command {
        Some(command) => command.all_flags().iter().map(|flag| format!("-{}", flag.name)).collect(),
        None => TOP_FLAGS.map(str::to_owned).to_vec(),
    };
    let inside = commands::inside(&path).into_iter().map(|it| commands::name(it.path).to_owned());
    let wanted = |word: &String| word.starts_with(last);
    let mut found: Vec<String> = if last.starts_with('-') {
        flags.into_iter().filter(wanted).collect()
    } else {
        inside.filter(wanted).collect()
    };
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_flags_are_completed() {
        assert_eq!(candidates("consul me"), ["members"]);
        assert_eq!(candidates("consul kv "), ["delete", "export", "get", "import", "put"]);
        assert_eq!(candidates("consul kv"), ["kv"]);
        assert_eq!(candidates("consul kv get -s"), ["-separator", "-stale"]);
        assert_eq!(candidates("consul operator raft l"), ["list-peers"]);
        assert_eq!(candidates("consul kv get -stale -k"), ["-keys"]);
        assert_eq!(candidates("consul -v"), ["-version"]);
        assert!(candidates("consul kv get a").is_empty());
        assert!(candidates("").contains(&"agent".to_owned()));
    }
}
