//! L5: the commands, as Consul's command line has them (spec api 5).
//!
//! ```text
//!   args ─► plan ─► help · version · completion · a command by its words (`kv get`) ─► exit code
//! ```
//!
//! A command is a function over a [`Runtime`] and a [`Terminal`] that returns an exit code, so that it
//! runs in a simulation as it does in a shell. What runs the agent itself comes in as [`NodeRunner`].
//! Help is told for every command alike (`command`), from the list of all there are (`commands`).
//!
//! Exit codes: 0 done, 1 refused or failed, 2 nothing found (`members`), 127 no such command.

mod absent;
mod address;
mod agent;
mod api;
mod attached;
mod autopilot;
mod catalog;
mod command;
mod commands;
mod complete;
mod complete_install;
mod debug;
mod event;
mod exec;
mod files;
mod go_regex;
mod keyring;
mod kv;
mod kv_get;
mod kv_transfer;
mod lock;
mod maint;
pub mod manual;
mod members;
mod monitor;
mod operator;
mod plan;
mod progress;
mod reload;
mod rtt;
mod services;
mod snapshot;
mod snapshot_inspect;
mod validate;
mod version;
mod watch;

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{Read, Write};

use crate::base::runtime::Runtime;
use crate::cli::command::Command;
use crate::cli::plan::{Plan, plan};
use crate::config::AgentConfig;
use crate::config::flags::{self, Flag, FlagError, Parsed};

pub use complete_install::script as completion_script;
pub use version::version_text;

/// Where a command reads and writes.
pub struct Terminal<'a> {
    /// Standard input.
    pub stdin: &'a mut (dyn Read + Send),
    /// Standard output.
    pub stdout: &'a mut (dyn Write + Send),
    /// Standard error.
    pub stderr: &'a mut (dyn Write + Send),
    /// The environment; `CONSUL_*` is read.
    pub env: BTreeMap<String, String>,
    /// Whether a person looks at standard error: then what takes long says how far it is.
    pub watched: bool,
    /// The path of the program itself, for what is to call it later.
    pub program: String,
}

impl Terminal<'_> {
    /// Writes to standard output. A closed pipe is the reader's choice, not an error.
    pub(crate) fn out(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stdout.write_all(bytes.as_ref()).and_then(|()| self.stdout.flush());
    }

    /// Writes a line to standard output.
    pub(crate) fn line(&mut self, text: impl AsRef<[u8]>) {
        self.out(text);
        self.out("\n");
    }

    /// Writes a line to standard error, and is the exit code for that.
    pub(crate) fn fail(&mut self, text: impl AsRef<str>) -> i32 {
        let _ = writeln!(self.stderr, "{}", text.as_ref()).and_then(|()| self.stderr.flush());
        1
    }
}

/// Runs the agent, to its exit code: the driver.
pub trait NodeRunner<R: Runtime> {
    /// `config.node_id` is set.
    fn run(&self, runtime: R, config: AgentConfig) -> impl Future<Output = i32>;
}

/// Runs a command line (without the program's name) to its exit code.
pub async fn run<R: Runtime, N: NodeRunner<R>>(
    runtime: R,
    args: &[String],
    terminal: &mut Terminal<'_>,
    node: &N,
) -> i32 {
    if complete::answer(terminal) {
        return 0;
    }
    match plan(args) {
        Plan::Version => terminal.out(version_text()),
        Plan::Overview => terminal.line(commands::overview()),
        Plan::Help(command) => terminal.out(commands::help(command)),
        Plan::FlagsFirst(command) => return flags_first(command, terminal),
        Plan::Completion(wanted) => {
            return code(complete_install::run(&runtime, wanted, terminal).await);
        }
        Plan::CompletionTwice => {
            return terminal.fail(
                "Error executing CLI: Either the autocomplete install or uninstall flag may be \
                 specified, but not both.",
            );
        }
        Plan::PrintCompletion(shell) => return code(complete_install::print(shell, terminal)),
        Plan::Nothing => {
            terminal.fail(commands::overview());
            return 127;
        }
        Plan::Run(words, args) => return dispatch(runtime, words, args, terminal, node).await,
    }
    0
}

async fn dispatch<R: Runtime, N: NodeRunner<R>>(
    runtime: R,
    words: &str,
    args: &[String],
    terminal: &mut Terminal<'_>,
    node: &N,
) -> i32 {
    let done = match words {
        "agent" => return agent::run(runtime, args, terminal, node).await,
        "catalog datacenters" => catalog::datacenters(&runtime, args, terminal).await,
        "catalog nodes" => catalog::nodes(&runtime, args, terminal).await,
        "catalog services" => catalog::services(&runtime, args, terminal).await,
        "debug" => debug::run(&runtime, args, terminal).await,
        "event" => event::run(&runtime, args, terminal).await,
        "exec" => exec::run(&runtime, args, terminal).await,
        "force-leave" => members::force_leave(&runtime, args, terminal).await,
        "info" => members::info(&runtime, args, terminal).await,
        "join" => members::join(&runtime, args, terminal).await,
        "keygen" => keyring::keygen(&runtime, args, terminal),
        "keyring" => keyring::keyring(&runtime, args, terminal).await,
        "kv delete" => kv::delete(&runtime, args, terminal).await,
        "kv export" => kv_transfer::export(&runtime, args, terminal).await,
        "kv get" => kv_get::run(&runtime, args, terminal).await,
        "kv import" => kv_transfer::import(&runtime, args, terminal).await,
        "kv put" => kv::put(&runtime, args, terminal).await,
        "leave" => members::leave(&runtime, args, terminal).await,
        "lock" => lock::run(&runtime, args, terminal).await,
        "maint" => maint::run(&runtime, args, terminal).await,
        "members" => members::members(&runtime, args, terminal).await,
        "monitor" => monitor::monitor(&runtime, args, terminal).await,
        "operator autopilot get-config" => autopilot::get_config(&runtime, args, terminal).await,
        "operator autopilot set-config" => autopilot::set_config(&runtime, args, terminal).await,
        "operator raft list-peers" => operator::list_peers(&runtime, args, terminal).await,
        "operator raft remove-peer" => operator::remove_peer(&runtime, args, terminal).await,
        "operator raft transfer-leader" => {
            operator::transfer_leader(&runtime, args, terminal).await
        }
        "reload" => reload::run(&runtime, args, terminal).await,
        "rtt" => rtt::rtt(&runtime, args, terminal).await,
        "services deregister" => services::deregister(&runtime, args, terminal).await,
        "services register" => services::register(&runtime, args, terminal).await,
        "snapshot inspect" => snapshot_inspect::run(&runtime, args, terminal).await,
        "snapshot restore" => snapshot::restore(&runtime, args, terminal).await,
        "snapshot save" => snapshot::save(&runtime, args, terminal).await,
        "validate" => validate::validate(&runtime, args, terminal).await,
        "version" => version::run(args, terminal),
        "watch" => watch::run(&runtime, args, terminal).await,
        _ => return elsewhere(words, args, terminal),
    };
    code(done)
}

/// What there is nothing to run for: a group, what is left out on purpose, and what there is not.
fn elsewhere(words: &str, args: &[String], terminal: &mut Terminal<'_>) -> i32 {
    if let Some(text) = absent::refusal(words, args) {
        return terminal.fail(text);
    }
    let (group, word, text, code) = match commands::find(words) {
        Some(group) => (words, args.first(), commands::help(group), 1),
        None => ("", Some(&words.to_owned()), commands::overview(), 127),
    };
    terminal.fail(text);
    if let Some(hint) = word.and_then(|word| commands::hint(group, word)) {
        terminal.fail(hint);
    }
    code
}

fn flags_first(command: &Command, terminal: &mut Terminal<'_>) -> i32 {
    let text = "Invalid flags before the subcommand. If these flags are for\n\
                the subcommand, please put them after the subcommand.\n";
    terminal.fail(text);
    terminal.fail(commands::help(command))
}

fn code(done: Result<(), i32>) -> i32 {
    done.err().unwrap_or(0)
}

/// Rows of cells as Consul prints tables: columns two spaces apart, as wide as their longest cell, the
/// last one not padded (spec api 5.1).
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if at + 1 < columns {
                let fill = widths[at] - cell.chars().count() + 2;
                text.push_str(&" ".repeat(fill));
            }
        }
        text.push('\n');
    }
    text
}

/// Go's tabwriter with a padding of six: every cell but the last is as wide as the widest of its
/// column and six more, at least eight.
fn columns(rows: &[Vec<String>]) -> String {
    const PADDING: usize = 6;
    let last = rows.first().map_or(0, Vec::len).saturating_sub(1);
    let width = |at: usize| {
        let widest = rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        (widest + PADDING).max(8)
    };
    let widths: Vec<usize> = (0..last).map(width).collect();
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(&format!("{cell:<width$}"));
        }
        text.push_str(&row[last]);
    }
    text
}

/// A command's flags; or, when there is nothing to run, the exit code.
fn parse_flags(
    known: &[Flag],
    usage: &str,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<Parsed, i32> {
    match flags::parse(known, args) {
        Ok(parsed) => Ok(parsed),
        Err(FlagError::HelpRequested) => {
            terminal.line(command::help(usage, known));
            Err(0)
        }
        Err(FlagError::Bad(text)) => {
            Err(terminal.fail(format!("{text}\n{}", command::help(usage, known))))
        }
    }
}
