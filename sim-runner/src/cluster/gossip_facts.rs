//! From what a gossip pool tells to the events of the trace.

use proconsul::gossip::{self, MemberEventKind, MemberState};

use crate::trace::event::{Change, Pool, SwimState, What};

/// The trace's event of a fact; none for what an agent only writes to its log, which the trace has
/// from there.
#[must_use]
pub fn gossip_fact(pool: Pool, event: &gossip::Event) -> Option<What> {
    Some(match event {
        gossip::Event::StateChanged { node, addr, from, to, incarnation } => What::Swim {
            pool,
            about: node.to_string(),
            address: addr.to_string(),
            from: from.map(swim_state),
            to: swim_state(*to),
            incarnation: incarnation.0,
        },
        gossip::Event::Refuted { by, accused, incarnation, .. } => What::Refuted {
            pool,
            by: by.to_string(),
            accused: accused.0,
            incarnation: incarnation.0,
        },
        gossip::Event::Member { kind, forced, node, time, .. } => What::Member {
            pool,
            about: node.to_string(),
            change: change(*kind),
            forced: *forced,
            ltime: time.0,
        },
        gossip::Event::ProbeFailed { .. }
        | gossip::Event::SuspicionStarted { .. }
        | gossip::Event::SuspicionConfirmed { .. }
        | gossip::Event::MarkedFailed { .. }
        | gossip::Event::Warning { .. }
        | gossip::Event::Information { .. } => return None,
    })
}

/// The trace's event of a user event that an agent was given.
#[must_use]
pub fn user_event_fact(pool: Pool, event: &gossip::UserEvent) -> What {
    What::UserEvent { pool, name: event.name.clone(), ltime: event.time.0 }
}

fn swim_state(state: MemberState) -> SwimState {
    match state {
        MemberState::Alive => SwimState::Alive,
        MemberState::Suspect => SwimState::Suspect,
        MemberState::Dead => SwimState::Dead,
        MemberState::Left => SwimState::Left,
    }
}

fn change(kind: MemberEventKind) -> Change {
    match kind {
        MemberEventKind::Join => Change::Joined,
        MemberEventKind::Leave => Change::Left,
        MemberEventKind::Failed => Change::Failed,
        MemberEventKind::Update => Change::Updated,
        MemberEventKind::Reap => Change::Reaped,
    }
}
