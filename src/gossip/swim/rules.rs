//! What a member believes: alive, suspect, dead, and how it contradicts (SWIM paper 4.2; spec cluster
//! 1.13 to 1.16, in the order of the rules there).
//!
//! ```text
//!               alive@i+1                    alive@i+1, or from elsewhere after the reclaim time
//!            ┌─────────────┐              ┌───────────────┐
//!            ▼             │              ▼               │
//!   (new) ─► Alive ─────► Suspect ─────► Dead     Left ───┘
//!            │  suspect@i          time up ▲        ▲
//!            └─────────────────────────────┴────────┘ dead@i; left when it says so itself
//! ```
//!
//! Everything that was news is broadcast again; what was not has no effect. Invariants: the incarnation
//! known of a member never goes back while it is known, but for a name that comes back from another
//! address; nobody but ourselves raises ours.
//!
//! A refutation is queued under our address, not our name, as memberlist does: it does not take the
//! place of other news about us.
//!
//! One departure: an unknown member's alive at incarnation 0, which no member sends, is not kept as a
//! dead member without a history.

use std::net::SocketAddr;

use crate::base::NodeName;
use crate::gossip::event::Event;
use crate::gossip::message::{
    Accusation, Alive, Incarnation, MemberState, Message, NodeState, Versions,
};
use crate::gossip::swim::core::{Broadcast, Swim, Turn, Waiter, alive_of};
use crate::gossip::swim::formulas::suspicion_min;
use crate::gossip::swim::suspicion::Suspicion;
use crate::gossip::swim::timers::Timer;
use crate::gossip::swim::types::{Node, Output};
use crate::planted;

impl Swim {
    /// Somebody says that a member lives.
    pub(super) fn alive(&mut self, alive: Alive, turn: &mut Turn<'_>) {
        let own = alive.node == self.config.name;
        if (self.leaving && own) || !self.admits(&alive, turn) {
            return;
        }
        let port = if alive.port == 0 { self.config.addr.port() } else { alive.port };
        let addr = SocketAddr::new(alive.addr, port);
        let Some(known) = self.node(&alive.node) else {
            if alive.incarnation > Incarnation(0) {
                self.welcome(alive, addr, turn);
            }
            return;
        };
        if self.is_given_up(known) {
            return;
        }
        let mut moved = false;
        if known.addr != addr {
            if !self.may_move(known, turn) {
                let existing = known.clone();
                turn.warn(conflict_text(&existing, addr));
                turn.out.push(Output::NodeConflict { existing, other: addr });
                return;
            }
            moved = true;
            turn.inform(format!(
                "Updating address for left or failed node {} from {} to {}",
                known.name,
                go_addr(known.addr),
                go_addr(addr)
            ));
        }
        if own {
            self.hear_of_ourselves(&alive, turn);
        } else if alive.incarnation > known.incarnation || moved || self.believes_old(&alive, known)
        {
            self.believe_alive(alive, addr, turn);
        }
    }

    /// Never, but for planted bugs.
    fn believes_old(&self, alive: &Alive, known: &Node) -> bool {
        // Oracle: incarnation-monotonic. A member that starts anew is believed, whatever it was before.
        let older =
            alive.incarnation < known.incarnation && planted!(self.faults, "older-alive-believed");
        // Oracle: no-stale-resurrection. Word from before its death brings a member back.
        let same = alive.incarnation == known.incarnation
            && known.state == MemberState::Dead
            && planted!(self.faults, "dead-revived-by-old-word");
        // Oracle: no-stale-resurrection. Who has left is back by word of one that has not heard of it.
        let lagging = alive.incarnation == known.incarnation
            && known.state == MemberState::Left
            && planted!(self.faults, "left-revived-by-lagging-peer");
        [older, same, lagging].contains(&true)
    }

    /// Never, but for planted bugs.
    pub(super) fn is_given_up(&self, known: &Node) -> bool {
        // Oracle: gossip-accuracy. Who has failed once stays failed, whatever it says.
        let dead = known.state == MemberState::Dead && planted!(self.faults, "dead-stays-dead");
        // Oracle: views-converge. Who has left stays so for others, and knows that it is back.
        let left = known.state == MemberState::Left && planted!(self.faults, "left-stays-left");
        [dead, left].contains(&true)
    }

    /// Versions and the delegate's own rules.
    fn admits(&self, alive: &Alive, turn: &mut Turn<'_>) -> bool {
        let (name, addr, port) = (&alive.node, alive.addr, alive.port);
        let Some([min, max, current, ..]) = alive.versions else {
            turn.warn(format!(
                "ignoring alive message for '{name}' ({addr}:{port}) because Vsn is not present"
            ));
            return false;
        };
        if min == 0 || max == 0 || min > max {
            turn.warn(format!(
                "Ignoring an alive message for '{name}' ({addr}:{port}) because protocol \
                 version(s) are wrong: {min} <= {current} <= {max} should be >0"
            ));
            return false;
        }
        let candidate = NodeState {
            node: alive.node.clone(),
            addr,
            port,
            meta: alive.meta.clone(),
            incarnation: alive.incarnation,
            state: MemberState::Alive,
            versions: alive.versions,
        };
        if let Err(why) = turn.delegate.admit(std::slice::from_ref(&candidate)) {
            turn.warn(format!("ignoring alive message for '{name}': {why}"));
            return false;
        }
        true
    }

    /// Whether a name may come back from another address.
    fn may_move(&self, known: &Node, turn: &Turn<'_>) -> bool {
        let reclaim = self.config.dead_node_reclaim_time;
        match known.state {
            MemberState::Left => true,
            MemberState::Dead => !reclaim.is_zero() && turn.now.since(known.changed) > reclaim,
            MemberState::Alive | MemberState::Suspect => false,
        }
    }

    /// A member that was not known.
    fn welcome(&mut self, alive: Alive, addr: SocketAddr, turn: &mut Turn<'_>) {
        let node = Node {
            name: alive.node.clone(),
            addr,
            meta: alive.meta.clone(),
            versions: alive.versions,
            incarnation: alive.incarnation,
            state: MemberState::Alive,
            changed: turn.now,
        };
        self.roster.insert(node.clone(), &mut self.streams.order);
        self.broadcast(node.name.clone(), Message::Alive(alive), None, turn);
        self.tell_state(&node, None, turn);
        turn.out.push(Output::NodeJoined(node));
    }

    /// News of a member that is known.
    fn believe_alive(&mut self, alive: Alive, addr: SocketAddr, turn: &mut Turn<'_>) {
        let name = alive.node.clone();
        self.end_suspicion(&name);
        self.broadcast(name.clone(), Message::Alive(alive.clone()), None, turn);
        let Some(member) = self.roster.get_mut(&name) else { return };
        let node = &mut member.node;
        let new_meta = node.meta != alive.meta;
        let before = node.state;
        node.versions = alive.versions;
        node.incarnation = alive.incarnation;
        node.meta = alive.meta;
        node.addr = addr;
        if before != MemberState::Alive {
            self.roster.set_state(&name, MemberState::Alive, turn.now);
        }
        let Some(node) = self.node(&name).cloned() else { return };
        if before != MemberState::Alive {
            self.tell_state(&node, Some(before), turn);
        }
        if matches!(before, MemberState::Dead | MemberState::Left) {
            turn.out.push(Output::NodeJoined(node));
        } else if new_meta {
            turn.out.push(Output::NodeUpdated(node));
        }
    }

    /// Somebody tells us what we are. It may come from an earlier life of ours.
    fn hear_of_ourselves(&mut self, alive: &Alive, turn: &mut Turn<'_>) {
        let Some(own) = self.node(&self.config.name) else { return };
        let same = alive.meta == own.meta && alive.versions == own.versions;
        if alive.incarnation < own.incarnation || (alive.incarnation == own.incarnation && same) {
            return;
        }
        let text = format!(
            "Refuting an alive message for '{}' ({}:{}) meta:({} VS {}), vsn:({} VS {})",
            alive.node,
            alive.addr,
            alive.port,
            go_bytes(&alive.meta),
            go_bytes(&own.meta),
            go_versions(alive.versions),
            go_versions(own.versions),
        );
        self.refute(alive.incarnation, turn);
        turn.warn(text);
    }

    /// Contradicts what was said of us at this incarnation.
    fn refute(&mut self, accused: Incarnation, turn: &mut Turn<'_>) {
        // Oracle: incarnation-monotonic. One that has started anew counts up from where it began.
        let beaten = match planted!(self.faults, "refutes-by-one") {
            true => self.incarnation,
            false => self.incarnation.max(accused),
        };
        let next = beaten.0.saturating_add(1);
        self.incarnation = Incarnation(next);
        self.awareness.worse(1);
        let Some(own) = self.roster.get_mut(&self.config.name) else { return };
        own.node.incarnation = Incarnation(next);
        let alive = Message::Alive(alive_of(&own.node));
        let queue_name = NodeName::from(self.config.addr.ip().to_string());
        self.broadcast(queue_name, alive, None, turn);
    }

    fn refute_accusation(
        &mut self,
        accusation: Accusation,
        claimed: MemberState,
        turn: &mut Turn<'_>,
    ) {
        let accused = accusation.incarnation;
        self.refute(accused, turn);
        let incarnation = self.incarnation;
        turn.event(Event::Refuted { by: accusation.from, claimed, accused, incarnation });
    }

    /// Somebody thinks that a member has failed.
    pub(super) fn suspect(&mut self, suspect: Accusation, turn: &mut Turn<'_>) {
        let Some(member) = self.roster.get_mut(&suspect.node) else { return };
        // Oracle: incarnation-monotonic. A suspicion that was contradicted is believed again.
        let believed = planted!(self.faults, "old-suspicion-believed");
        if suspect.incarnation < member.node.incarnation && !believed {
            return;
        }
        if let Some(suspicion) = &mut member.suspicion {
            if suspicion.confirm(&suspect.from) {
                let confirmations = suspicion.confirmations();
                let end = suspicion.end().max(turn.now);
                self.timers.cancel(suspicion.timer);
                suspicion.timer = self.timers.set(end, Timer::Suspicion(suspect.node.clone()));
                turn.event(Event::SuspicionConfirmed {
                    node: suspect.node.clone(),
                    by: suspect.from.clone(),
                    confirmations,
                });
                self.broadcast(suspect.node.clone(), Message::Suspect(suspect), None, turn);
            }
            return;
        }
        if member.node.state != MemberState::Alive {
            return;
        }
        if suspect.node == self.config.name {
            self.refute_accusation(suspect, MemberState::Suspect, turn);
            return;
        }
        self.broadcast(suspect.node.clone(), Message::Suspect(suspect.clone()), None, turn);
        self.begin_suspicion(suspect, turn);
    }

    fn begin_suspicion(&mut self, suspect: Accusation, turn: &mut Turn<'_>) {
        let n = self.roster.len();
        let needed = Suspicion::needed(self.config.suspicion_mult, n);
        let min = suspicion_min(self.config.suspicion_mult, n, self.config.probe_interval);
        let max = min * self.config.suspicion_max_timeout_mult;
        let lasts = if needed == 0 { min } else { max };
        let name = suspect.node;
        let timer = self.timers.set(turn.now + lasts, Timer::Suspicion(name.clone()));
        let from = suspect.from.clone();
        let suspicion = Suspicion::new(turn.now, needed, (min, max), from, timer);
        let Some(member) = self.roster.get_mut(&name) else { return };
        member.suspicion = Some(suspicion);
        member.node.incarnation = suspect.incarnation;
        let before = self.roster.set_state(&name, MemberState::Suspect, turn.now);
        let Some(node) = self.node(&name).cloned() else { return };
        self.tell_state(&node, before, turn);
        turn.event(Event::SuspicionStarted { node: name, by: suspect.from, needed, min, max });
    }

    /// Nobody has contradicted in time.
    pub(super) fn suspicion_over(&mut self, name: &NodeName, turn: &mut Turn<'_>) {
        let Some(member) = self.roster.get_mut(name) else { return };
        // Oracle: gossip-completeness. The dead stay suspect for ever.
        if planted!(self.faults, "suspicion-never-ends") {
            if let Some(suspicion) = &mut member.suspicion {
                let later = turn.now + self.config.push_pull_interval * 1000;
                suspicion.timer = self.timers.set(later, Timer::Suspicion(name.clone()));
            }
            return;
        }
        let suspicion = member.suspicion.take();
        // Oracle: gossip-accuracy. Its time runs on though it was contradicted.
        if suspicion.is_none() && !planted!(self.faults, "suspicion-outlives-refutation") {
            return;
        }
        let incarnation = member.node.incarnation;
        let confirmations = suspicion.map_or(0, |suspicion| suspicion.confirmations());
        turn.event(Event::MarkedFailed { node: name.clone(), confirmations });
        let from = self.config.name.clone();
        self.dead(Accusation { incarnation, node: name.clone(), from }, turn);
    }

    fn end_suspicion(&mut self, name: &NodeName) {
        let suspicion = self.roster.get_mut(name).and_then(|member| member.suspicion.take());
        let runs_on = planted!(self.faults, "suspicion-outlives-refutation");
        if let Some(suspicion) = suspicion.filter(|_| !runs_on) {
            self.timers.cancel(suspicion.timer);
        }
    }

    /// Somebody says that a member has failed; or, when it says so itself, has left.
    pub(super) fn dead(&mut self, dead: Accusation, turn: &mut Turn<'_>) {
        let Some(known) = self.node(&dead.node) else { return };
        let gone = matches!(known.state, MemberState::Dead | MemberState::Left);
        if dead.incarnation < known.incarnation || gone {
            return;
        }
        self.end_suspicion(&dead.node);
        let own = dead.node == self.config.name;
        if own && !self.leaving {
            self.refute_accusation(dead, MemberState::Dead, turn);
            return;
        }
        let name = dead.node.clone();
        let incarnation = dead.incarnation;
        let state = if dead.node == dead.from { MemberState::Left } else { MemberState::Dead };
        let waiter = own.then_some(Waiter::Leave);
        self.broadcast(name.clone(), Message::Dead(dead), waiter, turn);
        if let Some(member) = self.roster.get_mut(&name) {
            member.node.incarnation = incarnation;
        }
        let before = self.roster.set_state(&name, state, turn.now);
        let Some(node) = self.node(&name).cloned() else { return };
        self.tell_state(&node, before, turn);
        turn.out.push(Output::NodeLeft(node));
    }

    pub(super) fn broadcast(
        &mut self,
        name: NodeName,
        message: Message,
        waiter: Option<Waiter>,
        turn: &mut Turn<'_>,
    ) {
        let len = (self.config.codec.message_len)(&message);
        let replaced = self.broadcasts.push(Some(name), len, Broadcast { message, waiter });
        if let Some(waiter) = replaced.and_then(|replaced| replaced.waiter) {
            self.heard(waiter, turn);
        }
    }

    pub(super) fn tell_state(&self, node: &Node, from: Option<MemberState>, turn: &mut Turn<'_>) {
        turn.event(Event::StateChanged {
            node: node.name.clone(),
            addr: node.addr,
            from,
            to: node.state,
            incarnation: node.incarnation,
        });
    }
}

fn conflict_text(known: &Node, theirs: SocketAddr) -> String {
    let (name, old) = (&known.name, known.state as u8);
    let (mine, theirs) = (go_addr(known.addr), go_addr(theirs));
    format!("Conflicting address for {name}. Mine: {mine} Theirs: {theirs} Old state: {old}")
}

/// Without the brackets of IPv6, as memberlist has it in these lines.
fn go_addr(addr: SocketAddr) -> String {
    format!("{}:{}", addr.ip(), addr.port())
}

/// Bytes as Go prints them: `[1 2 3]`.
fn go_bytes(bytes: &[u8]) -> String {
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    format!("[{}]", numbers.join(" "))
}

fn go_versions(versions: Versions) -> String {
    versions.as_ref().map_or_else(|| "[]".to_owned(), |versions| go_bytes(versions))
}
