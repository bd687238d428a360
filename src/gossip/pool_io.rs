//! What goes into and comes out of a [`Pool`](super): one member of one gossip pool.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::base::{Duration, NodeName, RequestId};
use crate::gossip::io::{ExchangeId, JoinReport, MemberEvent};
use crate::gossip::message::{
    LamportTime, Message, Ping, PushPull, QueryFilter, SequenceNumber, Tags, UserEvent,
};

/// Everything that can happen to a member.
#[derive(Clone, Debug)]
pub enum Input {
    /// The deadline has come.
    Wake,
    /// A datagram, decoded; in the order in which it carried them.
    Packet {
        /// Where it came from.
        from: SocketAddr,
        /// What it carried.
        messages: Vec<Message>,
    },
    /// Somebody has sent its state over a stream and waits for ours: [`Output::PushPullReply`].
    PushPull {
        /// Names the stream; chosen by the caller, odd numbers.
        exchange: ExchangeId,
        /// The other end.
        from: SocketAddr,
        /// Its state.
        state: PushPull,
    },
    /// The end of [`Output::PushPull`].
    PushPulled {
        /// Which.
        exchange: ExchangeId,
        /// Its state, or why there is none.
        result: Result<PushPull, String>,
    },
    /// Somebody pings over a stream: [`Output::StreamPong`].
    StreamPing {
        /// Names the stream; chosen by the caller, odd numbers.
        exchange: ExchangeId,
        /// What it says.
        ping: Ping,
    },
    /// The end of [`Output::StreamPing`]: whether the right ack came.
    StreamPinged {
        /// Which.
        exchange: ExchangeId,
        /// Why not.
        result: Result<(), String>,
    },
    /// Join these; ends in [`Output::Joined`]. `ignore_old`: without their old user events.
    Join {
        /// Names the answer.
        request: RequestId,
        /// Resolved addresses.
        addresses: Vec<SocketAddr>,
        /// Whether old user events are left out (Consul always does).
        ignore_old: bool,
    },
    /// These are our tags now.
    SetTags(Tags),
    /// Leave gracefully; ends in [`Output::Left`].
    Leave,
    /// Make a failed member count as left; ends in [`Output::Done`].
    ForceLeave {
        /// Names the answer.
        request: RequestId,
        /// Whom.
        node: NodeName,
        /// Forget it at once.
        prune: bool,
    },
    /// Fire a user event; ends in [`Output::Done`], at once.
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
    /// Ask everybody; answers come as [`Output::QueryAnswer`], the end as [`Output::Done`].
    Query {
        /// Names the answers.
        request: RequestId,
        /// Its name.
        name: String,
        /// What is asked.
        payload: Bytes,
        /// Who is asked: all must pass.
        filters: Vec<QueryFilter>,
        /// Whether acks are wanted.
        acks: bool,
        /// Answers also go through so many others.
        relay_factor: u8,
        /// For how long answers are taken; none: the default of spec cluster 2.14.
        timeout: Option<Duration>,
    },
    /// Answer a query that came as [`Output::Query`].
    Respond {
        /// Which.
        query: QueryKey,
        /// The answer.
        payload: Bytes,
    },
}

/// Names a query that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueryKey {
    /// Its time.
    pub time: LamportTime,
    /// Its id.
    pub id: u32,
}

/// Everything a member asks for.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send this.
    Packet {
        /// To whom.
        to: SocketAddr,
        /// In this order; more than one make a compound.
        messages: Vec<Message>,
        /// Add a CRC: the receiver understands it.
        checksum: bool,
    },
    /// Exchange states with that member over a stream; ends in [`Input::PushPulled`].
    PushPull {
        /// Names the end; even numbers.
        exchange: ExchangeId,
        /// With whom.
        to: SocketAddr,
        /// Our state.
        state: PushPull,
    },
    /// Answer the exchange that somebody began.
    PushPullReply {
        /// Which.
        exchange: ExchangeId,
        /// Our state.
        state: PushPull,
    },
    /// Ping over a stream; ends in [`Input::StreamPinged`].
    StreamPing {
        /// Names the end; even numbers.
        exchange: ExchangeId,
        /// Whom.
        to: SocketAddr,
        /// What.
        ping: Ping,
        /// For how long, connecting included.
        patience: Duration,
    },
    /// Answer a ping that came over a stream; none: close it, the ping was for somebody else.
    StreamPong {
        /// Which.
        exchange: ExchangeId,
        /// The ack.
        ack: Option<SequenceNumber>,
    },
    /// The end of [`Input::Join`].
    Joined {
        /// Which.
        request: RequestId,
        /// How.
        report: JoinReport,
    },
    /// [`Input::Leave`] is done: it was heard, or time was up.
    Left,
    /// The end of a request; the error is Serf's text.
    Done {
        /// Which.
        request: RequestId,
        /// Whether it worked.
        result: Result<(), String>,
    },
    /// A change among the members.
    Member(MemberEvent),
    /// A user event, each once; also our own.
    UserEvent(UserEvent),
    /// A query for the application, Serf's own for keys included (`_serf_install-key` …).
    Query {
        /// Names the answer.
        query: QueryKey,
        /// Who asks, when it said so.
        from: Option<NodeName>,
        /// Its name.
        name: String,
        /// What is asked.
        payload: Bytes,
    },
    /// An answer to our query; or, without a payload, an ack.
    QueryAnswer {
        /// Which query.
        request: RequestId,
        /// Who answers.
        from: NodeName,
        /// What.
        payload: Option<Bytes>,
    },
    /// Write this to Serf's snapshot file (spec cluster 2.15).
    Snapshot(SnapshotWrite),
    /// A fact: for transcripts, trace and log.
    Event(super::event::Event),
}

/// What happens to Serf's snapshot file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotWrite {
    /// Add these lines at its end.
    Append {
        /// Whole lines.
        lines: String,
        /// And make them durable.
        sync: bool,
    },
    /// Put this in its place: beside it first, made durable, then renamed.
    Replace(String),
}
