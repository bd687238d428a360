//! Cuts of links, counted: two faults that cut the same link are healed one by one.

use crate::fabric::HostId;
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

/// The fabric knows cuts by the fault that makes them; we count per link, so each link is a fault.
fn cut_name(from: Host, to: Host) -> u64 {
    u64::from(from.0) << 16 | u64::from(to.0)
}
