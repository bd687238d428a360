//! Probing: is that one still there (SWIM paper 3.1, 4.3; Lifeguard 4.1; spec cluster 1.11, 1.12)?
//!
//! ```text
//!   begin ── ping ──────────────► target                     direct ack ─► done, with its rtt
//!     │ probe timeout
//!     ├──── indirect ping ──────► others ── ping ──► target   their ack ─► done
//!     ├──── stream ping ────────► target                      their nack: they are there, it is not
//!     │ probe interval × (1 + health score)
//!     └ stream answered: a warning; else suspect it, and think about our own health
//! ```
//!
//! One probe at a time. A tick that comes meanwhile is remembered, one at most. Answers are taken once
//! and until the end; late ones are ignored. Relays for others run beside, as many as are asked for:
//! each lasts one probe timeout.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::base::Instant;
use crate::gossip::event::Event;
use crate::gossip::io::ExchangeId;
use crate::gossip::message::{
    Accusation, IndirectPing, MemberState, Message, Ping, SequenceNumber,
};
use crate::gossip::swim::core::{Swim, Turn, understands};
use crate::gossip::swim::packet::reply_address;
use crate::gossip::swim::timers::{Timer, TimerKey};
use crate::gossip::swim::types::{Node, Output};
use crate::planted;

/// memberlist's version that answers pings over a stream.
const UNDERSTANDS_STREAM_PING: u8 = 3;
/// That sends nacks.
const UNDERSTANDS_NACK: u8 = 4;
/// That checks a datagram's CRC.
pub(super) const UNDERSTANDS_CHECKSUM: u8 = 5;

/// The probe under way.
#[derive(Debug)]
pub(super) struct Probe {
    sequence: SequenceNumber,
    /// As it was when the probe began.
    node: Node,
    sent: Instant,
    end: Instant,
    /// Others have not been asked yet.
    direct: bool,
    timers: [TimerKey; 2],
    expected_nacks: u32,
    nacks: u32,
    fallback: Option<ExchangeId>,
    /// The fallback was answered.
    reached: bool,
}

/// A probe for somebody else.
#[derive(Debug)]
pub(super) struct Relay {
    /// The asker's number.
    sequence: SequenceNumber,
    asker: SocketAddr,
    nack: bool,
    timer: TimerKey,
}

impl Swim {
    /// Finds the next member and probes it.
    pub(super) fn begin_probe(&mut self, turn: &mut Turn<'_>) {
        self.probe_since = turn.now;
        let mut checked = 0;
        while checked < self.roster.len() {
            checked += 1;
            let Some(node) = self.roster.at(self.probe_index) else {
                // Who is given up by a planted bug must not come back as somebody new.
                let bugs = [
                    planted!(self.faults, "dead-stays-dead"),
                    planted!(self.faults, "left-stays-left"),
                ];
                let keep = match bugs.contains(&true) {
                    true => self.config.push_pull_interval * 1000,
                    false => self.config.gossip_to_the_dead_time,
                };
                let prng = &mut self.streams.order;
                self.roster.sweep(&self.config.name, turn.now, keep, prng);
                self.probe_index = 0;
                continue;
            };
            self.probe_index += 1;
            let gone = matches!(node.state, MemberState::Dead | MemberState::Left);
            if node.name != self.config.name && !gone {
                let node = node.clone();
                self.probe(node, turn);
                return;
            }
        }
    }

    fn probe(&mut self, node: Node, turn: &mut Turn<'_>) {
        let sequence = self.next_sequence();
        let end = turn.now + self.awareness.scale(self.config.probe_interval);
        // When both times are the same, others are still asked before it ends, as in a real agent.
        let direct_end = end.min(turn.now + self.config.probe_timeout);
        let timers = [
            self.timers.set(direct_end, Timer::DirectTimeout(sequence)),
            self.timers.set(end, Timer::ProbeEnd(sequence)),
        ];
        let ping = Message::Ping(self.ping_to(sequence, &node));
        if node.state == MemberState::Alive {
            self.send(node.addr, ping, turn);
        } else {
            // So that it hears at once what it must contradict.
            let suspect = Message::Suspect(self.accuse(&node));
            turn.out.push(Output::Packet {
                to: node.addr,
                messages: vec![ping, suspect],
                checksum: understands(node.versions, UNDERSTANDS_CHECKSUM),
            });
        }
        self.probe = Some(Probe {
            sequence,
            node,
            sent: turn.now,
            end,
            direct: true,
            timers,
            expected_nacks: 0,
            nacks: 0,
            fallback: None,
            reached: false,
        });
    }

    fn ping_to(&self, sequence: SequenceNumber, node: &Node) -> Ping {
        Ping { sequence, node: node.name.clone(), source: self.source() }
    }

    fn accuse(&self, node: &Node) -> Accusation {
        let from = self.config.name.clone();
        Accusation { incarnation: node.incarnation, node: node.name.clone(), from }
    }

    /// No direct answer: ask others, and try a stream.
    pub(super) fn direct_timeout(&mut self, sequence: SequenceNumber, turn: &mut Turn<'_>) {
        let Some(probe) = self.probe.as_mut().filter(|probe| probe.sequence == sequence) else {
            return;
        };
        probe.direct = false;
        let (target, end) = (probe.node.clone(), probe.end);
        let own = &self.config.name;
        let count = self.config.indirect_checks;
        let helpers = self.roster.choose(count, &mut self.streams.probe, |node| {
            node.state == MemberState::Alive && node.name != *own && node.name != target.name
        });
        let mut expected_nacks = 0;
        for helper in helpers {
            let nack = understands(helper.versions, UNDERSTANDS_NACK);
            expected_nacks += u32::from(nack);
            let ask = IndirectPing {
                sequence,
                target: target.addr.ip(),
                port: target.addr.port(),
                node: target.name.clone(),
                nack,
                source: self.source(),
            };
            self.send(helper.addr, Message::IndirectPing(ask), turn);
        }
        let patience = end.since(turn.now);
        let streams = self.config.tcp_pings && !patience.is_zero();
        let fallback = (streams && understands(target.versions, UNDERSTANDS_STREAM_PING))
            .then(|| self.next_exchange());
        if let Some(exchange) = fallback {
            let ping = self.ping_to(sequence, &target);
            turn.out.push(Output::StreamPing { exchange, to: target.addr, ping, patience });
        }
        if let Some(probe) = &mut self.probe {
            probe.expected_nacks = expected_nacks;
            probe.fallback = fallback;
        }
    }

    pub(super) fn stream_pinged(
        &mut self,
        exchange: ExchangeId,
        result: Result<(), String>,
        turn: &mut Turn<'_>,
    ) {
        if let Err(why) = result {
            if !why.is_empty() {
                turn.warn(format!("Failed fallback TCP ping: {why}"));
            }
        } else if let Some(probe) = &mut self.probe {
            probe.reached |= probe.fallback == Some(exchange);
        }
    }

    /// An answer to our probe, or to one for somebody else.
    pub(super) fn ack(
        &mut self,
        sequence: SequenceNumber,
        payload: Option<Bytes>,
        turn: &mut Turn<'_>,
    ) {
        if let Some(relay) = self.relays.remove(&sequence) {
            self.timers.cancel(relay.timer);
            let ack = Message::Ack { sequence: relay.sequence, payload: None };
            self.send(relay.asker, ack, turn);
            return;
        }
        let Some(probe) = self.probe.take_if(|probe| probe.sequence == sequence) else { return };
        self.end_probe(&probe);
        self.awareness.better();
        if probe.direct {
            let rtt = turn.now.since(probe.sent);
            turn.out.push(Output::ProbeAcked { node: probe.node, rtt, payload });
        }
    }

    fn end_probe(&mut self, probe: &Probe) {
        for timer in probe.timers {
            self.timers.cancel(timer);
        }
    }

    /// More nacks than were asked for change nothing.
    pub(super) fn nack(&mut self, sequence: SequenceNumber) {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.sequence == sequence) {
            probe.nacks = probe.nacks.saturating_add(1).min(probe.expected_nacks);
        }
    }

    /// Time is up, for others and for the stream too.
    pub(super) fn probe_unanswered(&mut self, sequence: SequenceNumber, turn: &mut Turn<'_>) {
        let Some(probe) = self.probe.take_if(|probe| probe.sequence == sequence) else { return };
        self.end_probe(&probe);
        if probe.reached {
            self.awareness.better();
            turn.warn(format!(
                "Was able to connect to {} over TCP but UDP probes failed, network may be \
                 misconfigured",
                probe.node.name
            ));
            return;
        }
        let missing = probe.expected_nacks - probe.nacks;
        self.awareness.worse(if probe.expected_nacks > 0 { missing } else { 1 });
        turn.event(Event::ProbeFailed {
            node: probe.node.name.clone(),
            expected_nacks: probe.expected_nacks,
            nacks: probe.nacks,
        });
        let suspect = self.accuse(&probe.node);
        self.suspect(suspect, turn);
    }

    /// Somebody asks us to probe for it.
    pub(super) fn indirect_ping(
        &mut self,
        from: SocketAddr,
        ask: IndirectPing,
        turn: &mut Turn<'_>,
    ) {
        let port = if ask.port == 0 { self.config.addr.port() } else { ask.port };
        let to = SocketAddr::new(ask.target, port);
        let sequence = self.next_sequence();
        let timer =
            self.timers.set(turn.now + self.config.probe_timeout, Timer::RelayEnd(sequence));
        let asker = reply_address(&ask.source, from);
        let relay = Relay { sequence: ask.sequence, asker, nack: ask.nack, timer };
        self.relays.insert(sequence, relay);
        let ping = Ping { sequence, node: ask.node, source: self.source() };
        self.send(to, Message::Ping(ping), turn);
    }

    /// It has not answered us either.
    pub(super) fn relay_end(&mut self, sequence: SequenceNumber, turn: &mut Turn<'_>) {
        let Some(relay) = self.relays.remove(&sequence) else { return };
        if relay.nack {
            self.send(relay.asker, Message::Nack(relay.sequence), turn);
        }
    }
}
