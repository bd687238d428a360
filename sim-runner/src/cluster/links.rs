//! Cuts of links, counted: two faults that cut the same link are healed one by one.

use crate::fabric::{Harm, HostId, LinkHarm};
use crate::scenario::fault::{LinkFault, Proto};
use crate::scenario::show_span;
use crate::trace::event::{Host, What};

use super::Cluster;

impl Cluster {
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
