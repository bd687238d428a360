//! Going, by one's own will or by an operator's (spec cluster 2.9, 2.10).
//!
//! ```text
//!   Leave ─► `leave` into the snapshot ─► intent: everybody knows that we mean to
//!         ─► (sent often enough, or 5 s) ─► SWIM's farewell ─► (heard, or 5 s) ─► 3 s to answer probes ─► Left
//!
//!   ForceLeave X ─► intent about X ─► (sent often enough: Done; or 5 s: an error)
//! ```
//!
//! Invariants: one Left for all that ask while it goes on; nothing is waited for without a deadline here
//! or in SWIM; each forced leave is answered once. The intent leaves before the farewell: whoever hears
//! the two in this order counts us as left and not as failed.

use crate::base::{Instant, NodeName, RequestId};
use crate::gossip::message::SerfMessage;
use crate::gossip::pool_io;
use crate::gossip::serf::queue::{Kind, Notice};
use crate::gossip::serf::{Output, Serf, warn};

/// How far this member's own leave is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// It stays.
    Not,
    /// The intent is being sent.
    Announcing { deadline: Instant },
    /// SWIM says goodbye.
    Parting,
    /// Everybody may hear of it.
    Propagating { until: Instant },
    /// It has left.
    Left,
}

impl Leave {
    pub(super) fn is_not(self) -> bool {
        self == Leave::Not
    }

    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Leave::Announcing { deadline } => Some(deadline),
            Leave::Propagating { until } => Some(until),
            Leave::Not | Leave::Parting | Leave::Left => None,
        }
    }
}

/// A forced leave that is being sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forcing {
    request: RequestId,
    pub(super) deadline: Instant,
}

impl Serf {
    pub(super) fn begin_leave(&mut self, now: Instant, out: &mut Vec<Output>) {
        match self.leave {
            Leave::Not => {}
            Leave::Left => return out.push(Output::Out(pool_io::Output::Left)),
            Leave::Announcing { .. } | Leave::Parting | Leave::Propagating { .. } => {
                return warn(out, "Leave already in progress".to_owned());
            }
        }
        self.to_rejoin.clear();
        self.leave = Leave::Announcing { deadline: now + self.config.broadcast_timeout };
        if let Some(recorder) = &mut self.recorder {
            recorder.leave(out);
        }
        let (time, node) = (self.clock.time(), self.config.name.clone());
        self.clock.witness(time);
        self.leave_intent(now, &node, time, false, out);
        if self.members.any_alive_but(&node) {
            let intent = SerfMessage::Leave { time, node, prune: false };
            self.broadcast(Kind::Intent, intent, Some(Notice::Leave));
        } else {
            self.announced(true, out);
        }
    }

    /// The intent is out, or time is up.
    pub(super) fn announced(&mut self, heard: bool, out: &mut Vec<Output>) {
        if !matches!(self.leave, Leave::Announcing { .. }) {
            return;
        }
        if !heard {
            warn(out, "timeout while waiting for graceful leave".to_owned());
        }
        self.leave = Leave::Parting;
        out.push(Output::Leave);
    }

    /// SWIM has said goodbye, or could not in time.
    pub(super) fn swim_left(&mut self, now: Instant, heard: bool, out: &mut Vec<Output>) {
        if self.leave != Leave::Parting {
            return;
        }
        if !heard {
            warn(out, "timeout waiting for leave broadcast".to_owned());
        }
        self.leave = Leave::Propagating { until: now + self.config.leave_propagate_delay };
    }

    pub(super) fn advance_leave(&mut self, now: Instant, out: &mut Vec<Output>) {
        match self.leave {
            Leave::Announcing { deadline } if deadline <= now => self.announced(false, out),
            Leave::Propagating { until } if until <= now => {
                self.leave = Leave::Left;
                out.push(Output::Out(pool_io::Output::Left));
            }
            _ => {}
        }
    }

    pub(super) fn force_leave(
        &mut self,
        now: Instant,
        request: RequestId,
        node: &NodeName,
        prune: bool,
        out: &mut Vec<Output>,
    ) {
        let time = self.clock.time();
        self.clock.witness(time);
        self.leave_intent(now, node, time, prune, out);
        let deadline = now + self.config.broadcast_timeout;
        self.forcing.push(Forcing { request, deadline });
        if self.members.any_alive_but(&self.config.name) {
            let intent = SerfMessage::Leave { time, node: node.clone(), prune };
            self.broadcast(Kind::Intent, intent, Some(Notice::ForceLeave(request)));
        } else {
            self.forced(request, Ok(()), out);
        }
    }

    /// A forced leave has ended, if it had not yet.
    pub(super) fn forced(
        &mut self,
        request: RequestId,
        result: Result<(), String>,
        out: &mut Vec<Output>,
    ) {
        if let Some(at) = self.forcing.iter().position(|forcing| forcing.request == request) {
            self.forcing.remove(at);
            out.push(Output::Out(pool_io::Output::Done { request, result }));
        }
    }

    pub(super) fn expire_forcing(&mut self, now: Instant, out: &mut Vec<Output>) {
        let late = self.forcing.iter().filter(|forcing| forcing.deadline <= now);
        let late: Vec<RequestId> = late.map(|forcing| forcing.request).collect();
        for request in late {
            self.forced(request, Err("timed out broadcasting node removal".to_owned()), out);
        }
    }
}
