//! What goes into and comes out of the consensus core.
//!
//! RPCs are request and response, as hashicorp/raft has them: a response does not say which entries
//! it acknowledges, so the caller's side keeps that under the [`CallId`].

use bytes::Bytes;

use crate::base::{
    CallId, Duration, LogIndex, PersistId, ReplyToken, RequestId, ServerAddress, ServerId, Term,
};

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

/// A batch for the disk: hard state, then truncation, then append; durable together when
/// [`Input::Persisted`] comes back with its id. Batches complete in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
    /// Its name.
    pub id: PersistId,
    /// The new hard state, when it changed.
    pub hard_state: Option<HardState>,
    /// Delete this index and all after it first.
    pub truncate_from: Option<LogIndex>,
    /// Then append these, contiguous.
    pub append: Vec<Entry>,
}

/// What was found on disk at start.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Term and vote; default on a fresh disk.
    pub hard_state: HardState,
    /// The whole log, from index 1, contiguous.
    pub entries: Vec<Entry>,
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

/// A request between servers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types say it")]
pub enum Request {
    AppendEntries(AppendEntries),
    RequestVote(RequestVote),
}

/// A response between servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types say it")]
pub enum Response {
    AppendEntries(AppendEntriesResponse),
    RequestVote(RequestVoteResponse),
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
    Vote,
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
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::NotLeader => "node is not the leader",
            Refusal::LeadershipLost => "leadership lost while committing log",
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
    /// A proposal failed.
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

/// A server's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Role {
    Follower,
    Candidate,
    Leader,
}

/// Why a vote was refused, in the order of the rules (spec cluster 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum VoteRefusal {
    NotInConfiguration,
    LeaderKnown,
    OldTerm,
    NotVoter,
    AlreadyVoted,
    LogBehind,
}

/// Why a leader stepped down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum StepDown {
    NewerTerm,
    LeaseExpired,
    DiskFailed,
}

/// What happened inside, as facts: the one stream that feeds transcripts, trace, report and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The current term rose (or was restored at start).
    TermChanged(Term),
    /// A vote was given, own ones too. Emitted when it is decided; no message tells of it before it
    /// is durable.
    Voted(Vote),
    /// The role changed.
    RoleChanged {
        /// The new role.
        role: Role,
        /// In this term.
        term: Term,
    },
    /// Whom this server takes for leader; itself when it leads.
    LeaderChanged(Option<ServerAddress>),
    /// Entries were added to the log in memory (not yet durable).
    Appended(Vec<Entry>),
    /// This index and all after it were deleted ("clearing log suffix").
    Truncated(LogIndex),
    /// The commit index rose.
    CommitAdvanced(LogIndex),
    /// The follower's timer ran out without contact.
    HeartbeatTimeout {
        /// The leader that went silent.
        leader: Option<ServerAddress>,
    },
    /// Nothing to elect among (logged once per follower period).
    NoKnownPeers,
    /// A candidate's timer ran out.
    ElectionTimeout(Term),
    /// A majority voted for this server.
    ElectionWon {
        /// In which term.
        term: Term,
        /// With how many votes.
        tally: usize,
    },
    /// This server refused to vote.
    VoteRefused {
        /// Who asked.
        candidate: ServerAddress,
        /// In which term.
        term: Term,
        /// Why.
        why: VoteRefusal,
    },
    /// A follower's log does not match; older entries go next.
    AppendRejected {
        /// The follower.
        peer: ServerAddress,
        /// Where the leader goes on.
        next: LogIndex,
    },
    /// The leader sends to this follower without waiting for answers.
    Pipelining(ServerAddress),
    /// And no longer.
    PipelineAborted(ServerAddress),
    /// The leader has not heard from this peer for longer than its lease.
    ContactLost {
        /// The silent one.
        peer: ServerAddress,
        /// For how long.
        silent: Duration,
    },
    /// A leader gave up leading.
    SteppedDown(StepDown),
}
