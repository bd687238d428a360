//! What happened on a node: the facts that the trace records and the log lines are made from.

use crate::base::runtime::Level;
use crate::base::{LogIndex, ServerAddress, Term};
use crate::raft;
use crate::state::{Command, CommandResult};

use super::types::{ReadMode, StateImage};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// From the consensus core.
    Raft(raft::Event),
    /// An entry went into the state machine.
    Applied {
        /// The entry.
        entry: raft::Entry,
        /// The command in it, and what it did.
        done: Option<(Command, CommandResult)>,
    },
    /// A read was answered from this node's state.
    Served {
        /// How it was asked.
        mode: ReadMode,
        /// The key or prefix.
        key: String,
        /// The answer's index.
        index: u64,
        /// What had been applied.
        applied: LogIndex,
        /// In this term.
        term: Term,
        /// Whether this node took itself for leader.
        leads: bool,
    },
    /// A vote of this server becomes known to another one.
    VoteTold {
        /// In this term.
        term: Term,
        /// For whom; itself when it asks for votes.
        candidate: ServerAddress,
    },
    /// The leader learns that this server's log is durable up to here.
    Acked {
        /// Up to here.
        index: LogIndex,
        /// The leader's term.
        term: Term,
    },
    /// A snapshot of the state machine as it is now is being written.
    SnapshotBegun {
        /// What it stands for.
        meta: raft::SnapshotMeta,
        /// Its content.
        state: StateImage,
    },
    /// A snapshot has replaced the state machine.
    StateReplaced {
        /// What it stands for.
        meta: raft::SnapshotMeta,
        /// An operator's; otherwise a leader's.
        operator: bool,
        /// Its content.
        state: StateImage,
    },
    /// A request went to the leader.
    Forwarded {
        /// The leader.
        to: ServerAddress,
    },
    /// This node leads, and has applied all that came before.
    LeadershipEstablished,
    /// It no longer leads.
    LeadershipLost,
}

impl Event {
    /// The line that Consul's users look for: level, logger and text. None for facts that Consul
    /// does not log.
    #[must_use]
    pub fn log_line(&self, me: &ServerAddress) -> Option<(Level, &'static str, String)> {
        match self {
            Event::Raft(event) => {
                raft::log_line(event, me).map(|(level, text)| (level, "agent.server.raft", text))
            }
            Event::LeadershipEstablished => {
                Some((Level::Info, "agent.server", "cluster leadership acquired".to_owned()))
            }
            Event::LeadershipLost => {
                Some((Level::Info, "agent.server", "cluster leadership lost".to_owned()))
            }
            Event::Applied { .. }
            | Event::Served { .. }
            | Event::VoteTold { .. }
            | Event::Acked { .. }
            | Event::SnapshotBegun { .. }
            | Event::StateReplaced { .. }
            | Event::Forwarded { .. } => None,
        }
    }
}
