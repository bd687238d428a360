//! L5: the commands, as Consul's command line has them (spec api 5).
//!
//! A command is a function over a [`Runtime`] and a [`Terminal`] that returns an exit code, so that it
//! runs in a simulation as it does in a shell. What runs the agent itself comes in as [`NodeRunner`].
//!
//! Exit codes: 0 done, 1 refused or failed, 127 no such command.

mod agent;
mod api;
mod attached;
mod autopilot;
mod debug;
mod event;
mod keyring;
mod kv;
mod kv_get;
mod lock;
mod members;
mod monitor;
mod operator;
mod reload;
mod rtt;
mod snapshot;
mod snapshot_inspect;
mod validate;
mod watch;

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{Read, Write};

use crate::base::runtime::Runtime;
use crate::config::AgentConfig;
use crate::config::flags::{self, Flag, FlagError, Parsed};

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

const COMMANDS: &str = "Usage: consul [--version] [--help] <command> [<args>]\n\n\
    Available commands are:\n    \
    agent          Runs a Consul agent\n    \
    debug          Records a debugging archive for operators\n    \
    event          Fire a new event\n    \
    force-leave    Forces a member of the cluster to enter the \"left\" state\n    \
    info           Provides debugging information for operators.\n    \
    join           Tell Consul agent to join cluster\n    \
    keygen         Generates a new encryption key\n    \
    keyring        Manages gossip layer encryption keys\n    \
    kv             Interact with the key-value store\n    \
    leave          Gracefully leaves the Consul cluster and shuts down\n    \
    lock           Execute a command holding a lock\n    \
    members        Lists the members of a Consul cluster\n    \
    monitor        Stream logs from a Consul agent\n    \
    operator       Provides cluster-level tools for Consul operators\n    \
    reload         Triggers the agent to reload configuration files\n    \
    rtt            Estimates network round trip time between nodes\n    \
    snapshot       Saves, restores and inspects snapshots of Consul server state\n    \
    validate       Validate config files/directories\n    \
    version        Prints the Consul version\n    \
    watch          Watch for changes in Consul\n";

/// Runs a command line (without the program's name) to its exit code.
pub async fn run<R: Runtime, N: NodeRunner<R>>(
    runtime: R,
    args: &[String],
    terminal: &mut Terminal<'_>,
    node: &N,
) -> i32 {
    let Some((command, args)) = args.split_first() else {
        terminal.fail(COMMANDS);
        return 127;
    };
    match command.as_str() {
        "agent" => agent::run(runtime, args, terminal, node).await,
        "debug" => code(debug::run(&runtime, args, terminal).await),
        "event" => code(event::run(&runtime, args, terminal).await),
        "force-leave" => code(members::force_leave(&runtime, args, terminal).await),
        "info" => code(members::info(&runtime, args, terminal).await),
        "join" => code(members::join(&runtime, args, terminal).await),
        "keygen" => code(keyring::keygen(&runtime, args, terminal)),
        "keyring" => code(keyring::keyring(&runtime, args, terminal).await),
        "kv" => kv::run(&runtime, args, terminal).await,
        "leave" => code(members::leave(&runtime, args, terminal).await),
        "lock" => code(lock::run(&runtime, args, terminal).await),
        "members" => code(members::members(&runtime, args, terminal).await),
        "monitor" => code(monitor::monitor(&runtime, args, terminal).await),
        "operator" => operator::run(&runtime, args, terminal).await,
        "reload" => code(reload::run(&runtime, args, terminal).await),
        "rtt" => code(rtt::rtt(&runtime, args, terminal).await),
        "snapshot" => snapshot::run(&runtime, args, terminal).await,
        "validate" => code(validate::validate(&runtime, args, terminal).await),
        "version" | "-v" | "-version" | "--version" => {
            terminal.out(version_text());
            0
        }
        "watch" => code(watch::run(&runtime, args, terminal).await),
        "-h" | "-help" | "--help" => {
            terminal.out(COMMANDS);
            0
        }
        _ => {
            terminal.fail(COMMANDS);
            127
        }
    }
}

fn code(done: Result<(), i32>) -> i32 {
    done.err().unwrap_or(0)
}

/// What `version` prints. The version that is behaved like comes first: scripts take the first they find.
#[must_use]
pub fn version_text() -> String {
    format!(
        "Consul v{}\nProconsul v{}, which behaves like it\nProtocol 2 spoken by default, understands 2 to \
         3 (agent will automatically use protocol >2 when speaking to compatible agents)\n",
        crate::CONSUL_VERSION,
        env!("CARGO_PKG_VERSION")
    )
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

/// A command's flags; or, when there is nothing to run, the exit code.
fn parse_flags(
    known: &[Flag],
    usage: &str,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<Parsed, i32> {
    let help = |known| format!("{usage}\n\n{}", flags::usage(known));
    match flags::parse(known, args) {
        Ok(parsed) => Ok(parsed),
        Err(FlagError::HelpRequested) => {
            terminal.out(help(known));
            Err(0)
        }
        Err(FlagError::Bad(text)) => Err(terminal.fail(format!("{text}\n{}", help(known)))),
    }
}
