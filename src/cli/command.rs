//! What a command is: its words, its flags, and the help text made of both, in the shape of Consul's.
//!
//! ```text
//!   Usage: consul kv get [options] [KEY_OR_PREFIX]        `usage`
//!
//!     Retrieves the value …
//!
//!   HTTP API Options                                      `reach`
//!
//!     -http-addr=<address>
//!        The address and port …
//!
//!   Command Options                                       `flags`
//! ```
//!
//! Flags stand in the order of their names and are wrapped at 72 columns. Help that was asked for goes
//! to standard output and is success; help that was not, after a mistake, goes to standard error.
//!
//! Deliberately not here: which commands there are ([`super::commands`]), and what they do.

use crate::cli::api::{CLIENT_FLAGS, NAMESPACE_FLAGS, SERVER_FLAGS};
use crate::cli::kv::with_http;
use crate::cli::{Terminal, parse_flags};
use crate::config::flags::{Flag, Parsed};

/// Where the lines of a flag's description end, columns.
const WIDTH: usize = 72;
/// How far a flag's description is set in, columns.
const INDENT: usize = 5;

/// Whom a command talks to, and with it which flags it shares with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nobody.
    Nobody,
    /// The agent alone.
    Agent,
    /// The servers, through the agent: `-datacenter` and `-stale` too.
    Servers,
    /// Likewise, for what belongs to a namespace in Consul Enterprise.
    Namespaced,
    /// The agent alone, for what belongs to a namespace.
    NamespacedAgent,
}

/// A command, or a group of commands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command {
    /// Its words: `kv get`.
    pub(super) path: &'static str,
    /// One line for lists.
    pub(super) synopsis: &'static str,
    /// The usage line, and what it does.
    pub(super) usage: &'static str,
    /// The flags of its own.
    pub(super) flags: &'static [Flag],
    /// The flags it shares.
    pub(super) reach: Reach,
}

impl Command {
    /// All its flags.
    pub(super) fn all_flags(&self) -> Vec<Flag> {
        match self.reach {
            Reach::Nobody => self.flags.to_vec(),
            Reach::Agent => [CLIENT_FLAGS, self.flags].concat(),
            Reach::Servers => with_http(self.flags),
            Reach::Namespaced => [&with_http(self.flags), NAMESPACE_FLAGS].concat(),
            Reach::NamespacedAgent => [CLIENT_FLAGS, NAMESPACE_FLAGS, self.flags].concat(),
        }
    }

    /// Its help, without a line break at the end.
    pub(super) fn help(&self) -> String {
        help(self.usage, &self.all_flags())
    }

    /// Its help without the flags that it shares with others.
    pub(super) fn own_help(&self) -> String {
        help(self.usage, self.flags)
    }

    /// Its flags from a command line; or, when there is nothing to run, the exit code.
    pub(super) fn parse(
        &self,
        args: &[String],
        terminal: &mut Terminal<'_>,
    ) -> Result<Parsed, i32> {
        parse_flags(&self.all_flags(), self.usage, args, terminal)
    }

    /// Likewise, of a command that takes no arguments.
    pub(super) fn parse_bare(
        &self,
        args: &[String],
        terminal: &mut Terminal<'_>,
    ) -> Result<Parsed, i32> {
        let flags = self.parse(args, terminal)?;
        match flags.rest.len() {
            0 => Ok(flags),
            many => Err(terminal.fail(format!("Too many arguments (expected 0, got {many})"))),
        }
    }
}

/// Usage, then the flags that a command shares with others, then its own.
pub(super) fn help(usage: &str, flags: &[Flag]) -> String {
    let mut text = format!("{}\n\n", usage.trim());
    let mut flags = flags.to_vec();
    flags.sort_by_key(|flag| flag.name);
    let is_shared = |flag: &Flag| {
        let shared = [CLIENT_FLAGS, SERVER_FLAGS, NAMESPACE_FLAGS];
        shared
            .iter()
            .any(|flags| flags.iter().any(|one| (one.name, one.help) == (flag.name, flag.help)))
    };
    let (shared, own): (Vec<Flag>, Vec<Flag>) = flags.into_iter().partition(is_shared);
    for (title, flags) in [("HTTP API Options", shared), ("Command Options", own)] {
        if flags.is_empty() {
            continue;
        }
        text.push_str(&format!("{title}\n\n{}", shown(&flags)));
    }
    text.truncate(text.trim_end_matches('\n').len());
    text
}

/// A paragraph for each flag.
pub(super) fn shown(flags: &[Flag]) -> String {
    let mut text = String::new();
    for flag in flags {
        match flag.example() {
            Some(example) => text.push_str(&format!("  -{}=<{example}>\n", flag.name)),
            None => text.push_str(&format!("  -{}\n", flag.name)),
        }
        for line in wrapped(flag.help, WIDTH - INDENT) {
            text.push_str(&format!("{:INDENT$}{line}\n", ""));
        }
        text.push('\n');
    }
    text
}

/// Lines of whole words, none longer than `width` unless a word is.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
