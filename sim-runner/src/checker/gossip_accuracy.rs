//! **gossip-accuracy**: nobody who is well is called failed (SWIM paper 4.2; Lifeguard paper; spec
//! cluster 11.6, 62 and 64). Three statements:
//!
//! 1. No live agent is declared failed while nothing is wrong, nor has been for as long as an old
//!    suspicion could last.
//! 2. Of two live agents that know each other and between which nothing is wrong, neither lists the
//!    other as failed for longer than a few exchanges of state take.
//! 3. Nobody is declared dead under an incarnation under which nobody has suspected it: who has
//!    contradicted a suspicion has ended it.
//!
//! ```text
//!  ──┤cut├── aftermath ──┤ 1: no declaration from here on
//!        └── reunion ────────────┤ 2: nobody is still listed as failed
//! ```
//!
//! No stricter than the truth: "nothing is wrong" is the whole cluster's calm (no process came or
//! went, no link, disk or clock ill, the scenario's own network good: `gossip_times.rs`), because a
//! suspicion that was right elsewhere may travel. An agent that is on its way out is no longer
//! anybody's: when the word of its leaving is lost, `failed` is what Serf makes of it (spec cluster
//! 2.7). An agent that knows nothing of the other has not joined it. The third holds in any weather: all
//! word of a death comes from the end of somebody's suspicion, and carries its incarnation.

use std::collections::{BTreeMap, BTreeSet};

use crate::property::Judgement;
use crate::scenario::model::Plan;
use crate::trace::event::{Change, Header, Host, Pool, SwimState, What};
use crate::trace::members::{MemberStatus, host_of, seen_by};
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::gossip_times::{Calm, GossipTimes};
use super::member_pairs::touched;
use super::oracle::{Oracle, Seen, time};

pub struct GossipAccuracy {
    times: GossipTimes,
    calm: Calm,
    /// Who lists whom as failed although both could know better, and since when.
    open: BTreeMap<(Pool, Host, Host), i64>,
    /// Which member was ever suspected under which incarnation.
    suspected: BTreeSet<(Pool, String, u32)>,
    told: bool,
    findings: Findings,
}

impl GossipAccuracy {
    pub fn new(plan: &Plan, header: &Header) -> Self {
        Self {
            times: GossipTimes::of(plan, header),
            calm: Calm::new(plan, header),
            open: BTreeMap::new(),
            suspected: BTreeSet::new(),
            told: false,
            findings: Findings::new("gossip-accuracy"),
        }
    }

    fn declared(&mut self, seen: Seen<'_>, pool: Pool, accused: Host) {
        self.findings.judge(1);
        let view = seen.view;
        let Some(calm) = self.calm.since() else { return };
        let settled = calm.saturating_add(self.times.aftermath_ns(pool)) < seen.event.at;
        if settled && is_in(view, pool, accused) {
            let summary = format!(
                "{} declared {} failed in the {} pool at {}, though it runs and nothing has been \
                 wrong since {}",
                seen.name(),
                seen.name_of(accused),
                pool.word(),
                seen.time(),
                time(calm)
            );
            let fact = "a live agent was declared failed in calm";
            self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
        }
    }

    fn died(&mut self, seen: Seen<'_>, pool: Pool, about: &str, incarnation: u32) {
        self.findings.judge(1);
        if self.suspected.contains(&(pool, about.to_owned(), incarnation)) {
            return;
        }
        let summary = format!(
            "{} took {about} for dead in the {} pool at {} under incarnation {incarnation}, under \
             which nobody has suspected it",
            seen.name(),
            pool.word(),
            seen.time()
        );
        let fact = "an agent was declared dead that nobody suspects";
        self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
    }

    fn look(&mut self, seen: Seen<'_>) {
        for (pool, observer, other) in touched(seen) {
            if is_wrong(seen.view, pool, observer, other) {
                self.open.entry((pool, observer, other)).or_insert(seen.event.at);
            } else {
                self.open.remove(&(pool, observer, other));
            }
        }
    }

    fn overdue(&mut self, now: i64, event: Option<u64>, view: &View) {
        let Some(calm) = self.calm.since().filter(|_| !self.open.is_empty()) else { return };
        let times = self.times;
        let due = |pool: Pool, began: i64| began.max(calm).saturating_add(times.reunion_ns(pool));
        let late = self.open.iter().filter(|((pool, ..), began)| due(*pool, **began) < now);
        let late: Vec<_> = late.map(|(who, began)| (*who, *began)).collect();
        for ((pool, observer, other), began) in late {
            self.open.remove(&(pool, observer, other));
            let (who, whom) = (&view.node(observer).name, &view.node(other).name);
            let summary = format!(
                "{who} still lists {whom} as failed in the {} pool at {}, though both run, know each \
                 other, and nothing has been wrong since {}",
                pool.word(),
                time(now),
                time(began.max(calm))
            );
            self.findings.judge(1);
            let fact = "a live agent stays listed as failed";
            self.findings.violation(now, fact, summary, event);
        }
    }
}

/// Whether an agent runs and has not left the pool.
fn is_in(view: &View, pool: Pool, host: Host) -> bool {
    let node = view.node(host);
    node.live()
        && node.members.known(pool)
        && seen_by(view, pool, host, host) != Some(MemberStatus::Left)
}

/// Whether it lists one as failed that is in the pool and knows of it.
fn is_wrong(view: &View, pool: Pool, observer: Host, other: Host) -> bool {
    observer != other
        && is_in(view, pool, observer)
        && is_in(view, pool, other)
        && seen_by(view, pool, observer, other) == Some(MemberStatus::Failed)
        && seen_by(view, pool, other, observer).is_some()
}

impl Oracle for GossipAccuracy {
    fn observe(&mut self, seen: Seen<'_>) {
        self.overdue(seen.event.at, Some(seen.index), seen.view);
        match &seen.event.what {
            What::Member { pool, about, change, .. } => {
                self.told = true;
                let about = host_of(seen.view, *pool, about);
                if let (Some(accused), Change::Failed) = (about, change) {
                    self.declared(seen, *pool, accused);
                }
            }
            What::Swim { pool, about, to: SwimState::Suspect, incarnation, .. } => {
                self.suspected.insert((*pool, about.clone(), *incarnation));
                return;
            }
            What::Swim { pool, about, to: SwimState::Dead, incarnation, .. } => {
                return self.died(seen, *pool, about, *incarnation);
            }
            What::Started | What::Ended { .. } | What::Paused | What::Resumed => {}
            _ => return self.calm.observe(seen.event),
        }
        self.calm.observe(seen.event);
        self.look(seen);
    }

    fn finish(mut self: Box<Self>, _: &Evidence, view: &View) -> Judgement {
        if !self.told {
            return skipped("gossip-accuracy", "no agent told of any member");
        }
        self.overdue(view.now(), None, view);
        self.findings.finish()
    }
}
