//! Membership as Consul 0.5.2 had it (spec cluster 4.15): the peer set lives in `peers.json`.
//!
//! ```text
//!   leader    AddPeer/RemovePeer appended ──► set changes, quorum of the entry is the new set's
//!             committed ──► set again; who is no longer in it gets a last append, and is left
//!   follower  committed ──► set changes                           each time: peers.json rewritten
//!   start     peers.json ──► the set (the log is not looked at)
//! ```
//!
//! This is not a sound discipline, and it is here because that is how 0.5.2 behaves. All invariants of
//! Raft hold while the set is fixed, provided that what one leader appends on one server arrives in
//! order, as on a TCP connection. Under changes, and by transcripts in `tests/agent/golden/raft/`:
//!
//! | what breaks | by which rule | transcript |
//! |---|---|---|
//! | state-machine-safety, leader-completeness | RemovePeer of the leader itself commits on the leader alone; the others may elect a leader that never saw it | `legacy_leader_removes_itself_alone` |
//! | election-safety, and with it log-matching and linearizable | sets change side by side and count before they are committed: two of them need not share a majority | `legacy_two_leaders` |
//! | state-machine-safety, leader-completeness, durability | an entry is counted with the logs of servers that were added after it | `legacy_counting` |
//! | durability | entries are deleted from the first that comes, present or not, also committed ones | `legacy_truncation` |
//!
//! An index once committed is never applied twice and the commit index never falls, also here: where a
//! leader deletes what this server has committed, that is told by
//! [`Event::CommittedTruncated`](crate::raft::Event::CommittedTruncated).
//!
//! Deliberately not: the peers in a vote's answer, and with them the candidate's warning "Remote peer X
//! does not have local node Y as a peer"; an explicit refusal of pre-votes (0.5.2 does not know them).

use bytes::Bytes;

use crate::base::{LogIndex, ServerAddress, Term};
use crate::invariant;
use crate::raft::event::VoteRefusal;
use crate::raft::membership::{Candidacy, Effect, InForce, Membership, PeersCodec, PlannedChange};
use crate::raft::types::{
    Change, ChangeCommand, Configuration, Entry, EntryKind, Refusal, Restored, Server,
    SnapshotMeta, Suffrage,
};

/// See the module.
#[derive(Clone, Debug)]
pub struct LegacyMembership {
    codec: PeersCodec,
    me: ServerAddress,
    /// May campaign without peers (Consul's `-bootstrap`); off after the first election won.
    enable_single_node: bool,
    /// `configuration` is the file's content, `others` the live peers.
    live: InForce,
    /// The set on its way to the file.
    file: Option<Vec<ServerAddress>>,
    /// RemovePeer of this server is appended and not committed.
    leaving: bool,
}

impl LegacyMembership {
    /// Of the server with this address; its set comes from [`Restored::peers`].
    #[must_use]
    pub fn new(me: ServerAddress, enable_single_node: bool, codec: PeersCodec) -> Self {
        let mut new = Self {
            codec,
            me,
            enable_single_node,
            live: InForce::default(),
            file: None,
            leaving: false,
        };
        let _ = new.set(LogIndex(0), &[]);
        new
    }

    /// Makes this list the live set. True when it is another than before.
    fn set(&mut self, index: LogIndex, list: &[ServerAddress]) -> bool {
        let configuration = configuration_of(list);
        let is_other = |server: &&Server| server.address != self.me;
        let others: Vec<Server> = configuration.servers.iter().filter(is_other).cloned().collect();
        let changed = others != self.live.others || configuration != self.live.configuration;
        // Of the peers and itself, whether or not the list has it (spec cluster 4.15).
        let quorum = others.len().div_ceil(2) + 1;
        self.live = InForce { index, configuration, others, votes: true, quorum };
        changed
    }

    /// The list that an entry leaves: one without this server leaves it alone.
    fn left_by(&self, entry: &Entry) -> (Vec<ServerAddress>, bool) {
        let read = (self.codec.decode)(&entry.data);
        invariant!(read.is_ok(), "entry {} was taken without a check: {read:?}", entry.index);
        let list = read.unwrap_or_default();
        let removed = entry.kind == EntryKind::RemovePeerDeprecated && !list.contains(&self.me);
        if removed { (vec![self.me.clone()], true) } else { (list, false) }
    }

    /// Itself first, then the peers.
    fn everybody(&self) -> Vec<ServerAddress> {
        let peers = self.live.others.iter().map(|server| server.address.clone());
        std::iter::once(self.me.clone()).chain(peers).collect()
    }
}

fn is_change(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::AddPeerDeprecated | EntryKind::RemovePeerDeprecated)
}

fn configuration_of(list: &[ServerAddress]) -> Configuration {
    let voter = |address: &ServerAddress| Server {
        suffrage: Suffrage::Voter,
        id: address.as_str().into(),
        address: address.clone(),
    };
    Configuration { servers: list.iter().map(voter).collect() }
}

fn addresses_of(configuration: &Configuration) -> Vec<ServerAddress> {
    configuration.servers.iter().map(|server| server.address.clone()).collect()
}

impl Membership for LegacyMembership {
    fn in_force(&self) -> &InForce {
        &self.live
    }

    /// The log is not looked at: an entry counts when it is committed (again).
    fn restored(&mut self, restored: &Restored) -> Result<(), String> {
        let _ = self.set(LogIndex(0), restored.peers.as_deref().unwrap_or_default());
        Ok(())
    }

    fn check(&self, entry: &Entry) -> Result<(), String> {
        if !is_change(entry.kind) {
            return Ok(());
        }
        (self.codec.decode)(&entry.data)
            .map(|_| ())
            .map_err(|why| format!("peer entry {} cannot be read: {why}", entry.index))
    }

    /// "Precommit": the leader goes by the new set at once, and counts this very entry with it. The
    /// entry that opens a leadership says what holds already.
    fn appended(&mut self, entry: &Entry, as_leader: bool) -> bool {
        if !as_leader || !is_change(entry.kind) {
            return false;
        }
        let (list, removed) = self.left_by(entry);
        if entry.kind == EntryKind::AddPeerDeprecated && list == self.everybody() {
            return false;
        }
        self.leaving |= removed;
        let changed = self.set(entry.index, &list);
        self.file = Some(list);
        changed
    }

    fn truncated(&mut self, _: LogIndex) -> bool {
        false
    }

    fn committed(&mut self, entry: &Entry) -> Effect {
        if !is_change(entry.kind) {
            return Effect::default();
        }
        let (list, removed) = self.left_by(entry);
        let changed = self.set(entry.index, &list);
        self.file = Some(list);
        self.leaving &= !removed;
        Effect { changed, removed }
    }

    fn installed(&mut self, snapshot: &SnapshotMeta) -> bool {
        let list = addresses_of(&snapshot.configuration);
        let changed = self.set(snapshot.configuration_index, &list);
        self.file = Some(list);
        changed
    }

    /// The file's content.
    fn for_snapshot(&self) -> (Configuration, LogIndex) {
        (self.live.configuration.clone(), self.live.index)
    }

    fn candidacy(&self) -> Candidacy {
        if self.live.others.is_empty() && !self.enable_single_node {
            Candidacy::NoKnownPeers
        } else {
            Candidacy::Eligible
        }
    }

    /// So that it does not elect itself should it be removed later (DisableBootstrapAfterElect).
    fn elected(&mut self) {
        self.enable_single_node = false;
        self.leaving = false;
    }

    /// Any leader bars any candidate, itself too.
    fn bars(
        &self,
        _: &ServerAddress,
        leader: Option<&ServerAddress>,
        _: bool,
    ) -> Option<VoteRefusal> {
        leader.map(|_| VoteRefusal::LeaderKnown)
    }

    fn may_lead(&self, _: &ServerAddress, _: bool) -> bool {
        true
    }

    /// Term, then index whatever the terms: stricter than the paper, so a longer log of an older term
    /// bars a newer one. Safe, but it can leave a cluster without anybody to elect until entries of
    /// the newest term are long enough.
    fn is_ahead(&self, own: (LogIndex, Term), other: (LogIndex, Term)) -> bool {
        own.1 > other.1 || own.0 > other.0
    }

    fn keeps_present_entries(&self) -> bool {
        false
    }

    fn is_safe(&self) -> bool {
        false
    }

    fn opening(&self) -> (EntryKind, Bytes) {
        (EntryKind::AddPeerDeprecated, (self.codec.encode)(&self.everybody()))
    }

    fn may_change(&self, _: bool) -> bool {
        true
    }

    fn plan(&self, change: &Change) -> Result<PlannedChange, Refusal> {
        let (since, latest) = (change.prev_index, self.live.index);
        if since > LogIndex(0) && since != latest {
            return Err(Refusal::ConfigurationChanged { since, latest });
        }
        let peer = match change.address.as_str() {
            "" => ServerAddress::from(change.id.as_str()),
            _ => change.address.clone(),
        };
        let mut list = self.everybody();
        let known = list.contains(&peer);
        let kind = match change.command {
            ChangeCommand::AddVoter if known => {
                return Err(Refusal::BadConfiguration("peer already known"));
            }
            ChangeCommand::AddVoter => {
                list.insert(0, peer);
                EntryKind::AddPeerDeprecated
            }
            ChangeCommand::RemoveServer if !known => {
                return Err(Refusal::BadConfiguration("peer is unknown"));
            }
            ChangeCommand::RemoveServer => {
                list.retain(|one| *one != peer);
                EntryKind::RemovePeerDeprecated
            }
            _ => return Err(Refusal::NotSupported),
        };
        let data = (self.codec.encode)(&list);
        Ok(PlannedChange { kind, data, configuration: configuration_of(&list) })
    }

    fn is_leaving(&self) -> bool {
        self.leaving
    }

    fn entries_keep_their_quorum(&self) -> bool {
        true
    }

    fn removal_waits_for_commit(&self) -> bool {
        true
    }

    fn hands_over(&self) -> bool {
        false
    }

    fn take_peers_file(&mut self) -> Option<Vec<ServerAddress>> {
        self.file.take()
    }

    fn set_peers(&mut self, peers: &[ServerAddress]) -> bool {
        self.file = Some(peers.to_vec());
        self.set(LogIndex(0), peers)
    }

    /// The file alone: this life goes on as it was until it ends.
    fn forget_peers(&mut self) {
        self.file = Some(Vec::new());
    }
}
