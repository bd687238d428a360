//! **gossip-completeness**: an agent that has ended, by a power cut or by leaving, is listed as failed
//! or left (or not at all) by every live agent that listed it as alive, within the time of one probing
//! and one suspicion (SWIM paper 3.1 and 4.3; spec cluster 11.6, 63).
//!
//! ```text
//!   n3 ended ──┤            n1 lists n3: alive ──────────┤ failed
//!              └── calm ──────── at most: 2 rounds of probes + suspicion + slack ──┤
//! ```
//!
//! No stricter than the truth: time counts from when the listing began, and only while no process
//! came or went and no link, disk or clock was ill (see `gossip_times.rs` for the bound, which is that
//! of detection by the agent's own probes alone, though others tell it long before). An agent that
//! started again in time, or that the observer no longer outlived, is owed nothing. Agents that are
//! paused have not ended.

use std::collections::BTreeMap;

use crate::property::Judgement;
use crate::scenario::model::Plan;
use crate::trace::event::{Change, Header, Host, Pool, What};
use crate::trace::members::{MemberStatus, agents, host_of, seen_by};
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::gossip_times::{Calm, GossipTimes};
use super::member_pairs::touched;
use super::oracle::{Oracle, Seen, time};

pub struct GossipCompleteness {
    times: GossipTimes,
    calm: Calm,
    /// Who lists whom as alive although it has ended, and since when.
    open: BTreeMap<(Pool, Host, Host), i64>,
    told: bool,
    findings: Findings,
}

impl GossipCompleteness {
    pub fn new(plan: &Plan, header: &Header) -> Self {
        Self {
            times: GossipTimes::of(plan, header),
            calm: Calm::new(plan, header),
            open: BTreeMap::new(),
            told: false,
            findings: Findings::new("gossip-completeness"),
        }
    }

    /// Takes note of what is open after an event.
    fn look(&mut self, seen: Seen<'_>) {
        for (pool, observer, gone) in touched(seen) {
            if lists_ended(seen.view, pool, observer, gone) {
                self.open.entry((pool, observer, gone)).or_insert(seen.event.at);
            } else if self.open.remove(&(pool, observer, gone)).is_some() {
                self.findings.judge(1);
            }
        }
    }

    /// What is overdue at this moment is a violation, once.
    fn overdue(&mut self, now: i64, event: Option<u64>, view: &View) {
        let Some(calm) = self.calm.since().filter(|_| !self.open.is_empty()) else { return };
        let gone = agents(view).filter(|host| !view.node(*host).running).count();
        let times = self.times;
        let due =
            |pool: Pool, began: i64| began.max(calm).saturating_add(times.detection_ns(pool, gone));
        let late: Vec<_> =
            self.open.iter().filter(|((pool, ..), at)| due(*pool, **at) < now).collect();
        let late: Vec<_> = late.into_iter().map(|(who, began)| (*who, *began)).collect();
        for ((pool, observer, gone), began) in late {
            self.open.remove(&(pool, observer, gone));
            let (who, whom) = (&view.node(observer).name, &view.node(gone).name);
            let since = time(began.max(calm));
            let summary = format!(
                "{who} still lists {whom} as alive in the {} pool at {}, though it has ended and \
                 nothing else has been wrong since {since}",
                pool.word(),
                time(now)
            );
            self.findings.judge(1);
            self.findings.violation(
                now,
                "an agent that has ended is listed as alive",
                summary,
                event,
            );
        }
    }
}

/// Whether a live agent lists one as alive that has ended.
fn lists_ended(view: &View, pool: Pool, observer: Host, gone: Host) -> bool {
    view.node(observer).live()
        && !view.node(gone).running
        && seen_by(view, pool, observer, gone) == Some(MemberStatus::Alive)
}

impl Oracle for GossipCompleteness {
    fn observe(&mut self, seen: Seen<'_>) {
        self.overdue(seen.event.at, Some(seen.index), seen.view);
        self.calm.observe(seen.event);
        match &seen.event.what {
            What::Member { pool, about, change, .. } => {
                self.told = true;
                // Whoever was told anew of a member has known it from now on.
                if let (Change::Joined, Some(about)) = (change, host_of(seen.view, *pool, about)) {
                    self.open.remove(&(*pool, seen.event.host, about));
                }
            }
            What::Started | What::Ended { .. } | What::Paused | What::Resumed => {}
            _ => return,
        }
        self.look(seen);
    }

    fn finish(mut self: Box<Self>, _: &Evidence, view: &View) -> Judgement {
        if !self.told {
            return skipped("gossip-completeness", "no agent told of any member");
        }
        self.overdue(view.now(), None, view);
        self.findings.finish()
    }
}
