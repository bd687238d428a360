//! What befalls links: `partition`, whom it separates, and the cutting itself; and the faults that act
//! on messages (language section 6).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use proconsul::base::runtime::Runtime;
use proconsul::base::{Duration, Prng};

use crate::scenario::fault::{LinkFault, Links, Proto};
use crate::scenario::model::{Partition, Step, Target};
use crate::trace::event::Host;

use super::partition::{self, Cuts};
use super::script::{Draw, Script};
use super::targets::{Needs, choose};
use super::undo::Undo;

impl Script {
    pub(super) fn partition(&self, index: usize, step: &Step, shape: &Partition) -> bool {
        let agents = self.cluster.agents();
        let drawn = |draw: fn(&[Host], &mut Prng) -> (Cuts, Vec<Host>)| {
            self.draw(index, Draw::Rest, |prng| draw(&agents, prng))
        };
        let (cuts, targets) = match shape {
            Partition::Groups(groups) => match self.groups(index, step, groups) {
                Some(groups) => {
                    let mut all = agents.clone();
                    all.extend(groups.iter().flatten().copied());
                    all.sort_unstable();
                    all.dedup();
                    let first = groups.first().cloned().unwrap_or_default();
                    (partition::groups(&groups, &all), first)
                }
                None => return false,
            },
            Partition::Isolate { target } | Partition::Flapping { target, .. } => {
                match self.resolve(index, step, target, Needs::Up) {
                    Some(hosts) => (partition::isolate(&hosts, &agents), hosts),
                    None => return false,
                }
            }
            Partition::OneWay { target } => match self.resolve(index, step, target, Needs::Up) {
                Some(hosts) => (partition::one_way(&hosts, &agents), hosts),
                None => return false,
            },
            Partition::Split => drawn(partition::split),
            Partition::Bridge => drawn(partition::bridge),
            Partition::MajoritiesRing => {
                drawn(|agents, prng| (partition::majorities_ring(agents, prng), Vec::new()))
            }
        };
        self.announce(index, step, shape_name(shape).to_owned(), &targets);
        let undo = match shape {
            Partition::Flapping { period, .. } => self.flap(cuts, *period),
            _ => {
                self.cut(&cuts);
                Undo::Heal(cuts)
            }
        };
        self.remember(index, undo);
        true
    }

    /// A fault of links, and which.
    pub(super) fn harm(
        &self,
        index: usize,
        step: &Step,
        links: &Links,
        proto: Option<Proto>,
        fault: LinkFault,
    ) -> bool {
        let agents = self.cluster.agents();
        let (routes, targets) = match links {
            Links::Of(target) => match self.group(index, step, target) {
                Some(hosts) => (partition::isolate(&hosts, &agents), hosts),
                None => return false,
            },
            Links::Between { from, to, both } => {
                let targets = [from.clone(), to.clone()];
                let Some(sides) = self.groups(index, step, &targets) else { return false };
                let pairs = sides[0].iter().flat_map(|from| sides[1].iter().map(|to| (*from, *to)));
                let mut routes: Cuts = pairs.filter(|(from, to)| from != to).collect();
                if *both {
                    routes.extend(routes.clone().into_iter().map(|(from, to)| (to, from)));
                }
                (routes, sides[0].clone())
            }
        };
        let detail = match links {
            Links::Of(_) => String::new(),
            Links::Between { .. } => {
                let name = |(from, to): &(Host, Host)| {
                    format!("{} -> {}", self.cluster.name(*from), self.cluster.name(*to))
                };
                routes.iter().map(name).collect::<Vec<_>>().join(", ")
            }
        };
        self.announce(index, step, detail, &targets);
        let number = self.cluster.fresh_number();
        // The draws belong to the step: another fault more or less moves none of them.
        let label = self.draw(index, Draw::Rest, Prng::next_u64);
        for (from, to) in &routes {
            self.cluster.harm((number, label), *from, *to, proto, fault);
        }
        self.remember(index, Undo::Mend(routes, number, fault));
        true
    }

    /// The groups of a partition; `rest` is everybody who is in no other. Draws mean nodes that are
    /// up; the links of one that is named are cut even while it is down.
    fn groups(&self, index: usize, step: &Step, targets: &[Target]) -> Option<Vec<Vec<Host>>> {
        let mut groups = Vec::new();
        for target in targets {
            groups.push(match without_rest(target) {
                Some(target) => self.group(index, step, &target)?,
                None => Vec::new(),
            });
        }
        let named: BTreeSet<Host> = groups.iter().flatten().copied().collect();
        for (group, target) in groups.iter_mut().zip(targets) {
            if without_rest(target).as_ref() != Some(target) {
                group
                    .extend(self.cluster.agents().into_iter().filter(|host| !named.contains(host)));
            }
        }
        Some(groups)
    }

    fn group(&self, index: usize, step: &Step, target: &Target) -> Option<Vec<Host>> {
        let hosts = self.cluster.recorder().with_view(|view| {
            self.draw(index, Draw::Target, |prng| choose(target, Needs::Up, view, prng))
        });
        match hosts.is_empty() {
            false => Some(hosts),
            // Says why there is nobody.
            true => self.resolve(index, step, target, Needs::Up),
        }
    }

    fn cut(&self, cuts: &Cuts) {
        for (from, to) in cuts {
            self.cluster.cut(*from, *to);
        }
    }

    pub(super) fn restore(&self, cuts: &Cuts) {
        for (from, to) in cuts {
            self.cluster.heal(*from, *to);
        }
    }

    fn flap(&self, cuts: Cuts, period: Duration) -> Undo {
        let is_cut = Arc::new(Mutex::new(false));
        let (script, links, state) = (self.clone(), cuts.clone(), is_cut.clone());
        let task = self.runtime.spawn("flapping", async move {
            loop {
                script.cut(&links);
                *state.lock().expect("a simulation has one thread") = true;
                script.sleep(period / 2).await;
                script.restore(&links);
                *state.lock().expect("a simulation has one thread") = false;
                script.sleep(period / 2).await;
            }
        });
        Undo::Flapping(cuts, task, is_cut)
    }
}

/// A group without `rest`, which only the other groups define; none when nothing else is in it.
fn without_rest(target: &Target) -> Option<Target> {
    match target {
        Target::Rest => None,
        Target::List(targets) => {
            let others: Vec<Target> = targets.iter().filter_map(without_rest).collect();
            (!others.is_empty()).then_some(Target::List(others))
        }
        other => Some(other.clone()),
    }
}

fn shape_name(shape: &Partition) -> &'static str {
    match shape {
        Partition::Groups(_) => "groups",
        Partition::Isolate { .. } => "isolate",
        Partition::Split => "split",
        Partition::Bridge => "bridge",
        Partition::MajoritiesRing => "majorities-ring",
        Partition::OneWay { .. } => "one-way",
        Partition::Flapping { .. } => "flapping",
    }
}
