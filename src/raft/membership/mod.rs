//! Who belongs to the cluster: the seam between Consul's two peer-set disciplines.
//!
//! | | `modern` (hashicorp/raft since server ids) | `legacy` (Consul 0.5.2) |
//! |---|---|---|
//! | a set takes effect | when its entry is appended | on its leader when appended, elsewhere when applied |
//! | it is stored | in the log and in snapshots | in `peers.json` and in snapshots |
//! | a leadership begins with | a Noop | AddPeer with the whole set |
//! | quorum of an entry | that of the set in force | that of the moment at which it was appended |
//! | changes | one at a time, after an entry of the own term | at any time, side by side |
//! | a replaced server is sent to | until its removal is appended | until its removal is committed |
//! | vote, log and truncation rules | spec cluster 4.5, 4.6 | spec cluster 4.15 |
//!
//! **This trait is the only place where the core asks which discipline it follows.** The core tells it
//! what happens to entries ([`Membership::appended`], [`Membership::truncated`],
//! [`Membership::committed`], [`Membership::installed`]) and asks for what follows from them.
//!
//! Invariants: [`InForce`] is computed once per change, never per step; an entry that
//! [`Membership::check`] has let through can be read for ever.

mod legacy;
mod modern;

pub use self::legacy::LegacyMembership;
pub use self::modern::ModernMembership;

use std::fmt;

use bytes::Bytes;

use crate::base::quorum::majority;
use crate::base::{LogIndex, ServerAddress, Term};
use crate::raft::event::VoteRefusal;
use crate::raft::types::{
    Change, Configuration, Entry, EntryKind, Refusal, Restored, Server, SnapshotMeta, Suffrage,
};

/// Whose rules an agent follows: which discipline, and whose log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Consul 1.9.8 (hashicorp/raft with server ids).
    #[default]
    Modern,
    /// Consul 0.5.2 (`peers.json` is the live set).
    Legacy,
}

/// How an entry of kind [`EntryKind::Configuration`] is written: `wire`'s, which the core must not know.
#[derive(Clone, Copy, Debug)]
pub struct ConfigurationCodec {
    /// The data of an entry.
    pub encode: fn(&Configuration) -> Bytes,
    /// And back; why not, otherwise.
    pub decode: fn(&[u8]) -> Result<Configuration, String>,
}

/// How the entries of the `legacy` discipline are written: a msgpack array of addresses.
#[derive(Clone, Copy, Debug)]
pub struct PeersCodec {
    /// The data of an entry.
    pub encode: fn(&[ServerAddress]) -> Bytes,
    /// And back; why not, otherwise.
    pub decode: fn(&[u8]) -> Result<Vec<ServerAddress>, String>,
}

/// Whether a server may stand for election (spec cluster 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidacy {
    /// It votes, or may still be needed, so it may.
    Eligible,
    /// There is no configuration yet: nothing to elect among.
    NoKnownPeers,
    /// It is not a voter.
    NotVoter {
        /// Of a set that is known to be committed.
        stable: bool,
    },
}

/// The set of servers that counts on this server, and what is asked of it all the time.
#[derive(Clone, Debug, Default)]
pub struct InForce {
    /// The entry that brought it; 0 when none did.
    pub index: LogIndex,
    /// The set.
    pub configuration: Configuration,
    /// All of it but this server, in its order.
    pub others: Vec<Server>,
    /// Whether this server's own vote and log count.
    pub votes: bool,
    /// How many votes decide.
    pub quorum: usize,
}

impl InForce {
    /// A set in which the voters decide by majority, seen by the server that `is_me` knows.
    fn of_voters(
        index: LogIndex,
        configuration: Configuration,
        is_me: impl Fn(&Server) -> bool,
    ) -> Self {
        let is_voter = |server: &&Server| server.suffrage == Suffrage::Voter;
        let voters = configuration.servers.iter().filter(is_voter).count();
        let votes = configuration.servers.iter().filter(is_voter).any(&is_me);
        let others = configuration.servers.iter().filter(|server| !is_me(server)).cloned();
        let others = others.collect();
        Self { index, others, votes, quorum: majority(voters), configuration }
    }

    /// Whether this address votes.
    #[must_use]
    pub fn is_voter(&self, address: &ServerAddress) -> bool {
        let voters = self.configuration.servers.iter().filter(|it| it.suffrage == Suffrage::Voter);
        voters.map(|server| &server.address).any(|known| known == address)
    }

    /// Whether this address is a member.
    #[must_use]
    pub fn contains(&self, address: &ServerAddress) -> bool {
        self.configuration.servers.iter().any(|server| server.address == *address)
    }
}

/// A change of the set, ready to be appended.
#[derive(Clone, Debug)]
pub struct PlannedChange {
    /// Kind of the entry.
    pub kind: EntryKind,
    /// Its data.
    pub data: Bytes,
    /// What comes of it.
    pub configuration: Configuration,
}

/// What a committed entry means for the set.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Effect {
    /// [`Membership::in_force`] has changed.
    pub changed: bool,
    /// This server is no longer in it: a leader steps down.
    pub removed: bool,
}

/// A discipline of membership.
pub trait Membership: fmt::Debug + Send + Sync {
    /// What counts now.
    fn in_force(&self) -> &InForce;

    // What happens to the entries that carry the set.

    /// The start: what was found on disk.
    ///
    /// # Errors
    /// An entry that cannot be read: storage has given back something it was never given.
    fn restored(&mut self, restored: &Restored) -> Result<(), String>;

    /// Whether an entry that a leader sends can be read.
    ///
    /// # Errors
    /// Why not.
    fn check(&self, entry: &Entry) -> Result<(), String>;

    /// An entry was appended, by this server as the leader or as a follower. True: the set in force
    /// has changed.
    #[must_use]
    fn appended(&mut self, entry: &Entry, as_leader: bool) -> bool;

    /// This index and all after it left the log. True: the set in force has changed.
    #[must_use]
    fn truncated(&mut self, from: LogIndex) -> bool;

    /// An entry is committed, and applied with that.
    fn committed(&mut self, entry: &Entry) -> Effect;

    /// A snapshot took the place of the log up to its index; whatever else left the log was told by
    /// `truncated` before. True: the set in force has changed.
    #[must_use]
    fn installed(&mut self, snapshot: &SnapshotMeta) -> bool;

    /// The committed configuration and the entry that brought it, for a snapshot.
    fn for_snapshot(&self) -> (Configuration, LogIndex);

    // Elections.

    /// Whether this server may stand for election.
    fn candidacy(&self) -> Candidacy;

    /// It was elected.
    fn elected(&mut self) {}

    /// Whether a candidate is turned away before terms are compared (spec cluster 4.5, rules 1 and 2):
    /// it is a stranger, or a leader is known.
    fn bars(
        &self,
        candidate: &ServerAddress,
        leader: Option<&ServerAddress>,
        transfer: bool,
    ) -> Option<VoteRefusal>;

    /// Whether a candidate is one that may lead (rule 5); `knows_more`: its log is more up to date than
    /// this server's.
    fn may_lead(&self, candidate: &ServerAddress, knows_more: bool) -> bool;

    /// Whether a log with this end is more up to date than the other (rule 7).
    fn is_ahead(&self, own: (LogIndex, Term), other: (LogIndex, Term)) -> bool;

    // The log.

    /// Whether a follower keeps entries that it already has (spec cluster 4.6, rule 5), instead of
    /// deleting from the first that comes.
    fn keeps_present_entries(&self) -> bool {
        true
    }

    /// Whether the invariants of Raft hold whatever becomes of the set. Where they do not, what they
    /// forbid is reported and survived instead of being asserted.
    fn is_safe(&self) -> bool {
        true
    }

    // Leading.

    /// Kind and data of the entry that opens a leadership.
    fn opening(&self) -> (EntryKind, Bytes) {
        (EntryKind::Noop, Bytes::new())
    }

    /// The data of entry 1 of a cluster that begins with this set.
    ///
    /// # Errors
    /// The set must not be, or the discipline begins without an entry.
    fn first_entry(&self, _: &Configuration) -> Result<Bytes, &'static str> {
        Err("operation not supported with current protocol version")
    }

    /// Whether a change may start now, given whether this leader has committed an entry of its term.
    fn may_change(&self, own_term_committed: bool) -> bool;

    /// What comes of a change.
    ///
    /// # Errors
    /// Why it may not be.
    fn plan(&self, change: &Change) -> Result<PlannedChange, Refusal>;

    /// Whether the set in force is without this server: a leader finishes this and takes nothing new.
    fn is_leaving(&self) -> bool;

    /// Whether an entry keeps the quorum of the moment at which it was appended.
    fn entries_keep_their_quorum(&self) -> bool {
        false
    }

    /// Whether a server that is taken out is sent to until that is committed.
    fn removal_waits_for_commit(&self) -> bool {
        false
    }

    /// Whether leadership can be handed over.
    fn hands_over(&self) -> bool {
        true
    }

    // peers.json (`legacy` alone).

    /// The live set, when it is to be written anew.
    fn take_peers_file(&mut self) -> Option<Vec<ServerAddress>> {
        None
    }

    /// The agent gives the set (Consul's bootstrap). True: the set in force has changed.
    #[must_use]
    fn set_peers(&mut self, _: &[ServerAddress]) -> bool {
        false
    }

    /// The server has left for good: the file becomes `null`.
    fn forget_peers(&mut self) {}
}

/// Whether an entry carries a set of servers, in either discipline.
#[must_use]
pub fn carries_membership(kind: EntryKind) -> bool {
    match kind {
        EntryKind::Configuration
        | EntryKind::AddPeerDeprecated
        | EntryKind::RemovePeerDeprecated => true,
        EntryKind::Command | EntryKind::Noop | EntryKind::Barrier => false,
    }
}
