//! What happened on a node: the facts that the trace records and the log lines are made from.

use crate::base::runtime::Level;
use crate::base::{LogIndex, ServerAddress, Term};
use crate::raft::{self, Profile};
use crate::state::{Command, CommandResult};

use super::membership::Membership;
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
    /// An entry changed the catalog, or who holds a lock; follows its [`Event::Applied`].
    CatalogChanged {
        /// The entry.
        index: LogIndex,
        /// The state after it.
        state: StateImage,
    },
    /// A request went to the leader.
    Forwarded {
        /// The leader.
        to: ServerAddress,
    },
    /// About members, and this agent among them.
    Membership(Box<Membership>),
    /// This node leads.
    LeadershipAcquired,
    /// It has applied all that came before it led.
    LeadershipEstablished,
    /// It no longer leads.
    LeadershipLost,
}

/// In whose words an agent logs.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// Where a server is reached.
    pub me: ServerAddress,
    /// Of which release.
    pub profile: Profile,
    /// A server, not a client.
    pub server: bool,
}

impl Event {
    /// The line that Consul's users look for: level, logger and text. None for facts that Consul
    /// does not log.
    #[must_use]
    pub fn log_line(&self, speaker: &Speaker) -> Option<(Level, &'static str, String)> {
        let Speaker { me, profile, .. } = speaker;
        let profile = *profile;
        let (server, consensus) = match profile {
            Profile::Modern => ("agent.server", "agent.server.raft"),
            Profile::Legacy => ("consul", "raft"),
        };
        match self {
            Event::Raft(event) => {
                raft::log_line(event, me, profile).map(|(level, text)| (level, consensus, text))
            }
            Event::Membership(fact) => fact.log_line(speaker),
            Event::LeadershipAcquired => {
                Some((Level::Info, server, "cluster leadership acquired".to_owned()))
            }
            Event::LeadershipLost => {
                Some((Level::Info, server, "cluster leadership lost".to_owned()))
            }
            Event::Applied { .. }
            | Event::Served { .. }
            | Event::VoteTold { .. }
            | Event::Acked { .. }
            | Event::SnapshotBegun { .. }
            | Event::StateReplaced { .. }
            | Event::CatalogChanged { .. }
            | Event::Forwarded { .. }
            | Event::LeadershipEstablished => None,
        }
    }
}
