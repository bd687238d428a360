//! What links are like: as `[network]` says, and the faults on them. Cuts are counted: two faults
//! that cut the same link are healed one by one.

use std::collections::BTreeMap;

use proconsul::base::Duration;

use crate::fabric::{Harm, HostId, LinkHarm, LinkPolicy};
use crate::scenario::fault::{LinkFault, Proto};
use crate::scenario::model::{NetworkPlan, Target};
use crate::scenario::show_span;
use crate::trace::event::{Host, What};
use crate::trace::resolve::resolve;

use super::Cluster;

/// By how much a datagram that is held back may be late, as for the verb `reorder`.
const REORDER_BY: Duration = Duration::from_millis(50);

/// How a link is that is like this network.
pub(super) fn policy(network: &NetworkPlan) -> LinkPolicy {
    LinkPolicy {
        loss: network.loss,
        duplicate: network.duplicate,
        reorder: network.reorder,
        reorder_by: REORDER_BY,
        corrupt: network.corrupt,
        bandwidth: network.bandwidth,
        ..LinkPolicy::healthy(network.latency.low, network.latency.high)
    }
}

impl Cluster {
    /// Makes the links that `[network]` names otherwise. Where several tables name one, the later
    /// wins, key by key.
    pub(super) fn set_links(&self) {
        let network = &self.shared.plan.network;
        let mut links: BTreeMap<(Host, Host), NetworkPlan> = BTreeMap::new();
        for link in &network.links {
            let (from, to) = (self.ends(&link.from), self.ends(&link.to));
            let mut pairs: Vec<(Host, Host)> =
                from.iter().flat_map(|from| to.iter().map(|to| (*from, *to))).collect();
            if link.both {
                pairs.extend(pairs.clone().into_iter().map(|(from, to)| (to, from)));
            }
            for pair in pairs.into_iter().filter(|(from, to)| from != to) {
                let base = || NetworkPlan { links: Vec::new(), ..network.clone() };
                link.keys.onto(links.entry(pair).or_insert_with(base));
            }
        }
        for ((from, to), network) in links {
            self.shared.fabric.set_link(HostId(from.0), HostId(to.0), policy(&network));
        }
    }

    /// Who stands at an end of a link: known before the run.
    fn ends(&self, target: &Target) -> Vec<Host> {
        self.shared.recorder.with_view(|view| resolve(target, view).hosts)
    }

    /// Loses what `from` sends to `to`, until as many [`Cluster::heal`]s.
    pub fn cut(&self, from: Host, to: Host) {
        let mut cuts = self.shared.cuts.lock().expect("a simulation has one thread");
        let count = cuts.entry((from, to)).or_insert(0);
        *count += 1;
        if *count == 1 {
            self.shared.fabric.cut(cut_name(from, to), HostId(from.0), HostId(to.0));
            self.push(from, What::Cut { to });
        }
    }

    /// Takes one cut back.
    pub fn heal(&self, from: Host, to: Host) {
        let mut cuts = self.shared.cuts.lock().expect("a simulation has one thread");
        if let Some(count) = cuts.get_mut(&(from, to)) {
            *count -= 1;
            if *count == 0 {
                cuts.remove(&(from, to));
                self.shared.fabric.heal(cut_name(from, to));
                self.push(from, What::Healed { to });
            }
        }
    }
}

impl Cluster {
    /// Makes name lookups on a host fail, until as many times undone.
    pub fn fail_lookups(&self, host: Host, on: bool) {
        let mut failing = self.shared.lookups.lock().expect("a simulation has one thread");
        let count = failing.entry(host).or_insert(0);
        let before = *count > 0;
        *count = if on { *count + 1 } else { count.saturating_sub(1) };
        if before != (*count > 0) {
            self.shared.fabric.fail_lookups(HostId(host.0), on);
            self.push(host, What::LookupsFail { on });
        }
    }

    /// Harms one direction of a link, by this number; the second number labels its draws.
    pub fn harm(
        &self,
        (number, label): (u64, u64),
        from: Host,
        to: Host,
        proto: Option<Proto>,
        fault: LinkFault,
    ) {
        let what = match fault {
            LinkFault::Slow(by) => Harm::Slow(by.low, by.high),
            LinkFault::Lose(ratio) => Harm::Lose(ratio),
            LinkFault::Duplicate(ratio) => Harm::Duplicate(ratio),
            LinkFault::Reorder(ratio) => Harm::Reorder(ratio),
            LinkFault::Corrupt(ratio) => Harm::Corrupt(ratio),
            LinkFault::Throttle(bytes) => Harm::Throttle(bytes),
            LinkFault::Clog => Harm::Clog,
            LinkFault::Reset => Harm::Reset,
            LinkFault::Refuse => Harm::Refuse,
            LinkFault::Blackhole => Harm::Blackhole,
        };
        let (tcp, udp) = (proto != Some(Proto::Udp), proto != Some(Proto::Tcp));
        // Told first: what it breaks at once comes after it in the trace.
        self.link_fault(from, to, fault, true);
        let harm = LinkHarm { tcp, udp, label, what };
        self.shared.fabric.harm(number, HostId(from.0), HostId(to.0), harm);
    }

    /// Takes it back.
    pub fn mend(&self, number: u64, from: Host, to: Host, fault: LinkFault) {
        self.shared.fabric.mend(number, HostId(from.0), HostId(to.0));
        self.link_fault(from, to, fault, false);
    }

    fn link_fault(&self, from: Host, to: Host, fault: LinkFault, on: bool) {
        let detail = match fault {
            LinkFault::Slow(by) => format!("by {}", show_span(by)),
            LinkFault::Lose(ratio)
            | LinkFault::Duplicate(ratio)
            | LinkFault::Reorder(ratio)
            | LinkFault::Corrupt(ratio) => format!("{}/{}", ratio.numerator, ratio.denominator),
            LinkFault::Throttle(bytes) => format!("to {bytes} bytes a second"),
            LinkFault::Clog | LinkFault::Reset | LinkFault::Refuse | LinkFault::Blackhole => {
                String::new()
            }
        };
        self.push(from, What::LinkFault { to, kind: fault.verb().to_owned(), on, detail });
    }
}

/// The fabric knows cuts by the fault that makes them; we count per link, so each link is a fault.
fn cut_name(from: Host, to: Host) -> u64 {
    u64::from(from.0) << 16 | u64::from(to.0)
}
