//! Who belongs to the cluster: the seam for Consul's two peer-set disciplines.
//!
//! The core asks for voters and quorum and reports what happens to configuration entries; what a
//! configuration *is* and when it takes effect is the strategy's. [`StaticMembership`] is the simplest
//! one: the set is given at the start and never changes.

use std::fmt;

use crate::base::quorum::majority;
use crate::base::{LogIndex, ServerAddress};
use crate::raft::types::{Configuration, Entry, SnapshotMeta, Suffrage};

/// Whether a server may stand for election (spec cluster 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidacy {
    /// It votes, so it may.
    Eligible,
    /// There is no configuration yet: nothing to elect among.
    NoKnownPeers,
    /// It is not a voter.
    NotVoter,
}

/// A discipline of membership.
pub trait Membership: fmt::Debug + Send + Sync {
    /// The configuration in force: the latest, committed or not.
    fn configuration(&self) -> &Configuration;

    /// A configuration entry was appended to the log (or found there at start).
    fn appended(&mut self, entry: &Entry);

    /// This index and all after it left the log.
    fn truncated(&mut self, from: LogIndex);

    /// A configuration entry is committed.
    fn committed(&mut self, entry: &Entry);

    /// A snapshot took the place of the log (at start, or from a leader or an operator).
    fn installed(&mut self, snapshot: &SnapshotMeta);

    /// The committed configuration and the entry that brought it, for a snapshot.
    fn for_snapshot(&self) -> (Configuration, LogIndex);

    /// Whether this address is a member.
    fn contains(&self, address: &ServerAddress) -> bool {
        self.configuration().servers.iter().any(|server| server.address == *address)
    }

    /// Whether this address votes.
    fn is_voter(&self, address: &ServerAddress) -> bool {
        self.configuration()
            .servers
            .iter()
            .any(|server| server.address == *address && server.suffrage == Suffrage::Voter)
    }

    /// How many vote.
    fn voters(&self) -> usize {
        let servers = &self.configuration().servers;
        servers.iter().filter(|server| server.suffrage == Suffrage::Voter).count()
    }

    /// How many votes decide.
    fn quorum(&self) -> usize {
        majority(self.voters())
    }

    /// Whether this address may stand for election.
    fn candidacy(&self, address: &ServerAddress) -> Candidacy {
        if self.configuration().servers.is_empty() {
            Candidacy::NoKnownPeers
        } else if self.is_voter(address) {
            Candidacy::Eligible
        } else {
            Candidacy::NotVoter
        }
    }
}

/// A set that never changes. Configuration entries in the log are taken to say the same.
#[derive(Clone, Debug)]
pub struct StaticMembership(Configuration);

impl StaticMembership {
    /// This set, for ever.
    #[must_use]
    pub fn new(configuration: Configuration) -> Self {
        Self(configuration)
    }
}

impl Membership for StaticMembership {
    fn configuration(&self) -> &Configuration {
        &self.0
    }

    fn appended(&mut self, _: &Entry) {}

    fn truncated(&mut self, _: LogIndex) {}

    fn committed(&mut self, _: &Entry) {}

    fn installed(&mut self, _: &SnapshotMeta) {}

    fn for_snapshot(&self) -> (Configuration, LogIndex) {
        (self.0.clone(), LogIndex(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::Server;

    fn set(suffrages: &[Suffrage]) -> StaticMembership {
        let servers = suffrages.iter().enumerate().map(|(at, &suffrage)| Server {
            suffrage,
            id: format!("id{at}").into(),
            address: format!("n{at}").into(),
        });
        StaticMembership::new(Configuration { servers: servers.collect() })
    }

    #[test]
    fn only_voters_count() {
        use Suffrage::{Nonvoter, Staging, Voter};
        let five = set(&[Voter, Voter, Nonvoter, Voter, Staging]);
        assert_eq!((five.voters(), five.quorum()), (3, 2));
        assert_eq!(five.candidacy(&"n0".into()), Candidacy::Eligible);
        assert_eq!(five.candidacy(&"n2".into()), Candidacy::NotVoter);
        assert_eq!(five.candidacy(&"n9".into()), Candidacy::NotVoter);
        assert!(five.contains(&"n4".into()) && !five.contains(&"n9".into()));
        assert_eq!(set(&[]).candidacy(&"n0".into()), Candidacy::NoKnownPeers);
    }
}
