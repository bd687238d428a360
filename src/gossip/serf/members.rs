//! Who is, or was, a member, and what became of each (spec cluster 2.6, 2.7).
//!
//! ```text
//!                    SWIM: alive                    SWIM: dead or left
//!   (unknown) ───────────────► alive ──────────────────────────────────► failed ──┐
//!                     join      │ ▲    leave intent                         │     │ reap timeouts,
//!                    intent ┌───┘ │                         leave intent    │     │ prune
//!                           ▼     │                         (forced)        ▼     ▼
//!                         leaving ┴────────────────────────────────────► left ─► (forgotten)
//!                                       SWIM: dead or left
//! ```
//!
//! SWIM's "alive" brings every one back to alive. So a clean leave takes two messages: the intent first,
//! SWIM's farewell after it; where the intent was lost, the leaver counts as failed.
//!
//! Invariants: the lists of failed and of left members hold exactly those of that status; no member goes
//! from failed to leaving or from left to failed; the time of a member's last intent never decreases.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::base::{Instant, NodeName};
use crate::gossip::io::{MemberEventKind, MemberView, Status};
use crate::gossip::message::{LamportTime, Tags};
use crate::gossip::swim::Node;

/// One member.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) view: MemberView,
    /// The tags as they came, to know at a glance that they have not changed.
    pub(super) meta: Bytes,
    /// Time of the last intent about it.
    pub(super) status_time: LamportTime,
    /// When it failed or left.
    pub(super) gone: Instant,
}

/// What a leave intent did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is older than what is known.
    Stale,
    /// It counts; the status may be as before.
    Counted,
    /// A failed member has left: by force.
    Forced,
}

#[derive(Debug, Default)]
pub(super) struct Members {
    table: BTreeMap<NodeName, Member>,
    failed: Vec<NodeName>,
    left: Vec<NodeName>,
}

impl Members {
    pub(super) fn get(&self, name: &NodeName) -> Option<&Member> {
        self.table.get(name)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.table.values()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn failed(&self) -> &[NodeName] {
        &self.failed
    }

    pub(super) fn left(&self) -> &[NodeName] {
        &self.left
    }

    /// Those that SWIM holds for alive.
    pub(super) fn present(&self) -> usize {
        self.table.len() - self.failed.len() - self.left.len()
    }

    /// Whether anybody else is alive. Looks at all in the worst case: for rare occasions.
    pub(super) fn any_alive_but(&self, own: &NodeName) -> bool {
        let alive = |member: &Member| member.view.status == Status::Alive;
        self.table.values().any(|member| alive(member) && member.view.name != *own)
    }

    /// SWIM: it is alive. `intent`: what was said of it before it was known; true for a leave.
    pub(super) fn joined(
        &mut self,
        node: &Node,
        tags: Tags,
        intent: Option<(bool, LamportTime)>,
    ) -> &Member {
        if let Some(member) = self.table.get_mut(&node.name) {
            match member.view.status {
                Status::Failed => self.failed.retain(|name| *name != node.name),
                Status::Left => self.left.retain(|name| *name != node.name),
                Status::None | Status::Alive | Status::Leaving => {}
            }
            member.view.status = Status::Alive;
            member.refresh(node, tags);
        } else {
            let (leaves, status_time) = intent.unwrap_or_default();
            let view = MemberView {
                name: node.name.clone(),
                addr: node.addr,
                tags,
                status: if leaves { Status::Leaving } else { Status::Alive },
                versions: node.versions,
            };
            let (meta, gone) = (node.meta.clone(), Instant::ZERO);
            self.table.insert(node.name.clone(), Member { view, meta, status_time, gone });
        }
        &self.table[&node.name]
    }

    /// SWIM: it is dead, or has left. What the application hears; the status when nothing.
    pub(super) fn gone(
        &mut self,
        now: Instant,
        name: &NodeName,
    ) -> Result<(MemberEventKind, &Member), Option<Status>> {
        let Some(member) = self.table.get_mut(name) else { return Err(None) };
        let kind = match member.view.status {
            Status::Leaving => {
                member.view.status = Status::Left;
                self.left.push(name.clone());
                MemberEventKind::Leave
            }
            Status::Alive => {
                member.view.status = Status::Failed;
                self.failed.push(name.clone());
                MemberEventKind::Failed
            }
            other @ (Status::None | Status::Left | Status::Failed) => return Err(Some(other)),
        };
        member.gone = now;
        Ok((kind, member))
    }

    /// SWIM: it says other things of itself.
    pub(super) fn updated(&mut self, node: &Node, tags: Tags) -> Option<&Member> {
        let member = self.table.get_mut(&node.name)?;
        member.refresh(node, tags);
        Some(member)
    }

    /// It means to be here. Whether that is news.
    pub(super) fn join_intent(&mut self, name: &NodeName, time: LamportTime) -> Option<bool> {
        let member = self.table.get_mut(name)?;
        if time <= member.status_time {
            return Some(false);
        }
        member.status_time = time;
        if member.view.status == Status::Leaving {
            member.view.status = Status::Alive;
        }
        Some(true)
    }

    /// It means to leave, or is made to; none when it is not known.
    pub(super) fn leave_intent(&mut self, name: &NodeName, time: LamportTime) -> Option<Taken> {
        let member = self.table.get_mut(name)?;
        if time <= member.status_time {
            return Some(Taken::Stale);
        }
        member.status_time = time;
        match member.view.status {
            Status::Alive => member.view.status = Status::Leaving,
            Status::Failed => {
                // Listed as left, it is known as such to all that exchange states with us.
                member.view.status = Status::Left;
                self.failed.retain(|failed| failed != name);
                self.left.push(name.clone());
                return Some(Taken::Forced);
            }
            Status::None | Status::Leaving | Status::Left => {}
        }
        Some(Taken::Counted)
    }

    /// It is forgotten.
    pub(super) fn erase(&mut self, name: &NodeName) -> Option<Member> {
        let member = self.table.remove(name)?;
        match member.view.status {
            Status::Failed => self.failed.retain(|failed| failed != name),
            Status::Left => self.left.retain(|left| left != name),
            Status::None | Status::Alive | Status::Leaving => {}
        }
        Some(member)
    }

    /// Panics when an invariant is broken. Looks at every member.
    pub(super) fn check_invariants(&self, clock: LamportTime) {
        for (list, status) in [(&self.failed, Status::Failed), (&self.left, Status::Left)] {
            let mut listed = list.clone();
            listed.sort();
            let members = self.table.values().filter(|member| member.view.status == status);
            let of_status: Vec<NodeName> = members.map(|member| member.view.name.clone()).collect();
            crate::invariant!(listed == of_status, "{status:?}: {listed:?} listed, {of_status:?}");
        }
        for member in self.table.values() {
            let (name, time) = (&member.view.name, member.status_time);
            crate::invariant!(
                time < clock || time.0 == u64::MAX,
                "an intent about {name} of {time}, but the clock shows {clock}"
            );
        }
    }
}

impl Member {
    fn refresh(&mut self, node: &Node, tags: Tags) {
        self.view.addr = node.addr;
        self.view.tags = tags;
        self.view.versions = node.versions;
        self.meta = node.meta.clone();
    }
}
