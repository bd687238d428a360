//! What a command line asks for, before any command looks at it: as Consul's library for command lines
//! takes it apart.
//!
//! ```text
//!   consul  -v                              version
//!   consul  kv get -h x                     help of `kv get`; -h may stand anywhere before `--`
//!   consul  kv get -stale x                 run `kv get` with the rest
//!   consul  -stale kv get x                 flags in the wrong place
//!   consul  -autocomplete-install           completion
//! ```
//!
//! The words of a command end at the first flag. A command that is not in the list is left to the
//! caller, by its first word.

use crate::cli::command::Command;
use crate::cli::commands;

/// What to do.
#[derive(Debug)]
pub(super) enum Plan<'a> {
    /// Tell the version.
    Version,
    /// Tell what commands there are.
    Overview,
    /// Tell what a command does.
    Help(&'static Command),
    /// Flags stand before this command.
    FlagsFirst(&'static Command),
    /// Install completion, or, with false, remove it.
    Completion(bool),
    /// Both at once.
    CompletionTwice,
    /// Write the completion script of a shell.
    PrintCompletion(&'a str),
    /// No command is named.
    Nothing,
    /// A command, by its words, with its arguments.
    Run(&'a str, &'a [String]),
}

/// Takes a command line apart, without the program's name.
pub(super) fn plan(args: &[String]) -> Plan<'_> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let named = args[..end].iter().position(|arg| !arg.is_empty() && !arg.starts_with('-'));
    let before = &args[..named.unwrap_or(end)];
    let is = |arg: &String, names: &[&str]| names.contains(&arg.as_str());
    if before.iter().any(|arg| is(arg, &["-v", "-version", "--version"])) {
        return Plan::Version;
    }
    let asks_help = args[..end].iter().any(|arg| is(arg, &["-h", "-help", "--help"]));
    let found =
        named.and_then(|at| longest(&args[at..end]).map(|(command, words)| (command, at + words)));
    if asks_help {
        match (found, named) {
            (Some((command, _)), _) => return Plan::Help(command),
            (None, None) => return Plan::Overview,
            (None, Some(_)) => {}
        }
    }
    let says = |name: &str| {
        args[..end].iter().any(|arg| arg.trim_start_matches('-') == name && arg.starts_with('-'))
    };
    match (says("autocomplete-install"), says("autocomplete-uninstall")) {
        (true, true) => return Plan::CompletionTwice,
        (true, false) => return Plan::Completion(true),
        (false, true) => return Plan::Completion(false),
        (false, false) => {}
    }
    if let [flag, shell] = args
        && is(flag, &["-autocomplete-print", "--autocomplete-print"])
    {
        return Plan::PrintCompletion(shell);
    }
    match (found, named) {
        (Some((command, _)), Some(1..)) => Plan::FlagsFirst(command),
        (Some((command, rest)), _) => Plan::Run(command.path, &args[rest..]),
        (None, Some(at)) => Plan::Run(&args[at], &args[at + 1..]),
        (None, None) => Plan::Nothing,
    }
}

/// The command with the most words at the beginning of these, and how many they are.
fn longest(words: &[String]) -> Option<(&'static Command, usize)> {
    let most = words.iter().position(|word| word.starts_with('-') || word.contains(' '));
    let most = most.unwrap_or(words.len()).min(3);
    (1..=most).rev().find_map(|count| Some((commands::find(&words[..count].join(" "))?, count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match plan(&args) {
            Plan::Help(command) => format!("help of {}", command.path),
            Plan::FlagsFirst(command) => format!("flags before {}", command.path),
            Plan::Run(path, rest) => format!("run {path} with {rest:?}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn command_lines_are_taken_apart() {
        for (line, plan) in [
            ("", "Nothing"),
            ("-h", "Overview"),
            ("--version", "Version"),
            ("-v kv", "Version"),
            ("kv", "run kv with []"),
            ("kv frob", "run kv with [\"frob\"]"),
            ("kv get a", "run kv get with [\"a\"]"),
            ("kv get -h", "help of kv get"),
            ("kv put a --help", "help of kv put"),
            ("kv put a -- -h", "run kv put with [\"a\", \"--\", \"-h\"]"),
            ("kv -http-addr=x get", "run kv with [\"-http-addr=x\", \"get\"]"),
            ("operator raft list-peers -stale", "run operator raft list-peers with [\"-stale\"]"),
            ("-stale kv get a", "flags before kv get"),
            ("frobnicate -x", "run frobnicate with [\"-x\"]"),
            ("frobnicate -h", "run frobnicate with [\"-h\"]"),
            ("-http-addr=x", "Nothing"),
            ("-autocomplete-install", "Completion(true)"),
            ("--autocomplete-uninstall", "Completion(false)"),
            ("-autocomplete-install -autocomplete-uninstall", "CompletionTwice"),
            ("-autocomplete-print fish", "PrintCompletion(\"fish\")"),
        ] {
            assert_eq!(shown(line), plan, "{line}");
        }
    }
}
