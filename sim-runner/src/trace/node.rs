//! One host, as its events tell it.

use super::catalog::Catalog;
use super::event::{Host, HostInfo, HostKind, Role, What};
use super::locks::Locks;
use super::log::NodeLog;
use super::members::Members;
use std::collections::BTreeSet;

/// Whom a server takes for leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Named {
    /// Nobody.
    #[default]
    Nobody,
    /// This host; itself when it leads.
    Host(Host),
    /// An address that no host of the run has.
    Stranger,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// What runs there.
    pub kind: HostKind,
    /// Whether the process exists.
    pub running: bool,
    /// Whether it is stopped by SIGSTOP.
    pub paused: bool,
    /// How often it was started.
    pub lives: u32,
    /// Raft role; of a process that is gone: follower.
    pub role: Role,
    /// Raft term.
    pub term: u64,
    /// Whom it takes for leader.
    pub leader: Named,
    /// Its log; of a process that is gone, as it was in memory at the end.
    pub log: NodeLog,
    /// Commit index of this process life.
    pub commit: u64,
    /// Last applied index of this process life.
    pub applied: u64,
    /// The set of servers in force on it; none while it has said nothing of one.
    pub configuration: Option<Configuration>,
    /// Who is there, as it was told in this process life.
    pub members: Members,
    /// The catalog in its state machine, as it was told in this process life.
    pub catalog: Catalog,
    /// The locks that are held in its state machine, likewise.
    pub locks: Locks,
    /// The agent's own services and checks, as it told of them in this process life.
    pub own: Catalog,
    /// It lost what it may have acknowledged, and neither votes nor stands.
    pub abstains: bool,
}

/// A set of servers, as far as they are hosts of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Of the entry that carries it.
    pub index: u64,
    /// Those that vote.
    pub voters: BTreeSet<Host>,
    /// Those that do not.
    pub others: BTreeSet<Host>,
}

impl Configuration {
    /// Whether a host belongs to it.
    #[must_use]
    pub fn contains(&self, host: Host) -> bool {
        self.voters.contains(&host) || self.others.contains(&host)
    }
}

impl NodeView {
    pub(super) fn new(info: &HostInfo) -> Self {
        Self {
            name: info.name.clone(),
            kind: info.kind,
            running: false,
            paused: false,
            lives: 0,
            role: Role::Follower,
            term: 0,
            leader: Named::Nobody,
            log: NodeLog::default(),
            commit: 0,
            applied: 0,
            configuration: None,
            members: Members::default(),
            catalog: Catalog::default(),
            locks: Locks::default(),
            own: Catalog::default(),
            abstains: false,
        }
    }

    /// Takes in what concerns the process; whether it did.
    pub(super) fn process(&mut self, what: &What) -> bool {
        let taken = self.members.take(what)
            | self.catalog.take(what)
            | self.locks.take(what)
            | self.own.take_own(what);
        if taken && !matches!(what, What::Started) {
            return true;
        }
        match what {
            What::Started => {
                self.running = true;
                self.lives += 1;
                (self.commit, self.applied) = (0, 0);
            }
            What::Ended { .. } => {
                (self.running, self.paused) = (false, false);
                (self.role, self.leader) = (Role::Follower, Named::Nobody);
            }
            What::Paused => self.paused = true,
            What::Resumed => self.paused = false,
            What::Recovered { term, snapshot, abstains, .. } => {
                self.term = *term;
                self.abstains = *abstains;
                let reached = snapshot.map_or(0, |snapshot| snapshot.index);
                (self.commit, self.applied) = (reached, reached);
            }
            What::LogHealed => self.abstains = false,
            _ => return false,
        }
        true
    }

    /// Running and not paused: it acts, and users can see what it thinks.
    #[must_use]
    pub fn live(&self) -> bool {
        self.running && !self.paused
    }

    /// Whether it takes itself for leader.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.running && self.role == Role::Leader
    }
}
