//! **no-stale-resurrection**: what an agent takes for dead, left or suspect comes back to life in its
//! eyes only by newer word of the member itself: an `alive` with a higher incarnation than the one
//! under which it was accused (SWIM paper 4.2, "Alive overrides Suspect and Confirm only when …";
//! spec cluster 1.13, 6).
//!
//! The precise rule, for `alive` at incarnation `i` about a member that is held at incarnation `k`:
//!
//! | held as | address | accepted when |
//! |---|---|---|
//! | suspect, dead, left | the same | `i > k` |
//! | left | another | always: its name is free |
//! | dead | another | it has been dead for 30 s: reclaimed (Consul's DeadNodeReclaimTime) |
//! | suspect | another | never: a conflict |
//!
//! One that was forgotten in between comes back as somebody new, and may: whoever has not heard of its
//! end may tell of it. But not a **ghost**: one that has ended long ago in calm (`gossip_times.rs`), that
//! this process held for gone, and that no other agent holds for there, comes from nowhere but from
//! agents that hold it for gone themselves.
//!
//! No stricter than the truth: an agent's word about itself is its own business; a member that this
//! process life had not heard of may come as it likes, and so may a forgotten one while it runs. Where
//! the observer's clock runs wrong, its thirty seconds are taken on trust.

use std::collections::BTreeSet;

use crate::property::Judgement;
use crate::scenario::model::Plan;
use crate::trace::event::{Header, Host, Pool, SwimState, What};
use crate::trace::members::host_of;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::gossip_times::{Calm, GossipTimes, SLACK_NS, SOUND_PPM};
use super::oracle::{Oracle, Seen, time};
use super::swim_memory::{Said, SwimMemory, is_self};

/// How long a failed member's name is kept for its address, ns; less what a sound clock may err.
const RECLAIM_NS: i64 = 30_000_000_000 - 30_000 * SOUND_PPM;

pub struct NoStaleResurrection {
    times: GossipTimes,
    calm: Calm,
    memory: SwimMemory,
    /// Agents whose clocks ran wrong at some time.
    wrong_clocks: BTreeSet<Host>,
    findings: Findings,
}

impl NoStaleResurrection {
    pub fn new(plan: &Plan, header: &Header) -> Self {
        Self {
            times: GossipTimes::of(plan, header),
            calm: Calm::new(plan, header),
            memory: SwimMemory::default(),
            wrong_clocks: BTreeSet::new(),
            findings: Findings::new("no-stale-resurrection"),
        }
    }

    fn revived(&mut self, seen: Seen<'_>, before: &Said) {
        let What::Swim { pool, about, address, from: Some(from), incarnation, .. } =
            &seen.event.what
        else {
            return;
        };
        self.findings.judge(1);
        let elsewhere = *address != before.address;
        let dead_ns = seen.event.at.saturating_sub(before.since);
        let accepted = match from {
            SwimState::Left if elsewhere => true,
            SwimState::Dead if elsewhere => {
                dead_ns >= RECLAIM_NS || self.wrong_clocks.contains(&seen.event.host)
            }
            SwimState::Suspect if elsewhere => false,
            _ => *incarnation > before.incarnation,
        };
        if accepted {
            return;
        }
        let (word, fact) = match from {
            SwimState::Suspect => ("suspect", "a suspect came back by old word"),
            SwimState::Left => ("left", "a member that left came back by old word"),
            _ => ("dead", "a dead member came back by old word"),
        };
        let place = match elsewhere {
            true => format!(" at {address}, no longer {}", before.address),
            false => String::new(),
        };
        let summary = format!(
            "{} took {about} for alive again{place} in the {} pool at {}, by word of incarnation \
             {incarnation}; it had been {word} at incarnation {}",
            seen.name(),
            pool.word(),
            seen.time(),
            before.incarnation
        );
        self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
    }

    /// Somebody is new to an agent that held it for gone before: `last` is what it said then.
    fn met_again(&mut self, seen: Seen<'_>, pool: Pool, about: &str, last: &Said) {
        self.findings.judge(1);
        let now = seen.event.at;
        let aftermath = self.times.aftermath_ns(pool);
        let calm = self.calm.since().is_some_and(|since| since.saturating_add(aftermath) < now);
        let Some(member) = host_of(seen.view, pool, about).filter(|_| calm) else { return };
        if seen.view.node(member).running || !is_gone(last.state) {
            return;
        }
        let others = self.memory.all(pool, about).filter(|(host, _)| *host != seen.event.host);
        let may_tell = |said: &Said| !is_gone(said.state) || now - said.since < SLACK_NS;
        if others.into_iter().any(|(_, said)| may_tell(said)) {
            return;
        }
        let summary = format!(
            "{} took {about} for alive again in the {} pool at {}, which it had held for gone since \
             {}; it has ended, and nobody else holds it for alive",
            seen.name(),
            pool.word(),
            seen.time(),
            time(last.since)
        );
        self.findings.violation(now, "a ghost came back", summary, Some(seen.index));
    }
}

fn is_gone(state: SwimState) -> bool {
    matches!(state, SwimState::Dead | SwimState::Left)
}

impl Oracle for NoStaleResurrection {
    fn observe(&mut self, seen: Seen<'_>) {
        self.calm.observe(seen.event);
        let last = match &seen.event.what {
            What::Swim { pool, about, from: None, to: SwimState::Alive, .. } => {
                self.memory.last(*pool, seen.event.host, about).cloned()
            }
            _ => None,
        };
        let before = self.memory.take(seen);
        match &seen.event.what {
            What::Clock { drift_ppm, .. } if drift_ppm.abs() > SOUND_PPM => {
                self.wrong_clocks.insert(seen.event.host);
            }
            What::Swim { pool, about, to: SwimState::Alive, .. }
                if !is_self(seen, *pool, about) =>
            {
                if let Some(last) = last {
                    self.met_again(seen, *pool, about, &last);
                }
                if let Some(before) = before.filter(|before| before.state != SwimState::Alive) {
                    self.revived(seen, &before);
                }
            }
            _ => {}
        }
    }

    fn finish(self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        if !self.memory.told {
            return skipped("no-stale-resurrection", "no agent told of any incarnation");
        }
        self.findings.finish()
    }
}
