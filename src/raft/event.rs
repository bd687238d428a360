//! What happened inside the core, as facts: the one stream that feeds transcripts, trace, report and
//! log lines. Nothing in the core depends on them.

use crate::base::{Duration, LogIndex, ServerAddress, Term};
use crate::raft::types::{Change, Configuration, Entry, Vote};

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
    /// This server lost what it had acknowledged: [`Restored::abstains`](crate::raft::Restored::abstains).
    Abstains,
}

/// What a request says that cannot be true in a cluster whose servers and disks all work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// Its sender leads the term in which this server leads.
    SecondLeader,
    /// It has another entry here, where this server's is committed.
    CommittedEntry(LogIndex),
}

/// Why a leader stepped down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum StepDown {
    NewerTerm,
    LeaseExpired,
    DiskFailed,
    /// The configuration that is committed is without it.
    Removed,
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
    /// The timer ran out on a server without a vote (logged once per follower period).
    NoVote {
        /// The set that says so is known to be committed.
        stable: bool,
    },
    /// The first set was not taken: why.
    BootstrapRefused(&'static str),
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
        /// Whom this server takes for leader.
        leader: Option<ServerAddress>,
        /// Why.
        why: VoteRefusal,
    },
    /// A request of this leader was refused because it contradicts what this server knows for
    /// certain: a forgery, a disk that lied, or a mistake of ours.
    Contradicted {
        /// Who sent it.
        leader: ServerAddress,
        /// In which term.
        term: Term,
        /// What it says.
        what: Contradiction,
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
    /// This configuration is in force on this server: appended (`modern`), or applied (`legacy`), or
    /// found at start, or the one before after a truncation.
    ConfigurationInForce {
        /// The entry that carries it; 0 when none does.
        index: LogIndex,
        /// The set.
        configuration: Configuration,
    },
    /// The leader changes the set of servers.
    ConfigurationChanging {
        /// How.
        change: Change,
        /// What comes of it.
        configuration: Configuration,
    },
    /// An entry of a leader was refused, and all that came with it.
    EntryRefused {
        /// Which.
        index: LogIndex,
        /// What is wrong with it.
        why: String,
    },
    /// A leader has deleted what this server had committed (`legacy`; see its module).
    CommittedTruncated {
        /// This index and all after it.
        from: LogIndex,
        /// What was committed.
        commit: LogIndex,
    },
    /// The leader begins to replicate to this server.
    PeerAdded(ServerAddress),
    /// The leader no longer does.
    PeerRemoved {
        /// The one that was taken out.
        peer: ServerAddress,
        /// By this entry.
        index: LogIndex,
    },
    /// A snapshot of the state machine up to here is being made.
    SnapshotStarted(LogIndex),
    /// And is durable, and the newest.
    SnapshotTaken(LogIndex),
    /// It could not be written.
    SnapshotFailed(LogIndex),
    /// The log begins after this index now.
    Compacted(LogIndex),
    /// The leader sends its snapshot to this follower.
    SnapshotSent {
        /// The follower.
        peer: ServerAddress,
        /// Up to here.
        index: LogIndex,
    },
    /// A leader's snapshot has replaced the state machine. Everything up to it is committed. The log
    /// stays if it has this entry, otherwise it begins anew after it.
    SnapshotInstalled {
        /// Up to here.
        index: LogIndex,
        /// With an entry of this term last.
        term: Term,
    },
    /// An operator's snapshot takes the place of everything: the log begins anew after it, and the
    /// state machine follows as soon as it is durable.
    SnapshotRestored(LogIndex),
    /// The leader hands over to this server.
    TransferStarted(ServerAddress),
    /// This server was told to stand for election at once.
    TimeoutNow,
    /// A round of pre-votes began, for this term.
    PreVoteStarted(Term),
    /// It was lost.
    PreVoteFailed(Term),
    /// Damage had taken what this server may have acknowledged: it neither votes nor stands.
    Abstaining,
    /// This server asks for another leader, because this one counts what damage has taken from it.
    LeaderUnfit {
        /// The present one.
        leader: ServerAddress,
        /// Its term.
        term: Term,
    },
    /// It has caught up again.
    Healed,
}
