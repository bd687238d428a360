//! What goes into and comes out of a [`Serf`](super::Serf).
//!
//! Contract: every [`Output::Join`] ends in one [`Input::Joined`], every [`Output::Leave`] in one
//! [`Input::SwimLeft`]. What Serf says about SWIM's members it heard from SWIM first, in that order.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::base::{Duration, NodeName, RequestId};
use crate::gossip::io::JoinReport;
use crate::gossip::message::{QueryFilter, SerfMessage, SerfState, Tags};
use crate::gossip::pool_io::{self, QueryKey};
use crate::gossip::swim::Node;

/// Everything that can happen.
#[derive(Clone, Debug)]
pub enum Input {
    /// The deadline has come.
    Wake,
    /// SWIM: a member that was unknown, dead or left is alive; also ourselves, at the start.
    NodeJoined(Node),
    /// SWIM: a member is dead, or has left.
    NodeLeft(Node),
    /// SWIM: a member has other meta.
    NodeUpdated(Node),
    /// SWIM: somebody claims the name of a member from another address.
    NodeConflict {
        /// The member.
        existing: Node,
        /// Where the other is.
        other: SocketAddr,
    },
    /// A message came, from whomever.
    Message(SerfMessage),
    /// Somebody's state came.
    State {
        /// What.
        state: SerfState,
        /// For a join, ours or theirs.
        join: bool,
    },
    /// A member has answered a probe.
    Probed {
        /// Who.
        node: NodeName,
        /// After how long.
        round_trip: Duration,
        /// What it added: a coordinate.
        payload: Option<Bytes>,
    },
    /// The end of [`Output::Join`].
    Joined {
        /// Which.
        token: RequestId,
        /// How.
        report: JoinReport,
    },
    /// The end of [`Output::Leave`]: whether it was heard in time.
    SwimLeft {
        /// By somebody, or there is nobody.
        heard: bool,
    },
    /// The application wants to join; ends in `Joined`.
    Join {
        /// Names the answer.
        request: RequestId,
        /// Whom.
        addresses: Vec<SocketAddr>,
        /// Without their old user events.
        ignore_old: bool,
    },
    /// These are our tags now.
    SetTags(Tags),
    /// Leave gracefully; ends in `Left`.
    Leave,
    /// Make a failed member count as left; ends in `Done`.
    ForceLeave {
        /// Names the answer.
        request: RequestId,
        /// Whom.
        node: NodeName,
        /// Forget it at once.
        prune: bool,
    },
    /// Fire a user event; ends in `Done`.
    UserEvent {
        /// Names the answer.
        request: RequestId,
        /// Its name.
        name: String,
        /// Its payload.
        payload: Bytes,
        /// Receivers may keep only the newest of this name.
        coalesce: bool,
    },
    /// Ask everybody; ends in `Done`.
    Query(Question),
    /// Answer a query.
    Respond {
        /// Which.
        query: QueryKey,
        /// The answer.
        payload: Bytes,
    },
}

/// A query as the application puts it.
#[derive(Clone, Debug)]
pub struct Question {
    /// Names the answers.
    pub request: RequestId,
    /// Its name.
    pub name: String,
    /// What is asked.
    pub payload: Bytes,
    /// Who is asked: all must pass.
    pub filters: Vec<QueryFilter>,
    /// Whether acks are wanted.
    pub acks: bool,
    /// Answers also go through so many others.
    pub relay_factor: u8,
    /// For how long answers are taken; none: the default.
    pub timeout: Option<Duration>,
}

/// Everything that Serf asks for.
#[derive(Clone, Debug)]
pub enum Output {
    /// For whoever runs the pool.
    Out(pool_io::Output),
    /// SWIM: send this to one address.
    Send {
        /// Where.
        to: SocketAddr,
        /// What.
        message: SerfMessage,
    },
    /// SWIM: exchange states with these.
    Join {
        /// Names the end.
        token: RequestId,
        /// Whom.
        addresses: Vec<SocketAddr>,
    },
    /// SWIM: our meta is this now.
    SetMeta(Bytes),
    /// SWIM: say goodbye.
    Leave,
}
