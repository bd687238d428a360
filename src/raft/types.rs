//! What goes into and comes out of the consensus core.
//!
//! RPCs are request and response, as hashicorp/raft has them: a response does not say which entries
//! it acknowledges, so the caller's side keeps that under the [`CallId`].

use std::fmt;

use bytes::Bytes;

use crate::base::{
    CallId, LogIndex, PersistId, ReplyToken, RequestId, ServerAddress, ServerId, Term,
};
use crate::raft::event::Event;

/// Whether a server votes (spec cluster 4.1; the wire numbers are 0, 1, 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suffrage {
    /// Votes and counts towards commit.
    Voter,
    /// Receives the log only.
    Nonvoter,
    /// A non-voter that is to be promoted (unused in practice).
    Staging,
}

/// A member of the Raft configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// Whether it votes.
    pub suffrage: Suffrage,
    /// Its identity.
    pub id: ServerId,
    /// Where it is reached; also how it is named in votes and as leader.
    pub address: ServerAddress,
}

/// The set of servers, as a log entry of kind [`EntryKind::Configuration`] carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// In the order of the entry.
    pub servers: Vec<Server>,
}

/// What an entry is for (the wire numbers are 0 to 5; 2 and 3 are the old peer changes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// For the state machine.
    Command,
    /// A leader's first entry of its term.
    Noop,
    /// Old form of adding a peer.
    AddPeerDeprecated,
    /// Old form of removing a peer.
    RemovePeerDeprecated,
    /// Committed once everything before it is applied.
    Barrier,
    /// A new set of servers.
    Configuration,
}

/// As Go prints it, in log lines and in `consul info`.
impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (at, Server { suffrage, id, address }) in self.servers.iter().enumerate() {
            let gap = if at > 0 { " " } else { "" };
            write!(f, "{gap}{{Suffrage:{suffrage:?} ID:{id} Address:{address}}}")?;
        }
        f.write_str("]")
    }
}

impl Configuration {
    /// What hashicorp/raft asks of every set: names and addresses, each once, and a voter.
    ///
    /// # Errors
    /// The first rule that is broken, in its words.
    pub fn check(&self) -> Result<(), &'static str> {
        for (at, server) in self.servers.iter().enumerate() {
            let earlier = &self.servers[..at];
            if server.id.as_str().is_empty() {
                return Err("empty ID in configuration");
            }
            if server.address.as_str().is_empty() {
                return Err("empty address in configuration");
            }
            if earlier.iter().any(|earlier| earlier.id == server.id) {
                return Err("found duplicate ID in configuration");
            }
            if earlier.iter().any(|earlier| earlier.address == server.address) {
                return Err("found duplicate address in configuration");
            }
        }
        match self.servers.iter().any(|server| server.suffrage == Suffrage::Voter) {
            true => Ok(()),
            false => Err("need at least one voter in configuration"),
        }
    }
}

/// One log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position; the first is 1.
    pub index: LogIndex,
    /// Term of the leader that made it.
    pub term: Term,
    /// What it is for.
    pub kind: EntryKind,
    /// A command, an encoded configuration, or nothing.
    pub data: Bytes,
}

/// A granted vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// In which term.
    pub term: Term,
    /// For whom (hashicorp/raft stores the address).
    pub candidate: ServerAddress,
}

/// What must survive a crash beside the log. Written as one record, never in two steps: a crash
/// between term and candidate would let an old candidate be granted without the log check
/// (spec cluster 4.5, hazard).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// Latest term this server has seen.
    pub term: Term,
    /// The last vote given, in whatever term that was.
    pub vote: Option<Vote>,
}

/// What a snapshot of the state machine stands for (spec cluster 4.11).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The last entry that is in it.
    pub index: LogIndex,
    /// That entry's term.
    pub term: Term,
    /// The set of servers as of that entry.
    pub configuration: Configuration,
    /// The entry that brought this set; 0 when it was there from the start.
    pub configuration_index: LogIndex,
    /// Bytes of the encoded state; 0 while it is not written yet.
    pub size: u64,
}

/// Where the state of a snapshot comes from that replaces what this server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SnapshotSource {
    /// It came with this InstallSnapshot request, and waits on disk under that name.
    Received(ReplyToken),
    /// An operator's: it came with this [`Input::Restore`].
    Operator(RequestId),
}

/// A snapshot that replaces the state machine and takes the place of the log's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// What it stands for.
    pub meta: SnapshotMeta,
    /// Where its bytes are.
    pub source: SnapshotSource,
    /// Whether the log agrees with it at its index and keeps what comes after. Otherwise the whole
    /// log goes and begins anew after the snapshot (Raft paper, figure 13, rules 6 and 7).
    pub keeps_log: bool,
}

/// A batch for the disk: hard state, then a snapshot, truncation, compaction, append; durable
/// together when [`Input::Persisted`] comes back with its id. Batches complete in the order of their
/// ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Persist {
    /// Its name.
    pub id: PersistId,
    /// The new hard state, when it changed.
    pub hard_state: Option<HardState>,
    /// This snapshot is the newest one from now on. It is durable before the log changes.
    pub install: Option<Box<Install>>,
    /// Delete this index and all after it first.
    pub truncate_from: Option<LogIndex>,
    /// This index and all before it may go: a snapshot that is durable already covers them.
    pub compact_to: Option<LogIndex>,
    /// Then append these, contiguous.
    pub append: Vec<Entry>,
    /// The live peer set of the `legacy` discipline, for `peers.json` (spec cluster 4.15); itself
    /// included. None when it has not changed.
    pub peers: Option<Vec<ServerAddress>>,
    /// A leader has brought back what damage on this disk had taken: see [`Restored::abstains`].
    pub healed: bool,
}

/// What was found on disk at start.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Term and vote; default on a fresh disk. A snapshot may be of a later term.
    pub hard_state: HardState,
    /// The newest snapshot that can be read; the state machine is as it says.
    pub snapshot: Option<SnapshotMeta>,
    /// The log, contiguous; from index 1, or from any index up to the one after the snapshot's. It has
    /// the snapshot's last entry, or begins right after it, or is empty: [`Restored::reconcile`] sees
    /// to that.
    pub entries: Vec<Entry>,
    /// Something that this server may have acknowledged was damaged and is gone, while term and
    /// vote are known, and what is left of the log is a prefix of what it was. It neither votes nor
    /// stands until its log holds, durably, an entry of a term above the one found on disk: a leader
    /// that was elected after the damage has then brought back all that matters. A leader of the term
    /// found on disk is made to stand again. The end is told with [`Persist::healed`]; until that is
    /// durable, every start says `abstains`. Why that is sound: the essay of `raft/abstention.rs`.
    pub abstains: bool,
    /// The `legacy` peer set (peers.json as found); None under the `modern` discipline.
    pub peers: Option<Vec<ServerAddress>>,
}

/// AppendEntries (spec cluster 5.2). A heartbeat has prev 0/0, no entries and commit 0 (5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendEntries {
    /// The leader's term.
    pub term: Term,
    /// The leader.
    pub leader: ServerAddress,
    /// Index before the first entry.
    pub prev_index: LogIndex,
    /// Term of the entry there.
    pub prev_term: Term,
    /// To be appended.
    pub entries: Vec<Entry>,
    /// How far the leader knows the log to be committed.
    pub leader_commit: LogIndex,
}

impl AppendEntries {
    /// Whether this is the heartbeat form, which skips the log check and never moves the commit
    /// index (spec cluster 5.3).
    #[must_use]
    pub fn is_heartbeat(&self) -> bool {
        self.prev_index == LogIndex(0)
            && self.prev_term == Term(0)
            && self.leader_commit == LogIndex(0)
            && self.entries.is_empty()
    }
}

/// The answer to AppendEntries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendEntriesResponse {
    /// The follower's term.
    pub term: Term,
    /// The follower's last index *before* this append: a hint for where to go on.
    pub last_log: LogIndex,
    /// Whether the entries are now in its log, durably.
    pub success: bool,
    /// Refused by the log check: the next try need not wait.
    pub no_retry_backoff: bool,
}

/// RequestVote (spec cluster 4.5, 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestVote {
    /// The candidate's term.
    pub term: Term,
    /// The candidate.
    pub candidate: ServerAddress,
    /// Its last entry.
    pub last_log_index: LogIndex,
    /// That entry's term.
    pub last_log_term: Term,
    /// Asked to take over by the leader: vote even though a leader is known.
    pub leadership_transfer: bool,
}

/// The answer to RequestVote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestVoteResponse {
    /// The voter's term.
    pub term: Term,
    /// Whether it voted for the candidate, durably.
    pub granted: bool,
}

/// RequestPreVote (spec cluster 4.4; thesis 9.6): would you vote for me?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPreVote {
    /// The term that the candidate would stand in: its own plus one.
    pub term: Term,
    /// The candidate.
    pub candidate: ServerAddress,
    /// Its last entry.
    pub last_log_index: LogIndex,
    /// That entry's term.
    pub last_log_term: Term,
}

/// The answer to RequestPreVote. It promises nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestPreVoteResponse {
    /// The voter's term, or the asked one when that is higher.
    pub term: Term,
    /// Whether it would vote for the candidate.
    pub granted: bool,
}

/// InstallSnapshot (spec cluster 4.11, 5.2). The bytes of the state travel beside it: the driver of
/// the sender attaches those of its snapshot with this index and term, the driver of the receiver
/// puts them on disk before the core sees the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallSnapshot {
    /// The leader's term.
    pub term: Term,
    /// The leader.
    pub leader: ServerAddress,
    /// What it stands for.
    pub snapshot: SnapshotMeta,
}

/// The answer to InstallSnapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstallSnapshotResponse {
    /// The follower's term.
    pub term: Term,
    /// Whether it has the snapshot, durably.
    pub success: bool,
}

/// A request between servers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types say it")]
pub enum Request {
    AppendEntries(AppendEntries),
    RequestVote(RequestVote),
    RequestPreVote(RequestPreVote),
    InstallSnapshot(InstallSnapshot),
    /// Stand for election at once (leadership transfer, spec cluster 4.9).
    TimeoutNow,
}

/// A response between servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types say it")]
pub enum Response {
    AppendEntries(AppendEntriesResponse),
    RequestVote(RequestVoteResponse),
    RequestPreVote(RequestPreVoteResponse),
    InstallSnapshot(InstallSnapshotResponse),
    TimeoutNow,
}

/// Why an RPC has no response. Whether the peer acted on it is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// No connection, a broken one, or no answer in time.
    Unreachable,
    /// The peer answered with an error text.
    Remote(String),
}

/// Which connection to a peer a call travels on: calls on one lane are answered in order, lanes do
/// not wait for one another (spec cluster 5.3: heartbeats have their own).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Lane {
    Heartbeat,
    Replication,
    /// Votes, pre-votes and TimeoutNow.
    Vote,
    /// InstallSnapshot: its bytes would hold up everything else.
    Snapshot,
}

/// Everything that can happen to the core.
#[derive(Clone, Debug)]
pub enum Input {
    /// The deadline has come (an early or spurious wake is harmless).
    Wake,
    /// A peer asks; the answer is an [`Output::Reply`] with the same token, now or after a persist.
    Request {
        /// Names the answer.
        token: ReplyToken,
        /// The question.
        request: Request,
    },
    /// A call of ours ended.
    Reply {
        /// Which.
        call: CallId,
        /// How.
        result: Result<Response, CallError>,
    },
    /// This batch, and all before it, is durable.
    Persisted(PersistId),
    /// The disk refused a batch: nothing more may be acknowledged; a leader steps down.
    PersistFailed(PersistId),
    /// Append these; each ends in [`Output::Commit`] with its id or in [`Output::Refused`].
    Propose(Vec<Proposal>),
    /// Confirm with a quorum, by heartbeats sent from now on, that this server leads.
    Verify(RequestId),
    /// Change the set of servers; ends in [`Output::Commit`] with its id or in [`Output::Refused`].
    /// It waits while another change is under way (spec cluster 4.8).
    ChangeConfiguration {
        /// Names the outcome.
        id: RequestId,
        /// How.
        change: Change,
    },
    /// Hand leadership over (spec cluster 4.9); ends in [`Output::Transferred`].
    TransferLeadership {
        /// Names the outcome.
        id: RequestId,
        /// To whom; none: to the voter that is furthest.
        to: Option<ServerId>,
    },
    /// A new cluster's first set (spec cluster 4.8): written as entry 1 of term 1, on each of its servers.
    /// A server that has any state, and a set that must not be, are refused with
    /// [`Event::BootstrapRefused`].
    Bootstrap(Configuration),
    /// `legacy` alone: the agent gives the peer set, itself included (Consul's bootstrap, spec cluster
    /// 3.8). A leader keeps its own. An empty set is a server's that has left for good: the file
    /// becomes `null`, and this life goes on as it was.
    SetPeers(Vec<ServerAddress>),
    /// The snapshot that [`Output::TakeSnapshot`] asked for is durable; its `size` is known.
    SnapshotSaved(SnapshotMeta),
    /// It could not be written. The server goes on and tries again after its interval.
    SnapshotFailed(LogIndex),
    /// An operator's snapshot takes the place of everything (spec cluster 4.11, user restore): on the
    /// leader only. Ends in [`Output::Commit`] with its id (of the Noop after it) or [`Output::Refused`].
    Restore {
        /// Names the outcome.
        id: RequestId,
        /// What the snapshot stood for where it was taken. Its entries carry indexes up to that, so it
        /// is installed after it as well as after the log.
        index: LogIndex,
    },
}

/// A change of the set of servers (spec cluster 4.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What to do.
    pub command: ChangeCommand,
    /// Whom it concerns.
    pub id: ServerId,
    /// Its address; needed to add.
    pub address: ServerAddress,
    /// Refused unless the latest configuration is of this index; 0: whatever it is.
    pub prev_index: LogIndex,
}

/// The kinds of [`Change`]. `legacy` knows AddVoter (its AddPeer) and RemoveServer (RemovePeer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are hashicorp/raft's")]
pub enum ChangeCommand {
    AddVoter,
    AddNonvoter,
    DemoteVoter,
    RemoveServer,
    /// A server of suffrage Staging becomes a voter.
    Promote,
}

/// Something to append to the log.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Names the outcome.
    pub id: RequestId,
    /// `Command` or `Barrier`.
    pub kind: EntryKind,
    /// The command.
    pub data: Bytes,
}

/// Why a proposal or a verification failed. The texts are Consul's (spec cluster 4.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not appended: certainly without effect.
    NotLeader,
    /// Appended, then leadership was lost: it may still commit.
    LeadershipLost,
    /// Not appended: leadership is being handed over.
    TransferInProgress,
    /// The transfer did not end in time; whether it still happens is unknown.
    TransferTimeout,
    /// There is nobody to hand leadership to, or nobody of that name votes.
    NoSuchPeer,
    /// Leadership cannot be handed to oneself.
    TransferToSelf,
    /// Appended, then an operator's snapshot took its place: it may have been committed.
    SnapshotRestored,
    /// The change asked for another configuration than the latest.
    ConfigurationChanged {
        /// What it asked for.
        since: LogIndex,
        /// What there is.
        latest: LogIndex,
    },
    /// The change would leave a configuration that must not be.
    BadConfiguration(&'static str),
    /// The peer-set discipline in force has no such operation.
    NotSupported,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::NotLeader => "node is not the leader",
            Refusal::LeadershipLost => "leadership lost while committing log",
            Refusal::TransferInProgress => "leadership transfer in progress",
            Refusal::TransferTimeout => "leadership transfer timeout",
            Refusal::NoSuchPeer => "cannot find peer",
            Refusal::TransferToSelf => "cannot transfer leadership to itself",
            Refusal::SnapshotRestored => "snapshot restored while committing log",
            Refusal::ConfigurationChanged { since, latest } => {
                return write!(f, "configuration changed since {since} (latest is {latest})");
            }
            Refusal::BadConfiguration(text) => text,
            Refusal::NotSupported => "operation not supported with current protocol version",
        })
    }
}

/// An entry that is committed: apply it, in this order, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The entry.
    pub entry: Entry,
    /// Set on the leader that proposed it, while it leads the same term: answer this request.
    pub proposal: Option<RequestId>,
}

/// Everything the core asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write this, then say so with [`Input::Persisted`].
    Persist(Persist),
    /// Send this; end it with exactly one [`Input::Reply`].
    Call {
        /// Names the answer.
        call: CallId,
        /// To whom.
        to: ServerAddress,
        /// On which connection.
        lane: Lane,
        /// What.
        request: Request,
    },
    /// Answer a peer's request. An answer that waits for the disk is overtaken by one that need not:
    /// whoever owns the connection puts answers back in the order of its requests.
    Reply {
        /// Which.
        token: ReplyToken,
        /// With what.
        response: Response,
    },
    /// Newly committed entries, contiguous, each exactly once in a process life.
    Commit(Vec<Committed>),
    /// Make a snapshot of the state machine as it is now, after all commits handed out so far; then
    /// [`Input::SnapshotSaved`] or [`Input::SnapshotFailed`].
    TakeSnapshot(SnapshotMeta),
    /// The state machine is this snapshot's from now on; the commits that follow go on from there.
    Installed {
        /// What it stands for.
        meta: SnapshotMeta,
        /// Where it came from.
        source: SnapshotSource,
    },
    /// A transfer of leadership ended.
    Transferred {
        /// Which.
        id: RequestId,
        /// `Ok`: this server no longer leads.
        result: Result<(), Refusal>,
    },
    /// A proposal or a change failed.
    Refused {
        /// Which.
        id: RequestId,
        /// Why.
        refusal: Refusal,
    },
    /// A verification ended: `Ok` with the commit index that a read must have applied.
    Verified {
        /// Which.
        id: RequestId,
        /// The index to wait for, or why not.
        result: Result<LogIndex, Refusal>,
    },
    /// For transcripts, trace and logs; nothing depends on it.
    Event(Event),
}
