//! Who is known, in the order in which they are probed (SWIM paper 4.3; spec cluster 1.9, 1.11).
//!
//! A list, shuffled at the end of each pass, with an index by name. A newcomer goes to a random place,
//! so that it is probed soon on average. Dead members stay for a while: they are told, and they count
//! as `n` in the formulas.
//!
//! Invariants: list and index agree; the counts are those of the list; ourselves are always in it; who
//! is suspect has a suspicion, and nobody else has.

use std::collections::BTreeMap;

use crate::base::{Duration, Instant, NodeName, Prng};
use crate::gossip::message::MemberState;
use crate::gossip::swim::suspicion::Suspicion;
use crate::gossip::swim::types::Node;

/// A member and what only we know of it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) node: Node,
    pub(super) suspicion: Option<Suspicion>,
}

/// The list.
#[derive(Debug, Default)]
pub(super) struct Roster {
    members: Vec<Member>,
    by_name: BTreeMap<NodeName, usize>,
    alive: usize,
    suspect: usize,
    /// Dead or left.
    gone: usize,
}

impl Roster {
    /// All that are known, the dead included.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn alive(&self) -> usize {
        self.alive
    }

    /// Alive or suspect.
    pub(super) fn present(&self) -> usize {
        self.alive + self.suspect
    }

    pub(super) fn at(&self, index: usize) -> Option<&Node> {
        self.members.get(index).map(|member| &member.node)
    }

    pub(super) fn get(&self, name: &NodeName) -> Option<&Member> {
        self.members.get(*self.by_name.get(name)?)
    }

    pub(super) fn get_mut(&mut self, name: &NodeName) -> Option<&mut Member> {
        self.members.get_mut(*self.by_name.get(name)?)
    }

    /// In the order of the list.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> + Clone {
        self.members.iter().map(|member| &member.node)
    }

    /// In the order of their names.
    pub(super) fn by_name(&self) -> impl Iterator<Item = &Node> {
        self.by_name.values().filter_map(|at| self.at(*at))
    }

    /// Adds one whose name is new, at a random place.
    pub(super) fn insert(&mut self, node: Node, prng: &mut Prng) {
        let last = self.members.len();
        let place = if last == 0 { 0 } else { prng.below(last as u64) as usize };
        *self.count(node.state) += 1;
        self.members.push(Member { node, suspicion: None });
        self.members.swap(place, last);
        for at in [place, last] {
            if let Some(member) = self.members.get(at) {
                self.by_name.insert(member.node.name.clone(), at);
            }
        }
    }

    /// Changes a state; the suspicion is the caller's. What it was before.
    pub(super) fn set_state(
        &mut self,
        name: &NodeName,
        state: MemberState,
        now: Instant,
    ) -> Option<MemberState> {
        let node = &mut self.get_mut(name)?.node;
        let before = node.state;
        node.state = state;
        node.changed = now;
        *self.count(before) -= 1;
        *self.count(state) += 1;
        Some(before)
    }

    fn count(&mut self, state: MemberState) -> &mut usize {
        match state {
            MemberState::Alive => &mut self.alive,
            MemberState::Suspect => &mut self.suspect,
            MemberState::Dead | MemberState::Left => &mut self.gone,
        }
    }

    /// The end of a pass: forgets who has been gone for longer than `keep`, but for ourselves, and
    /// shuffles the others.
    pub(super) fn sweep(&mut self, own: &NodeName, now: Instant, keep: Duration, prng: &mut Prng) {
        let stays = |node: &Node| {
            let gone = matches!(node.state, MemberState::Dead | MemberState::Left);
            !gone || node.name == *own || now.since(node.changed) <= keep
        };
        let before = self.members.len();
        self.members.retain(|member| stays(&member.node));
        self.gone -= before - self.members.len();
        prng.shuffle(&mut self.members);
        self.by_name.clear();
        let names = self.members.iter().enumerate();
        self.by_name.extend(names.map(|(at, member)| (member.node.name.clone(), at)));
    }

    /// Up to `count` members that pass, without repetition. In a large pool with few that pass, fewer
    /// may be found.
    pub(super) fn choose(
        &self,
        count: usize,
        prng: &mut Prng,
        passes: impl Fn(&Node) -> bool,
    ) -> Vec<Node> {
        let n = self.members.len();
        if n < 3 * count {
            let mut all: Vec<&Node> = self.nodes().collect();
            prng.shuffle(&mut all);
            return all.into_iter().filter(|node| passes(node)).take(count).cloned().collect();
        }
        let mut chosen: Vec<Node> = Vec::with_capacity(count);
        for _ in 0..3 * n {
            if chosen.len() >= count {
                break;
            }
            let Some(node) = self.at(prng.below(n as u64) as usize) else { continue };
            if passes(node) && !chosen.iter().any(|known| known.name == node.name) {
                chosen.push(node.clone());
            }
        }
        chosen
    }

    /// Checks what must always hold.
    pub(super) fn check(&self) {
        crate::invariant!(self.by_name.len() == self.members.len(), "list and index differ");
        for (name, at) in &self.by_name {
            let same = self.at(*at).is_some_and(|node| node.name == *name);
            crate::invariant!(same, "the index of {name} is wrong");
        }
        let count = |state| self.nodes().filter(|node| node.state == state).count();
        crate::invariant!(self.alive == count(MemberState::Alive), "the alive are miscounted");
        crate::invariant!(
            self.suspect == count(MemberState::Suspect),
            "the suspect are miscounted"
        );
        crate::invariant!(self.gone + self.present() == self.len(), "the gone are miscounted");
        for Member { node, suspicion } in &self.members {
            let suspect = node.state == MemberState::Suspect;
            let name = &node.name;
            crate::invariant!(
                suspect == suspicion.is_some(),
                "{name}: a suspicion without its state"
            );
        }
    }
}
