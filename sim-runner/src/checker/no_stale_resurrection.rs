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
//! No stricter than the truth: an agent's word about itself is its own business; a member that was
//! forgotten in between, or that this process life had not heard of, may come as it likes. Where the
//! observer's clock runs wrong, its thirty seconds are taken on trust.

use std::collections::BTreeSet;

use crate::property::Judgement;
use crate::trace::event::{Host, SwimState, What};
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::gossip_times::SOUND_PPM;
use super::oracle::{Oracle, Seen};
use super::swim_memory::{Said, SwimMemory, is_self};

/// How long a failed member's name is kept for its address, ns; less what a sound clock may err.
const RECLAIM_NS: i64 = 30_000_000_000 - 30_000 * SOUND_PPM;

pub struct NoStaleResurrection {
    memory: SwimMemory,
    /// Agents whose clocks ran wrong at some time.
    wrong_clocks: BTreeSet<Host>,
    findings: Findings,
}

impl NoStaleResurrection {
    pub fn new() -> Self {
        Self {
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
}

impl Oracle for NoStaleResurrection {
    fn observe(&mut self, seen: Seen<'_>) {
        let before = self.memory.take(seen);
        match &seen.event.what {
            What::Clock { drift_ppm, .. } if drift_ppm.abs() > SOUND_PPM => {
                self.wrong_clocks.insert(seen.event.host);
            }
            What::Swim { pool, about, to: SwimState::Alive, .. }
                if !is_self(seen, *pool, about) =>
            {
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
