//! Membership as hashicorp/raft has it since servers have ids (spec cluster 4.1, 4.8; Raft thesis
//! chapter 4).
//!
//! ```text
//!   log        1 {n1 n2 n3}  …  7 {n1 n2 n3 n4}  …
//!              committed ─┘     └─ latest: in force from the moment it is appended
//!   7 truncated ──► latest = committed        7 committed ──► committed = latest
//! ```
//!
//! A set counts as soon as it is in the log, committed or not: any majority of the old set and any of
//! the new one share a server when they differ by one, so it does not matter which of the two a server
//! uses (thesis 4.1). That argument needs two rules of the leader: one change at a time, and none
//! before an entry of the own term is committed ("bug in single-server membership changes", raft-dev,
//! July 2015): else two leaders of different terms could each append a change to the *same* old set,
//! and the two new sets need not share a majority. Both are [`Membership::may_change`].
//!
//! Who may stand: whoever votes in the latest set, and whoever loses its vote by a set that is not known to
//! be committed. The latter may be the only one with that entry, and then its log bars everybody else: of
//! {n1 n2}, n2 leads, appends {n1} and stops; n1 needs n2's vote and does not get it (thesis 4.2.2). It does
//! not count its own vote, and steps down when the entry is committed. Consul 1.9.8 behaves so (recorded: a
//! server that has left and is started again campaigns); newer ones do not stand, and get stuck there.
//!
//! Who may be voted for: anybody, unless a leader is known; then strangers are told that they are strangers.
//! The library since 1.3 turns strangers away at any time (spec cluster 4.5, rule 1, for requests that carry an
//! id; those of Consul 1.9.8 do not). That makes clusters stop for good, as random schedules found: n1 was
//! removed long ago, n3 is the only voter left, adds n1 and loses its leadership before n1 has the entry. Now n3
//! needs n1's vote, and is a stranger to it (`change_stranger_is_needed`; thesis 4.1 says why a server must vote
//! for candidates that are not in its set). The protection against removed servers is the known leader. For
//! the same reason a non-voter is refused (rule 5) only by those who know as much as it does: a longer log may
//! hold the entry that made it a voter.
//!
//! Invariants: committed index <= latest index; at most the latest is uncommitted. After a start the
//! latest counts as uncommitted unless a snapshot carries it.
//!
//! Deliberately not: the entries of the old form (AddPeer, RemovePeer). Nobody sends them to a cluster
//! of this discipline, and they change nothing in it.

use bytes::Bytes;

use crate::base::{LogIndex, ServerAddress, ServerId, Term};
use crate::invariant;
use crate::raft::event::VoteRefusal;
use crate::raft::membership::{
    Candidacy, ConfigurationCodec, Effect, InForce, Membership, PlannedChange,
};
use crate::raft::types::{
    Change, ChangeCommand, Configuration, Entry, EntryKind, Refusal, Restored, Server,
    SnapshotMeta, Suffrage,
};

/// See the module.
#[derive(Clone, Debug)]
pub struct ModernMembership {
    codec: ConfigurationCodec,
    me: ServerId,
    committed: (LogIndex, Configuration),
    latest: InForce,
}

impl ModernMembership {
    /// Of the server with this id; its sets come from its log and its snapshot.
    #[must_use]
    pub fn new(me: ServerId, codec: ConfigurationCodec) -> Self {
        let latest = InForce { quorum: 1, ..InForce::default() };
        Self { codec, me, committed: (LogIndex(0), Configuration::default()), latest }
    }

    fn set_latest(&mut self, index: LogIndex, configuration: Configuration) {
        let me = &self.me;
        self.latest = InForce::of_voters(index, configuration, |server| server.id == *me);
    }

    /// The latest becomes the committed one, and this one the latest.
    fn take(&mut self, entry: &Entry) -> Result<(), String> {
        let configuration = self.read(entry)?;
        self.committed = (self.latest.index, std::mem::take(&mut self.latest.configuration));
        self.set_latest(entry.index, configuration);
        Ok(())
    }

    fn read(&self, entry: &Entry) -> Result<Configuration, String> {
        (self.codec.decode)(&entry.data)
            .map_err(|why| format!("configuration entry {} cannot be read: {why}", entry.index))
    }

    fn votes_in_committed(&self) -> bool {
        let is_me = |server: &Server| server.id == self.me && server.suffrage == Suffrage::Voter;
        self.committed.1.servers.iter().any(is_me)
    }

    fn is_stable(&self) -> bool {
        self.committed.0 == self.latest.index
    }
}

impl Membership for ModernMembership {
    fn in_force(&self) -> &InForce {
        &self.latest
    }

    fn restored(&mut self, restored: &Restored) -> Result<(), String> {
        let mut covered = LogIndex(0);
        if let Some(snapshot) = &restored.snapshot {
            covered = snapshot.index;
            let _ = self.installed(snapshot);
        }
        let entries = restored.entries.iter().filter(|entry| entry.index > covered);
        for entry in entries.filter(|entry| entry.kind == EntryKind::Configuration) {
            self.take(entry)?;
        }
        Ok(())
    }

    fn check(&self, entry: &Entry) -> Result<(), String> {
        match entry.kind {
            EntryKind::Configuration => self.read(entry).map(|_| ()),
            _ => Ok(()),
        }
    }

    fn appended(&mut self, entry: &Entry, _: bool) -> bool {
        if entry.kind != EntryKind::Configuration {
            return false;
        }
        let taken = self.take(entry);
        invariant!(taken.is_ok(), "appended without a check: {taken:?}");
        true
    }

    fn truncated(&mut self, from: LogIndex) -> bool {
        if self.latest.index < from {
            return false;
        }
        let (index, configuration) = self.committed.clone();
        self.set_latest(index, configuration);
        true
    }

    fn committed(&mut self, entry: &Entry) -> Effect {
        if entry.kind != EntryKind::Configuration || entry.index != self.latest.index {
            return Effect::default();
        }
        self.committed = (self.latest.index, self.latest.configuration.clone());
        Effect { changed: false, removed: !self.latest.votes }
    }

    fn installed(&mut self, snapshot: &SnapshotMeta) -> bool {
        self.committed = (snapshot.configuration_index, snapshot.configuration.clone());
        // The log that stays may carry a newer set.
        if self.latest.index > snapshot.index {
            return false;
        }
        let changed = self.latest.index != snapshot.configuration_index
            || self.latest.configuration != snapshot.configuration;
        self.set_latest(snapshot.configuration_index, snapshot.configuration.clone());
        changed
    }

    fn for_snapshot(&self) -> (Configuration, LogIndex) {
        let (index, configuration) = self.committed.clone();
        (configuration, index)
    }

    fn candidacy(&self) -> Candidacy {
        if self.latest.configuration.servers.is_empty() {
            Candidacy::NoKnownPeers
        } else if self.latest.votes || (!self.is_stable() && self.votes_in_committed()) {
            Candidacy::Eligible
        } else {
            Candidacy::NotVoter { stable: self.is_stable() }
        }
    }

    fn bars(
        &self,
        candidate: &ServerAddress,
        leader: Option<&ServerAddress>,
        transfer: bool,
    ) -> Option<VoteRefusal> {
        leader.filter(|leader| *leader != candidate)?;
        if !self.latest.configuration.servers.is_empty() && !self.latest.contains(candidate) {
            return Some(VoteRefusal::NotInConfiguration);
        }
        (!transfer).then_some(VoteRefusal::LeaderKnown)
    }

    fn may_lead(&self, candidate: &ServerAddress, knows_more: bool) -> bool {
        let is_stranger = !self.latest.contains(candidate);
        knows_more || is_stranger || self.latest.is_voter(candidate)
    }

    fn is_ahead(&self, own: (LogIndex, Term), other: (LogIndex, Term)) -> bool {
        (own.1, own.0) > (other.1, other.0)
    }

    fn first_entry(&self, configuration: &Configuration) -> Result<Bytes, &'static str> {
        configuration.check()?;
        Ok((self.codec.encode)(configuration))
    }

    fn may_change(&self, own_term_committed: bool) -> bool {
        own_term_committed && self.is_stable()
    }

    fn plan(&self, change: &Change) -> Result<PlannedChange, Refusal> {
        let (since, latest) = (change.prev_index, self.latest.index);
        if since > LogIndex(0) && since != latest {
            return Err(Refusal::ConfigurationChanged { since, latest });
        }
        let mut configuration = self.latest.configuration.clone();
        apply(change, &mut configuration.servers);
        configuration.check().map_err(Refusal::BadConfiguration)?;
        let data = (self.codec.encode)(&configuration);
        Ok(PlannedChange { kind: EntryKind::Configuration, data, configuration })
    }

    fn is_leaving(&self) -> bool {
        !self.latest.votes
    }
}

/// What a change does to the set (spec cluster 4.8). One that finds nothing to do leaves it as it is,
/// and is appended all the same.
fn apply(change: &Change, servers: &mut Vec<Server>) {
    use ChangeCommand::{AddNonvoter, AddVoter, DemoteVoter, Promote, RemoveServer};
    let known = servers.iter().position(|server| server.id == change.id);
    match (change.command, known) {
        (AddVoter | AddNonvoter, None) => {
            let suffrage =
                if change.command == AddVoter { Suffrage::Voter } else { Suffrage::Nonvoter };
            let (id, address) = (change.id.clone(), change.address.clone());
            servers.push(Server { suffrage, id, address });
        }
        (AddVoter, Some(at)) => {
            servers[at].suffrage = Suffrage::Voter;
            servers[at].address = change.address.clone();
        }
        (AddNonvoter, Some(at)) => servers[at].address = change.address.clone(),
        (DemoteVoter, Some(at)) => servers[at].suffrage = Suffrage::Nonvoter,
        (RemoveServer, Some(at)) => {
            servers.remove(at);
        }
        (Promote, Some(at)) if servers[at].suffrage == Suffrage::Staging => {
            servers[at].suffrage = Suffrage::Voter;
        }
        (DemoteVoter | RemoveServer | Promote, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// A letter per server: `v` votes, anything else does not; the id is its position.
    fn decode(bytes: &[u8]) -> Result<Configuration, String> {
        let server = |(at, letter): (usize, &u8)| Server {
            suffrage: if *letter == b'v' { Suffrage::Voter } else { Suffrage::Nonvoter },
            id: format!("id{at}").into(),
            address: format!("n{at}").into(),
        };
        if bytes.contains(&b'!') {
            return Err("a shout".to_owned());
        }
        Ok(Configuration { servers: bytes.iter().enumerate().map(server).collect() })
    }

    fn entry(index: u64, data: &'static str) -> Entry {
        let data = Bytes::from_static(data.as_bytes());
        let kind = EntryKind::Configuration;
        Entry { index: LogIndex(index), term: Term(1), kind, data }
    }

    fn of(me: &str) -> ModernMembership {
        ModernMembership::new(me.into(), ConfigurationCodec { encode: |_| Bytes::new(), decode })
    }

    #[test]
    fn only_voters_count() {
        let mut set = of("id2");
        assert_eq!(set.candidacy(), Candidacy::NoKnownPeers);
        assert!(set.appended(&entry(1, "vvnvn"), false));
        assert_eq!((set.in_force().quorum, set.in_force().votes), (2, false));
        assert_eq!(set.candidacy(), Candidacy::NotVoter { stable: false });
        let _ = set.committed(&entry(1, "vvnvn"));
        assert_eq!(set.candidacy(), Candidacy::NotVoter { stable: true });
        assert!(set.in_force().contains(&"n4".into()) && !set.in_force().is_voter(&"n4".into()));
    }

    #[test]
    fn a_snapshot_carries_the_committed_set_and_a_log_may_carry_a_newer_one() {
        let configuration = decode(b"vv").expect("readable");
        let configuration_index = LogIndex(3);
        let index = LogIndex(8);
        let term = Term(1);
        let snapshot = SnapshotMeta { index, term, configuration, configuration_index, size: 0 };
        let restored = Restored {
            snapshot: Some(snapshot.clone()),
            entries: vec![entry(7, "vvv"), entry(9, "vvvv")],
            ..Restored::default()
        };
        let mut set = of("id0");
        set.restored(&restored).expect("readable");
        assert_eq!((set.in_force().index, set.in_force().quorum), (LogIndex(9), 3));
        assert_eq!(set.for_snapshot().1, LogIndex(3));
        assert!(!set.installed(&snapshot), "the log keeps its newer set");
        assert!(set.truncated(LogIndex(9)));
        assert_eq!((set.in_force().index, set.in_force().quorum), (LogIndex(3), 2));
        let unreadable = Restored { entries: vec![entry(1, "v!")], ..Restored::default() };
        let why = of("id0").restored(&unreadable).expect_err("unreadable");
        assert_eq!(why, "configuration entry 1 cannot be read: a shout");
    }
}
