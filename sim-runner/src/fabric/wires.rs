//! The testbed's hand on the links: policies and cuts.

use super::Fabric;
use super::link::Link;
use super::observer::HostId;
use super::policy::LinkPolicy;

impl Fabric {
    /// Sets the policy of one direction of one link.
    pub fn set_link(&self, from: HostId, to: HostId, policy: LinkPolicy) {
        self.with_link(from, to, |link| link.policy = policy);
    }

    /// The policy of one direction of one link.
    #[must_use]
    pub fn link(&self, from: HostId, to: HostId) -> LinkPolicy {
        self.with_link(from, to, |link| link.policy)
    }

    /// Cuts one direction of one link on behalf of a fault, until that fault is healed. A link that
    /// several faults cut passes messages when the last of them is healed.
    pub fn cut(&self, fault: u64, from: HostId, to: HostId) {
        self.with_link(from, to, |link| link.cuts += 1);
        self.lock().cuts.entry(fault).or_default().push((from, to));
    }

    /// Takes back all cuts of one fault.
    pub fn heal(&self, fault: u64) {
        let routes = self.lock().cuts.remove(&fault).unwrap_or_default();
        for (from, to) in routes {
            self.with_link(from, to, |link| link.cuts -= 1);
        }
    }

    /// Takes back the cuts of every fault.
    pub fn heal_all(&self) {
        let mut world = self.lock();
        world.cuts.clear();
        for link in world.links.all() {
            link.cuts = 0;
        }
    }

    /// Whether one direction of one link is cut now.
    #[must_use]
    pub fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.lock().is_cut(from, to)
    }

    pub(super) fn with_link<T>(
        &self,
        from: HostId,
        to: HostId,
        use_it: impl FnOnce(&mut Link) -> T,
    ) -> T {
        let world = &mut *self.lock();
        let names =
            (&*world.hosts[usize::from(from.0)].name, &*world.hosts[usize::from(to.0)].name);
        use_it(world.links.get(from, to, names))
    }

    /// The planted non-determinism: latencies take real entropy, so no two runs agree.
    pub fn set_nondeterministic(&self, on: bool) {
        self.lock().links.set_nondeterministic(on);
    }
}
