//! Datagrams in, datagrams out (spec cluster 1.4, 1.5).
//!
//! **In.** Pings, acks and their like are handled at once. Gossip goes to memberlist's two hand-off
//! queues, which another task empties from their newest end, news of the living first. Here that task
//! runs once at the end of each datagram: so within one datagram, and never across two, gossip is
//! handled backwards. That is one of the orders that a real agent shows, and always the same one.
//!
//! **Out.** What answers or asks carries along as many broadcasts as fit; the whole stays within
//! [`Config::udp_buffer_bytes`](crate::gossip::swim::Config), counting the two bytes of the first
//! message's length too, which memberlist forgets. A compound has at most 255 parts: so many do not fit
//! into a datagram, and what does not is the codec's to split.

use std::net::SocketAddr;

use crate::gossip::io::ExchangeId;
use crate::gossip::message::{Message, Ping, Source};
use crate::gossip::swim::core::{Swim, Turn, Waiter};
use crate::gossip::swim::formulas::retransmit_limit;
use crate::gossip::swim::types::Output;

/// The type byte and the count of a compound.
const COMPOUND_HEADER_BYTES: usize = 2;
/// Each part's length.
const COMPOUND_PART_BYTES: usize = 2;

impl Swim {
    pub(super) fn take_packet(
        &mut self,
        from: SocketAddr,
        messages: Vec<Message>,
        turn: &mut Turn<'_>,
    ) {
        let mut urgent = Vec::new();
        let mut other = Vec::new();
        for message in messages {
            match message {
                Message::Ping(ping) => self.ping(from, ping, turn),
                Message::IndirectPing(ping) => self.indirect_ping(from, ping, turn),
                Message::Ack { sequence, payload } => self.ack(sequence, payload, turn),
                Message::Nack(sequence) => self.nack(sequence),
                Message::Alive(_) => self.hand_off(from, message, &mut urgent, turn),
                Message::Suspect(_) | Message::Dead(_) | Message::User(_) => {
                    self.hand_off(from, message, &mut other, turn);
                }
            }
        }
        for message in urgent.into_iter().rev().chain(other.into_iter().rev()) {
            match message {
                Message::Alive(alive) => self.alive(alive, turn),
                Message::Suspect(suspect) => self.suspect(suspect, turn),
                Message::Dead(dead) => self.dead(dead, turn),
                Message::User(message) => turn.out.push(Output::UserMessage { from, message }),
                _ => {}
            }
        }
    }

    fn hand_off(
        &self,
        from: SocketAddr,
        message: Message,
        queue: &mut Vec<Message>,
        turn: &mut Turn<'_>,
    ) {
        if queue.len() >= self.config.handoff_queue_depth {
            let number = match message {
                Message::Suspect(_) => 3,
                Message::Alive(_) => 4,
                Message::Dead(_) => 5,
                _ => 8,
            };
            let text = "handler queue full, dropping message";
            turn.warn(format!("{text} ({number}) from={from}"));
        } else {
            queue.push(message);
        }
    }

    fn ping(&mut self, from: SocketAddr, ping: Ping, turn: &mut Turn<'_>) {
        if !self.is_for_us(&ping) {
            turn.warn(format!("Got ping for unexpected node '{}' from={from}", ping.node));
            return;
        }
        let payload = Some(turn.delegate.ack_payload()).filter(|payload| !payload.is_empty());
        let to = reply_address(&ping.source, from);
        self.send(to, Message::Ack { sequence: ping.sequence, payload }, turn);
    }

    /// A ping over a stream has no payload in its ack.
    pub(super) fn stream_ping(&mut self, exchange: ExchangeId, ping: &Ping, turn: &mut Turn<'_>) {
        let ours = self.is_for_us(ping);
        if !ours {
            turn.warn(format!("Got ping for unexpected node {}", ping.node));
        }
        turn.out.push(Output::StreamPong { exchange, ack: ours.then_some(ping.sequence) });
    }

    /// A ping that names nobody is for whoever gets it.
    fn is_for_us(&self, ping: &Ping) -> bool {
        ping.node.as_str().is_empty() || ping.node == self.config.name
    }

    /// Who we are, for those who answer.
    pub(super) fn source(&self) -> Source {
        Source {
            addr: Some(self.config.addr.ip()),
            port: self.config.addr.port(),
            node: Some(self.config.name.clone()),
        }
    }

    /// Sends a message, and with it what everybody should hear.
    pub(super) fn send(&mut self, to: SocketAddr, message: Message, turn: &mut Turn<'_>) {
        let used = COMPOUND_PART_BYTES + (self.config.codec.message_len)(&message);
        let limit = self.broadcast_bytes().saturating_sub(used);
        let mut messages = vec![message];
        messages.extend(self.draw(limit, turn));
        turn.out.push(Output::Packet { to, messages, checksum: false });
    }

    /// What of a datagram is left for messages and their lengths.
    pub(super) fn broadcast_bytes(&self) -> usize {
        let fixed = COMPOUND_HEADER_BYTES + self.config.overhead_bytes;
        self.config.udp_buffer_bytes.saturating_sub(fixed)
    }

    /// One transmission of what waits: ours first, the delegate's in what is left.
    pub(super) fn draw(&mut self, limit: usize, turn: &mut Turn<'_>) -> Vec<Message> {
        let mut drawn = Vec::new();
        let mut heard = Vec::new();
        let mut left = limit;
        let message_len = self.config.codec.message_len;
        let times = retransmit_limit(self.config.retransmit_mult, self.roster.len());
        self.broadcasts.draw(COMPOUND_PART_BYTES, limit, times, |broadcast, last| {
            left -= COMPOUND_PART_BYTES + message_len(&broadcast.message);
            drawn.push(broadcast.message.clone());
            heard.extend(broadcast.waiter.filter(|_| last));
        });
        if left > COMPOUND_PART_BYTES {
            let user = turn.delegate.broadcasts(COMPOUND_PART_BYTES, left);
            drawn.extend(user.into_iter().map(Message::User));
        }
        for waiter in heard {
            self.heard(waiter, turn);
        }
        drawn
    }

    /// A broadcast has been sent as often as it should, or something newer took its place.
    pub(super) fn heard(&mut self, waiter: Waiter, turn: &mut Turn<'_>) {
        let (wait, end) = match waiter {
            Waiter::Leave => (&mut self.leave_wait, Output::LeaveHeard),
            Waiter::Meta => (&mut self.meta_wait, Output::MetaHeard),
        };
        if let Some(timer) = wait.take() {
            self.timers.cancel(timer);
            turn.out.push(end);
        }
    }
}

/// Where an answer goes: where the asker says that it is, or where its datagram came from.
pub(super) fn reply_address(source: &Source, from: SocketAddr) -> SocketAddr {
    match source.addr {
        Some(addr) if source.port > 0 => SocketAddr::new(addr, source.port),
        _ => from,
    }
}
