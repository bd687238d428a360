//! Which commands there are. Help, completion and the manual page are made from this list; a test holds
//! it and what [`super::run`] knows to each other.
//!
//! Deliberately not here: commands of later releases, and the parts of the groups that are absent.

use crate::cli::command::Command;
use crate::cli::{
    absent, agent, autopilot, catalog, debug, event, exec, keyring, kv, kv_get, kv_transfer, lock,
    maint, members, monitor, operator, reload, rtt, services, snapshot, snapshot_inspect, validate,
    version, watch,
};
use crate::config::nearest;

/// All commands and groups of commands, a group before what is in it.
pub(super) const ALL: &[Command] = &[
    absent::ACL,
    agent::COMMAND,
    catalog::GROUP,
    catalog::DATACENTERS,
    catalog::NODES,
    catalog::SERVICES,
    absent::CONFIG,
    absent::CONNECT,
    debug::COMMAND,
    event::COMMAND,
    exec::COMMAND,
    members::FORCE_LEAVE,
    members::INFO,
    absent::INTENTION,
    members::JOIN,
    keyring::KEYGEN,
    keyring::COMMAND,
    kv::GROUP,
    kv::DELETE,
    kv_transfer::EXPORT,
    kv_get::COMMAND,
    kv_transfer::IMPORT,
    kv::PUT,
    members::LEAVE,
    lock::COMMAND,
    absent::LOGIN,
    absent::LOGOUT,
    maint::COMMAND,
    members::MEMBERS,
    monitor::COMMAND,
    operator::GROUP,
    autopilot::GROUP,
    autopilot::GET_CONFIG,
    autopilot::SET_CONFIG,
    operator::RAFT,
    operator::LIST_PEERS,
    operator::REMOVE_PEER,
    operator::TRANSFER_LEADER,
    reload::COMMAND,
    rtt::COMMAND,
    services::GROUP,
    services::DEREGISTER,
    services::REGISTER,
    snapshot::GROUP,
    snapshot_inspect::COMMAND,
    snapshot::RESTORE,
    snapshot::SAVE,
    absent::TLS,
    validate::COMMAND,
    version::COMMAND,
    watch::COMMAND,
];

/// The command of these words.
pub(super) fn find(path: &str) -> Option<&'static Command> {
    ALL.iter().find(|command| command.path == path)
}

/// What is directly in a group (`""`: the commands of one word), in the order of their names.
pub(super) fn inside(group: &str) -> Vec<&'static Command> {
    let mut found: Vec<&Command> = ALL.iter().filter(|one| parent(one.path) == group).collect();
    found.sort_by_key(|command| command.path);
    found
}

/// The words without the last.
fn parent(path: &str) -> &str {
    path.rsplit_once(' ').map_or("", |(parent, _)| parent)
}

/// The last word.
pub(super) fn name(path: &str) -> &str {
    path.rsplit_once(' ').map_or(path, |(_, name)| name)
}

/// The help of all: what there is, a line each.
pub(super) fn overview() -> String {
    let usage = "Usage: consul [--version] [--help] <command> [<args>]";
    format!("{usage}\n\nAvailable commands are:\n{}", lines(""))
}

/// The help of one, and for a group what is in it.
pub(super) fn help(command: &Command) -> String {
    let mut text = command.help();
    let lines = lines(command.path);
    if !lines.is_empty() {
        text.push_str("\n\nSubcommands:\n");
        text.push_str(lines.trim_end());
    }
    text.push('\n');
    text
}

fn lines(group: &str) -> String {
    let inside = inside(group);
    let width = inside.iter().map(|command| name(command.path).len()).max().unwrap_or(0);
    let line =
        |command: &&Command| format!("    {:width$}    {}\n", name(command.path), command.synopsis);
    inside.iter().map(line).collect()
}

/// What is said of a word that is no command of this group: which one it may have meant.
pub(super) fn hint(group: &str, word: &str) -> Option<String> {
    let known = inside(group).into_iter().map(|command| name(command.path));
    let near = nearest(word, known)?;
    let near = if group.is_empty() { near.to_owned() } else { format!("{group} {near}") };
    Some(format!("There is no command {word:?}. Did you mean \"consul {near}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_place_and_says_what_it_is() {
        for command in ALL {
            let path = command.path;
            assert!(parent(path).is_empty() || find(parent(path)).is_some(), "{path} has no group");
            assert_eq!(
                ALL.iter().filter(|one| one.path == path).count(),
                1,
                "{path} is there twice"
            );
            assert!(
                command.usage.trim_start().starts_with(&format!("Usage: consul {path}")),
                "{path}"
            );
            assert!(!command.synopsis.is_empty() && !command.synopsis.contains('\n'), "{path}");
            for flag in command.all_flags() {
                assert!(!flag.help.is_empty(), "-{} of {path} says nothing", flag.name);
            }
        }
    }

    #[test]
    fn every_command_is_run_by_its_words() {
        let source = include_str!("mod.rs");
        for command in ALL {
            let path = command.path;
            let is_run = source.contains(&format!("\"{path}\" =>"));
            let is_told = !inside(path).is_empty() || absent::refusal(path, &[]).is_some();
            assert!(is_run != is_told, "{path}");
        }
    }

    #[test]
    fn a_word_that_is_nearly_a_command_is_recognised() {
        let hint = hint("", "mebmers").expect("near");
        assert_eq!(hint, "There is no command \"mebmers\". Did you mean \"consul members\"?");
        assert!(super::hint("kv", "gte").expect("near").contains("\"consul kv get\""));
        assert_eq!(super::hint("", "frobnicate"), None);
    }
}
