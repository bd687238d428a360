//! What members say to one another, as types (spec cluster 1.3, 2.2). `wire::gossip` makes bytes of it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::base::NodeName;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A member's own count of what it has said about itself: the higher word wins (SWIM 4.2).
    Incarnation(u32)
}
number! {
    /// Names one probe of this node.
    SequenceNumber(u32)
}
number! {
    /// A reading of a Lamport clock (spec cluster 2.5).
    LamportTime(u64)
}

/// One message in a datagram. A datagram carries several; layers around them are `wire`'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Are you there?
    Ping(Ping),
    /// Ask that one for me.
    IndirectPing(IndirectPing),
    /// I am.
    Ack {
        /// Of the ping.
        sequence: SequenceNumber,
        /// What the delegate of the answering member adds: an encoded [`Coordinate`]; none is written
        /// as nil.
        payload: Option<Bytes>,
    },
    /// The one you had me ask has not answered yet (Lifeguard).
    Nack(SequenceNumber),
    /// I think that it has failed.
    Suspect(Accusation),
    /// This member lives, and is this.
    Alive(Alive),
    /// It has failed; or, said by itself, it has left.
    Dead(Accusation),
    /// For the layer above.
    User(SerfMessage),
}

/// A direct probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Names the answer.
    pub sequence: SequenceNumber,
    /// Who should be there: somebody else at that address does not answer.
    pub node: NodeName,
    /// Who asks.
    pub source: Source,
}

/// Who asks; each part may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Its address.
    pub addr: Option<IpAddr>,
    /// Its port; 0 is left out.
    pub port: u16,
    /// Its name; an empty one is left out.
    pub node: Option<NodeName>,
}

/// A probe through somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndirectPing {
    /// Names the answer.
    pub sequence: SequenceNumber,
    /// Where the target is.
    pub target: IpAddr,
    /// Its port; 0 stands for the receiver's own.
    pub port: u16,
    /// Its name.
    pub node: NodeName,
    /// Whether the asker wants [`Message::Nack`].
    pub nack: bool,
    /// Who asks.
    pub source: Source,
}

/// Suspect and dead have the same form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accusation {
    /// Of the accused, as the accuser knows it.
    pub incarnation: Incarnation,
    /// The accused.
    pub node: NodeName,
    /// The accuser.
    pub from: NodeName,
}

/// `[pmin, pmax, pcur, dmin, dmax, dcur]`: versions of memberlist's and of the delegate's protocol.
/// Absent (empty) is allowed on the wire.
pub type Versions = Option<[u8; 6]>;

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alive {
    /// Its count.
    pub incarnation: Incarnation,
    /// Its name: its identity.
    pub node: NodeName,
    /// Its address.
    pub addr: IpAddr,
    /// Its port; 0 stands for the receiver's own.
    pub port: u16,
    /// Encoded tags, at most 512 bytes; opaque to SWIM.
    pub meta: Bytes,
    /// What it speaks.
    pub versions: Versions,
}

/// A member's state in SWIM (wire numbers 0 to 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum MemberState {
    Alive,
    Suspect,
    Dead,
    Left,
}

/// One member in a push/pull exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// Its name.
    pub node: NodeName,
    /// Its address.
    pub addr: IpAddr,
    /// Its port.
    pub port: u16,
    /// Its meta.
    pub meta: Bytes,
    /// The incarnation known.
    pub incarnation: Incarnation,
    /// The state known.
    pub state: MemberState,
    /// What it speaks.
    pub versions: Versions,
}

/// One side's whole state, exchanged over a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushPull {
    /// The initiator is joining.
    pub join: bool,
    /// All members known.
    pub nodes: Vec<NodeState>,
    /// The upper layer's state; none when it sent nothing.
    pub user: Option<SerfState>,
}

/// Serf's part of [`PushPull`] (spec cluster 2.12).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SerfState {
    /// Member clock.
    pub time: LamportTime,
    /// Time of the last intent about each member, in the order sent.
    pub status_times: Vec<(NodeName, LamportTime)>,
    /// Members that have left.
    pub left_members: Vec<NodeName>,
    /// Event clock.
    pub event_time: LamportTime,
    /// Length of the ring of events on the wire: 512 for a real agent, all but [`SerfState::events`] nil.
    pub event_slots: usize,
    /// Its filled slots, ascending.
    pub events: Vec<EventSlot>,
    /// Query clock.
    pub query_time: LamportTime,
}

/// The user events of one Lamport time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSlot {
    /// Place in the ring.
    pub slot: usize,
    /// Their time.
    pub time: LamportTime,
    /// Name and payload of each; a payload of none is written as nil.
    pub events: Vec<(String, Option<Bytes>)>,
}

/// A message of Serf's in a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SerfMessage {
    /// This member means to leave, or is made to.
    Leave {
        /// Member clock.
        time: LamportTime,
        /// Who.
        node: NodeName,
        /// It is to be forgotten at once.
        prune: bool,
    },
    /// This member means to be here.
    Join {
        /// Member clock.
        time: LamportTime,
        /// Who.
        node: NodeName,
    },
    /// An event for everybody.
    UserEvent(UserEvent),
    /// A question to everybody.
    Query(Query),
    /// An answer, or an ack, to the asker alone.
    QueryResponse(QueryResponse),
    /// An answer on its way through somebody else.
    Relay(Relay),
}

/// A user event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEvent {
    /// Event clock.
    pub time: LamportTime,
    /// Its name.
    pub name: String,
    /// At most 512 bytes with the name; none is written as nil.
    pub payload: Option<Bytes>,
    /// Receivers may keep only the newest of this name.
    pub coalesce: bool,
}

/// A query (spec cluster 2.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Query clock.
    pub time: LamportTime,
    /// Random; with the time it names the query.
    pub id: u32,
    /// Where answers go.
    pub addr: IpAddr,
    /// Where answers go.
    pub port: u16,
    /// Who asks; older agents leave it out.
    pub source_node: Option<NodeName>,
    /// Who is asked: all must pass. None is written as nil.
    pub filters: Option<Vec<QueryFilter>>,
    /// 1: wants acks; 2: do not pass it on.
    pub flags: u32,
    /// Answers also go through so many others.
    pub relay_factor: u8,
    /// Nanoseconds for which answers are taken.
    pub timeout_ns: i64,
    /// Its name; `_serf_…` are Serf's own.
    pub name: String,
    /// What is asked; none is written as nil.
    pub payload: Option<Bytes>,
}

/// Who a query is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryFilter {
    /// Those named.
    Nodes(Vec<NodeName>),
    /// Those whose tag matches the expression (unanchored).
    Tag {
        /// The tag.
        tag: String,
        /// A regular expression.
        expression: String,
    },
    /// Bytes of a kind that is not known: matches nobody.
    Unknown(Bytes),
}

/// An answer to a query, or an ack that it has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryResponse {
    /// Of the query.
    pub time: LamportTime,
    /// Of the query.
    pub id: u32,
    /// Who answers.
    pub from: NodeName,
    /// 1: an ack.
    pub flags: u32,
    /// The answer; none is written as nil.
    pub payload: Option<Bytes>,
}

/// Pass this on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// To here.
    pub to: SocketAddr,
    /// To whom; older agents leave it out.
    pub to_node: Option<NodeName>,
    /// A [`SerfMessage::QueryResponse`] in practice.
    pub message: Box<SerfMessage>,
}

/// A member's tags, in the order in which they were written: a Go map has none of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(pub Vec<(String, String)>);

impl Tags {
    /// The value of a tag.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(tag, _)| tag == name).map(|(_, value)| value.as_str())
    }
}

/// A Vivaldi coordinate (spec cluster 2.17); floats in the bits in which they came.
#[derive(Clone, Debug, PartialEq)]
pub struct Coordinate {
    /// Seconds, eight dimensions.
    pub vec: Vec<f64>,
    /// Confidence: 1.5 knows nothing.
    pub error: f64,
    /// Seconds.
    pub adjustment: f64,
    /// Seconds; the last mile.
    pub height: f64,
}
