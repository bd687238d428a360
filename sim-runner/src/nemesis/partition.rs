//! From a partition's shape to the directed links that it cuts.
//!
//! Only links between agents: no fault touches the links of users unless a group names them.

use std::collections::BTreeSet;

use proconsul::base::Prng;
use proconsul::base::quorum::majority;

use crate::trace::event::Host;

/// Directed links, `(from, to)`.
pub type Cuts = BTreeSet<(Host, Host)>;

/// Traffic only inside a group. Agents that no group names form one more.
#[must_use]
pub fn groups(groups: &[Vec<Host>], agents: &[Host]) -> Cuts {
    let named: BTreeSet<Host> = groups.iter().flatten().copied().collect();
    let rest: Vec<Host> = agents.iter().copied().filter(|host| !named.contains(host)).collect();
    let all: Vec<&[Host]> = groups.iter().map(Vec::as_slice).chain([rest.as_slice()]).collect();
    let mut cuts = Cuts::new();
    for (place, one) in all.iter().enumerate() {
        for other in all.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, group)| group) {
            cuts.extend(one.iter().flat_map(|from| other.iter().map(|to| (*from, *to))));
        }
    }
    // A host in two groups belongs to both: it is the bridge between them.
    for group in &all {
        for from in *group {
            for to in *group {
                cuts.remove(&(*from, *to));
            }
        }
    }
    cuts
}

/// These hosts hear nobody and are heard by nobody.
#[must_use]
pub fn isolate(targets: &[Host], agents: &[Host]) -> Cuts {
    let mut cuts = one_way(targets, agents);
    cuts.extend(cuts.clone().into_iter().map(|(from, to)| (to, from)));
    cuts
}

/// What these hosts send is lost; they go on hearing.
#[must_use]
pub fn one_way(targets: &[Host], agents: &[Host]) -> Cuts {
    let pairs = targets.iter().flat_map(|from| agents.iter().map(|to| (*from, *to)));
    pairs.filter(|(from, to)| from != to).collect()
}

/// Two drawn groups, neither of them empty; and the first of them.
#[must_use]
pub fn split(agents: &[Host], prng: &mut Prng) -> (Cuts, Vec<Host>) {
    if agents.len() < 2 {
        return (Cuts::new(), agents.to_vec());
    }
    let mut order = agents.to_vec();
    prng.shuffle(&mut order);
    let first = prng.range(1, order.len() as u64) as usize;
    let (one, other) = (order[..first].to_vec(), order[first..].to_vec());
    (groups(&[one.clone(), other], agents), sorted(one))
}

fn sorted(mut hosts: Vec<Host>) -> Vec<Host> {
    hosts.sort_unstable();
    hosts
}

/// Two halves that cannot see each other, and one host that sees both; and the first half, with it.
#[must_use]
pub fn bridge(agents: &[Host], prng: &mut Prng) -> (Cuts, Vec<Host>) {
    let mut order = agents.to_vec();
    prng.shuffle(&mut order);
    let Some((middle, others)) = order.split_first() else { return Default::default() };
    let (left, right) = others.split_at(others.len() / 2);
    let with_middle = |half: &[Host]| [&[*middle], half].concat();
    let cuts = groups(&[with_middle(left), with_middle(right)], agents);
    (cuts, sorted(with_middle(left)))
}

/// Every host hears a majority, and no two hear the same one (Jepsen's `majorities-ring`).
#[must_use]
pub fn majorities_ring(agents: &[Host], prng: &mut Prng) -> Cuts {
    let mut ring = agents.to_vec();
    prng.shuffle(&mut ring);
    let count = ring.len();
    let heard = majority(count);
    let mut cuts = Cuts::new();
    for (place, to) in ring.iter().enumerate() {
        let first = place + count - (heard - 1) / 2;
        let hears: BTreeSet<Host> = (first..first + heard).map(|at| ring[at % count]).collect();
        cuts.extend(ring.iter().filter(|from| !hears.contains(from)).map(|from| (*from, *to)));
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(count: u16) -> Vec<Host> {
        (0..count).map(Host).collect()
    }

    fn hears(cuts: &Cuts, to: Host, all: &[Host]) -> Vec<Host> {
        all.iter().copied().filter(|from| !cuts.contains(&(*from, to))).collect()
    }

    #[test]
    fn groups_cut_between_and_spare_within() {
        let all = hosts(4);
        let cuts = groups(&[vec![Host(0)]], &all);
        assert_eq!(cuts, isolate(&[Host(0)], &all));
        assert_eq!(cuts.len(), 6);
    }

    #[test]
    fn a_bridge_hears_everybody_and_nobody_else_does() {
        let all = hosts(5);
        let (cuts, first) = bridge(&all, &mut Prng::new(3));
        assert_eq!(first.len(), 3);
        let full = all.iter().filter(|to| hears(&cuts, **to, &all).len() == 5).count();
        assert_eq!(full, 1);
        assert!(all.iter().all(|to| hears(&cuts, *to, &all).len() >= 3));
    }

    #[test]
    fn in_a_ring_everybody_hears_another_majority() {
        for count in [3, 5, 7] {
            let all = hosts(count);
            let cuts = majorities_ring(&all, &mut Prng::new(u64::from(count)));
            let heard: BTreeSet<Vec<Host>> = all.iter().map(|to| hears(&cuts, *to, &all)).collect();
            assert_eq!(heard.len(), all.len(), "{count} different majorities");
            assert!(heard.iter().all(|hosts| hosts.len() == majority(all.len())));
        }
    }

    #[test]
    fn one_way_is_one_way() {
        let all = hosts(3);
        let cuts = one_way(&[Host(1)], &all);
        assert!(hears(&cuts, Host(1), &all).len() == 3);
        assert_eq!(hears(&cuts, Host(0), &all), [Host(0), Host(2)]);
    }

    #[test]
    fn a_split_leaves_two_sides() {
        for seed in 0..20 {
            let all = hosts(3);
            let (cuts, first) = split(&all, &mut Prng::new(seed));
            assert!(!cuts.is_empty());
            assert_eq!(cuts, groups(&[first], &all));
        }
    }
}
