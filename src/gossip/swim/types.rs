//! What goes into and comes out of a [`Swim`](super::Swim), and how one is set up.
//!
//! Contract: every exchange that an [`Output`] begins ends in exactly one [`Input`]; everything in one
//! list of outputs happened in that order. Datagrams have no end: they arrive or they don't.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::base::{Duration, Instant, NodeName, RequestId};
use crate::gossip::event::Event;
use crate::gossip::io::{Codec, ExchangeId, JoinReport};
use crate::gossip::message::{
    Incarnation, MemberState, Message, Ping, PushPull, SequenceNumber, SerfMessage, SerfState,
    Versions,
};

/// Meta may have so many bytes (spec cluster 1.8).
pub const META_MAX_BYTES: usize = 512;

/// How a member behaves (spec cluster 1.8); the presets are in `config`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name: our identity.
    pub name: NodeName,
    /// Where others reach us; its port also stands for a port of 0 in what others say.
    pub addr: SocketAddr,
    /// What we are when we start; at most [`META_MAX_BYTES`].
    pub meta: Bytes,
    /// What we speak: `[pmin, pmax, pcur, dmin, dmax, dcur]`.
    pub versions: [u8; 6],
    /// Sizes of messages.
    pub codec: Codec,
    /// What label and encryption add to a datagram: 2 and the label's bytes; 29 for encryption.
    pub overhead_bytes: usize,
    /// A datagram has at most so many bytes, the overhead included.
    pub udp_buffer_bytes: usize,
    /// So many members are asked to probe for us.
    pub indirect_checks: usize,
    /// A broadcast is sent so many times × ceil(log10(n + 1)).
    pub retransmit_mult: u32,
    /// Scales how long a suspicion lasts at least.
    pub suspicion_mult: u32,
    /// And at most: so many times the least.
    pub suspicion_max_timeout_mult: u32,
    /// Between two exchanges of whole states, for up to 32 members.
    pub push_pull_interval: Duration,
    /// Between two probes.
    pub probe_interval: Duration,
    /// So long the direct probe is waited for.
    pub probe_timeout: Duration,
    /// Whether a probe also tries a stream.
    pub tcp_pings: bool,
    /// Between two rounds of gossip.
    pub gossip_interval: Duration,
    /// To so many members a round.
    pub gossip_nodes: usize,
    /// So long a dead member is still told, and known.
    pub gossip_to_the_dead_time: Duration,
    /// The health score stays below it.
    pub awareness_max_multiplier: u32,
    /// After so long the name of a dead member may come back from another address; zero: never.
    pub dead_node_reclaim_time: Duration,
    /// More gossip than this at once is dropped.
    pub handoff_queue_depth: usize,
    /// So long a leave, or new meta, waits to be heard (Serf's `BroadcastTimeout`).
    pub broadcast_timeout: Duration,
}

/// A member as SWIM sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// Where it is.
    pub addr: SocketAddr,
    /// What it says of itself; encoded tags.
    pub meta: Bytes,
    /// What it speaks.
    pub versions: Versions,
    /// Its count, as known.
    pub incarnation: Incarnation,
    /// What we make of it.
    pub state: MemberState,
    /// Since when.
    pub changed: Instant,
}

/// Everything that can happen.
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
        /// Why not; an empty text when there was no connection, as is expected of a dead member.
        result: Result<(), String>,
    },
    /// Exchange states with these, one after the other; ends in [`Output::Joined`].
    Join {
        /// Names the answer.
        request: RequestId,
        /// Resolved addresses.
        addresses: Vec<SocketAddr>,
    },
    /// This is our meta now, at most [`META_MAX_BYTES`]; ends in [`Output::MetaHeard`] or
    /// [`Output::MetaTimedOut`].
    SetMeta(Bytes),
    /// Say goodbye; ends in [`Output::LeaveHeard`] or [`Output::LeaveTimedOut`].
    Leave,
    /// Send this to one address, alone in its datagram.
    SendTo {
        /// Where.
        to: SocketAddr,
        /// What.
        message: SerfMessage,
    },
    /// The delegate has something new to broadcast.
    BroadcastsQueued,
}

/// Everything that it asks for, and what the layer above must hear, in order.
#[derive(Clone, Debug, PartialEq)]
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
    /// A member that was unknown, dead or left is alive; also ourselves, at the start.
    NodeJoined(Node),
    /// A member is dead, or has left: its state says which.
    NodeLeft(Node),
    /// A member has other meta; also ourselves.
    NodeUpdated(Node),
    /// Somebody claims the name of a member from another address, and was not believed.
    NodeConflict {
        /// The member.
        existing: Node,
        /// Where the other is.
        other: SocketAddr,
    },
    /// A message for the layer above.
    UserMessage {
        /// Whose datagram it was in: not who wrote it.
        from: SocketAddr,
        /// What.
        message: SerfMessage,
    },
    /// The upper layer's part of a state that was merged.
    RemoteState {
        /// What.
        state: SerfState,
        /// The exchange was for a join, ours or theirs.
        join: bool,
    },
    /// A member has answered a direct probe in time.
    ProbeAcked {
        /// Who.
        node: Node,
        /// After how long.
        rtt: Duration,
        /// What its delegate added.
        payload: Option<Bytes>,
    },
    /// The end of [`Input::Join`]. Errors are kept although somebody was reached.
    Joined {
        /// Which.
        request: RequestId,
        /// How.
        report: JoinReport,
    },
    /// Our goodbye has been sent as often as it should, or there is nobody to hear it.
    LeaveHeard,
    /// It has not, in time.
    LeaveTimedOut,
    /// Our new meta has been sent as often as it should, or there is nobody to hear it.
    MetaHeard,
    /// It has not, in time.
    MetaTimedOut,
    /// A fact: for transcripts, trace and log.
    Event(Event),
}
