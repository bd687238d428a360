//! What both layers share with whoever runs them.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::base::NodeName;
use crate::gossip::message::{Coordinate, Message, Tags, Versions};

/// Names one exchange over a stream: a push/pull or a fallback ping, begun here or there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// The sizes and the opaque bytes that the cores need: `wire`'s functions.
#[derive(Clone, Copy, Debug)]
pub struct Codec {
    /// Bytes of a message in a datagram, its type byte included; a user message's both.
    pub message_len: fn(&Message) -> usize,
    /// Tags to meta (spec cluster 2.3).
    pub encode_tags: fn(&Tags) -> Bytes,
    /// And back. Meta without the mark is the value of the tag `role`; garbage gives no tags.
    pub decode_tags: fn(&[u8]) -> Tags,
    /// A coordinate to an ack's payload.
    pub encode_coordinate: fn(&Coordinate) -> Bytes,
    /// And back.
    pub decode_coordinate: fn(&[u8]) -> Option<Coordinate>,
    /// What answers `_serf_conflict` (spec cluster 2.2, type 6): the member, or that there is none.
    pub encode_conflict: fn(Option<&MemberView>) -> Bytes,
}

/// A member's status in Serf (spec cluster 2.6; wire numbers 0 to 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Status {
    None,
    Alive,
    Leaving,
    Left,
    Failed,
}

impl Status {
    /// Serf's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::None => "none",
            Status::Alive => "alive",
            Status::Leaving => "leaving",
            Status::Left => "left",
            Status::Failed => "failed",
        }
    }

    /// Serf's number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Status::None => 0,
            Status::Alive => 1,
            Status::Leaving => 2,
            Status::Left => 3,
            Status::Failed => 4,
        }
    }

    /// The status with this number; one that there is not is none.
    #[must_use]
    pub fn of_number(number: u64) -> Self {
        match number {
            1 => Status::Alive,
            2 => Status::Leaving,
            3 => Status::Left,
            4 => Status::Failed,
            _ => Status::None,
        }
    }
}

/// A member as those above see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Its name.
    pub name: NodeName,
    /// Where its gossip port is.
    pub addr: SocketAddr,
    /// Its tags.
    pub tags: Tags,
    /// What Serf makes of it.
    pub status: Status,
    /// What it speaks.
    pub versions: Versions,
}

/// What happened to members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum MemberEventKind {
    Join,
    Leave,
    Failed,
    Update,
    Reap,
}

/// A change that the application hears of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberEvent {
    /// What happened.
    pub kind: MemberEventKind,
    /// By an operator's force-leave.
    pub forced: bool,
    /// To whom; as it is now.
    pub member: MemberView,
}

/// Somebody who wants to be a member, or is said to be one.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a NodeName,
    /// Its tags.
    pub tags: &'a Tags,
    /// It has left.
    pub left: bool,
}

/// Who is let in: Consul's rules for its pools (spec cluster 3.4).
pub trait Admission: Send + Sync + std::fmt::Debug {
    /// Whether these may be members.
    ///
    /// # Errors
    /// Why not, for the log and for whoever joins.
    fn admit(&self, candidates: &[Candidate<'_>]) -> Result<(), String>;
}

/// How a join ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinReport {
    /// Addresses that were contacted with success.
    pub contacted: usize,
    /// Why the others were not: one text each, naming the address.
    pub errors: Vec<String>,
}
