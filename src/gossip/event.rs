//! What happened inside a pool, as facts: the one stream that feeds transcripts, trace and log lines.
//! Nothing in the cores depends on them.

use std::net::SocketAddr;

use crate::base::{Duration, NodeName};
use crate::gossip::io::MemberEventKind;
use crate::gossip::message::{Incarnation, LamportTime, MemberState};

/// A fact. Grows with the cores: SWIM's and Serf's own are added by them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What this node makes of a member changed in SWIM.
    StateChanged {
        /// Which member.
        node: NodeName,
        /// Where it is.
        addr: SocketAddr,
        /// Before; none for one that was not known.
        from: Option<MemberState>,
        /// Now.
        to: MemberState,
        /// At this incarnation.
        incarnation: Incarnation,
    },
    /// This node contradicted what was said of it.
    Refuted {
        /// Who said it.
        by: NodeName,
        /// What it said we were: suspect or dead.
        claimed: MemberState,
        /// At which incarnation it said so.
        accused: Incarnation,
        /// The incarnation now.
        incarnation: Incarnation,
    },
    /// A member has not answered a probe in any way (`Suspect NAME has failed, no acks received`).
    ProbeFailed {
        /// Which member.
        node: NodeName,
        /// So many others should have said that they got no answer either.
        expected_nacks: u32,
        /// So many did.
        nacks: u32,
    },
    /// A member has become suspect.
    SuspicionStarted {
        /// Which member.
        node: NodeName,
        /// Who said so first.
        by: NodeName,
        /// So many confirmations shorten it to `min`.
        needed: u32,
        /// How long it lasts at least.
        min: Duration,
        /// And at most.
        max: Duration,
    },
    /// Somebody else suspects it too.
    SuspicionConfirmed {
        /// Which member.
        node: NodeName,
        /// Who.
        by: NodeName,
        /// So many have by now.
        confirmations: u32,
    },
    /// A suspicion was not contradicted in time (`Marking NAME as failed, suspect timeout reached …`).
    MarkedFailed {
        /// Which member.
        node: NodeName,
        /// So many had confirmed it.
        confirmations: u32,
    },
    /// A change that the application heard of (`serf: EventMemberJoin: NAME IP`).
    Member {
        /// What.
        kind: MemberEventKind,
        /// By force-leave.
        forced: bool,
        /// Who.
        node: NodeName,
        /// Where.
        addr: SocketAddr,
        /// Time of the last intent about it.
        time: LamportTime,
    },
    /// Something that an operator should know, in memberlist's or Serf's words, once a cause.
    Warning {
        /// `memberlist` or `serf`.
        module: &'static str,
        /// The text.
        text: String,
    },
    /// Something worth a line of information, in memberlist's or Serf's words.
    Information {
        /// `memberlist` or `serf`.
        module: &'static str,
        /// The text.
        text: String,
    },
}
