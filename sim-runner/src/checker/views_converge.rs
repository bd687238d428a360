//! **views-converge**: once every fault is undone and the cluster has settled, all live agents of a
//! pool list the same members with the same status (spec cluster 11.6, 64; SWIM paper 4.1).
//!
//! Settling starts what is down, so who is gone is judged before: whenever it has been calm for as long
//! as two agents may take to find each other again (`gossip_times.rs`), once in each calm.
//!
//! ```text
//!   ──┤heal├── calm ────── reunion ──┤ judged          ──┤undo, settle├─┤ judged
//! ```
//!
//! No stricter than the truth: agents are of one pool when they know of each other, and a member that
//! is not alive need not be known to everybody (`trace/members.rs` says why). A cluster that did not
//! settle is judged only when it had been calm for so long; otherwise what kept it from settling is
//! `liveness`'s business. With `settle = "0s"` nothing is undone, and nothing is judged.

use crate::property::Judgement;
use crate::scenario::model::Plan;
use crate::trace::event::{Header, Pool, What};
use crate::trace::members::{POOLS, difference, live_with_view};
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::gossip_times::{Calm, GossipTimes};
use super::oracle::{Oracle, Seen, time};

pub struct ViewsConverge {
    times: GossipTimes,
    calm: Calm,
    /// The calm in which the views of each pool were judged last, by its beginning.
    judged: [Option<i64>; POOLS.len()],
    told: bool,
    ended: bool,
    findings: Findings,
}

impl ViewsConverge {
    pub fn new(plan: &Plan, header: &Header) -> Self {
        Self {
            times: GossipTimes::of(plan, header),
            calm: Calm::new(plan, header),
            judged: [None; POOLS.len()],
            told: false,
            ended: false,
            findings: Findings::new("views-converge"),
        }
    }

    fn judge(&mut self, seen: Seen<'_>, settled: bool) {
        for pool in POOLS {
            let since = self.calm.since().map(|at| at.saturating_add(self.times.reunion_ns(pool)));
            if !settled && since.is_none_or(|since| since > seen.event.at) {
                continue;
            }
            self.compare(seen, pool, "with every fault undone");
        }
    }

    /// Once in each calm, when it has lasted long enough. The view is that after this event, which
    /// may have ended the calm: nobody's list is made shorter by that.
    fn judge_calm(&mut self, seen: Seen<'_>) {
        let Some(calm) = self.calm.since() else { return };
        for (place, pool) in POOLS.into_iter().enumerate() {
            let due = calm.saturating_add(self.times.reunion_ns(pool));
            if due < seen.event.at && self.judged[place] != Some(calm) {
                self.judged[place] = Some(calm);
                self.compare(seen, pool, &format!("with nothing wrong since {}", time(calm)));
            }
        }
    }

    fn compare(&mut self, seen: Seen<'_>, pool: Pool, when: &str) {
        self.findings.judge(live_with_view(seen.view, pool).count() as u64);
        if let Some(difference) = difference(seen.view, pool) {
            let summary = format!(
                "at {}, {when}, agents do not agree who is there: {}",
                seen.time(),
                difference.sentence(seen.view)
            );
            let fact = "agents list different members";
            self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
        }
    }
}

impl Oracle for ViewsConverge {
    fn observe(&mut self, seen: Seen<'_>) {
        self.judge_calm(seen);
        self.calm.observe(seen.event);
        match &seen.event.what {
            What::Member { .. } => self.told = true,
            What::Settled => {
                self.ended = true;
                self.judge(seen, true);
            }
            What::NotSettled { .. } => {
                self.ended = true;
                self.judge(seen, false);
            }
            _ => {}
        }
    }

    fn finish(mut self: Box<Self>, evidence: &Evidence, _: &View) -> Judgement {
        if !self.told {
            return skipped("views-converge", "no agent told of any member");
        }
        if evidence.header.settle_ns == 0 {
            let because = "settle = \"0s\": nothing is undone, so convergence is not judged";
            return skipped("views-converge", because);
        }
        if !self.ended {
            self.findings.undecided("the run ended before the cluster could settle");
        }
        self.findings.finish()
    }
}
