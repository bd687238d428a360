//! What goes into and comes out of an [`Agent`](super::Agent).

use crate::base::{CallId, LogIndex, PersistId, ReplyToken, RequestId, ServerAddress};
use crate::gossip;
use crate::raft;

use super::event::Event;
use super::local::{Keep, KeepId, Probe, ProbeId, ProbeResult};
use super::members::PoolId;
use super::membership::Membership;
use super::types::{Failure, Reply, Request, StateImage};

/// Everything that can happen to an agent.
#[derive(Clone, Debug)]
pub enum Input {
    /// The deadline has come.
    Wake,
    /// A peer's Raft request.
    RaftRequest(ReplyToken, raft::Request),
    /// A peer's InstallSnapshot, whose bytes are on disk and say this.
    InstallSnapshot(ReplyToken, raft::InstallSnapshot, StateImage),
    /// The snapshot that [`Output::SaveSnapshot`] asked for is durable.
    SnapshotSaved(raft::SnapshotMeta),
    /// It could not be written.
    SnapshotFailed(LogIndex),
    /// The end of a Raft call.
    RaftReply(CallId, Result<raft::Response, raft::CallError>),
    /// The disk has it.
    Persisted(PersistId),
    /// The disk refused it.
    PersistFailed(PersistId),
    /// A front end or another server asks.
    Ask(RequestId, Request),
    /// The asker has gone: nobody waits for the answer.
    Forget(RequestId),
    /// The end of a forwarded request.
    Forwarded(CallId, Result<Reply, Failure>),
    /// How a probe of a check ended.
    Probed(ProbeId, ProbeResult),
    /// A definition is on disk, or why it is not.
    Kept(KeepId, Result<(), String>),
    /// Something happened to a gossip pool.
    Gossip(PoolId, gossip::Input),
    /// The first set of servers of a new cluster. Given to each of them, in any order; refused (an event
    /// says so) by a server that has state.
    Bootstrap(Vec<raft::Server>),
    /// The process is about to stop: everything that waits is refused.
    Stop,
    /// The configuration was read again: other limits for Raft's snapshots.
    TuneSnapshots(raft::SnapshotTuning),
}

/// Everything an agent asks for.
#[derive(Clone, Debug)]
pub enum Output {
    /// Write this. The image is the state of a snapshot that an operator gave, when the batch
    /// installs one.
    Persist(raft::Persist, Option<StateImage>),
    /// Write a snapshot of this state, beside everything else; then [`Input::SnapshotSaved`] or
    /// [`Input::SnapshotFailed`].
    SaveSnapshot(raft::SnapshotMeta, StateImage),
    /// Send this to a peer.
    RaftCall {
        /// Names the answer.
        call: CallId,
        /// To whom.
        to: ServerAddress,
        /// On which connection.
        lane: raft::Lane,
        /// What.
        request: raft::Request,
    },
    /// Answer a peer.
    RaftReply(ReplyToken, raft::Response),
    /// Ask the leader.
    Forward {
        /// Names the answer.
        call: CallId,
        /// The leader.
        to: ServerAddress,
        /// The question.
        request: Request,
    },
    /// Answer an asker.
    Answer(RequestId, Result<Reply, Failure>),
    /// Look at what a check is about, once; then [`Input::Probed`].
    Probe(ProbeId, Box<Probe>),
    /// Nobody waits for this probe any more.
    CancelProbe(ProbeId),
    /// Write or remove the definition of a service or a check; then [`Input::Kept`].
    Keep(KeepId, Box<Keep>),
    /// A pool asks for I/O.
    Gossip(PoolId, gossip::Output),
    /// The agent has left the cluster: its process ends.
    Exit,
    /// A fact.
    Event(Event),
}

impl Output {
    /// A fact about membership.
    pub(super) fn member(fact: Membership) -> Self {
        Output::Event(Event::Membership(Box::new(fact)))
    }
}
