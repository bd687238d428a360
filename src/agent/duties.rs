//! What an agent asks of itself: requests of its own, beside those of users.
//!
//! A leader registers members in the catalog and changes the set of servers; a server that leaves hands
//! leadership over. Each such request goes the way of a user's, under an id from a range of its own, and
//! its end comes back here as a [`Duty`] instead of going out as an answer. It is never held: what a server
//! owes as the leader, the next leader owes in its place. Only an agent's own coordinate is forwarded, which every
//! agent owes.

use std::collections::BTreeMap;

use crate::base::{Instant, RequestId};

use super::coordinates;
use super::core::Agent;
use super::io::Output;
use super::membership::Membership;
use super::types::{Failure, Reply};

/// Own requests have ids from here on; front ends count up from zero.
const FIRST: u64 = 1 << 63;

/// What an own request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// The catalog or the set of servers is brought in line with a member.
    Reconcile,
    /// Leadership goes to another server before this one leaves.
    HandOver,
    /// This server leaves the set of servers.
    RemoveItself,
    /// Autopilot's.
    Autopilot,
    /// This agent's own coordinate goes to the leader.
    SendCoordinate,
    /// A leader writes the coordinates that it was told.
    StoreCoordinates,
    /// A session's time is over; the number of the attempt to end it.
    EndSession(u64),
    /// Old tombstones go, up to this index.
    ReapTombstones(u64),
}

/// The own requests that have no end yet.
#[derive(Debug, Default)]
pub(super) struct Duties {
    last: u64,
    under_way: BTreeMap<RequestId, Duty>,
    ended: Vec<(Duty, Result<Reply, Failure>)>,
}

impl Duties {
    /// Takes the end of a request; it comes back when it is a user's.
    pub fn end(
        &mut self,
        id: RequestId,
        result: Result<Reply, Failure>,
    ) -> Option<Result<Reply, Failure>> {
        match self.under_way.remove(&id) {
            Some(duty) => {
                self.ended.push((duty, result));
                None
            }
            None => Some(result),
        }
    }
}

/// The name of an agent's own request.
pub(super) fn own(number: u64) -> RequestId {
    RequestId(FIRST + number)
}

/// Whether a request is an agent's own.
pub(super) fn is_own(id: RequestId) -> bool {
    id.0 >= FIRST
}

impl Agent {
    /// A name for a request of this agent's own.
    pub(super) fn begin(&mut self, duty: Duty) -> RequestId {
        self.duties.last += 1;
        let id = own(self.duties.last);
        self.duties.under_way.insert(id, duty);
        id
    }

    /// Goes on with what waited for the own requests that have ended.
    pub(super) fn attend_to_duties(&mut self, now: Instant, out: &mut Vec<Output>) {
        while !self.duties.ended.is_empty() {
            for (duty, result) in std::mem::take(&mut self.duties.ended) {
                match duty {
                    Duty::Reconcile => self.on_reconciled(now, result, out),
                    Duty::HandOver => self.on_handed_over(now, result, out),
                    Duty::RemoveItself => self.leave_wan(now, out),
                    // What came of it shows in the servers that it looks at next.
                    Duty::Autopilot => {}
                    Duty::SendCoordinate => {
                        out.extend(coordinates::sent(result).map(Output::member));
                    }
                    Duty::StoreCoordinates => {
                        let failed = result.err().map(|why| why.to_string());
                        let failed = failed.map(Membership::CoordinatesNotStored);
                        out.extend(failed.map(Output::member));
                    }
                    Duty::EndSession(attempt) => {
                        self.on_session_ended(now, attempt, result, out);
                    }
                    Duty::ReapTombstones(up_to) => self.on_reaped(now, up_to, result, out),
                }
            }
        }
    }
}
